"""The law of a factor and of crashes against other integrators, closed forms and derivatives."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad, solve_ivp

from features.sources.synthetic import Crash, Factor, own_factor
from features.sources.synthetic.factors import YEAR_S
from features.sources.synthetic.law import crash_function, crash_moments, factor_exponents, factor_moments

DAY = 86_400 / YEAR_S
U = np.array([0.0, 0.3, 5.0, 40.0, 150.0, 400.0])
THREE = Factor(
    (0.4, 0.9, 1.6), (50.0, 400.0, 900.0), ((0.0, 20.0, 2.0), (90.0, 0.0, 30.0), (10.0, 200.0, 0.0)), leverage=-0.6
)


def by_ode(factor: Factor, u: float, years: float) -> np.ndarray:
    """B and G by an adaptive integrator, written from the module's two equations and nothing else."""
    k, x, r = factor.reversion, factor.vol_of_vol, factor.leverage
    jump = np.exp(1j * u * factor.jump_mean - (u * factor.jump_std) ** 2 / 2) - 1 - 1j * u * factor.jump_mean

    def slope(_t: float, y: np.ndarray) -> np.ndarray:
        b, g = y[0], y[1:]
        db = 0.5 * x**2 * b**2 + (1j * u * r * x - k) * b - 0.5 * u**2
        return np.concatenate(([db], factor.generator @ g + (k * factor.levels * b + factor.intensities * jump) * g))

    start = np.array([0j] + [1 + 0j] * len(factor.levels))
    solved: np.ndarray = solve_ivp(slope, (0, years), start, method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    return solved


@pytest.mark.parametrize("factor", [Factor(), THREE, own_factor(0.5)], ids=["two", "three", "one"])
@pytest.mark.parametrize("years", [60 / YEAR_S, 3_600 / YEAR_S, DAY, 10 * DAY], ids=["1m", "1h", "1d", "10d"])
def test_the_exponents_solve_their_equations(factor: Factor, years: float) -> None:
    b, g = factor_exponents(factor, U, years)
    for i, u in enumerate(U):
        other = by_ode(factor, u, years)
        assert_allclose(b[i], other[0], rtol=1e-8, atol=1e-12)
        assert_allclose(g[:, i], other[1:], atol=1e-8)


def test_regimes_that_never_change_are_hestons_closed_form() -> None:
    """Runge-Kutta for both at once against the single regime's closed form, jumps and all."""
    both = Factor(switches_per_year=((0.0, 0.0), (0.0, 0.0)))
    b, g = factor_exponents(both, U, DAY)
    for j in range(2):
        dispersion = both.dispersion * both.vols_annual[0] / both.vols_annual[j]  # the same vol of vol
        alone = Factor((both.vols_annual[j],), (both.jumps_per_year[j],), ((0.0,),), dispersion=dispersion)
        own_b, own_g = factor_exponents(alone, U, DAY)
        assert_allclose(own_b, b, rtol=1e-12)
        assert_allclose(own_g[0], g[j], atol=2e-8)


def test_heston_as_it_was_published() -> None:
    """The characteristic function in the form of Heston's paper, where that form is stable."""
    factor = Factor((0.5,), (0.0,), ((0.0,),), leverage=-0.5)
    u, v, years = np.array([1.0, 20.0, 100.0]), 0.3, DAY
    k, x, r, theta = factor.reversion, factor.vol_of_vol, factor.leverage, 0.25
    d = np.sqrt((r * x * 1j * u - k) ** 2 + x**2 * u**2)
    g = (k - r * x * 1j * u + d) / (k - r * x * 1j * u - d)
    e = np.exp(d * years)
    c = k * theta / x**2 * ((k - r * x * 1j * u + d) * years - 2 * np.log((1 - g * e) / (1 - g)))
    published = np.exp(c + (k - r * x * 1j * u + d) / x**2 * (1 - e) / (1 - g * e) * v)
    b, own = factor_exponents(factor, u, years)
    assert_allclose(np.exp(b * v) * own[0], published, rtol=1e-9)


def test_crashes_against_the_integral_over_their_moments() -> None:
    crash, years = Crash(per_year=3_000.0, mean_drop=0.04, half_life_s=900.0), 3_600 / YEAR_S

    def part(s: float, u: float) -> complex:
        return complex(1 / (1 + 1j * u * crash.mean_drop * np.exp(-crash.recovery * s)) - 1)

    for u in (0.5, 10.0, 300.0):
        real, imaginary = (quad(lambda s, u=u, f=f: f(part(s, u)), 0, years)[0] for f in (np.real, np.imag))
        expected = np.exp(crash.per_year * (real + 1j * imaginary))
        assert_allclose(crash_function(crash, np.array([u]), years)[0], expected, rtol=1e-9)


def test_crash_moments_are_the_derivatives_at_zero() -> None:
    crash, years, e = Crash(per_year=2_000.0), DAY / 3, 1e-2
    mean, variance, squares = crash_moments(crash, years)
    low, high = np.log(crash_function(crash, np.array([-e, e]), years))
    assert_allclose(((high - low) / (2j * e)).real, mean, rtol=1e-6)
    assert_allclose(-((high + low) / e**2).real, variance, rtol=1e-5)
    assert squares == pytest.approx(2_000 * years * 2 * 0.03**2)
    assert squares > variance  # what recovers within the horizon is movement, not risk


@pytest.mark.parametrize("factor", [Factor(), THREE], ids=["two", "three"])
def test_factor_moments_are_the_derivatives_at_zero(factor: Factor) -> None:
    v, e = 0.37, 0.05
    a, d, jumps = factor_moments(factor, DAY)
    b, g = factor_exponents(factor, np.array([-e, e]), DAY)
    log = b * v + np.log(g)
    assert_allclose((log[:, 1] - log[:, 0]).imag / (2 * e), 0, atol=1e-6)  # a martingale
    assert_allclose(-(log[:, 1] + log[:, 0]).real / e**2, a * v + d + jumps, rtol=2e-5)


def test_the_integrated_variance_of_one_regime_in_closed_form() -> None:
    factor = own_factor(0.6)
    a, d, jumps = factor_moments(factor, DAY)
    k = factor.reversion
    assert a == pytest.approx((1 - np.exp(-k * DAY)) / k, rel=1e-12)
    assert d[0] == pytest.approx(0.36 * (DAY - a), rel=1e-12)
    assert jumps[0] == pytest.approx(80 * DAY * 0.008**2, rel=1e-12)


def test_the_long_run_share_of_regimes() -> None:
    assert_allclose(Factor().stationary, [120 / 138, 18 / 138])
    assert_allclose(THREE.stationary @ THREE.generator, 0, atol=1e-12)
