"""Forward prices between and beyond the expiries that are quoted."""

import numpy as np
from numpy.typing import ArrayLike

from features.errors import PriceError
from features.measures.window import FloatArray
from serving.margin.pricing.black import RANGES
from serving.margin.pricing.checks import refuse


def forward_price(years: ArrayLike, spot: float, pillar_years: ArrayLike, pillar_prices: ArrayLike) -> FloatArray:
    r"""Read a forward curve: constant carry between neighbours, spot included, and the last carry beyond the last.

    .. math:: \ln F(T) = \frac{(T_{i+1} - T) \ln F_i + (T - T_i) \ln F_{i+1}}{T_{i+1} - T_i}, \quad F(0) = S

    Parameters
    ----------
    years : array of any shape
        Times to expiry, 0 or more.
    spot : float
    pillar_years, pillar_prices : arrays of shape (pillars,)
        Quoted expiries, increasing and above 0, and their forwards. None at all: the forward is the spot.

    Returns
    -------
    array of the shape of ``years``

    Raises
    ------
    PriceError
        If a price or a time is NaN, infinite or out of range, or the expiries do not increase.

    References
    ----------
    Hagan & West (2006), "Interpolation methods for curve construction", Applied Mathematical Finance 13 (the method
    they call raw: linear in the logarithm).

    Examples
    --------
    >>> forward_price([0.0, 0.125, 0.25, 0.5], 100.0, [0.25], [102.0]).round(6)
    array([100.      , 100.995049, 102.      , 104.04    ])
    """
    at, times = np.asarray(years, np.float64), np.append(0.0, np.asarray(pillar_years, np.float64))
    prices = np.append(spot, np.asarray(pillar_prices, np.float64))
    refuse("years", at, *RANGES["years"])
    refuse("years", times, *RANGES["years"])
    refuse("forward", prices, *RANGES["forward"])
    if times.shape != prices.shape or np.any(np.diff(times) <= 0):
        raise PriceError("the pillars of a forward curve do not increase from above 0; give one price per later expiry")
    logs = np.log(prices)
    carry = (logs[-1] - logs[-2]) / (times[-1] - times[-2]) if len(times) > 1 else 0.0
    curve: FloatArray = np.exp(np.interp(at, times, logs) + carry * np.maximum(at - times[-1], 0.0))
    return curve
