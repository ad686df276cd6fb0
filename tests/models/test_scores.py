"""Losses against published figures, an independent library, numerical integrals and torch."""

import numpy as np
import pytest
import scoringrules
import torch
from scipy import integrate, stats

from models.base import LEVELS
from models.scores import crps_from_quantiles, fz0, pinball, qlike, qlike_floor
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


def test_a_loss_is_the_same_function_in_torch() -> None:
    y, f = RNG.chisquare(4, (5, 3)), RNG.chisquare(4, (5, 3))
    q, e = -1 - RNG.random((5, 3)), -3 - RNG.random((5, 3))
    tensors = [torch.from_numpy(a) for a in (y, f, q, e)]
    np.testing.assert_allclose(qlike(tensors[0], tensors[1]).numpy(), qlike(y, f))
    np.testing.assert_allclose(pinball(-tensors[0], tensors[2], 0.01).numpy(), pinball(-y, q, 0.01))
    np.testing.assert_allclose(fz0(-tensors[0], tensors[2], tensors[3], 0.025).numpy(), fz0(-y, q, e, 0.025))
