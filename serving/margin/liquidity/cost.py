r"""Closing at once through the stressed book, or in slices over time, unit by unit whichever is cheaper.

Slices over a horizon of h days of :math:`v` days' volume cost, per unit and in units of
the volatility of a day :math:`\sigma`, impact that falls and risk that grows with h:

.. math:: f(v) = \min_{h \ge v / \pi} \; Y \sqrt{\frac{v}{\min(h, 1)}} + z \sqrt{h / 3}

The first term is the square-root law for h of a day, and dearer for hurried slices; the second is z
standard deviations of the price against a position that is closed evenly (Almgren and Chriss). The
best horizon is :math:`h^* = \sqrt{3} Y \sqrt{v} / z` while participation and the day allow it, the
cost then :math:`2 \sqrt{Y z / \sqrt 3} \, v^{1/4}`.

The unit at position x of a quantity Q pays :math:`\min(d(x), c(x))`: the distance of the level it
meets in the book, or the marginal cost of slices that sell x,
:math:`c(x) = s + p \sigma \, \frac{d}{dv} v f(v)` at :math:`v = x / V`; beyond the visible book
:math:`c(x)`. Both rise with x, so that the charge is convex in Q; a level that vanishes can only raise it.
It lies between the cheapest split of Q over both ways and the cheaper of the two alone.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import AccountError
from serving.margin.liquidity.side import StressedSide

FloatArray = NDArray[np.float64]
DAY_S = 86_400.0
HALVINGS = 60
SENSELESS = "a quantity to close is negative or not finite; give its size, and choose the side by its sign"


@dataclass(frozen=True, slots=True)
class LiquidationCost:
    """What closing costs, USD; ``half_spread``, ``walk`` and ``slices`` add up to ``total``.

    ``slices``: impact and risk of what is sold over time. ``horizon_s``: how long that takes; 0 where
    the book takes all at once.
    """

    half_spread: float
    walk: float
    slices: float
    horizon_s: float
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """The charge, USD, never below the half spread."""
        return self.half_spread + self.walk + self.slices


def liquidation_cost(side: StressedSide, quantity: float) -> LiquidationCost:
    """Cost of closing one quantity.

    Parameters
    ----------
    side : the side of the market that the order to close hits.
    quantity : units of the underlying to close, not negative; the position's side chose the market's.

    Raises
    ------
    AccountError
        If the quantity is negative or not finite.

    Examples
    --------
    >>> from serving.margin.liquidity import LiquidityPolicy, stressed_side
    >>> bids, asks = np.array([[99.0, 5.0], [98.0, 5.0]]), np.array([[101.0, 5.0]])
    >>> side = stressed_side("sell", bids, asks, 100.0, 0.03, 1e6, 1.0, LiquidityPolicy())
    >>> liquidation_cost(side, 6.0)
    LiquidationCost(half_spread=6.0, walk=1.0, slices=0.0, horizon_s=0.0, notes=())
    """
    if not 0 <= quantity < math.inf:
        raise AccountError(SENSELESS)
    half_spread, walk, slices, horizon_s = _walked(side, np.array([quantity], dtype=np.float64))[0].tolist()
    return LiquidationCost(half_spread, walk, slices, horizon_s, side.notes)


def liquidation_costs(side: StressedSide, quantities: FloatArray) -> FloatArray:
    """Costs of closing many quantities, one account each.

    Parameters
    ----------
    side : the side of the market that the orders to close hit.
    quantities : units of the underlying, not negative, shape (n,).

    Returns
    -------
    array of shape (n, 4)
        Half spread, walk and slices in USD, and the horizon of the slices in seconds.

    Raises
    ------
    AccountError
        If a quantity is negative or not finite.
    """
    if not (np.isfinite(quantities).all() and (quantities >= 0).all()):
        raise AccountError(SENSELESS)
    return _walked(side, quantities)


def _walked(side: StressedSide, quantities: FloatArray) -> FloatArray:
    policy = side.policy
    law = (policy.impact, policy.risk_z, policy.participation)
    scale = (side.half_spread, side.price * side.vol_day, side.volume_day)
    return _costs(quantities, side.distance, side.size, scale, law)


@compiled
def slice_horizon_days(volumes: float, law: tuple[float, float, float]) -> float:
    """Days over which slices of so many days' volume cost least."""
    impact, risk_z, participation = law
    best = min(math.sqrt(3.0 * volumes) * impact / risk_z, 1.0)
    return max(best, volumes / participation)


@compiled
def slice_cost(volumes: float, law: tuple[float, float, float]) -> float:
    """Cost of slices of so many days' volume, in days' volume times price times volatility: v f(v)."""
    if volumes == 0.0:
        return 0.0
    days = slice_horizon_days(volumes, law)
    return volumes * (law[0] * math.sqrt(volumes / min(days, 1.0)) + law[1] * math.sqrt(days / 3.0))


@compiled
def slice_marginal(volumes: float, law: tuple[float, float, float]) -> float:
    """Derivative of ``slice_cost``, region by region: free, held at a day, held by participation."""
    impact, risk_z, participation = law
    if volumes == 0.0:
        return 0.0
    free, least = math.sqrt(3.0 * volumes) * impact / risk_z, volumes / participation
    if least <= min(free, 1.0):
        if free <= 1.0:
            return 2.5 * math.sqrt(impact * risk_z / math.sqrt(3.0)) * math.sqrt(math.sqrt(volumes))
        return 1.5 * impact * math.sqrt(volumes) + risk_z / math.sqrt(3.0)
    waiting = 1.5 * risk_z * math.sqrt(least / 3.0)
    if least <= 1.0:
        return impact * math.sqrt(participation) + waiting
    return 1.5 * impact * math.sqrt(volumes) + waiting


@compiled
def _crossing(
    low: float, high: float, distance: float, scale: tuple[float, float, float], law: tuple[float, float, float]
) -> float:
    """Position between low and high at which slices become dearer than a level of the book."""
    if scale[0] + scale[1] * slice_marginal(high / scale[2], law) <= distance:
        return high
    if scale[0] + scale[1] * slice_marginal(low / scale[2], law) >= distance:
        return low
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if scale[0] + scale[1] * slice_marginal(middle / scale[2], law) < distance:
            low = middle
        else:
            high = middle
    return high


@compiled
def _costs(
    quantities: FloatArray,
    distance: FloatArray,
    size: FloatArray,
    scale: tuple[float, float, float],
    law: tuple[float, float, float],
) -> FloatArray:
    """Walk each quantity through the levels, unit by unit at the cheaper of book and slices."""
    half_spread, move, volume = scale
    out = np.zeros((len(quantities), 4))
    for n in range(len(quantities)):
        quantity = quantities[n]
        at, sliced = 0.0, 0.0
        for level in range(len(distance)):
            end = min(at + size[level], quantity)
            if end <= at:
                continue
            turn = _crossing(at, end, distance[level], scale, law)
            out[n, 2] += move * volume * (slice_cost(turn / volume, law) - slice_cost(at / volume, law))
            out[n, 1] += (distance[level] - half_spread) * (end - turn)
            sliced += turn - at
            at = end
        out[n, 2] += move * volume * (slice_cost(quantity / volume, law) - slice_cost(at / volume, law))
        sliced += quantity - at
        out[n, 0] = half_spread * quantity
        out[n, 3] = slice_horizon_days(quantity / volume, law) * DAY_S if sliced > 0.0 else 0.0
    return out
