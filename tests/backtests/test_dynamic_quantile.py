"""Dynamic quantile test against statsmodels, its size and its power."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from backtests.dynamic_quantile import dq_p, dq_test

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("lags", [1, 4])
def test_it_is_the_explained_sum_of_squares_of_a_regression(lags: int) -> None:
    hits, quantile = RNG.random(800) < 0.05, -np.exp(RNG.standard_normal(800))
    excess = hits - 0.05
    columns = [np.ones(800 - lags), quantile[lags:], *(excess[lags - j : 800 - j] for j in range(1, lags + 1))]
    fit = sm.OLS(excess[lags:], np.column_stack(columns)).fit()
    found = dq_test(hits, quantile, 0.05, lags)
    assert found.statistic == pytest.approx((fit.fittedvalues**2).sum() / (0.05 * 0.95))
    assert found.degrees == lags + 2
    assert found.p == pytest.approx(stats.chi2.sf(found.statistic, lags + 2))


def test_size() -> None:
    p = [dq_p(RNG.random(3_000) < 0.05, -np.exp(0.5 * RNG.standard_normal(3_000)), 0.05) for _ in range(600)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_hits_that_follow_the_quantile_or_each_other_are_rejected() -> None:
    quantile = -np.exp(0.5 * RNG.standard_normal(3_000))
    calm = np.abs(quantile) < np.median(np.abs(quantile))
    follows = RNG.random(3_000) < np.where(calm, 0.09, 0.01)  # 5 % in the mean
    assert dq_p(follows, quantile, 0.05) < 0.01
    late = np.concatenate([np.zeros(3, bool), (RNG.random(2_997) < 0.05)])
    late[3:] |= late[:-3] & (RNG.random(2_997) < 0.3)  # three windows later: no test of neighbours sees it
    assert dq_p(late, quantile, late.mean()) < 0.01


def test_a_constant_quantile_is_no_regressor_and_no_hit_is_a_finding() -> None:
    hits = RNG.random(2_000) < 0.05
    constant = dq_test(hits, np.full(2_000, -2.0), 0.05)
    excess = hits - 0.05
    columns = [np.ones(1_996), *(excess[4 - j : 2_000 - j] for j in range(1, 5))]
    fit = sm.OLS(excess[4:], np.column_stack(columns)).fit()
    assert constant.degrees == 5
    assert constant.statistic == pytest.approx((fit.fittedvalues**2).sum() / (0.05 * 0.95))
    never = dq_test(np.zeros(2_000, bool), -1 - RNG.random(2_000), 0.05)
    assert never.statistic == pytest.approx(1_996 * 0.05 / 0.95)  # all of the constant's
    assert never.p < 1e-6


def test_few_windows_say_nothing() -> None:
    assert np.isnan(dq_p(np.zeros(49, bool), -np.ones(49), 0.05))
