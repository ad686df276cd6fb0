r"""The law of a factor's and a crash's change over a horizon, given the state: characteristic functions and moments.

For a market factor with variance v and regime j, :math:`E[e^{iu(M_h - M_0)}] = e^{B(h) v} G_j(h)` with

.. math:: B' = \tfrac12 \xi^2 B^2 + (iu\rho\xi - \kappa) B - \tfrac12 u^2, \qquad
          G' = (Q + \mathrm{diag}(\kappa\theta_j B + \psi_j)) G

and :math:`\psi_j = \lambda_j (e^{iu\mu - u^2\sigma^2/2} - 1 - iu\mu)`. Time is in years.

References
----------
Heston (1993), "A closed-form solution for options with stochastic volatility", Review of Financial Studies
6(2); Duffie, Pan & Singleton (2000), "Transform analysis and asset pricing for affine jump-diffusions",
Econometrica 68(6); Albrecher, Mayer, Schoutens & Tistaert (2007), "The little Heston trap", Wilmott.
"""

import math

import numpy as np
from scipy.linalg import expm

from features.sources.synthetic.factors import Crash, Factor, Floats
from features.sources.synthetic.regimes import Complexes, Riccati, log1p, solve_regimes


def jump_exponent(factor: Factor, u: Floats) -> Complexes:
    """Exponent of one compensated jump a year, shape of ``u``."""
    iu = 1j * u
    psi: Complexes = np.expm1(iu * factor.jump_mean - 0.5 * (u * factor.jump_std) ** 2) - iu * factor.jump_mean
    return psi


def factor_exponents(factor: Factor, u: Floats, years: float) -> tuple[Complexes, Complexes]:
    """B, shape (m,), and G by regimes, shape (j, m): the characteristic function is ``exp(B v) G[regime]``."""
    riccati, psi = Riccati.at(factor, u), jump_exponent(factor, u)
    least = int(np.argmin(factor.levels))
    settled = factor.reversion * factor.levels[least] * riccati.integral(years)
    if len(factor.levels) == 1:
        return riccati.at_time(years), np.exp(settled + factor.intensities[0] * years * psi)[None, :]
    excess = factor.reversion * (factor.levels - factor.levels[least])
    common = np.exp(settled + factor.intensities[least] * years * psi)
    more_jumps = (factor.intensities - factor.intensities[least])[:, None] * psi
    return riccati.at_time(years), common * solve_regimes(factor, riccati, excess, more_jumps, years)


def largest(factor: Factor, u: Floats, years: float, variance: float) -> Floats:
    """A bound of the size of a factor's characteristic function: no regime is calmer, no jump makes it larger."""
    riccati = Riccati.at(factor, u)
    settled = factor.reversion * factor.levels.min() * riccati.integral(years)
    bound: Floats = np.exp((riccati.at_time(years) * variance + settled).real)
    return bound


def crash_function(crash: Crash, u: Floats, years: float) -> Complexes:
    r"""Characteristic function of what the crashes of a horizon leave at its end, in closed form.

    .. math:: \left(\frac{1 + iuc\,e^{-kh}}{1 + iuc}\right)^{\lambda / k}
    """
    iuc = (1j * crash.mean_drop * u).astype(np.complex128)
    left = math.exp(-crash.recovery * years)
    power: Complexes = np.exp(crash.per_year / crash.recovery * (log1p(iuc * left) - log1p(iuc)))
    return power


def crash_moments(crash: Crash, years: float) -> tuple[float, float, float]:
    """Mean and variance of what the crashes of a horizon leave at its end, and the sum of their squares."""
    lost, lost_twice = (-math.expm1(-m * crash.recovery * years) for m in (1.0, 2.0))
    mean = -crash.per_year * crash.mean_drop * lost / crash.recovery
    square = 2.0 * crash.mean_drop**2 * crash.per_year
    return mean, square * lost_twice / (2.0 * crash.recovery), square * years


def factor_moments(factor: Factor, years: float) -> tuple[float, Floats, Floats]:
    r"""Expected integral of the variance as ``a * v + d[regime]``, and expected squares of jumps, each (j,).

    .. math:: a' = 1 - \kappa a, \quad d' = Q d + \kappa\theta a, \quad l' = Q l + \lambda (\mu^2 + \sigma^2)

    solved together by a matrix exponential. The factor is a martingale: the sum is its variance too.
    """
    j = len(factor.levels)
    system = np.zeros((2 * j + 2, 2 * j + 2))
    system[:j, :j] = system[j : 2 * j, j : 2 * j] = factor.generator
    system[:j, 2 * j] = factor.reversion * factor.levels
    system[j : 2 * j, 2 * j + 1] = factor.intensities * factor.jump_square
    system[2 * j, 2 * j], system[2 * j, 2 * j + 1] = -factor.reversion, 1.0
    solved = expm(system * years)[:, -1]
    return float(solved[2 * j]), solved[:j], solved[j : 2 * j]
