"""Acerbi and Szekely's tests: published critical values, their size and their power."""

import numpy as np
import pytest
from scipy import stats

from backtests.nulls import monte_carlo_p, overlapping_uniforms
from backtests.shortfall_tests import simulated_z, z1, z2, z2_terms
from models.tails import normal_quantiles, normal_shortfall

LEVEL, DAYS, DRAWS = 0.025, 250, 20_000


def tails(degrees: float | None) -> tuple[float, float]:
    """Quantile and shortfall of Student's law (the normal one without degrees), not scaled."""
    if degrees is None:
        return float(normal_quantiles((LEVEL,))[0]), float(normal_shortfall((LEVEL,))[0])
    q = float(stats.t.ppf(LEVEL, degrees))
    return q, -float(stats.t.pdf(q, degrees) / LEVEL * (degrees + q * q) / (degrees - 1))


# Acerbi & Szekely (2014): 5 % critical values of Z2, 2.5 % shortfall, 250 days.
@pytest.mark.parametrize(("degrees", "critical"), [(None, -0.698), (10.0, -0.707), (5.0, -0.733), (3.0, -0.815)])
def test_critical_values_of_z2(degrees: float | None, critical: float) -> None:
    rng = np.random.default_rng(2)
    q, e = tails(degrees)
    shape = (DRAWS, DAYS)
    r = rng.standard_normal(shape) if degrees is None else rng.standard_t(degrees, shape)
    draws = z2_terms(r, np.full(shape, q), np.full(shape, e), LEVEL).mean(axis=1)
    # Standard error of a quantile: sqrt(p (1 - p) / n) over the density there.
    low, high = np.quantile(draws, [0.04, 0.06])
    error = np.sqrt(0.05 * 0.95 / DRAWS) * (high - low) / 0.02
    assert np.quantile(draws, 0.05) == pytest.approx(critical, abs=3 * error + 5e-4)
    assert error < 0.012


def test_z1_and_z2_by_a_readable_loop() -> None:
    rng = np.random.default_rng(3)
    r, q = 2 * rng.standard_normal(400), -1 - rng.random(400)
    e = 1.3 * q
    sizes = [float(r[t] / e[t]) for t in range(400) if r[t] < q[t]]
    assert z1(r, q, e, 0.05) == pytest.approx(1 - sum(sizes) / len(sizes))
    assert z2(r, q, e, 0.05) == pytest.approx(1 - sum(sizes) / (400 * 0.05))
    assert z1(-r, -q, -e, 0.95) == pytest.approx(z1(r, q, e, 0.05))  # the other tail, mirrored
    assert z2(-r, -q, -e, 0.95) == pytest.approx(z2(r, q, e, 0.05))
    assert np.isnan(z1(np.zeros(400), q, e, 0.05))
    assert z2(np.zeros(400), q, e, 0.05) == 1.0


def test_right_forecasts_score_nought_and_understated_ones_less() -> None:
    r = np.random.default_rng(4).standard_normal(400_000)
    q, e = (np.full(len(r), x) for x in tails(None))
    assert z1(r, q, e, LEVEL) == pytest.approx(0.0, abs=0.005)
    assert z2(r, q, e, LEVEL) == pytest.approx(0.0, abs=0.03)
    assert z1(r, q, 0.8 * e, LEVEL) == pytest.approx(1 - 1 / 0.8, abs=0.01)
    assert z2(r, 0.8 * q, 0.8 * e, LEVEL) < -0.8


def test_simulated_nulls_agree_with_the_published_values() -> None:
    """The normal law's excess is nearly exponential, Student's generalised Pareto of shape 1 / degrees."""
    for degrees, shape, critical in ((None, 0.0, -0.698), (5.0, 0.2, -0.733), (3.0, 1 / 3, -0.815)):
        q, e = tails(degrees)
        ones, twos = simulated_z(np.full(DAYS, q / e), LEVEL, shape=shape, draws=4_000, seed=1)
        assert twos.mean() == pytest.approx(0.0, abs=0.02)
        assert ones.mean() == pytest.approx(0.0, abs=0.02)
        assert np.quantile(twos, 0.05) == pytest.approx(critical, abs=0.04)


def test_size_under_overlap_and_power() -> None:
    rng, n = np.random.default_rng(6), 1_500
    q, e = (np.full(n, x) for x in tails(None))
    null = simulated_z(q / e, LEVEL, overlap=8, draws=800, seed=7)
    alone = simulated_z(q / e, LEVEL, draws=800, seed=7)
    right = [stats.norm.ppf(overlapping_uniforms(n, 8, rng)) for _ in range(300)]
    for statistic, draws in ((z1, null[0]), (z2, null[1])):
        p = np.array([monte_carlo_p(statistic(r, q, e, LEVEL), draws, "low") for r in right])
        assert np.mean(p <= 0.05) < 0.09  # the exponential excess is a little fatter than the normal one
        p = np.array([monte_carlo_p(statistic(1.5 * r, q, e, LEVEL), draws, "low") for r in right[:60]])
        assert np.mean(p <= 0.05) > 0.6
    naive = np.array([monte_carlo_p(z2(r, q, e, LEVEL), alone[1], "low") for r in right])
    assert np.mean(naive <= 0.05) > 0.12
