"""Measures against closed forms, published constants and independent packages."""

from collections.abc import Callable

import numpy as np
import pytest
from arch.covariance.kernel import Parzen
from scipy import integrate, stats
from statsmodels.regression.linear_model import OLS
from statsmodels.tsa.stattools import acovf

from features.measures.covariance import realised_beta, realised_correlation, realised_covariance
from features.measures.kernel import PARZEN_C, kernel_bandwidth, parzen, realised_kernel
from features.measures.lee_mykland import gumbel_critical_value, gumbel_scaled
from features.measures.moments import realised_kurtosis, realised_skewness
from features.measures.noise import noise_variance
from features.measures.quarticity import (
    MED_QUARTIC_SCALE,
    absolute_moment,
    med_realised_quarticity,
    realised_quarticity,
    tripower_quarticity,
)
from features.measures.range import garman_klass, parkinson, rogers_satchell
from features.measures.truncation import (
    MED_SCALE,
    MIN_SCALE,
    med_realised_variance,
    min_realised_variance,
    neighbour_median,
)
from features.measures.variance import (
    bipower_variation,
    downside_semivariance,
    realised_variance,
    upside_semivariance,
)

RETURNS = np.random.default_rng(5).standard_t(4, 300) * 0.01
OTHERS = 0.4 * RETURNS + np.random.default_rng(6).normal(0.0, 0.01, 300)


def test_by_hand() -> None:
    r = np.array([0.03, -0.01, 0.02, -0.04])
    assert realised_variance(r) == pytest.approx(30e-4)
    assert bipower_variation(r) == pytest.approx(np.pi / 2 * 13e-4)
    assert downside_semivariance(r) == pytest.approx(17e-4)
    assert upside_semivariance(r) == pytest.approx(13e-4)
    assert realised_quarticity(r) == pytest.approx(4 / 3 * 354e-8)
    assert min_realised_variance(r) == pytest.approx(MIN_SCALE * 4 / 3 * (1 + 1 + 4) * 1e-4)
    assert med_realised_variance(r) == pytest.approx(MED_SCALE * 4 / 2 * (4 + 4) * 1e-4)
    assert med_realised_quarticity(r) == pytest.approx(MED_QUARTIC_SCALE * 16 / 2 * (16 + 16) * 1e-8)
    products = 6 ** (4 / 3) + 8 ** (4 / 3)
    assert tripower_quarticity(r) == pytest.approx(absolute_moment(4 / 3) ** -3 * 16 / 2 * products * 1e-8)
    assert realised_skewness(r) == pytest.approx(2 * (27 - 1 + 8 - 64) / 30**1.5)
    assert realised_kurtosis(r) == pytest.approx(4 * 354 / 900)


def test_one_bar_by_hand() -> None:
    bar = tuple(np.array([x]) for x in (0.01, 0.04, -0.01, 0.02))
    assert parkinson(*bar) == pytest.approx(25e-4 / (4 * np.log(2)))
    assert garman_klass(*bar) == pytest.approx(12.5e-4 - (2 * np.log(2) - 1) * 1e-4)
    assert rogers_satchell(*bar) == pytest.approx(3e-2 * 2e-2 + 2e-2 * 3e-2)


def test_scales_against_integrals_over_order_statistics() -> None:
    half = stats.halfnorm

    def mean(power: float, density: Callable[[float], float]) -> float:
        return integrate.quad(lambda x: x**power * density(x), 0, 40)[0]  # type: ignore[no-any-return]

    def least(x: float) -> float:
        return 2 * half.sf(x) * half.pdf(x)  # type: ignore[no-any-return]

    def middle(x: float) -> float:
        return 6 * half.cdf(x) * half.sf(x) * half.pdf(x)  # type: ignore[no-any-return]

    assert 1 / mean(2, least) == pytest.approx(MIN_SCALE)
    assert 1 / mean(2, middle) == pytest.approx(MED_SCALE)
    assert 1 / mean(4, middle) == pytest.approx(MED_QUARTIC_SCALE)
    for power in (1, 4 / 3, 8 / 3):
        assert absolute_moment(power) == pytest.approx(mean(power, half.pdf))


def test_median_of_three_is_numpys() -> None:
    triples = np.abs(np.lib.stride_tricks.sliding_window_view(RETURNS, 3))
    np.testing.assert_array_equal(neighbour_median(RETURNS), np.median(triples, axis=-1))


@pytest.mark.parametrize("lags", [0, 1, 5, 40])
def test_kernel_against_arch(lags: int) -> None:
    authority = np.asarray(Parzen(RETURNS, bandwidth=lags, center=False).cov.long_run).item()
    assert realised_kernel(RETURNS, lags) == pytest.approx(len(RETURNS) * authority)


def test_kernel_constant_against_its_integrals() -> None:
    x = np.linspace(0.0, 1.0, 200_001)
    square = integrate.simpson(parzen(x) ** 2, x=x)
    curvature = (parzen(np.array(1e-4)) - 1) * 2 / 1e-8
    # Barndorff-Nielsen et al. (2009) give 3.5134, where the integral is rounded to 0.269.
    assert square == pytest.approx(0.269, abs=1e-3)
    assert curvature == pytest.approx(-12, abs=2e-3)
    assert pytest.approx(PARZEN_C, abs=5e-5) == (144 / 0.269) ** 0.2


def test_bandwidth_rule_step_by_step_and_in_batches() -> None:
    n, step = 300, 15
    sparse = [RETURNS[i : i + step].sum() ** 2 for i in range(n - step + 1)]
    signal = sum(sparse) / step * n / (n - step + 1)
    noise = np.square(RETURNS).sum() / (2 * n)
    assert kernel_bandwidth(RETURNS) == np.ceil(3.5134 * (noise / signal) ** 0.4 * n**0.6)
    bounce = np.resize([0.01, -0.01], 300)
    rows = np.stack([RETURNS, bounce, OTHERS])
    each = [realised_kernel(row, int(kernel_bandwidth(row))) for row in rows]
    np.testing.assert_allclose(realised_kernel(rows), each)
    assert kernel_bandwidth(rows)[1] > 3 * kernel_bandwidth(rows)[0]


def test_bandwidth_without_any_sparse_move_takes_all_lags() -> None:
    assert kernel_bandwidth(np.zeros(30)) == 29
    bounce = np.resize([0.01, -0.01], 40)
    assert kernel_bandwidth(bounce) == 39
    assert realised_kernel(bounce) == pytest.approx(realised_kernel(bounce, 39))
    assert realised_kernel(bounce) < 0.02 * realised_variance(bounce)


def test_noise_variance_against_statsmodels() -> None:
    lag_one = acovf(RETURNS, demean=False, fft=False, nlag=1)[1]
    assert noise_variance(RETURNS) == pytest.approx(-lag_one * 300 / 299)


def test_moments_against_scipy() -> None:
    centred = RETURNS - RETURNS.mean()
    assert realised_skewness(centred) == pytest.approx(stats.skew(centred))
    assert realised_kurtosis(centred) == pytest.approx(stats.kurtosis(centred, fisher=False))


def test_moments_of_a_single_move() -> None:
    single = np.zeros(50)
    single[17] = -0.02
    assert realised_skewness(single) == pytest.approx(-np.sqrt(50))
    assert realised_kurtosis(single) == pytest.approx(50)


def test_beta_against_statsmodels() -> None:
    assert realised_beta(OTHERS, RETURNS) == pytest.approx(OLS(OTHERS, RETURNS).fit().params[0])


def test_correlation_and_covariance_against_numpy() -> None:
    a, b = RETURNS - RETURNS.mean(), OTHERS - OTHERS.mean()
    assert realised_correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert realised_covariance(a, b) == pytest.approx(299 * np.cov(a, b)[0, 1])
    assert realised_correlation(a, -2 * a) == pytest.approx(-1.0)


def test_covariance_by_the_variance_of_the_sum() -> None:
    both = realised_variance(RETURNS + OTHERS) - realised_variance(RETURNS - OTHERS)
    assert realised_covariance(RETURNS, OTHERS) == pytest.approx(both / 4)


def test_semivariances_add_up() -> None:
    assert downside_semivariance(RETURNS) + upside_semivariance(RETURNS) == pytest.approx(realised_variance(RETURNS))


def test_gumbel_scale_against_scipy_and_the_paper() -> None:
    assert gumbel_critical_value(0.01) == pytest.approx(4.6001, abs=5e-5)  # Lee & Mykland (2008)
    assert gumbel_critical_value(0.05) == pytest.approx(stats.gumbel_r.isf(0.05))
    # The largest of m |N(0, pi/2)|: its distribution function is known, and slowly becomes Gumbel's.
    m = 10**9
    largest = stats.norm.isf((1 - 0.95 ** (1 / m)) / 2) * np.sqrt(np.pi / 2)
    assert gumbel_scaled(np.array(largest), m) == pytest.approx(stats.gumbel_r.isf(0.05), abs=0.15)


@pytest.mark.parametrize(
    ("call", "remedy"),
    [
        (lambda r: realised_kernel(r, 300), "at least 301 returns, got 300"),
        (lambda r: realised_kernel(r, -1), "at least 0 lags, got -1"),
    ],
)
def test_impossible_bandwidths_are_refused(call, remedy) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=remedy):
        call(RETURNS)
