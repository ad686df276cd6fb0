"""Comparisons of losses against an independent library, closed forms and simulated nulls."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from backtests.compare import by_day, clustered_p, clustered_t, diebold_mariano, dm_test, newey_west_t

RNG = np.random.default_rng(6)


def test_newey_west_equals_statsmodels() -> None:
    x = np.convolve(RNG.standard_normal(400), np.ones(4), mode="valid") + 0.3
    for lag in (0, 3, 9):
        fit = sm.OLS(x, np.ones(len(x))).fit(cov_type="HAC", cov_kwds={"maxlags": lag})
        assert newey_west_t(x, lag) == pytest.approx(fit.tvalues[0])


def test_days_are_clusters_in_their_own_order() -> None:
    day = np.array([3, 1, 3, 1, 2])
    np.testing.assert_allclose(by_day(np.array([1.0, 5.0, 3.0, 7.0, np.nan]), day), [6.0, 2.0])
    np.testing.assert_allclose(by_day(np.column_stack([day, 2 * day]), day), [[1, 2], [2, 4], [3, 6]])


def test_diebold_mariano_sign_zero_and_size() -> None:
    day = np.repeat(np.arange(300), 24)
    base = RNG.standard_normal(len(day))
    better = base - 0.2 + 0.1 * RNG.standard_normal(len(day))
    assert diebold_mariano(better, base, day, 3_600) < -5
    assert diebold_mariano(base, better, day, 3_600) > 5
    assert diebold_mariano(base, base, day, 3_600) == 0
    values = []
    for _ in range(400):
        shock = np.repeat(RNG.standard_normal(300), 24)  # a day's hours share their luck
        values.append(diebold_mariano(shock, np.zeros_like(shock), day, 3_600))
    assert np.mean(np.abs(values) > 1.96) == pytest.approx(0.06, abs=0.04)


@pytest.mark.parametrize(("n", "horizon_s", "reach"), [(25, 3_600, 2), (40, 86_400, 2), (60, 172_800, 3)])
def test_small_sample_correction_makes_the_rectangular_variance_unbiased(n: int, horizon_s: int, reach: int) -> None:
    """Harvey, Leybourne & Newbold's own derivation: the factor squared is the expectation of that estimator."""
    centre = np.eye(n) - 1 / n
    expected = 0.0
    for j in range(-reach + 1, reach):  # of white noise: the trace of centre * shift * centre
        expected += float(np.trace(centre @ np.eye(n, k=j) @ centre)) / n
    loss, day = RNG.standard_normal(n), np.arange(n)
    plain = dm_test(loss, np.zeros(n), day, horizon_s, small_sample=False)
    corrected = dm_test(loss, np.zeros(n), day, horizon_s)
    assert corrected.difference == plain.difference == pytest.approx(loss.mean())
    assert corrected.t / plain.t == pytest.approx(np.sqrt(expected))
    assert corrected.p == pytest.approx(2 * stats.t.sf(abs(corrected.t), n - 1))
    assert plain.p == pytest.approx(2 * stats.norm.sf(abs(plain.t)))


def test_small_sample_correction_brings_the_size_nearer_to_nominal() -> None:
    rejected, draws, day = np.zeros(2), 1_500, np.arange(30)
    for _ in range(draws):
        loss = RNG.standard_normal(30)
        tests = (dm_test(loss, np.zeros(30), day, 86_400, small_sample=small) for small in (True, False))
        rejected += [t.p < 0.05 for t in tests]
    corrected, plain = rejected / draws
    assert plain > 0.08
    assert corrected < plain - 0.015


def test_too_few_days_say_nothing_and_rounding_is_no_difference() -> None:
    loss = RNG.chisquare(3, 19)
    assert np.isnan(dm_test(loss, 2 * loss, np.arange(19), 3_600).p)
    loss = RNG.chisquare(3, 50)
    assert dm_test(loss * (1 + 1e-15), loss, np.arange(50), 3_600) == (0.0, 0.0, 1.0)
    small = dm_test(1e-9 * (loss + RNG.random(50)), 1e-9 * loss, np.arange(50), 3_600)  # small units are no rounding
    assert small.p < 1e-6


def test_clustered_test_keeps_its_size_where_hours_are_alike_and_a_naive_one_does_not() -> None:
    day = np.repeat(np.arange(250), 24)
    clustered, naive = [], []
    for _ in range(300):
        values = np.repeat(RNG.standard_normal(250), 24) + 0.5 * RNG.standard_normal(6_000)
        clustered.append(clustered_p(values, day, 3_600) < 0.05)
        naive.append(2 * stats.norm.sf(abs(newey_west_t(values, 0))) < 0.05)
    assert np.mean(clustered) < 0.10
    assert np.mean(naive) > 0.4
    assert clustered_t(values + 5, day, 3_600) > 20
