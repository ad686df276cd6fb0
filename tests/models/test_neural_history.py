"""What a calibration learns from: the anchor of the rows that a network was trained on, then the network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from features.panel import Panel
from features.targets import Targets
from models.base import LEVELS, Forecast
from models.calibration import Calibration, calibrate
from models.classical.law import normal
from models.neural.forecaster import Frozen, NeuralForecaster
from models.neural.inputs import InputConfig, Reader
from models.neural.network import Network, NetworkConfig
from models.onnx import OnnxForecaster
from models.onnx_export import exported
from tests.models.test_neural import HOUR_NS, SPEC, forecaster_of, panel_of

PARTS = ("variance", "quantiles", "shortfall")
CALIBRATION = Calibration(bias_rows=960, tail_rows=2_000, least_rows=240)
N, N_TRAINED, SIGMA = 3_000, 2_400, np.exp(-4.5)
BOUND = 3.0  # of the variance that has learned its training by heart


def memorised(seed: int = 0) -> Panel:
    """A market of one variance, with a feature that tells the size of each return in the training and nothing after.

    The return over four hours is twice that over one: both are of one size, which the feature tells.
    """
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(N)
    told = np.arctanh(np.clip(2 * np.log(np.abs(z)) / BOUND, -0.97, 0.97)) * (np.arange(N) < N_TRAINED)
    values = np.column_stack([rng.normal(-9, 0.7, (N, 5)), told, rng.normal(-9, 0.7, N)])
    moves = SIGMA * z[:, None] * np.array([1.0, 2.0])
    targets = Targets(moves**2, moves**2, moves, np.maximum(-moves, 0), np.maximum(moves, 0))
    origin_ns = (438_000 + np.arange(N)) * HOUR_NS
    return Panel("BTCUSDT", SPEC, origin_ns, values.astype(np.float32), targets, np.zeros(N, dtype=bool))


def trained_until_ns(panel: Panel) -> int:
    return int(panel.origin_ns[N_TRAINED - 1])


def by_heart(panel: Panel) -> NeuralForecaster:
    """A network that believes the feature, as one that was trained without end would: perfect up to there, only there.

    The one hidden unit that is not silent is far enough from zero to be straight.
    """
    reader = Reader.fit(InputConfig("log_har"), [panel.until(trained_until_ns(panel))])
    net = Network(NetworkConfig(len(reader.names), reader.n_sequence, 2, "mlp", hidden=2, variance_bound=BOUND)).eval()
    anchor = reader.log_anchor(panel)[:N_TRAINED]
    net.law.measure(panel.targets.log_return[:N_TRAINED] / np.exp(anchor / 2))
    column, far = reader.names.index("move_1h"), 20.0
    with torch.no_grad():
        net.mix.weight.zero_()
        net.mix.weight[0, column] = float(reader.last_scaling.spread[column])
        net.mix.bias.copy_(torch.tensor([far + float(reader.last_scaling.centre[column]), 0.0]))
        of_variance = torch.arange(2) * (1 + net.law.n_outputs)
        net.out.weight[of_variance, 0] = 1.0
        net.out.bias[of_variance] = -far
    return NeuralForecaster((net,), reader, SPEC)


def by_runtime(model: NeuralForecaster, runtime: str) -> NeuralForecaster:
    return model if runtime == "torch" else OnnxForecaster.of(model, exported(model.nets))


def check_same(found: Forecast, expected: Forecast, rtol: float = 2e-5) -> None:
    np.testing.assert_array_equal(found.origin_ns, expected.origin_ns)
    for name in PARTS:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_what_was_learned_by_heart_does_not_narrow_the_tails_of_what_comes_after(runtime: str) -> None:
    """After the training this network is its anchor and returns are normal: so are the tails that it gets."""
    panel = memorised()
    model = by_runtime(by_heart(panel), runtime)
    until_ns = trained_until_ns(panel)
    naive = calibrate(model.forecast(panel), panel, CALIBRATION, N_TRAINED)
    honest = calibrate(model.history(panel, until_ns), panel, CALIBRATION, N_TRAINED, handover_ns=until_ns)
    anchor = calibrate(model.anchor_forecast(panel), panel, CALIBRATION, N_TRAINED)
    for name in PARTS[1:]:  # in standard deviations; the network has a bias of its own, which is not known yet
        ours, theirs = (getattr(f, name)[:24] / np.sqrt(f.variance[:24])[..., None] for f in (honest, anchor))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    true = SIGMA * np.array([1.0, 2.0])[:, None] * norm.ppf(LEVELS)
    for k in (LEVELS.index(0.01), LEVELS.index(0.99)):
        assert (naive.quantiles[:24, :, k] / true[:, k] < 0.6).all()  # the fault was there to be found
        np.testing.assert_allclose(honest.quantiles[:24, :, k] / true[:, k], 1.0, atol=0.15)
        assert (np.abs(honest.shortfall[:24, :, k]) > 1.5 * np.abs(naive.shortfall[:24, :, k])).all()


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_up_to_the_end_of_training_it_is_the_anchors_and_then_the_networks(runtime: str) -> None:
    """Networks with outputs of zero answer the anchor's law; windows of later origins look back over the instant."""
    reader = Reader.fit(InputConfig("log_har"), [panel_of("BTCUSDT", seed=1), panel_of("ETHUSDT", seed=2)])
    first, second = (forecaster_of(reader, "pyramid", "pareto", scale) for scale in (0.3, 0.9))
    rng = np.random.default_rng(3)
    for net in (*first.nets, *second.nets):
        net.law.measure(rng.standard_t(4, (2_000, 2)))
    nets = (*first.nets, *second.nets)
    model = by_runtime(replace(first, nets=nets), runtime)
    panel = panel_of("ETHUSDT", seed=8, hole=100)
    found = model.history(panel, int(panel.origin_ns[149]))
    network = model.forecast(panel)
    check_same(found.rows(150), network.rows(150))
    moved = np.log(network.variance[:150] / found.variance[:150])
    assert np.abs(moved).mean() > 0.01  # else nothing would tell them apart
    with torch.no_grad():
        for net in nets:
            net.out.weight.zero_()
    untrained = replace(first, nets=nets).forecast(panel)
    check_same(found.rows(0, 150), untrained.rows(0, 150))
    anchor = reader.anchors["ETHUSDT"].forecast(panel).variance
    np.testing.assert_allclose(found.variance[:150], anchor[:150], rtol=1e-12)
    check_same(model.anchor_forecast(panel), untrained)


def test_an_origin_counts_as_trained_on_up_to_the_instant_itself() -> None:
    panel = memorised()
    model = by_heart(panel)
    network, anchor = model.forecast(panel), model.anchor_forecast(panel)
    last_ns = trained_until_ns(panel)
    for until_ns, first in (
        (last_ns, N_TRAINED),
        (last_ns + 1, N_TRAINED),
        (last_ns - 1, N_TRAINED - 1),
        (0, 0),
        (int(panel.origin_ns[-1]), N),
    ):
        found = Frozen(model, until_ns).fit(panel).forecast(panel)
        check_same(found.rows(first), network.rows(first))
        check_same(found.rows(0, first), anchor.rows(0, first))
    assert not np.allclose(network.variance[N_TRAINED - 1], anchor.variance[N_TRAINED - 1])


def test_a_model_is_debiased_by_its_own_windows(panel: Panel) -> None:
    """Against a loop over hours: those of the model before it count, as if its variance had been right."""
    rng = np.random.default_rng(4)
    hours, handover, horizon = 700, 400, panel.spec.horizons_s[0] // 3_600
    part = panel.rows(1_000, 1_000 + hours)
    assert (np.diff(part.origin_ns) == HOUR_NS).all()
    realised = part.targets.realised_variance[:, 0]
    factor = np.where(np.arange(hours) < handover, 2.0, 0.8) * rng.uniform(0.8, 1.25, hours)  # too high, then too low
    whole = normal(part, np.where(np.isfinite(realised), realised, 1e-5)[:, None] * factor[:, None] * np.ones(4))
    settings = Calibration(bias_rows=200, prior_rows=50, tail_rows=300, least_rows=100)
    found = calibrate(whole, part, settings, handover_ns=int(part.origin_ns[handover - 1]))
    plain = calibrate(whole, part, settings)
    np.testing.assert_array_equal(found.variance[:handover], plain.variance[:handover])
    for t in (handover, handover + 1, handover + 30, handover + 150, handover + 240):
        ended = [s for s in range(hours) if t - settings.bias_rows < s + horizon <= t and np.isfinite(realised[s])]
        ratios = [1.0 if s < handover else realised[s] / whole.variance[s, 0] for s in ended]
        bias = (settings.prior_rows + sum(ratios)) / (settings.prior_rows + len(ratios))
        assert found.variance[t, 0] == pytest.approx(whole.variance[t, 0] * bias)
    assert (found.variance[handover : handover + 100, 0] > 1.1 * plain.variance[handover : handover + 100, 0]).all()
    np.testing.assert_allclose(found.variance[-50:], plain.variance[-50:])  # the other model is forgotten
