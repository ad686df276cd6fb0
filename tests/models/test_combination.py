"""Combination against a slow grid, and against laws that no weighting may break."""

from dataclasses import replace

import numpy as np
import pytest

from features.clock import DAY_NS, HOUR_NS, parse_utc
from features.errors import ForecastError, SettingError, ShortHistoryError
from features.panel import Panel
from models.base import LEVELS, Forecast
from models.classical import law
from models.combination import (
    Weighing,
    best_weights,
    combine,
    combine_forecasts,
    combine_laws,
    monthly_weights,
    sane,
    weights_at,
)
from models.scores import qlike
from models.tails import normal_quantiles, normal_shortfall

HORIZONS_S = (3_600, 14_400)
SHAPE = normal_quantiles(LEVELS)
FREE = Weighing(shrinkage=0.0, least_windows=100, sane_factor=1e9)
Simulated = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    """Three forecasts of a known variance, itself, a noisy one and a constant; outcomes noisy as of 12 returns."""
    rng = np.random.default_rng(3)
    n = 24 * 120
    origin_ns = parse_utc("2021-01-01") + HOUR_NS * np.arange(n)
    truth = np.exp(np.sin(np.arange(n) / 50.0)[:, None] + np.zeros((n, 2)))
    variances = np.stack([truth, truth * np.exp(rng.normal(0, 0.5, truth.shape)), np.ones_like(truth)])
    return variances, truth * rng.chisquare(12, truth.shape) / 12, origin_ns


def test_weights_equal_those_of_a_slow_grid() -> None:
    rng = np.random.default_rng(0)
    logs = rng.normal(size=(2, 400))
    realised = np.exp(0.7 * logs[0] + 0.3 * logs[1] + rng.normal(0, 0.3, 400))
    for shrinkage in (0.0, 0.05):
        losses = []
        for w in np.linspace(0, 1, 2_001):
            fit = np.exp(w * logs[0] + (1 - w) * logs[1])
            losses.append(qlike(realised, fit).mean() + 2 * shrinkage * ((w - 0.5) ** 2 + (0.5 - w) ** 2))
        assert best_weights(logs, realised, shrinkage)[0] == pytest.approx(np.argmin(losses) / 2_000, abs=1e-3)


def test_a_perfect_model_gets_all_the_weight_as_the_shrinkage_goes_to_zero(simulated: Simulated) -> None:
    variances, realised, origin_ns = simulated
    shares = []
    for shrinkage in (1e5, 100.0, 0.0):
        settings = replace(FREE, shrinkage=shrinkage)
        shares.append(monthly_weights(variances, realised, origin_ns, HORIZONS_S, settings)[1][-1, 0, 0])
    assert shares[0] == pytest.approx(1 / 3, abs=0.01)
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] > 0.93


def test_equal_models_give_the_same(simulated: Simulated) -> None:
    variances, realised, origin_ns = simulated
    same = np.stack([variances[1]] * 3)
    np.testing.assert_allclose(combine(same, realised, origin_ns, HORIZONS_S, FREE), variances[1], rtol=1e-12)


def test_the_order_of_models_does_not_matter(simulated: Simulated) -> None:
    variances, realised, origin_ns = simulated
    settings = replace(FREE, shrinkage=20.0)
    one = combine(variances, realised, origin_ns, HORIZONS_S, settings)
    other = combine(variances[[2, 0, 1]], realised, origin_ns, HORIZONS_S, settings)
    np.testing.assert_allclose(other, one, rtol=1e-4)
    assert np.abs(one / combine(variances, realised, origin_ns, HORIZONS_S) - 1).max() > 0.01  # settings count


def test_weights_use_only_windows_that_had_ended(simulated: Simulated) -> None:
    """A month's weights equal those of the past as it stood at its first instant, and are equal ones before it."""
    variances, realised, origin_ns = simulated
    months, weights = monthly_weights(variances, realised, origin_ns, HORIZONS_S, FREE)
    assert [str(np.datetime64(int(m), "D")) for m in months // DAY_NS] == [f"2021-{k:02d}-01" for k in range(1, 5)]
    np.testing.assert_array_equal(weights[0], 1 / 3)
    assert (np.abs(weights[1:] - 1 / 3).max(axis=2) > 0.1).all()
    changed = realised.copy()
    for h, horizon_s in enumerate(HORIZONS_S):
        changed[origin_ns + horizon_s * 1_000_000_000 > months[2], h] *= 50.0
    again = monthly_weights(variances, changed, origin_ns, HORIZONS_S, FREE)[1]
    np.testing.assert_array_equal(again[:3], weights[:3])
    assert (again[3] != weights[3]).any()


def test_memory_forgets(simulated: Simulated) -> None:
    variances, realised, origin_ns = simulated
    spoilt = realised.copy()
    spoilt[: 24 * 20] *= 100.0  # ended 39 days before April
    short, long = (replace(FREE, memory_days=days) for days in (30, 300))
    weights = [monthly_weights(variances, r, origin_ns, HORIZONS_S, short)[1][3] for r in (realised, spoilt)]
    np.testing.assert_array_equal(weights[0], weights[1])
    longer = [monthly_weights(variances, r, origin_ns, HORIZONS_S, long)[1][3] for r in (realised, spoilt)]
    assert np.abs(longer[0] - longer[1]).max() > 0.01


def test_holes_share_their_weight_out(simulated: Simulated) -> None:
    variances, realised, origin_ns = (a.copy() for a in simulated)
    variances[0, 2_800] = np.nan
    variances[:, 2_801] = np.nan
    variances[1:, 2_802, 1] = np.nan
    realised[100:130] = np.nan
    weight = weights_at(variances, realised, origin_ns, HORIZONS_S, replace(FREE, shrinkage=20.0))
    usual = weight[:, 2_799, 0]
    np.testing.assert_allclose(weight[:, 2_800, 0], np.array([0, usual[1], usual[2]]) / (usual[1] + usual[2]))
    answer = combine(variances, realised, origin_ns, HORIZONS_S, replace(FREE, shrinkage=20.0))
    assert np.isnan(answer[2_801]).all()
    assert np.isnan(answer).sum() == 2
    assert answer[2_802, 1] == pytest.approx(variances[0, 2_802, 1])


@pytest.fixture(scope="module")
def pair(panel: Panel) -> list[Forecast]:
    """Two laws of different level and shape over the same origins."""
    variance = np.exp(panel.column("log_rv_24h"))[:, None] * np.array([1.0, 4.0, 8.0, 24.0])
    wide = law.normal(panel, variance)
    narrow = law.normal(panel, variance * np.exp(panel.column("move_24h"))[:, None] * 0.5)
    return [wide, replace(narrow, quantiles=0.8 * narrow.quantiles, shortfall=0.9 * narrow.shortfall)]


def test_a_law_is_the_mean_of_shapes(pair: list[Forecast]) -> None:
    weight = np.broadcast_to(np.array([0.25, 0.75])[:, None, None], (2, *pair[0].variance.shape))
    both = combine_laws(pair, weight)
    row, h, k = 77, 2, LEVELS.index(0.01)
    variance = pair[0].variance[row, h] ** 0.25 * pair[1].variance[row, h] ** 0.75
    assert both.variance[row, h] == pytest.approx(variance)
    shapes = [f.quantiles[row, h, k] / f.variance[row, h] ** 0.5 for f in pair]
    assert both.quantiles[row, h, k] == pytest.approx((0.25 * shapes[0] + 0.75 * shapes[1]) * variance**0.5)
    beyond = [f.shortfall[row, h, k] / f.variance[row, h] ** 0.5 for f in pair]
    assert both.shortfall[row, h, k] == pytest.approx((0.25 * beyond[0] + 0.75 * beyond[1]) * variance**0.5)


def test_forecasts_are_joined_where_all_have_an_origin(pair: list[Forecast], panel: Panel) -> None:
    joined = combine_forecasts([pair[0].rows(0, 3_000), pair[1].rows(10, None)], panel, FREE)
    np.testing.assert_array_equal(joined.origin_ns, panel.origin_ns[10:3_000])
    variances = np.stack([f.variance[10:3_000] for f in pair])
    part = panel.rows(10, 3_000)
    expected = combine(variances, part.targets.realised_variance, part.origin_ns, panel.spec.horizons_s, FREE)
    np.testing.assert_allclose(joined.variance, expected)
    same = combine_forecasts([pair[0]] * 2, panel)
    np.testing.assert_allclose(same.quantiles, pair[0].quantiles, rtol=1e-9)


def test_what_cannot_be_combined_is_refused(pair: list[Forecast], panel: Panel) -> None:
    with pytest.raises(SettingError, match="nothing to combine"):
        combine_forecasts([], panel)
    with pytest.raises(ShortHistoryError, match=r"BTCUSDT: .* no origin in common"):
        combine_forecasts([pair[0].rows(0, 50), pair[1].rows(50, None)], panel)
    with pytest.raises(ForecastError, match="panel does not have"):
        combine_forecasts(pair, panel.rows(0, 100))
    with pytest.raises(ForecastError, match="align them"):
        combine_laws([pair[0].rows(1, None), pair[1].rows(0, -1)], np.full((2, 1, 4), 0.5))
    with pytest.raises(SettingError, match="shrinkage from 0"):
        Weighing(shrinkage=-1.0)


def test_a_member_that_went_mad_cannot_take_the_combination_with_it() -> None:
    """Within the stated factor of the median whatever one says; untouched where all are sane."""
    rng = np.random.default_rng(5)
    laws = [law_with(np.exp(rng.normal(-9, 0.2, (400, 2)))) for _ in range(3)]
    mad = laws[2].variance.copy()
    mad[::7] *= 1e6
    mad[3::7] *= 1e-6
    kept = sane([laws[0], laws[1], law_with(mad)], 4.0)
    median = np.median(np.log([laws[0].variance, laws[1].variance, mad]), axis=0)
    for one in kept:
        assert (np.abs(np.log(one.variance) - median) <= np.log(4.0) + 1e-9).all()
        shapes = one.quantiles / np.sqrt(one.variance)[..., None]
        np.testing.assert_allclose(shapes, np.broadcast_to(SHAPE, shapes.shape), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(sane(laws, 4.0)[2].variance, laws[2].variance)
    np.testing.assert_allclose(kept[2].variance[::7], 4.0 * np.exp(median)[::7])


def law_with(variance: np.ndarray) -> Forecast:
    """A normal law of these variances."""
    deviation = np.sqrt(variance)[..., None]
    shortfall = normal_shortfall(LEVELS)
    hours = np.arange(len(variance)) * 3_600 * 10**9
    return Forecast(hours, (3_600, 14_400), variance, LEVELS, deviation * SHAPE, deviation * shortfall)
