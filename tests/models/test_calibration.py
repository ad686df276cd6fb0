"""Calibration against slow loops, and coverage where the law is known."""

import numpy as np
import pytest

from features.clock import HOUR_NS, parse_utc
from features.panel import Panel
from models import FORECASTERS
from models.base import LEVELS
from models.calibration import Calibration, calibrate, historical_shift, online_bias
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
    settings = Calibration(tail_rows=600, least_rows=100)
    z = RNG.standard_t(4, n)
    z[700:720] = np.nan
    origin_ns = parse_utc("2022-01-01T05:00") + HOUR_NS * np.arange(n)
    shape, beyond = (np.tile(f(LEVELS), (n, 1)) for f in (normal_quantiles, normal_shortfall))
    quantiles, shortfall = historical_shift(z, shape, beyond, LEVELS, origin_ns, ahead, settings)
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
    settings = Calibration(tail_rows=600, least_rows=100)
    z, origin_ns = RNG.standard_t(4, n), parse_utc("2022-01-01") + HOUR_NS * np.arange(n)
    bases = (
        (normal_quantiles(LEVELS), normal_shortfall(LEVELS)),
        (student_t_quantiles(LEVELS, 3.0), student_t_shortfall(LEVELS, 3.0)),
    )
    found = [
        historical_shift(z, np.tile(q, (n, 1)), np.tile(e, (n, 1)), LEVELS, origin_ns, 4, settings)[0][1_000:]
        for q, e in bases
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)


def test_coverage_under_a_known_law() -> None:
    """A wrong base shape covers as it should after a year of residuals."""
    n = 24 * 365 * 4
    z, origin_ns = RNG.standard_t(4, n), parse_utc("2020-01-01") + HOUR_NS * np.arange(n)
    shape, beyond = (np.tile(f(LEVELS), (n, 1)) for f in (normal_quantiles, normal_shortfall))
    quantiles, _ = historical_shift(z, shape, beyond, LEVELS, origin_ns, 1, Calibration(), first_row=24 * 366)
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
