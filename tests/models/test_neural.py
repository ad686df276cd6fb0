"""The network: starts at its anchor, stays in bounds, forecasts the unseen, never looks ahead nor over a hole."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from features.errors import SettingError
from features.panel import Panel
from features.spec import FeatureSpec
from features.targets import Targets
from models.base import LEVELS
from models.neural import ENCODERS, HEADS
from models.neural.forecaster import NeuralForecaster
from models.neural.inputs import InputConfig, Reader, stacked
from models.neural.network import Law, Network, NetworkConfig
from models.scores import qlike

TINY: dict[str, dict[str, object]] = {
    "gru": {"rows": 8, "width": 4},
    "mlp": {"layers": (5,)},
    "patches": {"rows": 8, "stride": 2, "patch": 4, "width": 8, "heads": 2},
    "pyramid": {"fast": 8, "slow": 4, "slow_stride": 5, "channels": 4},
}
PAIRS = list(product(sorted(ENCODERS), sorted(HEADS)))
PAST = sorted(set(ENCODERS) - {"mlp"})  # those that look at more than the last row
SPEC = FeatureSpec(
    horizons_s=(3_600, 14_400),
    features=(*(f"log_rv_{k}h" for k in (1, 4, 24, 168, 720)), "move_1h", "BTCUSDT.log_rv_1h"),
)
HOUR_NS = 3_600 * 10**9
ANCHOR = torch.linspace(-9, -6, 128).view(64, 2)


def fresh(encoder: str, head: str, **settings: object) -> Network:
    torch.manual_seed(0)
    config = NetworkConfig(7, 3, 2, encoder, TINY[encoder], head, hidden=6, **settings)  # type: ignore[arg-type]
    return Network(config).eval()


def randomised(net: Network, scale: float) -> Network:
    with torch.no_grad():
        net.out.weight.normal_(0, scale)
        if net.names is not None:
            net.names.weight.normal_(0, 1)
    return net


def law_of(net: Network, scale: float = 1.0, instrument: int = 0) -> Law:
    draw = torch.Generator().manual_seed(1)
    past = [scale * torch.randn(64, clock.length, 3, generator=draw) for clock in net.encoder.clocks]
    last = scale * torch.randn(64, 7, generator=draw)
    with torch.no_grad():
        law: Law = net(last, past, ANCHOR, torch.full((64,), instrument))
    return law


@pytest.mark.parametrize(("encoder", "head"), PAIRS)
def test_an_untrained_network_is_its_anchor_with_the_base_law(encoder: str, head: str) -> None:
    net = fresh(encoder, head, n_instruments=2, embedding=3)
    law = law_of(net)
    torch.testing.assert_close(law.log_variance, ANCHOR)
    quantiles, shortfall = net.law(torch.zeros(64, 2, net.law.n_outputs))
    torch.testing.assert_close(law.quantiles, quantiles)
    torch.testing.assert_close(law.shortfall, shortfall)


@pytest.mark.parametrize(("encoder", "head"), PAIRS)
def test_however_wild_the_weights_the_forecast_stays_in_bounds(encoder: str, head: str) -> None:
    net = randomised(fresh(encoder, head, variance_bound=0.7), 50)
    law = law_of(net, scale=100.0)
    correction = law.log_variance - ANCHOR
    assert correction.abs().max() <= 0.7 + 1e-5
    assert correction.abs().max() > 0.6  # the bound is reached, so it is the bound that holds
    assert (law.quantiles.diff(dim=-1) > 0).all()
    side = torch.tensor([1.0 if p > 0.5 else -1.0 for p in LEVELS])
    assert (side * (law.shortfall - law.quantiles) > 0).all()


@pytest.mark.parametrize("bound", [0.5, 1.0])
def test_it_cannot_cost_more_than_the_stated_bound(bound: float) -> None:
    """QLIKE over the anchor's is at most (e^c - 1) y + c, y the outcome over the anchor, and comes near it."""
    net = randomised(fresh("mlp", "pareto", variance_bound=bound), 50)
    correction = (law_of(net, scale=100.0).log_variance - ANCHOR).double().numpy()
    for outcome in (1e-3, 0.1, 1.0, 5.0, 200.0):
        cost = qlike(outcome, np.exp(correction)) - qlike(outcome, np.ones(1))
        limit = (np.exp(bound) - 1) * outcome + bound
        assert cost.max() <= limit + 1e-5
        reached = max((np.exp(bound) - 1) * outcome - bound, np.expm1(-bound) * outcome + bound)
        assert cost.max() == pytest.approx(reached, rel=0.02, abs=1e-3)


def panel_of(instrument: str, n: int = 240, seed: int = 0, hole: int | None = None) -> Panel:
    """Random features and outcomes; after row ``hole`` origins go on two days later."""
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.normal(-9, 0.7, (n, 5)), rng.normal(0, 1, n), rng.normal(-9, 0.7, n)])
    values[rng.uniform(size=n) < 0.1, 5] = np.nan  # a feature with rows that are not known
    rows = np.arange(n) + (0 if hole is None else 48 * (np.arange(n) >= hole))
    variance = np.exp(rng.normal(-9, 0.5, (n, 2)))
    moves = rng.normal(0, 1, (n, 2)) * np.sqrt(variance)
    targets = Targets(variance, variance, moves, np.maximum(-moves, 0), np.maximum(moves, 0))
    origin_ns = (438_000 + rows) * HOUR_NS
    return Panel(instrument, SPEC, origin_ns, values.astype(np.float32), targets, np.zeros(n, dtype=bool))


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.fit(InputConfig(anchor="log_har"), [panel_of("BTCUSDT", seed=1), panel_of("ETHUSDT", seed=2)])


def forecaster_of(reader: Reader, encoder: str, head: str, scale: float = 0.5) -> NeuralForecaster:
    torch.manual_seed(3)
    config = NetworkConfig(
        len(reader.names), reader.n_sequence, 2, encoder, TINY[encoder], head, hidden=6, n_instruments=2, embedding=2
    )
    return NeuralForecaster((randomised(Network(config).eval(), scale),), reader, SPEC)


def without_leader(panel: Panel) -> Panel:
    values = panel.values.copy()
    values[:, -1] = np.nan
    return replace(panel, values=values)


def same(a: NeuralForecaster, before: Panel, after: Panel, pick: Callable[[np.ndarray], np.ndarray]) -> None:
    """Fail unless forecasts of one panel equal those rows that are picked of another's."""
    first, second = a.forecast(before), a.forecast(after)
    for name in ("variance", "quantiles", "shortfall"):
        np.testing.assert_allclose(pick(getattr(first, name)), getattr(second, name), rtol=2e-5, atol=1e-9)


@pytest.mark.parametrize(("encoder", "head"), PAIRS)
def test_an_instrument_that_was_never_seen_is_forecast(reader: Reader, encoder: str, head: str) -> None:
    """Without a leader, with holes in its features and its origins; :class:`Forecast` refuses what is no law."""
    panel = without_leader(panel_of("SOLUSDT", seed=5, hole=100))
    forecast = forecaster_of(reader, encoder, head).forecast(panel)
    assert forecast.quantiles.shape == (240, 2, len(LEVELS))
    anchors = np.mean([np.log(anchor.forecast(panel).variance) for anchor in reader.anchors.values()], axis=0)
    moved = np.abs(np.log(forecast.variance) - anchors)
    assert moved.max() <= 1.0 + 1e-5
    assert moved.mean() > 1e-3
    untrained = forecaster_of(reader, encoder, head, scale=0.0).forecast(panel)
    np.testing.assert_allclose(np.log(untrained.variance), anchors, rtol=1e-6)


def test_the_unseen_have_the_embedding_of_no_name(reader: Reader) -> None:
    model = forecaster_of(reader, "mlp", "pareto")
    sol, eth = panel_of("SOLUSDT", seed=5), panel_of("ETHUSDT", seed=5)
    before = model.forecast(sol).variance, model.forecast(eth).variance
    names = model.nets[0].names
    assert names is not None
    with torch.no_grad():
        names.weight[1:] += 1.0
    np.testing.assert_array_equal(model.forecast(sol).variance, before[0])
    assert (model.forecast(eth).variance != before[1]).any()
    with torch.no_grad():
        names.weight[0] += 1.0
    assert (model.forecast(sol).variance != before[0]).any()


@pytest.mark.parametrize(("encoder", "head"), PAIRS)
def test_the_future_does_not_change_a_forecast(reader: Reader, encoder: str, head: str) -> None:
    panel, cut = panel_of("ETHUSDT", seed=6), 150
    values = panel.values.copy()
    values[cut:] += np.random.default_rng(9).normal(0, 1, values[cut:].shape).astype(np.float32)
    model = forecaster_of(reader, encoder, head)
    other = replace(panel, values=values)
    same(model, panel, other.rows(0, cut), lambda part: part[:cut])
    same(model, other, panel.rows(0, cut), lambda part: part[:cut])
    assert (model.forecast(panel).quantiles[cut:] != model.forecast(other).quantiles[cut:]).any(axis=(1, 2)).all()


@pytest.mark.parametrize(("encoder", "head"), PAIRS)
def test_no_window_reaches_over_a_hole(reader: Reader, encoder: str, head: str) -> None:
    """After a hole, forecasts are those of a panel that begins there."""
    model = forecaster_of(reader, encoder, head)
    panel = panel_of("ETHUSDT", seed=7, hole=100)
    same(model, panel, panel.rows(100, 240), lambda part: part[100:])


@pytest.mark.parametrize("encoder", PAST)
def test_a_window_does_look_back_where_there_is_no_hole(reader: Reader, encoder: str) -> None:
    """What makes the test above one that can fail."""
    model, panel = forecaster_of(reader, encoder, "pareto"), panel_of("ETHUSDT", seed=7)
    whole, part = model.forecast(panel).variance[100:], model.forecast(panel.rows(100, 240)).variance
    assert (whole[0] != part[0]).all()
    reach = max(clock.reach for clock in model.nets[0].encoder.clocks)
    np.testing.assert_allclose(whole[reach:], part[reach:], rtol=2e-5)


def test_panels_one_after_the_other_stay_apart(reader: Reader) -> None:
    panels = [panel_of("BTCUSDT", seed=1, hole=30), panel_of("ETHUSDT", seed=2)]
    parts = [reader.read(panel) for panel in panels]
    both = stacked(parts)
    clocks = fresh("pyramid", "pareto").encoder.clocks
    for number, part in enumerate(parts):
        rows = torch.arange(240)
        alone, joined = part.at(rows, clocks), both.at(rows + 240 * number, clocks)
        for ours, theirs in zip([alone[0], *alone[1], *alone[2:]], [joined[0], *joined[1], *joined[2:]], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_batches_do_not_change_a_forecast(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    model, panel = forecaster_of(reader, "pyramid", "pareto"), panel_of("ETHUSDT", seed=8)
    whole = model.forecast(panel)
    monkeypatch.setattr("models.neural.forecaster.BATCH", 70)
    parts = model.forecast(panel)
    np.testing.assert_allclose(whole.variance, parts.variance, rtol=1e-5)
    np.testing.assert_allclose(whole.quantiles, parts.quantiles, rtol=1e-4, atol=1e-8)


def test_several_networks_are_averaged(reader: Reader) -> None:
    models = [forecaster_of(reader, "mlp", "skew_t", scale) for scale in (0.2, 0.9)]
    panel = panel_of("ETHUSDT", seed=8)
    both = replace(models[0], nets=(models[0].nets[0], models[1].nets[0])).forecast(panel)
    each = [model.forecast(panel) for model in models]
    np.testing.assert_allclose(both.variance, np.sqrt(each[0].variance * each[1].variance), rtol=1e-6)
    shapes = [one.quantiles / np.sqrt(one.variance)[..., None] for one in each]
    np.testing.assert_allclose(both.quantiles / np.sqrt(both.variance)[..., None], sum(shapes) / 2, rtol=1e-5)


def test_features_of_another_spec_are_refused(reader: Reader) -> None:
    other = replace(panel_of("ETHUSDT"), spec=replace(SPEC, horizons_s=(3_600, 28_800)))
    with pytest.raises(SettingError, match="trained on feature spec"):
        forecaster_of(reader, "mlp", "pareto").forecast(other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 0}, "below 1"),
        ({"variance_bound": 0.0}, "bounds nothing"),
        ({"encoder": "xlstm"}, "known: gru, mlp, patches, pyramid"),
        ({"head": "normal"}, "known: pareto, quantiles, skew_t"),
    ],
)
def test_settings_that_make_no_network_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        NetworkConfig(3, 3, 2, **settings)  # type: ignore[arg-type]
