"""Level, skew and curvature shocks of a slice, damped where they would bring arbitrage."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError
from serving.margin.surface.arbitrage import G_ROUNDING
from serving.margin.surface.density import lowest_density
from serving.margin.surface.svi import RawSvi

FloatArray = NDArray[np.float64]

HALVINGS = 24


@dataclass(frozen=True, slots=True)
class Shock:
    r"""A move of the smile; volatility at the money moves with ``level`` alone.

    ``level``: factor of total variance at every strike, :math:`(a, b) \to (\lambda a, \lambda b)`.
    ``skew``: added to :math:`\rho`; positive lifts high strikes and lowers low ones.
    ``curvature``: factor of :math:`\sigma`; below 1 the smile is sharper at the money and its wings are higher.
    After skew and curvature, a is set so that total variance at the money is ``level`` times what it was.

    Raises
    ------
    MarketError
        If a factor is not positive or a number is not finite.
    """

    level: float = 1.0
    skew: float = 0.0
    curvature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse shocks that say nothing."""
        if not all(map(math.isfinite, (self.level, self.skew, self.curvature))):
            raise MarketError(f"{self}: give finite numbers")
        if not (self.level > 0 and self.curvature > 0):
            raise MarketError(f"{self}: level and curvature are factors; give them above 0")

    def part(self, share: float) -> "Shock":
        """The same shock in part: factors to the power ``share``, the shift times it."""
        return Shock(self.level**share, self.skew * share, self.curvature**share)


@dataclass(frozen=True, slots=True)
class Shocked:
    """A shocked slice and how much of the shock it took (1: all of it)."""

    svi: RawSvi
    share: float
    note: str = ""


def _moved(svi: RawSvi, shock: Shock) -> RawSvi | None:
    """The slice under the whole shock; None where no slice is like that."""
    b, rho, sigma = svi.b * shock.level, svi.rho + shock.skew, svi.sigma * shock.curvature
    at_money = svi.a + svi.b * (math.hypot(svi.m, svi.sigma) - svi.rho * svi.m)
    a = shock.level * at_money - b * (math.hypot(svi.m, sigma) - rho * svi.m)
    try:
        return RawSvi(a, b, rho, svi.m, sigma)
    except MarketError:
        return None


def shocked(svi: RawSvi, shock: Shock) -> Shocked:
    """Shock a slice; where the whole shock leaves no valid, butterfly-free slice, as much of it as does.

    The share is found by bisection and reported. A slice that has a butterfly already is only kept from a worse one.
    Calendars between shocked slices are not repaired: a scenario that moves expiries apart means to.

    Examples
    --------
    >>> smile = RawSvi(a=0.01, b=0.1, rho=-0.3, m=0.0, sigma=0.2)
    >>> moved = shocked(smile, Shock(level=1.5, skew=-0.1))
    >>> moved.share, round(float(moved.svi.total_variance(np.array(0.0)) / smile.total_variance(np.array(0.0))), 12)
    (1.0, 1.5)
    """
    allowed = min(-G_ROUNDING, _lowest(svi) - G_ROUNDING)
    whole = _moved(svi, shock)
    if whole is not None and _lowest(whole) >= allowed:
        return Shocked(whole, 1.0)
    low, high, kept = 0.0, 1.0, svi
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried = _moved(svi, shock.part(middle))
        if tried is not None and _lowest(tried) >= allowed:
            low, kept = middle, tried
        else:
            high = middle
    return Shocked(kept, low, f"{shock} damped to {low:.4f} of itself: beyond, the smile could be arbitraged")


def _lowest(svi: RawSvi) -> float:
    return float(lowest_density(svi.a, svi.b, svi.rho, svi.m, svi.sigma)[1])


def shocked_params(params: FloatArray, shock: Shock) -> tuple[FloatArray, FloatArray]:
    """Shock every expiry: raw SVI (e, 5) in, the same out and the share of the shock that each took (e,)."""
    moved = [shocked(RawSvi(*(float(x) for x in row)), shock) for row in params]
    return np.array([one.svi.array for one in moved]).reshape(-1, 5), np.array([one.share for one in moved])
