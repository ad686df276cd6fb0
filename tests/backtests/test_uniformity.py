"""Uniformity of the probability transform: against scipy and statsmodels, size and power."""

from functools import partial

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats import sandwich_covariance

from backtests.nulls import overlapping_uniforms
from backtests.overlap import combine_phases
from backtests.uniformity import bin_moments, bin_probabilities, long_run_covariance, pit_bins, pit_chi2, pit_moments
from models.base import LEVELS
from models.tails import normal_quantiles

RNG = np.random.default_rng(12)


def test_bins_tell_how_many_quantiles_lie_below() -> None:
    quantiles = np.sort(RNG.standard_normal((500, 11)), axis=1)
    r = RNG.standard_normal(500)
    wanted = [int(np.searchsorted(q, y, side="right")) for q, y in zip(quantiles, r, strict=True)]
    assert pit_bins(r, quantiles).tolist() == wanted
    assert pit_bins(quantiles[:1, 0], quantiles[:1]).tolist() == [1]  # at a quantile is not below it


def test_pearson_is_scipys() -> None:
    bins = RNG.choice(12, 3_000, p=bin_probabilities(LEVELS))
    found = pit_chi2(bins, LEVELS)
    wanted = stats.chisquare(np.bincount(bins, minlength=12), 3_000 * bin_probabilities(LEVELS))
    assert (found.statistic, found.p) == pytest.approx((wanted.statistic, wanted.pvalue))
    assert found.degrees == 11


def moment(u: float, k: int) -> float:
    return float((np.sqrt(12) * (u - 0.5)) ** k)


def test_moments_within_bins_by_integration() -> None:
    edges = np.concatenate([[0.0], LEVELS, [1.0]])
    found = bin_moments(LEVELS)
    for j in (0, 3, 5, 11):
        for k, whole in zip((1, 2, 3, 4), (0.0, 1.0, 0.0, 9 / 5), strict=True):  # of S on +-sqrt 3
            mean, _ = integrate.quad(moment, edges[j], edges[j + 1], args=(k,))
            assert found[j, k - 1] == pytest.approx(mean / (edges[j + 1] - edges[j]) - whole)
    np.testing.assert_allclose(bin_probabilities(LEVELS) @ found, 0.0, atol=1e-14)


def test_long_run_covariance_is_statsmodels() -> None:
    x = np.cumsum(RNG.standard_normal((300, 3)), axis=0) * 0.1 + RNG.standard_normal((300, 3))
    for lag in (0, 5):
        wanted = sandwich_covariance.S_hac_simple(x - x.mean(axis=0), nlags=lag) / 300
        np.testing.assert_allclose(long_run_covariance(x, lag), wanted)


def pearson_p(bins: np.ndarray, rows: np.ndarray) -> float:
    return pit_chi2(bins[rows], LEVELS).p


def test_size_of_moments_under_overlap_where_pearson_fails_and_its_phases_do_not() -> None:
    day, moments, pearson, phased = np.repeat(np.arange(400), 24), [], [], []
    phase = np.arange(9_600) % 24
    for _ in range(200):
        bins = np.searchsorted(LEVELS, overlapping_uniforms(9_600, 24, RNG))
        moments.append(pit_moments(bins, LEVELS, day, 86_400).p < 0.05)
        pearson.append(pit_chi2(bins, LEVELS).p < 0.05)
        phased.append(combine_phases(partial(pearson_p, bins), phase, 24) < 0.05)
    assert np.mean(moments) < 0.16  # 0.104 of 1,500 draws: a little more than the 0.05 asked for
    assert np.mean(phased) < 0.06
    assert np.mean(pearson) > 0.9


@pytest.mark.parametrize(("shift", "scale", "degrees"), [(0.15, 1.0, 1e9), (0.0, 1.12, 1e9), (0.0, 1.0, 4.0)])
def test_wrong_laws_are_rejected(shift: float, scale: float, degrees: float) -> None:
    """A wrong mean, a wrong spread, a wrong shape (of the same variance)."""
    r = shift + scale * np.sqrt((degrees - 2) / degrees) * stats.t.rvs(degrees, size=4_800, random_state=1)
    bins = pit_bins(r, np.tile(normal_quantiles(LEVELS), (4_800, 1)))
    assert pit_moments(bins, LEVELS, np.repeat(np.arange(200), 24), 3_600).p < 0.01
    assert pit_chi2(bins, LEVELS).p < 0.01


def test_too_few_days_or_bins_say_nothing() -> None:
    bins = RNG.choice(12, 19 * 24, p=bin_probabilities(LEVELS))
    assert np.isnan(pit_moments(bins, LEVELS, np.repeat(np.arange(19), 24), 3_600).p)
    one = np.full(24 * 50, 5)
    assert np.isnan(pit_moments(one, LEVELS, np.repeat(np.arange(50), 24), 3_600).p)
    assert pit_chi2(one, LEVELS).p < 1e-9
