"""Measures on simulated paths whose variance is known."""

import numpy as np
import pytest

from features.measures import MEASURES
from features.measures.kernel import kernel_bandwidth, realised_kernel
from features.measures.moments import realised_kurtosis, realised_skewness
from features.measures.noise import noise_variance, pre_averaged_variance, two_scale_variance
from features.measures.quarticity import absolute_moment
from features.measures.variance import realised_variance
from tests.features.measures.paths import VARIANCE, Paths, constant, in_errors, jumping, noisy, stochastic

WINDOWS, N = 600, 1_440
QUADRATIC = (
    "realised_variance",
    "subsampled_variance",
    "two_scale_variance",
    "pre_averaged_variance",
)
ROBUST = ("bipower_variation", "min_realised_variance", "med_realised_variance")
NOISE_VARIANCE = VARIANCE / 1_000  # adds 2.88 times the variance to RV

PATHS: dict[str, Paths] = {
    "constant": constant(np.random.default_rng(1), WINDOWS, N),
    "stochastic": stochastic(np.random.default_rng(2), WINDOWS, N),
    "jumping": jumping(np.random.default_rng(3), WINDOWS, N),
    "noisy": noisy(np.random.default_rng(4), WINDOWS, N, NOISE_VARIANCE),
}


@pytest.mark.parametrize("path", ["constant", "stochastic"])
@pytest.mark.parametrize("name", [*QUADRATIC, *ROBUST])
def test_integrated_variance(name: str, path: str) -> None:
    truth = PATHS[path].integrated
    expected = truth * (N - 1) / N if name == "bipower_variation" else truth
    assert abs(in_errors(MEASURES[name].compute(PATHS[path].log_returns), expected)) < 4


@pytest.mark.parametrize("path", ["constant", "stochastic"])
def test_kernel_is_unbiased_with_a_given_bandwidth_and_a_little_low_with_its_own(path: str) -> None:
    paths = PATHS[path]
    assert abs(in_errors(realised_kernel(paths.log_returns, 12), paths.integrated)) < 4
    own = realised_kernel(paths.log_returns).mean() / paths.integrated.mean() - 1
    assert -0.015 < own < 0.01


@pytest.mark.parametrize("name", [*QUADRATIC, "realised_kernel"])
def test_jumps_belong_to_the_quadratic_variation(name: str) -> None:
    paths = PATHS["jumping"]
    assert in_errors(MEASURES[name].compute(paths.log_returns), paths.integrated) > 20
    found = MEASURES[name].compute(paths.log_returns)
    # Edges weigh less in all but RV, so a jump there counts less: on average over its place that evens out.
    assert abs(in_errors(found, paths.integrated + paths.jump)) < 4


@pytest.mark.parametrize(("name", "most"), [("bipower_variation", 0.06), *((name, 0.01) for name in ROBUST[1:])])
def test_one_jump_hardly_moves_the_robust_measures(name: str, most: float) -> None:
    paths = PATHS["jumping"]  # its square is half of the variance
    found = MEASURES[name].compute(paths.log_returns)
    assert abs(found.mean() / VARIANCE - 1) < most


def test_jump_leaves_in_bipower_what_theory_says() -> None:
    # Each neighbour's mean size is mu sigma / sqrt(n); the move it replaces counted 2 sigma^2 / n.
    jump_size = np.sqrt(VARIANCE / 2)
    added = np.pi / 2 * 2 * jump_size * absolute_moment(1) * np.sqrt(VARIANCE / N) - 2 * VARIANCE / N
    paths = PATHS["jumping"]
    found = MEASURES["bipower_variation"].compute(paths.log_returns)
    assert abs(in_errors(found, VARIANCE * (N - 1) / N + added)) < 4


def test_realised_variance_drowns_in_noise() -> None:
    paths = PATHS["noisy"]
    found = realised_variance(paths.log_returns)
    assert found.mean() / VARIANCE > 3.5
    assert abs(in_errors(found, paths.integrated + 2 * N * NOISE_VARIANCE)) < 4


@pytest.mark.parametrize("step", [5, 15, 40])
def test_two_scales_see_through_noise(step: int) -> None:
    paths = PATHS["noisy"]
    assert abs(in_errors(two_scale_variance(paths.log_returns, step), paths.integrated)) < 4


@pytest.mark.parametrize("span", [None, 8, 40])
def test_pre_averaging_sees_through_noise(span: int | None) -> None:
    paths = PATHS["noisy"]
    assert abs(in_errors(pre_averaged_variance(paths.log_returns, span), paths.integrated)) < 4


def test_kernel_sees_through_noise_but_for_its_known_rest() -> None:
    paths = PATHS["noisy"]
    found = realised_kernel(paths.log_returns)
    rest = NOISE_VARIANCE * (2 + 12 * N / (kernel_bandwidth(paths.log_returns) + 1) ** 2)
    assert found.mean() / VARIANCE < 1.05
    assert in_errors(found, paths.integrated) > -4
    assert in_errors(found, paths.integrated + rest) < 4


def test_noise_itself() -> None:
    paths = PATHS["noisy"]
    assert abs(in_errors(noise_variance(paths.log_returns), NOISE_VARIANCE)) < 4


@pytest.mark.parametrize("name", ["realised_quarticity", "tripower_quarticity", "med_realised_quarticity"])
def test_quarticity(name: str) -> None:
    assert abs(in_errors(MEASURES[name].compute(PATHS["constant"].log_returns), VARIANCE**2)) < 4


def test_quarticity_foretells_the_error_of_realised_variance() -> None:
    paths = PATHS["stochastic"]
    off = realised_variance(paths.log_returns) - paths.integrated
    foretold = np.sqrt(2 / N * MEASURES["realised_quarticity"].compute(paths.log_returns))
    z = off / foretold
    # 600 numbers, nearly N(0, 1): their standard deviation has an error of 0.029.
    assert z.std() == pytest.approx(1.0, abs=0.12)


def tripower_efficiency() -> float:
    """Variance of a sum of products of three neighbours' powers, from the moments of a normal number."""
    m = absolute_moment(8 / 3) / absolute_moment(4 / 3) ** 2
    return (m**3 - 1) + 2 * (m**2 - 1) + 2 * (m - 1)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("realised_variance", 2.0),
        ("bipower_variation", np.pi**2 / 4 + np.pi - 3),  # 2.609
        ("min_realised_variance", 3.81),  # Andersen, Dobrev & Schaumburg (2012)
        ("med_realised_variance", 2.96),  # as above
        ("realised_quarticity", 96 / 9),
        ("tripower_quarticity", tripower_efficiency()),
    ],
)
def test_efficiency(name: str, published: float) -> None:
    windows, n = 8_000, 500
    measure = MEASURES[name]
    found = measure.compute(constant(np.random.default_rng(8), windows, n).log_returns)
    efficiency = n * found.var(ddof=1) / VARIANCE**measure.power
    # The error of a variance from 8,000 nearly normal numbers is 1.6 %; the order 1/n is left out.
    assert efficiency == pytest.approx(published, rel=0.07)


def test_moments_of_a_calm_path_have_their_known_errors() -> None:
    returns = PATHS["constant"].log_returns
    skewness, kurtosis = realised_skewness(returns), realised_kurtosis(returns)
    assert abs(in_errors(skewness, 0.0)) < 4
    # The mean of a kurtosis is 3 n / (n + 2); variances 15/n and 24/n by the delta method.
    assert abs(in_errors(kurtosis, 3 * N / (N + 2))) < 4
    assert skewness.var() * N == pytest.approx(15, rel=0.25)
    assert kurtosis.var() * N == pytest.approx(24, rel=0.25)
