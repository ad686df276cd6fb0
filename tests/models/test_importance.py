"""Importances: closed forms, a loop over rows, parts that add up, a feature that alone matters."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
import torch

from features.errors import ConvergenceError, SettingError, ShortHistoryError
from features.families import BOOK_FAMILIES_OF_N, CROSS_FAMILIES, FAMILIES
from features.panel import Panel
from features.spec import FeatureSpec
from features.specs import find_spec
from features.targets import Targets
from models.neural.designs import DESIGNS
from models.neural.forecaster import NeuralForecaster
from models.neural.importance import explain, integrated_gradients, permutation, subject
from models.neural.importance.attribution import Path
from models.neural.importance.parts import inputs_of, middle_of, subjects_of
from models.neural.importance.results import Importances, mean_and_error
from models.neural.importance.shuffled import shuffled
from models.neural.inputs import InputConfig, Reader
from models.neural.network import Network, NetworkConfig
from models.scores import qlike

HOUR_NS = 3_600 * 10**9
DAY_ROWS = 24
SPEC = FeatureSpec(
    horizons_s=(3_600, 14_400),
    features=(*(f"log_rv_{k}h" for k in (1, 4, 24, 168, 720)), "move_1h", "weekend", "BTCUSDT.log_rv_1h"),
)
ENCODERS: dict[str, dict[str, object]] = {
    "gru": {"rows": 6, "width": 4},
    "mlp": {"layers": (5,)},
    "patches": {"rows": 8, "stride": 2, "patch": 4, "width": 8, "heads": 2},
    "pyramid": {"fast": 8, "slow": 4, "slow_stride": 5, "channels": 4},
}


def panel_of(instrument: str, n: int = 360, seed: int = 0, spec: FeatureSpec = SPEC) -> Panel:
    """Independent features of no meaning; some not known."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (n, len(spec.features)))
    values[:, [name.rpartition(".")[2].startswith("log_rv") for name in spec.features]] -= 9
    values[rng.uniform(size=n) < 0.1, -2] = np.nan
    variance = np.exp(rng.normal(-9, 0.5, (n, len(spec.horizons_s))))
    moves = rng.normal(0, 1, variance.shape) * np.sqrt(variance)
    targets = Targets(variance, variance, moves, np.maximum(-moves, 0), np.maximum(moves, 0))
    origin_ns = (438_000 + np.arange(n)) * HOUR_NS
    return Panel(instrument, spec, origin_ns, values.astype(np.float32), targets, np.zeros(n, dtype=bool))


PANELS = panel_of("BTCUSDT", seed=1), panel_of("ETHUSDT", seed=2)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.fit(InputConfig(anchor="log_har", companions={"har": {}}), PANELS)


def forecaster_of(reader: Reader, encoder: str, scale: float = 0.5, seeds: int = 1) -> NeuralForecaster:
    """Networks with random weights."""
    nets = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        config = NetworkConfig(
            len(reader.names), reader.n_sequence, 2, encoder, ENCODERS[encoder], hidden=6, n_instruments=2, embedding=2
        )
        net = Network(config).eval()
        with torch.no_grad():
            net.out.weight.normal_(0, scale)
            net.out.bias.normal_(0, scale)
        nets.append(net)
    return NeuralForecaster(tuple(nets), reader, SPEC)


def linear(reader: Reader, weights: np.ndarray, shift: np.ndarray) -> NeuralForecaster:
    """A network whose correction is tanh(w x + b): silu(u) - silu(-u) is u itself."""
    net = Network(NetworkConfig(len(reader.names), reader.n_sequence, 2, "mlp", hidden=4)).eval()
    with torch.no_grad():
        for value in (net.mix.weight, net.mix.bias, net.out.weight, net.out.bias):
            value.zero_()
        out = net.out.weight.view(2, -1, 4)
        for h in range(2):
            net.mix.weight[2 * h] = torch.from_numpy(weights[:, h])
            net.mix.weight[2 * h + 1] = torch.from_numpy(-weights[:, h])
            out[h, 0, 2 * h], out[h, 0, 2 * h + 1] = 1.0, -1.0
        net.out.bias.view(2, -1)[:, 0] = torch.from_numpy(shift)
    return NeuralForecaster((net,), reader, SPEC)


def test_attributions_of_a_linear_index_are_the_closed_form(reader: Reader) -> None:
    """Along a straight path w x grows evenly, so each input has its share of w x in all that is added."""
    rng = np.random.default_rng(3)
    weights, shift = rng.normal(0, 0.4, (len(reader.names), 2)), np.array([0.3, -0.2])
    forecaster = linear(reader, weights, shift)
    x = reader.read(PANELS[0]).last.double().numpy()
    index = x @ weights  # (n, h)
    added = np.tanh(index + shift) - np.tanh(shift)
    exact = x[..., None] * weights * (added / index)[:, None]  # (n, k, h)
    found = integrated_gradients(forecaster, [PANELS[0]])
    assert found.names == reader.names
    np.testing.assert_allclose(found.values, np.abs(exact).mean(axis=0), rtol=1e-5)
    for row in (0, 200, -1):
        told = explain(forecaster, PANELS[0], row)
        np.testing.assert_allclose(told.contributions, exact[row], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(told.base, np.tanh(shift), rtol=1e-6)


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_an_explanation_adds_up_to_the_forecast(reader: Reader, encoder: str) -> None:
    forecaster = forecaster_of(reader, encoder, seeds=2)
    variance = forecaster.forecast(PANELS[1]).variance
    for row in (40, 300):
        told = explain(forecaster, PANELS[1], row)
        assert np.abs(told.correction).min() > 1e-3
        for part in (told, told.grouped(), told.top(3), told.grouped().top(1)):
            np.testing.assert_allclose(part.log_variance, np.log(variance[row]), atol=2e-5)
        np.testing.assert_allclose(told.log_anchor, reader.log_anchor(PANELS[1])[row], rtol=1e-6)
        assert told.origin_ns == PANELS[1].origin_ns[row]


@pytest.mark.parametrize("encoder", ["gru", "pyramid"])
def test_attributions_are_those_of_small_steps_without_derivatives(reader: Reader, encoder: str) -> None:
    """A loop: at 64 midpoints of the path, nudge one input and see how the output moves."""
    forecaster = forecaster_of(reader, encoder)
    told = explain(forecaster, PANELS[0], 100)
    net, inputs = Path.of(forecaster, 1).nets[0], reader.read(PANELS[0])
    last, past, _, instrument = inputs.at(torch.tensor([100]), net.encoder.clocks)
    seen = [last.double(), *(window.double() for window in past)]

    def moved(part_last: tuple[int, ...], part_past: tuple[int, ...]) -> np.ndarray:
        total = np.zeros(2)
        nudge, points = 1e-4, (np.arange(64) + 0.5) / 64
        for point, sign in product(points, (1, -1)):
            at = [point * x for x in seen]
            at[0][:, list(part_last)] *= 1 + sign * nudge / point
            for window in at[1:]:
                window[..., list(part_past)] *= 1 + sign * nudge / point
            with torch.no_grad():
                out = torch.tanh(net.outputs(at[0], at[1:], instrument)[..., 0])
            total += sign * out[0].numpy() / (2 * nudge * len(points))
        return total

    parts = {part.name: part for part in inputs_of(forecaster)}
    for name in ("log_rv_4h", "move_1h", "past log_rv_24h", "past move_1h", "anchor 3600 s"):
        slow = moved(parts[name].last, parts[name].past)
        np.testing.assert_allclose(told.contributions[told.names.index(name)], slow, rtol=2e-3, atol=2e-5)


def test_an_hour_adds_what_it_differs_from_the_mean_hour() -> None:
    """Over whole weeks a clock adds nothing in the mean to a correction that is all but linear."""
    spec = replace(SPEC, horizons_s=(3_600, 28_800))
    panel = panel_of("BTCUSDT", 24 * 7 * 4, seed=8, spec=spec)
    reader = Reader.fit(InputConfig(anchor="log_har", design="rich"), [panel])
    clock = np.array([subject(name) == "clock" for name in reader.names])
    seen = reader.read(panel).last.double().numpy()
    np.testing.assert_allclose(middle_of(reader)[clock], seen[:, clock].mean(axis=0), rtol=1e-4)
    weights = np.zeros((len(reader.names), 2))
    weights[clock] = np.random.default_rng(0).normal(0, 1e-3, (clock.sum(), 2))
    forecaster = replace(linear(reader, weights, np.zeros(2)), spec=spec)
    told = [explain(forecaster, panel, row).grouped() for row in range(-168, 0, 7)]  # each hour of the day and day once
    added = np.array([part.contributions[part.names.index("clock")] for part in told])
    exact = (seen[-168::7] - seen.mean(axis=0)) @ weights
    np.testing.assert_allclose(added, exact, rtol=1e-3, atol=1e-7)
    assert np.abs(added).min() > 1e-5


def test_attributions_that_do_not_add_up_are_refused(reader: Reader) -> None:
    with pytest.raises(ConvergenceError, match="take more steps"):
        integrated_gradients(forecaster_of(reader, "mlp", scale=20), PANELS, steps=1)


def test_an_explanation_knows_nothing_of_what_came_later(reader: Reader) -> None:
    forecaster, panel = forecaster_of(reader, "pyramid"), PANELS[0]
    values = panel.values.copy()
    values[201:] = -3
    changed = replace(panel, values=values, targets=panel.targets.until(panel.origin_ns, SPEC.horizons_s, 0))
    before, after = explain(forecaster, panel, 200), explain(forecaster, changed, 200)
    np.testing.assert_array_equal(before.contributions, after.contributions)


def test_the_mean_of_several_networks_is_the_mean_of_their_attributions(reader: Reader) -> None:
    both = forecaster_of(reader, "mlp", seeds=2)
    each = [explain(replace(both, nets=(net,)), PANELS[0]).contributions for net in both.nets]
    assert np.abs(each[0] - each[1]).max() > 1e-3
    np.testing.assert_allclose(explain(both, PANELS[0]).contributions, np.mean(each, axis=0), atol=1e-12)


def planted(reader: Reader, noise: float) -> tuple[NeuralForecaster, list[Panel], np.ndarray]:
    """Outcomes of which one feature alone tells, in just the way that the network believes; and its correction."""
    weights = np.zeros((len(reader.names), 2))
    weights[reader.names.index("move_1h")] = 0.5, 0.9
    forecaster = linear(reader, weights, np.zeros(2))
    panels, rng = [panel_of("BTCUSDT", 3_000, seed=5), panel_of("ETHUSDT", 2_000, seed=6)], np.random.default_rng(7)
    found = []
    for i, panel in enumerate(panels):
        variance = forecaster.forecast(panel).variance
        true = variance * (rng.gamma(1 / noise, noise, variance.shape) if noise else 1.0)
        panels[i] = replace(panel, targets=replace(panel.targets, realised_variance=true))
        found.append(np.log(variance) - reader.log_anchor(panel))
    return forecaster, panels, np.concatenate(found)


def test_a_planted_feature_alone_matters_and_by_as_much_as_the_law_says(reader: Reader) -> None:
    """With RV = f(x) e and x' independent of x, the loss rises by E[exp g(x)] E[exp -g(x')] - 1."""
    forecaster, panels, added = planted(reader, noise=0.0)
    found = permutation(forecaster, panels, np.random.default_rng(0), repeats=10)
    row = found.names.index("move_1h")
    np.testing.assert_array_equal(np.delete(found.values, row, axis=0), 0)
    expected = [
        np.average([np.exp(g).mean() * np.exp(-g).mean() - 1 for g in np.split(added[:, h], [3_000])], weights=[3, 2])
        for h in range(2)
    ]
    np.testing.assert_allclose(found.values[row], expected, rtol=0.05)
    assert found.top(1).names == ("move_1h",)
    assert found.grouped().top(1).names == ("moves",)
    np.testing.assert_allclose(found.grouped().top(1).values[0], found.values[row], rtol=1e-12)


def test_an_input_that_tells_nothing_is_within_its_error_of_zero(reader: Reader) -> None:
    """A network that believes in a feature without meaning loses by it: shuffled, it is neither better nor worse."""
    _, panels, _ = planted(reader, noise=0.5)
    weights = np.zeros((len(reader.names), 2))
    weights[reader.names.index("move_1h")] = 0.5, 0.9
    weights[reader.names.index("BTCUSDT.log_rv_1h")] = 0.3
    found = permutation(linear(reader, weights, np.zeros(2)), panels, np.random.default_rng(1))
    noise, signal = found.names.index("BTCUSDT.log_rv_1h"), found.names.index("move_1h")
    assert (np.abs(found.values[noise]) < 4 * found.errors[noise]).all()
    assert (np.abs(found.values[noise]) > 0).all()
    assert (found.values[signal] > 10 * found.errors[signal]).all()


@pytest.mark.parametrize("encoder", ["mlp", "pyramid"])
def test_permutation_is_a_loop_over_rows(reader: Reader, encoder: str) -> None:
    forecaster = forecaster_of(reader, encoder)
    net, first = forecaster.nets[0], 240
    from_ns = int(PANELS[0].origin_ns[first])
    found = permutation(forecaster, PANELS, np.random.default_rng(4), repeats=1, from_ns=from_ns)
    name = "log_rv_4h" if encoder == "mlp" else "past log_rv_4h"
    kept = [np.arange(first, len(panel)) for panel in PANELS]
    order = shuffled(np.concatenate(kept), [len(rows) for rows in kept], DAY_ROWS, np.random.default_rng(4))
    rises = []
    for panel, taken in zip(PANELS, np.split(order, [len(kept[0])]), strict=True):
        inputs, realised = reader.read(panel), panel.targets.realised_variance
        for i, j in zip(range(first, len(panel)), taken, strict=True):
            last, past, anchor, who = inputs.at(torch.tensor([i]), net.encoder.clocks)
            other_last, other_past, _, _ = inputs.at(torch.tensor([j]), net.encoder.clocks)
            losses = []
            for change in (True, False):
                if change and encoder == "mlp":
                    column = reader.names.index(name)
                    seen, windows = last.clone(), past
                    seen[0, column] = other_last[0, column]
                elif change:
                    column = SPEC.features.index(name.removeprefix("past "))
                    seen, windows = last, [window.clone() for window in past]
                    for window, other in zip(windows, other_past, strict=True):
                        window[0, :, column] = other[0, :, column]
                else:
                    seen, windows = last, past
                with torch.no_grad():
                    variance = net(seen, windows, anchor, who).log_variance.double().exp().numpy()[0]
                losses.append(qlike(realised[i], variance))
            rises.append(losses[0] - losses[1])
    np.testing.assert_allclose(found.values[found.names.index(name)], np.mean(rises, axis=0), atol=1e-6)
    assert np.abs(np.mean(rises, axis=0)).min() > 1e-5


def test_outcomes_that_are_not_known_count_for_nothing(reader: Reader) -> None:
    forecaster, panel = forecaster_of(reader, "mlp"), PANELS[0]
    cut = panel.until(int(panel.origin_ns[300]))
    found = permutation(forecaster, [cut], np.random.default_rng(0))
    assert "300 forecasts of BTCUSDT" in found.about  # the last origin has no finished window
    assert np.isfinite(found.values).all()


def test_errors_are_those_of_clustered_least_squares() -> None:
    rng = np.random.default_rng(0)
    day = rng.integers(0, 9, 200)
    values = rng.normal(size=200) + rng.normal(size=9)[day]
    sums = np.array([values[day == d].sum() for d in range(9)])[None, :, None]
    mean, error = mean_and_error(sums, np.bincount(day, minlength=9)[:, None].astype(float))
    fit = sm.OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": day})
    assert mean[0, 0] == pytest.approx(fit.params[0])
    assert error[0, 0] == pytest.approx(fit.bse[0])


def test_shuffles_stay_within_an_instrument_and_keep_no_hour() -> None:
    n = 24 * 200
    moved = shuffled(np.arange(2 * n), [n, n], DAY_ROWS, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(moved[:n]), np.arange(n))
    same_hour = (moved % 24 == np.arange(2 * n) % 24).mean()
    assert same_hour == pytest.approx(1 / 24, abs=0.03)
    assert (np.diff(moved) == 1).mean() == pytest.approx(1 - 1 / 24, abs=0.01)


def test_few_rows_are_shuffled_one_by_one() -> None:
    moved = shuffled(np.arange(40), [40], 86_400, np.random.default_rng(0))
    assert (moved == np.arange(40)).mean() < 0.2
    np.testing.assert_array_equal(np.sort(moved), np.arange(40))


@pytest.mark.parametrize("design", sorted(DESIGNS))
def test_every_column_has_a_subject(design: str) -> None:
    spec = find_spec("referee")
    panel = panel_of("BTCUSDT", 400, spec=spec)
    names, _ = DESIGNS[design](panel, np.full((400, 4), -9.0))
    assert {subject(name) for name in names} >= {"own variance", "ranges", "volume", "moves", "other coins", "clock"}
    assert "other" not in {subject(name) for name in names}


def test_every_feature_of_the_catalogue_has_a_subject() -> None:
    alone = [*FAMILIES, *(f"{name}_5" for name in BOOK_FAMILIES_OF_N), *(f"BTCUSDT.{name}" for name in CROSS_FAMILIES)]
    assert "other" not in {subject(f"{name}_1h") for name in alone}
    assert subject("past log_quote_1h") == subject("log_quote_1h") == "volume"


def test_hours_of_a_clock_are_one_input_and_every_column_is_in_one(reader: Reader) -> None:
    forecaster = forecaster_of(reader, "pyramid")
    names = (*reader.names, "utc 0", "utc 1", "ny of week 3", "ny of week 4")
    wider = replace(forecaster, reader=replace(reader, names=names))
    for parts in (inputs_of(wider), subjects_of(wider)):
        assert sorted(i for part in parts for i in part.last) == list(range(len(names)))
        assert sorted(i for part in parts for i in part.past) == list(range(reader.n_sequence))
    found = {part.name: part for part in inputs_of(wider)}
    assert found["utc"].last == (len(names) - 4, len(names) - 3)
    assert {part.name for part in subjects_of(wider)} >= {"companions", "anchor", "other coins", "clock", "moves"}


def test_what_makes_no_sense_is_refused(reader: Reader) -> None:
    forecaster, panel = forecaster_of(reader, "mlp"), PANELS[0]
    other = replace(panel, spec=replace(SPEC, horizons_s=(3_600, 28_800)))
    rng = np.random.default_rng(0)
    with pytest.raises(SettingError, match="feature spec"):
        integrated_gradients(forecaster, [other])
    with pytest.raises(SettingError, match="repeats=0"):
        permutation(forecaster, [panel], rng, 0)
    with pytest.raises(SettingError, match="0 steps"):
        explain(forecaster, panel, steps=0)
    with pytest.raises(SettingError, match="no row 360"):
        explain(forecaster, panel, 360)
    with pytest.raises(ShortHistoryError, match="two days"):
        permutation(forecaster, [panel.rows(0, 12)], rng)
    with pytest.raises(ShortHistoryError, match="no origin"):
        permutation(forecaster, [panel], rng, from_ns=2**62)
    with pytest.raises(SettingError, match="top 0"):
        Importances("permutation", ("a",), (3_600,), np.ones((1, 1)), np.ones((1, 1))).top(0)
