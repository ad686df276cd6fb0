"""How much does it save to convolve only where the last step looks? The pyramid against the full dilated stack.

Run:  python benchmarks/pyramid.py

The same weights, the same windows, one core, CPU time; outputs are checked to be equal to 1e-6 first.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.events import on_one_core
from benchmarks.feature_table import keep_memory, medians_s, show_peers
from models.neural.encoders.pyramid import Halve, pyramid

Works = dict[str, Callable[[], object]]
BATCH, LENGTH, COLUMNS, CHANNELS = 512, 64, 32, 24


def full(layers: nn.Sequential, past: Tensor) -> Tensor:
    """Every step of every layer, dilations 1, 2, 4, ...; (batch, time, column) to the last step's (batch, channel)."""
    past = past.transpose(1, 2)
    for i, layer in enumerate(layer for layer in layers.children() if isinstance(layer, Halve)):
        weight = layer.pair.weight.view(CHANNELS, 2, -1).transpose(1, 2)  # (channel, column, step)
        padded = nn.functional.pad(past, (2**i, 0))
        past = nn.functional.silu(nn.functional.conv1d(padded, weight, layer.pair.bias, dilation=2**i))
    return past[:, :, -1]


def step(layers: nn.Sequential, answer: Callable[[Tensor], Tensor], past: Tensor) -> None:
    """Forward and backward."""
    layers.zero_grad()
    torch.autograd.backward(answer(past).square().mean())


def main() -> None:
    """Rates of training steps and of forecasts."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers, past = pyramid(COLUMNS, CHANNELS, LENGTH), torch.randn(BATCH, LENGTH, COLUMNS)
    answers: dict[str, Callable[[Tensor], Tensor]] = {
        "margincast, the pyramid": lambda x: layers(x)[:, 0],
        "the full dilated stack": lambda x: full(layers, x),
    }
    first, second = (answer(past) for answer in answers.values())
    if not torch.allclose(first, second, atol=1e-6, rtol=0):
        raise AssertionError(f"the pyramid is no dilated stack: {(first - second).abs().max():.1e} apart")
    print(f"outputs are at most {(first - second).abs().max():.1e} apart")
    with torch.no_grad():
        works: Works = {name: partial(answer, past) for name, answer in answers.items()}
        rates = {name: BATCH / seconds for name, seconds in medians_s(works, 9).items()}
    title = f"windows of {LENGTH} x {COLUMNS}, {CHANNELS} channels"
    show_peers(f"{title}: forecasts", "thousand windows/s", rates, scale=1e3)
    works = {name: partial(step, layers, answer, past) for name, answer in answers.items()}
    rates = {name: BATCH / seconds for name, seconds in medians_s(works, 9).items()}
    show_peers(f"{title}: training steps", "thousand windows/s", rates, scale=1e3)


if __name__ == "__main__":
    keep_memory()
    on_one_core()
    main()
