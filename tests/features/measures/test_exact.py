"""Measures that are quadratic forms of the returns: their means follow exactly, without any simulation.

A measure f(r) = r'Qr of returns with covariance S has the mean trace(QS). Q is read off f itself.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from features.measures.kernel import parzen, realised_kernel
from features.measures.noise import noise_variance, pre_averaged_variance, two_scale_variance
from features.measures.variance import realised_variance, subsampled_variance
from features.measures.window import FloatArray

N = 40
Form = Callable[[FloatArray], FloatArray]
FORMS: dict[str, Form] = {
    "realised_variance": realised_variance,
    **{f"subsampled_variance_{k}": partial(subsampled_variance, step_bars=k) for k in (1, 2, 7, 40)},
    **{f"two_scale_variance_{k}": partial(two_scale_variance, step_bars=k) for k in (2, 7, 40)},
    **{f"pre_averaged_variance_{k}": partial(pre_averaged_variance, span_bars=k) for k in (3, 4, 9, 40)},
    **{f"realised_kernel_{h}": partial(realised_kernel, bandwidth=h) for h in (0, 1, 6, 39)},
}
NOISE = 2 * np.eye(N) - np.eye(N, k=1) - np.eye(N, k=-1)  # covariance of returns that are noise of variance 1 only


def matrix_of(form: Form) -> FloatArray:
    """Q of a quadratic form, by polarisation."""
    unit = np.eye(N)
    single = form(unit)
    both = form(unit[:, None, :] + unit[None, :, :])
    quadratic: FloatArray = (both - single[:, None] - single[None, :]) / 2
    return quadratic


@pytest.mark.parametrize("name", FORMS)
def test_mean_under_constant_variance_is_the_variance(name: str) -> None:
    assert np.trace(matrix_of(FORMS[name])) / N == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in FORMS if name.startswith(("two_scale", "pre_averaged"))])
def test_independent_noise_leaves_no_bias(name: str) -> None:
    assert np.trace(matrix_of(FORMS[name]) @ NOISE) == pytest.approx(0.0, abs=1e-10)


def test_noise_variance_sees_noise_only() -> None:
    quadratic = matrix_of(noise_variance)
    assert np.trace(quadratic) == pytest.approx(0.0, abs=1e-12)
    assert np.trace(quadratic @ NOISE) == pytest.approx(1.0, abs=1e-12)


def test_noise_in_realised_variance_is_two_for_each_return() -> None:
    assert np.trace(matrix_of(realised_variance) @ NOISE) == pytest.approx(2 * N)


@pytest.mark.parametrize("lags", [1, 6, 39])
def test_noise_in_the_kernel_is_as_documented(lags: int) -> None:
    left = np.trace(matrix_of(FORMS[f"realised_kernel_{lags}"]) @ NOISE)
    assert left == pytest.approx(2 * N - 2 * (N - 1) * parzen(np.array(1 / (lags + 1))), abs=1e-10)
    assert left <= 2 + 12 * N / (lags + 1) ** 2


@pytest.mark.parametrize("lags", [0, 1, 6, 39])
def test_kernel_is_never_negative(lags: int) -> None:
    assert np.linalg.eigvalsh(matrix_of(FORMS[f"realised_kernel_{lags}"])).min() > -1e-12


@pytest.mark.parametrize("step", [2, 7, 40])
def test_two_scales_against_the_sums_of_the_paper(step: int) -> None:
    prices = np.random.default_rng(1).normal(0.0, 0.01, N + 1).cumsum()
    slow = sum((prices[i] - prices[i - step]) ** 2 for i in range(step, N + 1)) / step
    fast = sum((prices[i] - prices[i - 1]) ** 2 for i in range(1, N + 1))
    mean_bars = (N - step + 1) / step
    # Zhang, Mykland & Ait-Sahalia (2005), the small-sample adjustment; the later factor divides its mean out.
    small_sample = (slow - mean_bars / N * fast) / (1 - mean_bars / N)
    assert two_scale_variance(np.diff(prices), step) == pytest.approx(small_sample * (N + 1) / (N - step + 1))


@pytest.mark.parametrize("step", [1, 3, 40])
def test_subsampling_against_one_grid_after_another(step: int) -> None:
    prices = np.random.default_rng(2).normal(0.0, 0.01, N + 1).cumsum()
    grids = [np.square(np.diff(prices[offset::step])).sum() for offset in range(step)]
    bars_seen = [step * (len(prices[offset::step]) - 1) for offset in range(step)]
    expected = np.mean(grids) * N / np.mean(bars_seen)
    assert subsampled_variance(np.diff(prices), step) == pytest.approx(expected)


def test_pre_averaging_against_the_sums_of_the_paper() -> None:
    span = 6
    returns = np.random.default_rng(3).normal(0.0, 0.01, N)
    g = [min(j / span, 1 - j / span) for j in range(span + 1)]
    psi_1 = span * sum((g[j] - g[j - 1]) ** 2 for j in range(1, span + 1))
    psi_2 = sum(value**2 for value in g) / span
    averages = [sum(g[j] * returns[i + j - 1] for j in range(1, span)) for i in range(N - span + 2)]
    # Jacod et al. (2009), theta = span / sqrt(n); then what Hautsch & Podolskij (2013) make exact.
    theta = span / np.sqrt(N)
    first = sum(value**2 for value in averages) / (theta * np.sqrt(N) * psi_2)
    correction = psi_1 / (N * 2 * theta**2 * psi_2)
    expected = (first * N / (N - span + 2) - correction * np.square(returns).sum()) / (1 - correction)
    assert pre_averaged_variance(returns, span) == pytest.approx(expected)
