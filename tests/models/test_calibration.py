"""Calibration against slow loops, and coverage where the law is known."""

from dataclasses import replace

import numpy as np
import pytest

from features.clock import DAY_NS, HOUR_NS, parse_utc
from features.errors import ForecastError, SettingError
from features.panel import Panel
from models import FORECASTERS
from models.base import LEVELS, Forecast
from models.calibration import (
    CONFORMAL,
    RECALIBRATIONS,
    Calibration,
    Chain,
    Memory,
    calibrate,
    calibrate_together,
    historical_shift,
    online_bias,
)
from models.diurnal import Diurnal
from models.tails import normal_quantiles, normal_shortfall, student_t_quantiles, student_t_shortfall

RNG = np.random.default_rng(2)


def test_online_bias_equals_a_slow_loop() -> None:
    n, ahead = 300, 8
    settings = Calibration(bias_rows=50, prior_rows=5, bias_bound=10.0)
    variance, realised = RNG.chisquare(5, n), RNG.chisquare(5, n)
    realised[100:120] = np.nan
    found = online_bias(variance, realised, ahead, settings)
    for t in range(n):
        ended = [s for s in range(n) if t - 50 < s + ahead <= t and np.isfinite(realised[s])]
        ratio = sum(realised[s] / variance[s] for s in ended)
        assert found[t] == pytest.approx(np.clip((5 + ratio) / (5 + len(ended)), 0.1, 10))


def test_online_bias_finds_a_constant_factor_and_stays_in_bounds() -> None:
    realised = RNG.chisquare(50, 6_000) / 50
    settings = Calibration()
    assert online_bias(np.full(6_000, 1 / 1.5), realised, 4, settings)[-1] == pytest.approx(1.5, rel=0.05)
    assert online_bias(np.full(6_000, 0.01), realised, 4, settings)[-1] == settings.bias_bound
    assert online_bias(np.full(6_000, 100.0), realised, 4, settings)[-1] == 1 / settings.bias_bound


def test_a_constant_shape_becomes_plain_filtered_historical_simulation() -> None:
    """The published method, written out: quantiles and tail means of the ended residuals themselves."""
    n, ahead = 1_500, 24
    z = RNG.standard_t(4, n)
    z[700:720] = np.nan
    origin_ns = parse_utc("2022-01-01T05:00") + HOUR_NS * np.arange(n)
    memory = Memory(origin_ns, ahead * HOUR_NS, 600 * HOUR_NS, least=100)
    shape, beyond = (np.tile(f(LEVELS), (n, 1)) for f in (normal_quantiles, normal_shortfall))
    quantiles, shortfall = historical_shift(z, shape, beyond, LEVELS, memory)
    for t in (900, 1_203, 1_499):
        midnight = t - (5 + t) % 24
        ended = z[max(0, midnight - ahead + 1 - 600) : midnight - ahead + 1]
        ended = ended[np.isfinite(ended)]
        for k, level in enumerate(LEVELS):
            q = np.quantile(ended, level)
            tail = ended[ended <= q] if level <= 0.5 else ended[ended >= q]
            assert quantiles[t, k] == pytest.approx(q)
            assert shortfall[t, k] == pytest.approx(tail.mean())


def test_the_shape_does_not_matter_where_it_never_changes() -> None:
    """Normal or Student base: the same forecast, because the shift takes the base out."""
    n = 1_500
    z, origin_ns = RNG.standard_t(4, n), parse_utc("2022-01-01") + HOUR_NS * np.arange(n)
    memory = Memory(origin_ns, 4 * HOUR_NS, 600 * HOUR_NS, least=100)
    bases = (
        (normal_quantiles(LEVELS), normal_shortfall(LEVELS)),
        (student_t_quantiles(LEVELS, 3.0), student_t_shortfall(LEVELS, 3.0)),
    )
    found = [historical_shift(z, np.tile(q, (n, 1)), np.tile(e, (n, 1)), LEVELS, memory)[0][1_000:] for q, e in bases]
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)


def test_coverage_under_a_known_law() -> None:
    """A wrong base shape covers as it should after a year of residuals."""
    n = 24 * 365 * 4
    z, origin_ns = RNG.standard_t(4, n), parse_utc("2020-01-01") + HOUR_NS * np.arange(n)
    shape, beyond = (np.tile(f(LEVELS), (n, 1)) for f in (normal_quantiles, normal_shortfall))
    quantiles, _ = historical_shift(z, shape, beyond, LEVELS, Memory(origin_ns, HOUR_NS, 365 * DAY_NS, 1_440, 24 * 366))
    kept = slice(24 * 366, None)
    hits = (z[kept, None] <= quantiles[kept]).mean(axis=0)
    # Binomial error of the test and of the year of residuals that each quantile comes from.
    error = np.sqrt(np.array(LEVELS) * (1 - np.array(LEVELS)) * (1 / (n - 24 * 366) + 1 / (24 * 365)))
    assert (np.abs(hits - LEVELS) < 4 * error).all()


def test_too_few_residuals_leave_the_models_own_tails(panel: Panel) -> None:
    raw = FORECASTERS["log_har"]().fit(panel).forecast(panel)
    short = calibrate(raw.rows(0, 100), panel.rows(0, 100), Calibration())
    scale = np.sqrt(short.variance)[..., None]
    np.testing.assert_allclose(short.quantiles / scale, np.broadcast_to(normal_quantiles(LEVELS), (100, 4, 11)))


def test_where_the_rows_begin_does_not_matter(panel: Panel, brief_calibration: Calibration) -> None:
    """Finite memory: a server that starts late gives what the backtest gave."""
    raw = FORECASTERS["log_har"]().fit(panel).forecast(panel)
    whole = calibrate(raw, panel, brief_calibration, first_row=4_000)
    start = 4_000 - brief_calibration.warm_up_rows
    late = calibrate(raw.rows(start), panel.rows(start, len(panel)), brief_calibration, first_row=4_000 - start)
    np.testing.assert_allclose(late.variance, whole.variance, rtol=1e-9)
    np.testing.assert_allclose(late.quantiles, whole.quantiles, rtol=1e-9)
    np.testing.assert_allclose(late.shortfall, whole.shortfall, rtol=1e-9)


def test_diurnal_weights_average_over_any_span(panel: Panel) -> None:
    diurnal = Diurnal.fit(panel)
    assert diurnal.weight.mean() == pytest.approx(1.0)
    origin_ns = panel.origin_ns[[0, 50, 167]]
    for hours in (1, 24, 168, 200):
        first = origin_ns // HOUR_NS
        slow = [np.mean([diurnal.weight[(k + j) % 168] for j in range(hours)]) for k in first]
        np.testing.assert_allclose(diurnal.ahead(origin_ns, hours), slow)
        behind = [np.mean([diurnal.weight[(k - 1 - j) % 168] for j in range(hours)]) for k in first]
        np.testing.assert_allclose(diurnal.behind(origin_ns, hours), behind)


def test_diurnal_finds_a_planted_clock(panel: Panel) -> None:
    """Variance doubled at 14:00 UTC in the data doubles its weight."""
    hour_ended = (panel.origin_ns // HOUR_NS - 1) % 24
    values = np.array(panel.values)
    column = panel.spec.features.index("log_rv_1h")
    values[hour_ended == 14, column] += np.log(2)
    planted = Diurnal.fit(Panel(panel.instrument, panel.spec, panel.origin_ns, values, panel.targets, panel.blind))
    base = Diurnal.fit(panel)
    ratio = (planted.weight / base.weight).reshape(7, 24)
    others = np.delete(ratio, 14, axis=1)
    np.testing.assert_allclose(ratio[:, 14][:, None] / others, 2.0, rtol=0.03)


def holed(panel: Panel) -> tuple[Forecast, np.ndarray]:
    """Forecasts of two thirds of the panel's hours, and the rows of the panel that they are of."""
    rows = np.flatnonzero(np.random.default_rng(8).random(len(panel)) < 0.67)
    rows = rows[(rows < 1_500) | (rows > 1_700)]  # a fold that failed
    raw = FORECASTERS["log_har"]().fit(panel).forecast(panel)
    cut = Forecast(
        raw.origin_ns[rows], raw.horizons_s, raw.variance[rows], LEVELS, raw.quantiles[rows], raw.shortfall[rows]
    )
    return cut, rows


def test_holes_are_counted_in_time_not_in_rows(panel: Panel, brief_calibration: Calibration) -> None:
    """Bias and filtered historical simulation of forecasts with holes, written out by the definition."""
    raw, rows = holed(panel)
    found = calibrate(raw, panel, brief_calibration, tail="fhs")
    settings, h, horizon_ns = brief_calibration, 2, 8 * HOUR_NS
    realised = panel.targets.realised_variance[rows, h]
    ends = raw.origin_ns + horizon_ns
    for t in (700, 1_900, len(rows) - 1):
        now = raw.origin_ns[t]
        s = np.flatnonzero((ends <= now) & (ends > now - settings.bias_rows * HOUR_NS) & np.isfinite(realised))
        total = (realised[s] / raw.variance[s, h]).sum()
        bias = np.clip((settings.prior_rows + total) / (settings.prior_rows + len(s)), 0.5, 2.0)
        assert found.variance[t, h] == pytest.approx(raw.variance[t, h] * bias, rel=1e-12)
        midnight = now - now % DAY_NS
        z = panel.targets.log_return[rows, h] / np.sqrt(found.variance[:, h])
        known = z[(ends <= midnight) & (ends > midnight - settings.tail_rows * HOUR_NS) & np.isfinite(z)]
        for k in (0, 2, 5, 9):
            q = np.quantile(known, LEVELS[k])
            tail = known[known <= q] if LEVELS[k] <= 0.5 else known[known >= q]
            scale = np.sqrt(found.variance[t, h])
            assert found.quantiles[t, h, k] == pytest.approx(q * scale)
            assert found.shortfall[t, h, k] == pytest.approx(tail.mean() * scale)


@pytest.mark.parametrize("tail", ["own", "fhs", "gpd", "student_t", "skew_t", "normal"])
def test_every_tail_is_causal_tracked_or_not(tail: str, panel: Panel, brief_calibration: Calibration) -> None:
    """What was not known at a row changes nothing there; a likelihood is searched from where the last search ended."""
    raw, _ = holed(panel)
    whole = calibrate(raw, panel, brief_calibration, tail=tail, track=True)
    row = 2_500
    then = panel.until(int(raw.origin_ns[row]))
    cut = calibrate(raw.rows(0, row + 1), then, brief_calibration, tail=tail, track=True)
    np.testing.assert_allclose(cut.quantiles[row], whole.quantiles[row], rtol=1e-9)
    np.testing.assert_allclose(cut.shortfall[row], whole.shortfall[row], rtol=1e-9)


def test_a_law_of_fhs_is_the_own_shape_moved_where_that_never_changes(
    panel: Panel, brief_calibration: Calibration
) -> None:
    raw, _ = holed(panel)
    own, fhs = (calibrate(raw, panel, brief_calibration, tail=tail) for tail in ("own", "fhs"))
    np.testing.assert_allclose(fhs.quantiles, own.quantiles, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fhs.shortfall, own.shortfall, rtol=1e-9, atol=1e-12)


def test_forecasts_of_other_origins_and_unknown_tails_are_refused(panel: Panel) -> None:
    raw = FORECASTERS["log_har"]().fit(panel).forecast(panel)
    with pytest.raises(ForecastError, match="from origins of the panel"):
        calibrate(raw, panel.rows(10, len(panel)), Calibration())
    with pytest.raises(ForecastError, match="from origins of the panel"):
        calibrate(replace(raw, origin_ns=raw.origin_ns + 1), panel, Calibration())
    with pytest.raises(SettingError, match="unknown tail 'stable'; known: fhs, gpd, normal, skew_t, student_t"):
        calibrate(raw, panel, Calibration(), tail="stable")


@pytest.mark.parametrize("track", [True, *CONFORMAL])
@pytest.mark.parametrize("recalibrate", [None, *RECALIBRATIONS])
def test_every_tracking_and_map_is_causal(
    track: bool | str, recalibrate: str | None, panel: Panel, brief_calibration: Calibration
) -> None:
    raw, _ = holed(panel)
    whole = calibrate(raw, panel, brief_calibration, tail="fhs", recalibrate=recalibrate, track=track)
    row = 2_500
    then = panel.until(int(raw.origin_ns[row]))
    cut = calibrate(
        raw.rows(0, row + 1), then, brief_calibration, row, tail="fhs", recalibrate=recalibrate, track=track
    )
    np.testing.assert_allclose(cut.quantiles[0], whole.quantiles[row], rtol=1e-9)
    np.testing.assert_allclose(cut.shortfall[0], whole.shortfall[row], rtol=1e-9)


def test_true_is_the_tracker_and_other_names_are_refused(panel: Panel, brief_calibration: Calibration) -> None:
    raw, _ = holed(panel)
    by_name, by_flag = (calibrate(raw, panel, brief_calibration, tail="fhs", track=t) for t in ("tracker", True))
    np.testing.assert_array_equal(by_name.quantiles, by_flag.quantiles)
    with pytest.raises(
        SettingError, match="unknown tracking 'pid'; known: aci, conditional, integrator, tracker, weighted"
    ):
        calibrate(raw, panel, brief_calibration, track="pid")
    with pytest.raises(SettingError, match="unknown recalibration 'platt'; known: affine, isotonic"):
        calibrate(raw, panel, brief_calibration, recalibrate="platt")


def test_together_without_a_pool_each_is_calibrated_by_itself(panel: Panel, brief_calibration: Calibration) -> None:
    raw, _ = holed(panel)
    late = raw.rows(900)  # one that begins later
    chain = Chain(brief_calibration, "fhs", track="tracker")
    both = calibrate_together({"A": raw, "B": late}, {"A": panel, "B": panel}, chain, 0.0)
    for name, alone in (("A", raw), ("B", late)):
        expected = calibrate(alone, panel, brief_calibration, tail="fhs", track=True)
        np.testing.assert_array_equal(both[name].quantiles, expected.quantiles)
        np.testing.assert_array_equal(both[name].shortfall, expected.shortfall)


def test_together_needs_panels_one_kind_and_a_tracking(panel: Panel, brief_calibration: Calibration) -> None:
    raw, _ = holed(panel)
    chain = Chain(brief_calibration, "fhs", track=True)
    with pytest.raises(ForecastError, match="no panel of B"):
        calibrate_together({"A": raw, "B": raw}, {"A": panel}, chain, 0.0)
    with pytest.raises(ForecastError, match="nothing to pool"):
        calibrate_together({"A": raw}, {"A": panel}, replace(chain, track=False), 0.0)
    fewer = replace(
        raw,
        horizons_s=raw.horizons_s[:1],
        variance=raw.variance[:, :1],
        quantiles=raw.quantiles[:, :1],
        shortfall=raw.shortfall[:, :1],
    )
    with pytest.raises(ForecastError, match="B: other horizons or levels than A"):
        calibrate_together({"A": raw, "B": fewer}, {"A": panel, "B": panel}, chain, 0.0)
