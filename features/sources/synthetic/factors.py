"""The processes that a synthetic price is made of: factors and crashes, frozen and checked.

Rates are per year of 365 days, half-lives in seconds; jumps and drops are changes of the log price.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_S
from features.errors import SettingError

YEAR_S = 365 * DAY_S
Floats = NDArray[np.float64]


def refuse_below(least: float, what: str, *values: float, strict: bool = False) -> None:
    """Refuse numbers that are not finite, or lie below the least that makes sense."""
    if not all(math.isfinite(v) and (v > least or (v == least and not strict)) for v in values):
        raise SettingError(f"{what} must be finite and {'above' if strict else 'at least'} {least:g}, got {values}")


@dataclass(frozen=True)
class Factor:
    """A log price with Heston variance, whose long-run level and jumps follow a regime, and normal jumps.

    Parameters
    ----------
    vols_annual : long-run volatility of the diffusion in each regime.
    jumps_per_year : intensity of jumps in each regime.
    switches_per_year : row i holds the rates from regime i to each other one; the diagonal is not read.
    half_life_s : of a deviation of the variance from its long-run level.
    dispersion : standard deviation over mean of the variance, were the first regime to last; up to 1 the
        variance cannot reach zero (Feller).
    leverage : correlation of the diffusions of log price and variance.
    jump_mean, jump_std : of the change of log price at a jump; jumps are compensated, the mean change is nil.
    """

    vols_annual: tuple[float, ...] = (0.45, 1.0)
    jumps_per_year: tuple[float, ...] = (100.0, 600.0)
    switches_per_year: tuple[tuple[float, ...], ...] = ((0.0, 18.0), (120.0, 0.0))
    half_life_s: float = 43_200.0
    dispersion: float = 0.7
    leverage: float = -0.4
    jump_mean: float = -0.002
    jump_std: float = 0.008

    def __post_init__(self) -> None:
        """Refuse numbers that no such process has."""
        count = len(self.vols_annual)
        shapes = {len(self.jumps_per_year), len(self.switches_per_year), *map(len, self.switches_per_year)}
        if count == 0 or shapes != {count}:
            raise SettingError(
                f"{count} regimes need as many volatilities, jump intensities and rows and columns of switches"
            )
        refuse_below(0.0, "vols_annual", *self.vols_annual, strict=True)
        refuse_below(0.0, "half_life_s and dispersion", self.half_life_s, self.dispersion, strict=True)
        rates = (*self.jumps_per_year, *(rate for row in self.switches_per_year for rate in row))
        refuse_below(0.0, "jumps_per_year, switches_per_year and jump_std", *rates, self.jump_std)
        if not (abs(self.leverage) < 1 and math.isfinite(self.jump_mean)):
            raise SettingError("leverage lies between -1 and 1, and jump_mean is finite")

    @cached_property
    def reversion(self) -> float:
        """Rate at which the variance returns to its level, per year."""
        return math.log(2.0) * YEAR_S / self.half_life_s

    @cached_property
    def levels(self) -> Floats:
        """Long-run annual variance in each regime, shape (j,)."""
        result: Floats = np.square(np.array(self.vols_annual, dtype=np.float64))
        return result

    @cached_property
    def vol_of_vol(self) -> float:
        r"""The coefficient :math:`\xi` of the variance's diffusion."""
        return self.dispersion * math.sqrt(2.0 * self.reversion * float(self.levels[0]))

    @cached_property
    def intensities(self) -> Floats:
        """Jumps per year in each regime, shape (j,)."""
        return np.array(self.jumps_per_year, dtype=np.float64)

    @cached_property
    def generator(self) -> Floats:
        """Generator of the regimes, shape (j, j): rows add up to nil."""
        rates = np.array(self.switches_per_year, dtype=np.float64)
        np.fill_diagonal(rates, 0.0)
        result: Floats = rates - np.diag(rates.sum(axis=1))
        return result

    @cached_property
    def stationary(self) -> Floats:
        """Long-run share of time in each regime, shape (j,)."""
        system = np.vstack((self.generator.T, np.ones(len(self.levels))))
        solved = np.linalg.lstsq(system, np.append(np.zeros(len(self.levels)), 1.0))[0]
        share = np.clip(solved, 0.0, 1.0)
        result: Floats = share / share.sum()
        return result

    @property
    def jump_square(self) -> float:
        """Mean square of a jump."""
        return self.jump_mean**2 + self.jump_std**2

    @property
    def diffusion_variance(self) -> float:
        """Long-run annual variance of the diffusion."""
        return float(self.stationary @ self.levels)


@dataclass(frozen=True)
class Crash:
    """Flash crashes: at rare moments the log price falls by an exponential amount, and recovers."""

    per_year: float = 12.0
    mean_drop: float = 0.03
    half_life_s: float = 600.0

    def __post_init__(self) -> None:
        """Refuse negative rates and drops."""
        refuse_below(0.0, "per_year of crashes", self.per_year)
        refuse_below(0.0, "mean_drop and half_life_s of crashes", self.mean_drop, self.half_life_s, strict=True)

    @property
    def recovery(self) -> float:
        """Rate of recovery, per year."""
        return math.log(2.0) * YEAR_S / self.half_life_s


def own_factor(vol_annual: float, jumps_per_year: float = 80.0) -> Factor:
    """A factor of one regime, for what an instrument does on its own."""
    return Factor((vol_annual,), (jumps_per_year,), ((0.0,),), half_life_s=21_600.0, leverage=-0.2, jump_mean=0.0)
