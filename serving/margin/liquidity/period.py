"""How long closing takes: the margin period of risk grows with the position."""

import numpy as np
from numpy.typing import NDArray

from features.errors import AccountError
from serving.margin.liquidity.side import StressedSide

FloatArray = NDArray[np.float64]
DAY_S = 86_400.0


def period_s(least_s: float, quantities: FloatArray, side: StressedSide) -> FloatArray:
    r"""Margin period of risk of positions of given size.

    .. math:: h_{eff} = h_0 + \frac{|Q|}{\pi \, V}

    Parameters
    ----------
    least_s : :math:`h_0`, seconds, of a position too small to matter.
    quantities : units of the underlying, signed, shape (n,).
    side : the market, with its forecast volume (or the default where none is known) and participation.

    Raises
    ------
    AccountError
        If a quantity is not finite.

    Examples
    --------
    >>> from serving.margin.liquidity import LiquidityPolicy, stressed_side
    >>> side = stressed_side("sell", np.empty((0, 2)), np.empty((0, 2)), 100.0, 0.03, 8.64e6, 1.0, LiquidityPolicy())
    >>> period_s(3600.0, np.array([0.0, -360.0]), side)  # a unit a second is traded, we take a tenth
    array([3600., 7200.])
    """
    if not np.isfinite(quantities).all():
        raise AccountError("a quantity to close is not finite; give units of the underlying")
    return least_s + np.abs(quantities) * (DAY_S / (side.policy.participation * side.volume_day))
