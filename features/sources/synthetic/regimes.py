"""The equations behind a factor's characteristic function: the variance's in closed form, the regimes' by steps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.sources.synthetic.factors import Factor, Floats

Complexes = NDArray[np.complex128]
STEP = 0.1
"""Largest product of a Runge-Kutta step and the rate of the regimes' equation; a step errs by its fifth power."""


def log1p(z: Complexes) -> Complexes:
    """Logarithm of 1 + z without the loss of digits at small z that NumPy's has for complex numbers."""
    result: Complexes = 0.5 * np.log1p(z.real * (2.0 + z.real) + z.imag**2) + 1j * np.arctan2(z.imag, 1.0 + z.real)
    return result


@dataclass(frozen=True, slots=True)
class Riccati:
    """The coefficient B of the variance, in closed form, for all times; ``u`` of shape (m,).

    Differences of nearly equal numbers are multiplied out, so small ``u`` and short times lose no digits.
    """

    factor: Factor
    decay: Complexes
    slope: Complexes
    ratio: Complexes

    @classmethod
    def at(cls, factor: Factor, u: Floats) -> "Riccati":
        """Solve for some arguments of the characteristic function."""
        b = factor.reversion - 1j * u * factor.leverage * factor.vol_of_vol
        d = np.sqrt(b * b + (factor.vol_of_vol * u) ** 2)
        return cls(factor, d, -u * u / (b + d), -((factor.vol_of_vol * u / (b + d)) ** 2))

    def at_time(self, years: float) -> Complexes:
        """B at one time."""
        lost = -np.expm1(-self.decay * years)
        result: Complexes = self.slope * lost / (1.0 - self.ratio * (1.0 - lost))
        return result

    def integral(self, years: float) -> Complexes:
        """Integral of B from 0."""
        lost = -np.expm1(-self.decay * years)
        bend = log1p(self.ratio * lost / (1.0 - self.ratio))
        result: Complexes = self.slope * years - 2.0 / self.factor.vol_of_vol**2 * bend
        return result


def solve_regimes(factor: Factor, riccati: Riccati, excess: Floats, more_jumps: Complexes, years: float) -> Complexes:
    """Solve the regimes' linear equation after the part that all regimes share is taken out; shape (j, m)."""
    bound = np.abs(excess).max() * np.abs(riccati.at_time(years)) + np.abs(more_jumps).max(axis=0)
    bound += np.abs(factor.generator).sum(axis=1).max() + np.abs(riccati.decay)
    steps = np.clip(np.ceil(years * bound / STEP), 4, 4_000).astype(np.int64)
    g = np.ones((len(bound), len(excess)), dtype=np.complex128)
    more = np.ascontiguousarray(more_jumps.T)
    _walk(factor.generator, excess, more, riccati.slope, riccati.ratio, riccati.decay, years, steps, g)
    result: Complexes = g.T
    return result


@compiled
def _walk(  # noqa: C901 - one loop, read top to bottom
    generator: Floats, excess: Floats, more_jumps: Complexes, slope: Complexes, ratio: Complexes, decay: Complexes,
    years: float, steps: NDArray[np.int64], g: Complexes,
) -> None:  # fmt: skip
    """Take ``g`` (m, j) through time by Runge-Kutta of order four, each argument in steps of its own length."""
    count = len(excess)
    rates, k, stage = np.zeros((3, count), np.complex128), np.zeros((4, count), np.complex128), g[0].copy()
    for i in range(len(g)):
        h = years / steps[i]
        half = np.exp(-0.5 * h * decay[i])
        gone = half / half
        for step in range(steps[i]):
            for part in range(3):
                if part == 0 and step > 0:
                    rates[0] = rates[2]
                    continue
                gone *= half if part > 0 else 1.0
                b = slope[i] * (1.0 - gone) / (1.0 - ratio[i] * gone)
                for j in range(count):
                    rates[part, j] = excess[j] * b + more_jumps[i, j]
            for part in range(4):
                ahead = h if part == 3 else 0.5 * h
                for j in range(count):
                    stage[j] = g[i, j] + (ahead * k[part - 1, j] if part > 0 else 0.0)
                for j in range(count):
                    k[part, j] = rates[(part + 1) // 2, j] * stage[j]
                    for other in range(count):
                        k[part, j] += generator[j, other] * stage[other]
            for j in range(count):
                g[i, j] += h / 6.0 * (k[0, j] + 2.0 * k[1, j] + 2.0 * k[2, j] + k[3, j])
