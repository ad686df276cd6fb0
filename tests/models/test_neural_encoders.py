"""Every encoder: an independent computation of the same numbers, the same numbers from ONNX, options refused."""

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad, silu

from features.errors import SettingError
from models.neural import ENCODERS, HEADS
from models.neural.clocks import Clock, run_starts, window
from models.neural.encoders.base import Encoder
from models.neural.encoders.gru import Gru
from models.neural.encoders.patches import Layer, Patches
from models.neural.encoders.pyramid import Halve, Pyramid

N_LAST, N_SEQUENCE = 4, 3
TINY: dict[str, dict[str, object]] = {
    "gru": {"rows": 8, "width": 4},
    "mlp": {"layers": (5,)},
    "patches": {"rows": 8, "stride": 2, "patch": 4, "width": 8, "heads": 2},
    "pyramid": {"fast": 8, "slow": 4, "slow_stride": 5, "channels": 4},
}


def fresh(name: str, **options: object) -> Encoder:
    torch.manual_seed(0)
    return ENCODERS[name](TINY[name] | options, N_LAST, N_SEQUENCE).eval()


def inputs_of(encoder: Encoder, batch: int) -> tuple[Tensor, list[Tensor]]:
    draw = torch.Generator().manual_seed(batch)
    past = [torch.randn(batch, clock.length, N_SEQUENCE, generator=draw) for clock in encoder.clocks]
    return torch.randn(batch, N_LAST, generator=draw), past


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_every_row_and_window_reaches_the_vector(name: str) -> None:
    encoder = fresh(name)
    last, past = inputs_of(encoder, 5)
    tensors = [last, *past]
    for tensor in tensors:
        tensor.requires_grad_()
    vector = encoder(last, past)
    assert vector.shape == (5, encoder.width)
    slopes = torch.autograd.grad(vector.square().sum(), tensors)
    assert all((slope != 0).all() for slope in slopes)


@pytest.mark.parametrize(("fast", "slow"), [(16, 0), (0, 8), (16, 8)])
def test_the_pyramid_is_a_dilated_causal_convolution(fast: int, slow: int) -> None:
    """The same weights, evaluated at every step with dilation, agree where the last step looks."""
    encoder = fresh("pyramid", fast=fast, slow=slow).double()
    assert isinstance(encoder, Pyramid)
    last, past = inputs_of(encoder, 6)
    last, past = last.double(), [rows.double() for rows in past]
    ends = [last]
    for layers, rows in zip(encoder.pyramids.children(), past, strict=True):
        x = rows.transpose(1, 2)
        steps = [layer for layer in layers.children() if isinstance(layer, Halve)]
        assert 2 ** len(steps) == rows.shape[1]
        for i, step in enumerate(steps):
            weight = step.pair.weight.reshape(len(step.pair.weight), 2, -1).transpose(1, 2)  # (channel, column, step)
            x = silu(conv1d(pad(x, (2**i, 0)), weight, step.pair.bias, dilation=2**i))
        assert x.shape[2] == rows.shape[1]
        ends.append(x[:, :, -1])
    torch.testing.assert_close(encoder(last, past), torch.cat(ends, dim=1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("pool", ["last", "mean"])
def test_patches_are_torchs_transformer(pool: str) -> None:
    """The layers of torch itself, with the same weights, on patches cut by a loop."""
    encoder = fresh("patches", pool=pool)
    assert isinstance(encoder, Patches)
    last, past = inputs_of(encoder, 6)
    c = encoder.config
    cuts = [past[0][:, i : i + c.patch].reshape(6, -1) for i in range(0, c.rows, c.patch)]
    tokens = torch.stack([encoder.embed(cut) for cut in cuts], dim=1) + encoder.place
    for ours in encoder.layers.children():
        assert isinstance(ours, Layer)
        theirs = nn.TransformerEncoderLayer(
            c.width, c.heads, 2 * c.width, activation=silu, batch_first=True, norm_first=True
        ).eval()
        theirs.load_state_dict(
            {
                "self_attn.in_proj_weight": ours.ask.weight,
                "self_attn.in_proj_bias": ours.ask.bias,
                **{f"self_attn.out_proj.{k}": v for k, v in ours.answer.state_dict().items()},
                **{f"linear1.{k}": v for k, v in ours.each[0].state_dict().items()},
                **{f"linear2.{k}": v for k, v in ours.each[2].state_dict().items()},
                **{f"norm1.{k}": v for k, v in ours.norm_before.state_dict().items()},
                **{f"norm2.{k}": v for k, v in ours.norm_between.state_dict().items()},
            }
        )
        tokens = theirs(tokens)
    seen = encoder.norm(tokens)
    pooled = seen[:, -1] if pool == "last" else seen.mean(dim=1)
    torch.testing.assert_close(encoder(last, past), torch.cat([last, pooled], dim=1), atol=1e-6, rtol=1e-5)


def test_the_gru_is_its_recursion() -> None:
    encoder = fresh("gru").double()
    assert isinstance(encoder, Gru)
    last, past = inputs_of(encoder, 6)
    weights = {name: value.detach().numpy() for name, value in encoder.cell.named_parameters()}
    state = np.zeros((6, 4))
    for row in past[0].double().transpose(0, 1).numpy():
        x = row @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]
        s = state @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]
        reset, keep = (1 / (1 + np.exp(-(x[:, i : i + 4] + s[:, i : i + 4]))) for i in (0, 4))
        state = (1 - keep) * np.tanh(x[:, 8:] + reset * s[:, 8:]) + keep * state
    with torch.no_grad():
        found = encoder(last.double(), [past[0].double()])[:, N_LAST:]
    np.testing.assert_allclose(found, state, atol=1e-12)


class Joined(nn.Module):
    """An encoder whose vector is a head's outputs."""

    def __init__(self, encoder: Encoder, head: str) -> None:
        super().__init__()
        self.encoder, self.head = encoder, HEADS[head]({}, 2)
        self.mix = nn.Linear(encoder.width, 2 * self.head.n_outputs)

    def forward(self, last: Tensor, past: list[Tensor]) -> tuple[Tensor, Tensor]:
        out = self.mix(self.encoder(last, past))
        quantiles, shortfall = self.head(out.view(-1, 2, self.head.n_outputs))
        return quantiles, shortfall


@pytest.mark.parametrize(
    ("encoder", "options", "head"),
    [
        ("gru", {}, "skew_t"),
        ("gru", {"cell": "lstm"}, "quantiles"),
        ("mlp", {}, "pareto"),
        ("patches", {}, "quantiles"),
        ("patches", {"pool": "mean"}, "skew_t"),
        ("pyramid", {}, "skew_t"),
    ],
)
def test_onnx_gives_the_same_numbers(encoder: str, options: dict[str, object], head: str, tmp_path: Path) -> None:
    """At any number of rows in a batch."""
    joined = Joined(fresh(encoder, **options), head).eval()
    names = ["last", *(f"past_{i}" for i in range(len(joined.encoder.clocks)))]
    file = tmp_path / "joined.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter by tracing is old, and quick
        torch.onnx.export(
            joined, inputs_of(joined.encoder, 3), file, dynamo=False, input_names=names,
            dynamic_axes={name: {0: "batch"} for name in names}, opset_version=17,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for batch in (1, 3, 40):
        last, past = inputs_of(joined.encoder, batch)
        found = session.run(None, {n: t.numpy() for n, t in zip(names, [last, *past], strict=True)})
        with torch.no_grad():
            expected = joined(last, past)
        for theirs, ours in zip(found, expected, strict=True):
            np.testing.assert_allclose(theirs, ours, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gru", {"cell": "elman"}, "known: gru, lstm"),
        ("gru", {"width": 0}, "1 at least"),
        ("gru", {"patch": 4}, "no option 'patch'"),
        ("mlp", {"layers": (0,)}, "1 at least"),
        ("patches", {"rows": 10}, "whole patches"),
        ("patches", {"heads": 3}, "heads divide"),
        ("patches", {"layers": 0}, "1 at least"),
        ("patches", {"pool": "first"}, "last, mean"),
        ("patches", {"stride": 0}, "stride"),
        ("pyramid", {"fast": 1}, "no power of two"),
        ("pyramid", {"fast": 48}, "no power of two"),
        ("pyramid", {"slow": 100}, "no power of two"),
        ("pyramid", {"fast": 0, "slow": 0}, "mlp encoder"),
    ],
)
def test_options_that_make_no_encoder_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        fresh(name, **options)


def test_windows_end_at_their_row_and_begin_within_its_run() -> None:
    origin_ns = np.array([0, 1, 2, 3, 10, 11, 12]) * 3_600 * 10**9
    starts = torch.from_numpy(run_starts(origin_ns, 3_600))
    rows = torch.arange(7)
    found = window(torch.arange(7.0)[:, None], rows, starts, Clock(2, 3))[..., 0]
    for row in range(7):
        expected = [max(row - 4, int(starts[row])), max(row - 2, int(starts[row])), row]
        assert found[row].tolist() == expected
    assert starts.tolist() == [0, 0, 0, 0, 4, 4, 4]
