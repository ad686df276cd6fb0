"""How long closing takes: the margin period of risk grows with the position."""

from math import isfinite

from features.errors import AccountError
from serving.margin.liquidity.side import StressedSide

DAY_S = 86_400.0


def period_s(least_s: float, quantity: float, side: StressedSide) -> float:
    r"""Margin period of risk of a position of given size.

    .. math:: h_{eff} = h_0 + \frac{|Q|}{\pi \, V}

    Parameters
    ----------
    least_s : :math:`h_0`, seconds, of a position too small to matter.
    quantity : units of the underlying, signed.
    side : the market, with its forecast volume (or the default where none is known) and participation.

    Raises
    ------
    AccountError
        If a quantity is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from serving.margin.liquidity import LiquidityPolicy, stressed_side
    >>> side = stressed_side("sell", np.empty((0, 2)), np.empty((0, 2)), 100.0, 0.03, 8.64e6, 1.0, LiquidityPolicy())
    >>> period_s(3600.0, -360.0, side)  # a unit of 100 USD is traded a second, we take a tenth
    7200.0
    """
    if not isfinite(quantity):
        raise AccountError("a quantity to close is not finite; give units of the underlying")
    return least_s + abs(quantity) * (DAY_S / (side.policy.participation * side.volume_day))
