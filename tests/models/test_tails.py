"""Tails against scipy, arch, quadrature and slow windows, and where the truth is simulated."""

import numpy as np
import pytest
from arch.univariate import SkewStudent
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import genpareto
from scipy.stats import t as student

from features.errors import ConvergenceError, SettingError, ShortHistoryError
from models.base import LEVELS, outward
from models.tails import (
    TAILS,
    normal_quantiles,
    normal_shortfall,
    skew_t_quantiles,
    skew_t_shortfall,
    student_t_quantiles,
    student_t_shortfall,
)
from models.tails.base import sorted_quantile, sorted_windows
from models.tails.pareto import GeneralisedPareto, pareto_parameters
from models.tails.skew_t import skew_t_loss
from models.tails.student_t import likeliest, student_t_loss

SEED = 11
WHOLE = np.array([0])


def test_the_published_quantiles_and_shortfalls() -> None:
    """Closed forms of N(0, 1) and of Student's t with five degrees of freedom and variance one."""
    np.testing.assert_allclose(normal_quantiles((0.01, 0.025)), [-2.326348, -1.959964], atol=1e-6)
    np.testing.assert_allclose(normal_shortfall((0.01, 0.025)), [-2.665214, -2.337803], atol=1e-6)
    found = student_t_quantiles((0.01,), 5.0)[0], student_t_shortfall((0.01,), 5.0)[0]
    assert found == pytest.approx((-2.606464, -3.448837), abs=1e-6)


@pytest.mark.parametrize(("degrees", "skew"), [(4.0, -0.3), (6.0, 0.0), (3.0, 0.6), (12.0, 0.2)])
def test_skew_t_equals_arch_and_its_shortfall_is_an_integral(degrees: float, skew: float) -> None:
    parameters = np.array([degrees, skew])
    law = SkewStudent()
    np.testing.assert_allclose(
        skew_t_quantiles(LEVELS, degrees, skew), law.ppf(np.array(LEVELS), parameters), atol=1e-8
    )

    def density(x: float) -> float:
        return x * float(np.exp(law.loglikelihood(parameters, np.array([x]), np.ones(1), individual=True)[0]))

    for level, q, found in zip(
        LEVELS, skew_t_quantiles(LEVELS, degrees, skew), skew_t_shortfall(LEVELS, degrees, skew), strict=True
    ):
        low, high, share = (-np.inf, q, level) if level <= 0.5 else (q, np.inf, 1 - level)
        assert found == pytest.approx(quad(density, low, high, limit=200)[0] / share, abs=1e-5)


def test_likelihoods_equal_scipy_and_arch() -> None:
    z = np.random.default_rng(SEED).standard_t(5, 1_003)
    scale, excess, skew = 1.3, 2.5, -0.2
    place = np.array([np.log(scale), np.log(excess), skew])
    stretched = scale * np.sqrt(excess / (excess + 2))
    assert student_t_loss(place[:2], z) == pytest.approx(-student.logpdf(z, excess + 2, scale=stretched).mean())
    theirs = SkewStudent().loglikelihood(np.array([excess + 2, skew]), z / scale, np.ones(len(z)), individual=True)
    assert skew_t_loss(place, z) == pytest.approx(np.log(scale) - theirs.mean())


def test_generalised_pareto_tail_equals_scipy() -> None:
    """Quantile and mean above it of the fitted law, against scipy's, on both sides."""
    z = np.sort(np.random.default_rng(SEED).standard_t(4, 4_000))
    shape, beyond = GeneralisedPareto()(z, WHOLE, np.array([len(z)]), LEVELS)
    for sign, level, k in ((-1, 0.01, 1), (1, 0.005, 10)):
        losses = np.sort(sign * z)
        u = np.quantile(losses, 0.95)
        excess = losses[losses >= u] - u
        sigma, xi = pareto_parameters(excess)
        q = u + genpareto.isf(level / 0.05, xi, scale=sigma)
        assert sign * shape[0, k] == pytest.approx(q)
        mean = quad(lambda p, law=(xi, sigma): genpareto.isf(p, law[0], scale=law[1]), 0, level / 0.05, limit=200)[0]
        assert sign * beyond[0, k] == pytest.approx(u + mean / (level / 0.05), rel=1e-6)


def test_pareto_parameters_find_a_planted_law() -> None:
    excess = np.sort(genpareto.rvs(0.25, scale=0.7, size=200_000, random_state=SEED))
    assert pareto_parameters(excess) == pytest.approx((0.7, 0.25), abs=0.02)
    assert pareto_parameters(np.ones(50))[1] < 0  # a bounded law


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 30))
def test_a_sliding_window_equals_a_slow_one(seed: int, n: int, moments: int) -> None:
    """Ties, windows that leap and windows that stand still."""
    rng = np.random.default_rng(seed)
    z = rng.integers(-4, 5, n).astype(np.float64)
    stops = np.sort(rng.integers(1, n + 1, moments))
    starts = np.maximum.accumulate(np.minimum(np.sort(rng.integers(0, n, moments)), stops - 1))
    for a, b, window in zip(starts, stops, sorted_windows(z, starts, stops), strict=True):
        np.testing.assert_array_equal(window, np.sort(z[a:b]))
        for level in (0.0, 0.01, 0.3, 0.5, 0.99, 1.0):
            assert sorted_quantile(window, level) == pytest.approx(np.quantile(z[a:b], level), abs=1e-15)


def test_fhs_equals_a_slow_loop() -> None:
    z = np.random.default_rng(SEED).standard_t(3, 900).round(2)
    starts, stops = np.array([0, 0, 24, 100, 880]), np.array([300, 324, 400, 700, 900])
    shape, beyond = TAILS["fhs"](z, starts, stops, LEVELS)
    for i, (a, b) in enumerate(zip(starts, stops, strict=True)):
        for k, level in enumerate(LEVELS):
            q = np.quantile(z[a:b], level)
            tail = z[a:b][z[a:b] <= q] if level <= 0.5 else z[a:b][z[a:b] >= q]
            assert (shape[i, k], beyond[i, k]) == pytest.approx((q, tail.mean()))


@pytest.mark.parametrize("name", sorted(TAILS))
def test_every_tail_scales_with_its_returns_and_never_crosses(name: str) -> None:
    rng = np.random.default_rng(SEED)
    z = np.where(rng.random(4_000) < 0.5, rng.standard_t(3, 4_000) * 1.3, rng.normal(0.05, 0.8, 4_000))
    starts, stops = np.array([0, 1_000, 1_000]), np.array([2_000, 3_000, 4_000])
    shape, beyond = TAILS[name](z, starts, stops, LEVELS)
    assert (np.diff(shape, axis=1) >= 0).all()
    assert (outward(LEVELS) * (beyond - shape) >= 0).all()
    for found, was in zip(TAILS[name](2 * z, starts, stops, LEVELS), (shape, beyond), strict=True):
        np.testing.assert_allclose(found, 2 * was, atol=2e-4)
    changed = z.copy()
    changed[3_000:] = 50.0  # after the second window: the first two do not see it
    for found, was in zip(TAILS[name](changed, starts[:2], stops[:2], LEVELS), (shape, beyond), strict=True):
        np.testing.assert_array_equal(found, was[:2])


@pytest.mark.parametrize("name", ["student_t", "skew_t", "fhs", "gpd"])
def test_every_fat_tail_finds_a_simulated_truth(name: str) -> None:
    z = np.random.default_rng(SEED).standard_t(5, 60_000) * np.sqrt(0.6)
    shape, beyond = TAILS[name](z, WHOLE, np.array([len(z)]), LEVELS)
    np.testing.assert_allclose(shape[0], student_t_quantiles(LEVELS, 5.0), atol=0.12)
    np.testing.assert_allclose(beyond[0], student_t_shortfall(LEVELS, 5.0), atol=0.3)
    kept = [k for k, p in enumerate(LEVELS) if 0.01 <= p <= 0.99]
    np.testing.assert_allclose(shape[0, kept], student_t_quantiles(LEVELS, 5.0)[kept], atol=0.05)


def test_skew_t_finds_the_skew() -> None:
    z = SkewStudent(seed=np.random.default_rng(SEED)).simulate(np.array([6.0, -0.3]))(40_000)
    shape, _ = TAILS["skew_t"](z, WHOLE, np.array([len(z)]), (0.01, 0.99))
    np.testing.assert_allclose(shape[0], skew_t_quantiles((0.01, 0.99), 6.0, -0.3), atol=0.06)


def test_tails_refuse_what_they_cannot_do() -> None:
    with pytest.raises(ValueError, match="no variance"):
        student_t_quantiles((0.01,), 2.0)
    with pytest.raises(SettingError, match="leaves no body"):
        GeneralisedPareto(share=0.5)
    with pytest.raises(ShortHistoryError, match="values beyond its threshold"):
        TAILS["gpd"](np.arange(100.0), WHOLE, np.array([100]), LEVELS)
    with pytest.raises(ConvergenceError, match="no likeliest parameters"):
        likeliest(lambda _place, _z: np.nan, np.ones(5), np.zeros(1), [(-1.0, 1.0)])
