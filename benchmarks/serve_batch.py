"""How long does it take to forecast 1,000 instruments at once, on one core? onnxruntime against torch, in the same run.

Windows are gathered from the rows of the past, three networks of different seeds are evaluated, their laws averaged.

Run:  python benchmarks/serve_batch.py
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from models.neural.forecaster import NeuralForecaster
from models.neural.inputs import Inputs
from models.neural.network import Network, NetworkConfig
from models.onnx import OnnxForecaster
from models.onnx_export import exported

INSTRUMENTS, PAST, N_LAST, N_SEQUENCE, HIDDEN, SEEDS, REPEATS = 1_000, 64, 340, 75, 64, 3, 15
ENCODERS: dict[str, dict[str, Any]] = {"mlp": {"layers": (HIDDEN,)}, "pyramid": {"fast": PAST}}


@dataclass(frozen=True)
class NewestByTorch(NeuralForecaster):
    """Torch's evaluation of some rows, its windows gathered once as onnxruntime's are."""

    def law_at(self, inputs: Inputs, rows: torch.Tensor) -> list[np.ndarray]:
        """Means over the networks."""
        with torch.inference_mode():
            values = inputs.at(rows, self.nets[0].encoder.clocks)
            laws = [net(*values) for net in self.nets]
            return [np.mean([part.double().numpy() for part in parts], axis=0) for parts in zip(*laws, strict=True)]


def main() -> None:
    """Print the time of a batch by both and their ratio, and check that they agree."""
    torch.set_num_threads(1)
    table = Table(title=f"{INSTRUMENTS:,} instruments in one batch, {SEEDS} networks, CPU time, medians")
    for heading in ("encoder", "onnxruntime", "torch", "ratio", "agree to"):
        table.add_column(heading, justify="right")
    for encoder, options in ENCODERS.items():
        ours, peer, gap = measured(encoder, options)
        table.add_row(encoder, f"{1e3 * ours:.1f} ms", f"{1e3 * peer:.1f} ms", f"{peer / ours:.2f} x", f"{gap:.0e}")
    Console().print(table)


def measured(encoder: str, options: dict[str, Any]) -> tuple[float, float, float]:
    """Seconds of a batch by onnxruntime and by torch, taken in turns, and how far their numbers are apart."""
    config = NetworkConfig(N_LAST, N_SEQUENCE, 4, encoder=encoder, encoder_options=options, hidden=HIDDEN)
    torch.manual_seed(0)
    nets = tuple(Network(config).eval() for _ in range(SEEDS))
    for net in nets:
        torch.nn.init.normal_(net.out.weight, 0.0, 0.2)
    by_torch = NewestByTorch(nets, None, None)  # type: ignore[arg-type]  # a batch is read already
    by_onnx = OnnxForecaster.of(by_torch, exported(nets))
    inputs, newest = made_up()
    times = np.array(
        [(spent(by_onnx.law, inputs, newest), spent(by_torch.law_at, inputs, newest)) for _ in range(REPEATS)]
    )
    both = zip(by_onnx.law(inputs, newest), by_torch.law_at(inputs, newest), strict=True)
    gap = max(float(np.abs(a - b).max()) for a, b in both)
    return float(np.median(times[:, 0])), float(np.median(times[:, 1])), gap


def spent(law: Callable[[Inputs, torch.Tensor], object], inputs: Inputs, rows: torch.Tensor) -> float:
    """Seconds of CPU that a batch takes: on one thread, what else runs on the machine does not count."""
    start = time.process_time()
    law(inputs, rows)
    return time.process_time() - start


def made_up() -> tuple[Inputs, torch.Tensor]:
    """Rows of the past of every instrument, one after the other, and the number of each one's newest."""
    rows = INSTRUMENTS * PAST
    last, sequence, anchor = (torch.randn(rows, width) for width in (N_LAST, N_SEQUENCE, 4))
    starts = torch.arange(INSTRUMENTS).repeat_interleave(PAST) * PAST
    inputs = Inputs(last, sequence, anchor - 9, starts, torch.zeros(rows, dtype=torch.int64))
    return inputs, torch.arange(INSTRUMENTS) * PAST + PAST - 1


if __name__ == "__main__":
    main()
