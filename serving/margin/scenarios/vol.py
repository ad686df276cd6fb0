"""How far implied volatility moves in a scenario, and how that depends on the time to expiry."""

import numpy as np
from numpy.typing import NDArray

from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges

FloatArray = NDArray[np.float64]
REFERENCE_DAYS = 30.0
DAYS_PER_YEAR = 365.0


def directions() -> FloatArray:
    """Down, same, up."""
    return np.array([-1.0, 0.0, 1.0])


def direction_name(turn: float) -> str:
    """Name of a direction."""
    return {-1.0: "down", 0.0: "same", 1.0: "up"}[turn]


def vol_moves(turns: FloatArray, ranges: Ranges, policy: ScenarioPolicy) -> FloatArray:
    """Relative change of volatility at 30 days: the policy's, or what was forecast if that is more; shape (s, u)."""
    rise = np.maximum(policy.vol_up, ranges.vol_up)
    return np.where(turns[:, None] > 0, rise, policy.vol_down) * turns[:, None]


def term_scale(years: FloatArray, policy: ScenarioPolicy) -> FloatArray:
    r"""Scale of a volatility move at other expiries, :math:`(30 / days)^{power}`; shape as ``years``.

    Source: Deribit's and Paradex's portfolio margin (powers 0.30 within 30 days, 0.13 beyond).

    Examples
    --------
    >>> term_scale(np.array([7.5, 30.0, 120.0]) / 365, ScenarioPolicy()).round(4)
    array([1.5157, 1.    , 0.8351])
    """
    days = np.maximum(years * DAYS_PER_YEAR, policy.least_days)
    power = np.where(days < REFERENCE_DAYS, policy.short_power, policy.long_power)
    return (REFERENCE_DAYS / days) ** power
