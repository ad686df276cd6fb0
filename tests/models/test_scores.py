"""Losses against published figures, an independent library, numerical integrals and torch."""

import numpy as np
import pytest
import scoringrules
import torch
from scipy import integrate, stats

from models.base import LEVELS
from models.scores import (
    crps_from_quantiles,
    fz0,
    fz0_of_tails,
    interval_score,
    log_variance_error,
    pinball,
    qlike,
    qlike_floor,
    weighted_interval_score,
)
from models.tails import normal_quantiles, normal_shortfall, student_t_quantiles, student_t_shortfall

RNG = np.random.default_rng(11)


@pytest.mark.parametrize(("n", "floor"), [(12, 0.0856), (48, 0.0210), (96, 0.0105), (288, 0.0035)])
def test_qlike_floor_is_the_published_one_and_what_a_perfect_forecast_scores(n: int, floor: float) -> None:
    assert qlike_floor(n) == pytest.approx(floor, abs=5e-5)
    realised = RNG.chisquare(n, 400_000) / n
    assert qlike(realised, np.ones_like(realised)).mean() == pytest.approx(floor, rel=0.02)


def test_qlike_is_least_at_the_truth_and_zero_there() -> None:
    realised = np.full(3, 2.0)
    assert qlike(realised, np.array([1.9, 2.0, 2.1])).argmin() == 1
    assert qlike(realised, realised) == pytest.approx(0.0)


# Closed forms: N(0,1) and Student's t with 5 degrees of freedom scaled to variance one.
@pytest.mark.parametrize(
    ("level", "value_at_risk", "shortfall"), [(0.01, -2.326348, -2.665214), (0.025, -1.959964, -2.337803)]
)
def test_normal_tails(level: float, value_at_risk: float, shortfall: float) -> None:
    assert normal_quantiles((level,))[0] == pytest.approx(value_at_risk, abs=5e-7)
    assert normal_shortfall((level,))[0] == pytest.approx(shortfall, abs=5e-7)


def test_student_tails() -> None:
    assert student_t_quantiles((0.01,), 5.0)[0] == pytest.approx(-2.606464, abs=5e-7)
    assert student_t_shortfall((0.01,), 5.0)[0] == pytest.approx(-3.448837, abs=5e-7)
    with pytest.raises(ValueError, match="no variance"):
        student_t_quantiles((0.01,), 2.0)


@pytest.mark.parametrize("shape", ["normal", "student"])
def test_shortfall_is_the_mean_beyond_the_quantile(shape: str) -> None:
    degrees = 4.0
    law = stats.norm() if shape == "normal" else stats.t(degrees, scale=np.sqrt((degrees - 2) / degrees))
    found = normal_shortfall(LEVELS) if shape == "normal" else student_t_shortfall(LEVELS, degrees)
    for level, shortfall in zip(LEVELS, found, strict=True):
        edges = (0.0, level) if level <= 0.5 else (level, 1.0)
        mean, _ = integrate.quad(law.ppf, *edges)
        assert shortfall == pytest.approx(mean / (edges[1] - edges[0]), rel=1e-5)


@pytest.mark.parametrize(("level", "expected"), [(0.01, 0.980284), (0.025, 0.849212), (0.05, 0.724022)])
def test_expected_fz0_of_the_true_normal_law(level: float, expected: float) -> None:
    v, e = normal_quantiles((level,))[0], normal_shortfall((level,))[0]
    assert np.log(-e) == pytest.approx(expected, abs=5e-7)  # what the integral is at the truth

    def weighted(y: float) -> float:
        return float(fz0(np.array(y), np.array(v), np.array(e), level) * stats.norm.pdf(y))

    total = integrate.quad(weighted, -12, v)[0] + integrate.quad(weighted, v, 12)[0]
    assert total == pytest.approx(expected, abs=1e-6)


def test_fz0_is_least_at_the_true_pair() -> None:
    y = RNG.standard_normal(400_000)
    v, e = normal_quantiles((0.025,))[0], normal_shortfall((0.025,))[0]

    def mean(dv: float, de: float) -> float:
        return float(fz0(y, np.full_like(y, v + dv), np.full_like(y, e + de), 0.025).mean())

    at_truth = mean(0.0, 0.0)
    for dv, de in ((0.2, 0.0), (-0.2, 0.0), (0.0, 0.2), (0.0, -0.3)):
        assert mean(dv, de) > at_truth


def test_pinball_equals_an_independent_library() -> None:
    y, q = RNG.standard_normal(100), RNG.standard_normal(100)
    for level in (0.01, 0.5, 0.975):
        np.testing.assert_allclose(pinball(y, q, level), scoringrules.quantile_score(y, q, level))


def test_crps_of_a_normal_law() -> None:
    levels = tuple(np.arange(0.001, 1, 0.001))
    assert crps_from_quantiles(np.array(0.0), normal_quantiles(levels), levels) == pytest.approx(0.233695, abs=1e-5)
    y = RNG.standard_normal(50)
    quantiles = np.tile(normal_quantiles(levels), (50, 1))
    np.testing.assert_allclose(
        crps_from_quantiles(y, quantiles, levels), scoringrules.crps_normal(y, 0.0, 1.0), rtol=2e-3
    )


def test_crps_of_a_student_law() -> None:
    levels = tuple(np.arange(0.0005, 1, 0.0005))
    y = np.array([-4.0, -0.3, 0.0, 2.0])
    found = crps_from_quantiles(y, np.tile(stats.t.ppf(levels, 5), (4, 1)), levels)
    np.testing.assert_allclose(found, scoringrules.crps_t(y, 5.0, 0.0, 1.0), rtol=2e-3)


def test_log_variance_error_is_symmetric_in_factors_and_least_at_the_mean_log() -> None:
    realised = RNG.chisquare(6, 100_000)
    np.testing.assert_allclose(log_variance_error(realised, 3 * realised), np.log(3) ** 2)
    np.testing.assert_allclose(log_variance_error(realised, realised / 3), np.log(3) ** 2)
    best = np.exp(np.log(realised).mean())
    losses = [log_variance_error(realised, np.full_like(realised, f)).mean() for f in (0.98 * best, best, 1.02 * best)]
    assert np.argmin(losses) == 1
    # Variance of the log of a chi-squared: trigamma of half its degrees of freedom, 3: pi^2 / 6 - 1 - 1 / 4.
    assert losses[1] == pytest.approx(np.pi**2 / 6 - 1.25, rel=0.02)


def test_interval_score_is_an_independent_library_and_two_pinball_losses() -> None:
    y, low, width = RNG.standard_normal(200), RNG.normal(-1, 1, 200), 2 * RNG.random(200)
    high = low + width
    for miss_rate in (0.02, 0.1, 0.5):
        found = interval_score(y, low, high, miss_rate)
        np.testing.assert_allclose(found, scoringrules.interval_score(y, low, high, miss_rate))
        ends = pinball(y, low, miss_rate / 2) + pinball(y, high, 1 - miss_rate / 2)
        np.testing.assert_allclose(found, 2 / miss_rate * ends)
    assert all(case.any() for case in (y < low, y > high, (y > low) & (y < high)))


def test_weighted_interval_score_is_twice_the_mean_pinball_loss() -> None:
    y, quantiles = 2 * RNG.standard_normal(300), np.sort(RNG.standard_normal((300, 11)), axis=1)
    wanted = np.mean([scoringrules.quantile_score(y, quantiles[:, k], p) for k, p in enumerate(LEVELS)], axis=0)
    np.testing.assert_allclose(weighted_interval_score(y, quantiles, LEVELS), 2 * wanted)
    levels = tuple(np.arange(1, 1_000) / 1_000)  # with many levels it is the CRPS
    found = weighted_interval_score(np.array(0.0), normal_quantiles(levels), levels)
    assert found == pytest.approx(0.233695, abs=5e-4)


@pytest.mark.parametrize("levels", [(0.1, 0.9), (0.1, 0.5, 0.8)])
def test_weighted_interval_score_needs_symmetric_levels(levels: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="symmetric"):
        weighted_interval_score(np.zeros(3), np.zeros((3, len(levels))), levels)


def test_fz0_of_tails_is_the_mean_of_four() -> None:
    y = 3 * RNG.standard_normal(500)
    quantiles = np.tile(student_t_quantiles(LEVELS, 5.0), (500, 1)) + 0.1
    shortfall = 1.2 * quantiles
    total = np.zeros(500)
    for p in (0.01, 0.025):
        low, high = LEVELS.index(p), LEVELS.index(round(1 - p, 3))
        for sign, k in ((1, low), (-1, high)):
            v, e = sign * quantiles[:, k], sign * shortfall[:, k]
            miss = (sign * y <= v) * (v - sign * y)
            total += -miss / (p * e) + v / e + np.log(-e) - 1
    np.testing.assert_allclose(fz0_of_tails(y, quantiles, shortfall, LEVELS), total / 4)
    assert (np.abs(y) > np.abs(quantiles[:, 1])).any()


def test_expected_fz0_of_the_true_student_law() -> None:
    v, e = student_t_quantiles((0.01,), 5.0)[0], student_t_shortfall((0.01,), 5.0)[0]
    law = stats.t(5.0, scale=np.sqrt(3 / 5))

    def weighted(y: float) -> float:
        return float(fz0(np.array(y), np.array(v), np.array(e), 0.01) * law.pdf(y))

    total = integrate.quad(weighted, -np.inf, v)[0] + integrate.quad(weighted, v, np.inf)[0]
    assert total == pytest.approx(np.log(3.448837), abs=1e-6)


def test_a_loss_is_the_same_function_in_torch() -> None:
    y, f = RNG.chisquare(4, (5, 3)), RNG.chisquare(4, (5, 3))
    q, e = -1 - RNG.random((5, 3)), -3 - RNG.random((5, 3))
    tensors = [torch.from_numpy(a) for a in (y, f, q, e)]
    np.testing.assert_allclose(qlike(tensors[0], tensors[1]).numpy(), qlike(y, f))
    np.testing.assert_allclose(pinball(-tensors[0], tensors[2], 0.01).numpy(), pinball(-y, q, 0.01))
    np.testing.assert_allclose(fz0(-tensors[0], tensors[2], tensors[3], 0.025).numpy(), fz0(-y, q, e, 0.025))
    low, high = q, q + 2
    found = interval_score(tensors[2] - 0.5, tensors[2], torch.from_numpy(high), 0.1).numpy()
    np.testing.assert_allclose(found, interval_score(q - 0.5, low, high, 0.1))
    np.testing.assert_allclose(log_variance_error(tensors[0], tensors[1]).numpy(), log_variance_error(y, f))
