"""Models of quantiles against NumPy, scores of our own, slow loops and simulated truth."""

import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from features.clock import DAY_NS, HOUR_NS
from features.errors import ConvergenceError, SettingError, ShortHistoryError
from features.panel import Panel
from models.base import LEVELS, outward
from models.classical.caviar import Caviar, quantile_path, tick_loss
from models.classical.gas import GasFz, factor_path, fz0_loss
from models.classical.historical import HistoricalSimulation, weighted_laws
from models.classical.sides import Hours, SidedLaw
from models.classical.simplex import least
from models.scores import fz0

RNG = np.random.default_rng(17)


def test_equal_weights_are_numpys_quantiles_between_the_middles() -> None:
    value, n = RNG.standard_t(4, 700), len(LEVELS)
    starts, stops = np.array([0, 50, 300]), np.array([400, 600, 700])
    found = weighted_laws(value, np.ones(700), starts, stops)
    for i, (a, b) in enumerate(zip(starts, stops, strict=True)):
        q = np.quantile(value[a:b], LEVELS, method="hazen")
        np.testing.assert_allclose(found[i, :n], q, atol=1e-12)
        for k, level in enumerate(LEVELS):
            x = value[a:b]
            tail = x[x <= q[k]] if level <= 0.5 else x[x >= q[k]]
            assert found[i, n + k] == pytest.approx(tail.mean())
        assert found[i, -1] == pytest.approx(np.square(value[a:b]).mean())


def test_weights_are_repetitions() -> None:
    """A return that counts three times as much is three returns, up to the line between neighbours."""
    value, repeated = RNG.standard_normal(4_000), np.tile([1, 3], 2_000)
    whole = np.array([0])
    found = weighted_laws(value, repeated.astype(np.float64), whole, np.array([4_000]))
    slow = weighted_laws(np.repeat(value, repeated), np.ones(8_000), whole, np.array([8_000]))
    np.testing.assert_allclose(found, slow, atol=0.03)
    assert found[0, -1] == pytest.approx(slow[0, -1])


def test_historical_simulation_written_out(panel: Panel) -> None:
    model = HistoricalSimulation(days=60, clock=False).fit(panel.until(int(panel.origin_ns[3_000])))
    row, h = 4_000, 1
    found = model.forecast(panel)
    midnight = panel.origin_ns[row] - panel.origin_ns[row] % DAY_NS
    hourly = panel.column("log_return_1h")
    ends = [
        i for i in range(4, row + 1) if midnight - 60 * DAY_NS < panel.origin_ns[i] <= midnight
    ]  # fmt: skip
    known = Hours.of(panel, model.diurnal).ended(4)[1]
    sums = np.array([hourly[i - 3 : i + 1].sum() for i in ends if known[i]])
    np.testing.assert_allclose(found.quantiles[row, h], np.quantile(sums, LEVELS, method="hazen"), rtol=1e-9)
    assert found.variance[row, h] == pytest.approx(np.square(sums).mean())


def test_a_forecast_goes_on_from_the_past_of_its_fit(panel: Panel) -> None:
    """A fold alone, and the same fold with its past before it."""
    now = 3_000
    model = HistoricalSimulation(decay=0.98, days=90).fit(panel.until(int(panel.origin_ns[now])))
    whole = model.forecast(panel).rows(now + 30)
    alone = model.forecast(panel.rows(now + 1, len(panel))).rows(29)
    # The windows over the seam are not known to the fold alone: a day of ninety.
    np.testing.assert_allclose(alone.variance, whole.variance, rtol=0.1)
    np.testing.assert_allclose(alone.variance[:, 0], whole.variance[:, 0], rtol=0.02)


def test_the_tick_loss_and_fz0_are_those_of_the_scores() -> None:
    y, scale = RNG.standard_normal(500), 1.5 + RNG.random(500)
    assert tick_loss(scale, y, 0.025) == pytest.approx(mean_pinball_loss(y, -scale, alpha=0.025))
    place, path = np.array([0.3, -1.0, 3.0, -4.0]), np.log(scale)
    v, e = -np.exp(0.3) * scale, -np.exp(0.3) * (1 + np.exp(-1.0)) * scale
    assert fz0_loss(place, path, y, 0.025) == pytest.approx(fz0(y, v, e, 0.025).mean())
    y[::3] = np.nan
    kept = np.isfinite(y)
    assert tick_loss(scale, y, 0.025) == pytest.approx(mean_pinball_loss(y[kept], -scale[kept], alpha=0.025))


def test_the_paths_equal_slow_loops() -> None:
    """Written as the papers do; an hour that was not seen changes nothing, and lets the factor fade."""
    r, seen = RNG.standard_normal(300), RNG.random(300) < 0.9
    place = np.log([0.5, 19.0, 1.2, 1.8])
    path = quantile_path(place, r, seen)
    value, count = 0.5, 0
    for t in range(300):
        if seen[t]:
            count += 1
            weight = max(0.05, 1 / count)  # a plain mean at first
            value = (1 - weight) * value + weight * (0.5 + 1.2 * max(r[t], 0) + 1.8 * max(-r[t], 0))
        assert path[t] == pytest.approx(value)
    np.testing.assert_array_equal(quantile_path(place, r[:5], seen[:5]), path[:5])
    found = factor_path(np.array([0.5, -1.0, np.log(19.0), np.log(0.02)]), r, seen, 4, 0.05)
    a, b = -np.exp(0.5), -np.exp(0.5) * (1 + np.exp(-1.0))
    for t in range(1, 300):
        expected = 0.95 * found[t - 1]
        if t >= 4 and seen[t]:
            v, e = a * np.exp(found[t - 4]), b * np.exp(found[t - 4])
            expected += 0.02 / e * ((r[t] <= v) * r[t] / 0.05 - e)
        assert found[t] == pytest.approx(expected)


def test_a_sided_law_covers_as_it_should_and_is_unbiased() -> None:
    n = 40_000
    lower, upper = np.exp(RNG.normal(0, 0.3, n)), np.exp(RNG.normal(0, 0.3, n))
    z = RNG.standard_normal(n)
    y = np.where(z < 0, z * lower, z * upper)
    realised = np.square((lower + upper) / 2) * RNG.chisquare(20, n) / 20
    law = SidedLaw.fit(y, realised, lower, upper)
    variance, quantiles, shortfall = law.at(lower, upper)
    np.testing.assert_allclose((y[:, None] <= quantiles).mean(axis=0), LEVELS, atol=2e-3)
    assert (realised / variance).mean() == pytest.approx(1.0)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert (outward(LEVELS) * (shortfall - quantiles) >= -1e-12).all()


def simulated(panel: Panel, returns: np.ndarray) -> Panel:
    """The panel with other hourly returns, its windows and its variance those of them; a flat clock."""
    values, targets = np.array(panel.values), panel.targets
    names = panel.spec.features
    values[:, names.index("log_return_1h")] = returns
    values[:, names.index("log_rv_1h")] = np.log(np.square(returns) + 1e-8)
    outcome, variance = np.full_like(targets.log_return, np.nan), np.full_like(targets.log_return, np.nan)
    for h, rows in enumerate(panel.spec.horizon_rows):
        for out, x in ((outcome, returns), (variance, np.square(returns))):
            total = np.concatenate([[0.0], np.cumsum(x)])
            out[: len(x) - rows, h] = total[rows + 1 :] - total[1 : len(x) - rows + 1]
    changed = {**targets.arrays, "log_return": outcome, "realised_variance": variance}
    return Panel(panel.instrument, panel.spec, panel.origin_ns, values, type(targets)(**changed), panel.blind)


def test_caviar_finds_a_simulated_quantile(panel: Panel) -> None:
    """Scale driven by the size of the last return, so that the model is true at one hour."""
    noise, scale, sigma = RNG.standard_normal(len(panel)), np.empty(len(panel)), 0.01
    for t in range(len(panel)):
        scale[t] = sigma
        sigma = 0.001 + 0.8 * sigma + 0.125 * abs(noise[t] * sigma)
    whole = simulated(panel, scale * noise)
    forecast = Caviar().fit(whole).forecast(whole)
    kept = slice(500, len(panel) - 1)
    truth = np.log(scale[1:][kept])  # of the hour after each origin
    found = np.log(-forecast.quantiles[kept, 0, 2])
    assert np.corrcoef(truth, found)[0, 1] > 0.8
    hits = (whole.targets.log_return[kept, 0] <= forecast.quantiles[kept, 0, 2]).mean()
    assert hits == pytest.approx(0.025, abs=0.005)


def test_gas_beats_a_constant_on_real_returns_and_starts_from_its_own_parameters(panel: Panel) -> None:
    fitted = GasFz().fit(panel)
    forecast = fitted.forecast(panel)
    y, quantile, mean = panel.targets.log_return[:, 0], forecast.quantiles[:, 0, 2], forecast.shortfall[:, 0, 2]
    kept = np.isfinite(y)
    constant = np.quantile(y[kept], 0.025)
    beyond = y[kept][y[kept] <= constant].mean()
    ours = fz0(y[kept], quantile[kept], mean[kept], 0.025).mean()
    assert ours < fz0(y[kept], np.full(kept.sum(), constant), np.full(kept.sum(), beyond), 0.025).mean()
    again = fitted.fit(panel)
    hours = Hours.of(panel, fitted.diurnal)
    for h, rows in enumerate(panel.spec.horizon_rows):
        ended, known = hours.ended(rows)
        outcome = panel.targets.log_return[:, h] / np.sqrt(hours.usual[:, h])
        first, second = (
            fz0_loss(m.place[h, 0], factor_path(m.place[h, 0], ended, known, rows, 0.025), outcome, 0.025)
            for m in (fitted, again)
        )
        assert second <= first  # a search that starts where the last one ended does not end worse


def test_models_of_quantiles_refuse_what_they_cannot_do(panel: Panel) -> None:
    for make in (Caviar, GasFz):
        with pytest.raises(SettingError, match="no lower tail"):
            make(level=0.5)
        with pytest.raises(ShortHistoryError, match="500 ended windows"):
            make().fit(panel.rows(0, 400))
    with pytest.raises(SettingError, match="choose a decay"):
        HistoricalSimulation(decay=0.3)
    with pytest.raises(ShortHistoryError, match="500 past windows"):
        HistoricalSimulation().fit(panel.rows(0, 400))
    with pytest.raises(ConvergenceError, match="nothing: no optimum"):
        least(lambda _x: 2.0, [np.zeros(2)], 1.0, "nothing")


def test_a_hole_is_no_return(panel: Panel) -> None:
    rows = np.r_[0:100, 110:200]
    cut = Panel(
        panel.instrument, panel.spec, panel.origin_ns[rows], panel.values[rows], panel.targets.rows(0, 190),
        panel.blind[rows],
    )  # fmt: skip
    assert np.diff(cut.origin_ns)[99] == 11 * HOUR_NS
    hours = Hours.of(cut, HistoricalSimulation().diurnal)
    assert not hours.seen[100]
    assert not hours.ended(4)[1][100:104].any()
    assert hours.ended(4)[1][104:].all()
