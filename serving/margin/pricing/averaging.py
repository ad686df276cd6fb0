r"""Variance of an average of the forward: what settlement at a time-weighted average takes away.

For a driftless lognormal forward the first two moments of an average U that begins after τ − u seconds and lasts u are
exact,

.. math:: E[U] = F, \qquad E[U^2] = F^2 e^{\sigma^2 (\tau - u)}\, \frac{2\,(e^{y} - 1 - y)}{y^2}, \quad y = \sigma^2 u

and a lognormal law with these moments has total variance :math:`\sigma^2(\tau - u) + \ln(2(e^y - 1 - y)/y^2)`, about
:math:`\sigma^2(\tau - \tfrac23 u)`: an average of W seconds takes two thirds of the window away, and inside the window
only a third of what is left counts. Sampling is taken as continuous: n samples add about 1/n of the window's variance.

References
----------
Turnbull & Wakeman (1991), "A quick algorithm for pricing European average options", JFQA 26; Levy (1992), "Pricing
European average rate currency options", J. International Money and Finance 11.
"""

import numpy as np
from numpy.typing import ArrayLike

from features.measures.window import FloatArray
from serving.margin.pricing.black import RANGES
from serving.margin.pricing.checks import LARGEST, refuse

WINDOW_S = 1800.0
YEAR_S = 365 * 86_400.0
TERMS = 18  # of the series, the last below 1e-17 where y <= 1


def _log_second_moment(y: FloatArray) -> FloatArray:
    """ln(2 (e^y - 1 - y)/y^2), by its series below 1."""
    small, term, total = np.minimum(y, 1.0), np.ones_like(y), np.zeros_like(y)
    for k in range(1, TERMS):
        term = term * small / (k + 2)
        total = total + term
    large = np.clip(y, 1.0, 700.0)
    return np.where(y <= 1.0, np.log1p(total), np.log(2 * (np.expm1(large) - large)) - 2 * np.log(large))


def averaging_variance(vol: ArrayLike, seconds_left: ArrayLike, window_s: ArrayLike = WINDOW_S) -> FloatArray:
    """Total variance of the logarithm of what is unfixed of an average (module's formula).

    Parameters
    ----------
    vol : array that broadcasts
        Annualised, 0 or more.
    seconds_left, window_s : arrays that broadcast
        To expiry, 0 or more; length of the averaging window, 0 (settlement at the last price) or more.

    Returns
    -------
    array of the common shape

    Raises
    ------
    PriceError
        If a number is NaN, infinite or out of range.

    Examples
    --------
    >>> plain = 0.8**2 * 3600 / (365 * 86_400)
    >>> float((averaging_variance(0.8, 3600.0) / plain).round(5))  # 1 - 2/3 of a half
    0.66667
    """
    vols, left, window = (np.asarray(x, np.float64) for x in (vol, seconds_left, window_s))
    refuse("vol", vols, *RANGES["vol"])
    refuse("seconds_left", left, 0.0, LARGEST, "settle what has expired")
    refuse("window_s", window, 0.0, LARGEST, "give the averaging window in seconds, 0 for none")
    rate, averaged = vols**2 / YEAR_S, np.minimum(left, window)
    variance: FloatArray = rate * (left - averaged) + _log_second_moment(np.asarray(rate * averaged))
    return variance


def averaging_years(vol: ArrayLike, seconds_left: ArrayLike, window_s: ArrayLike = WINDOW_S) -> FloatArray:
    """Time that gives `averaging_variance` at ``vol``, in years; at vol 0 its limit, the window counted by a third."""
    variance, vols = averaging_variance(vol, seconds_left, window_s), np.asarray(vol, np.float64)
    left, window = np.asarray(seconds_left, np.float64), np.asarray(window_s, np.float64)
    limit = (left - np.minimum(left, window) * (2 / 3)) / YEAR_S
    squares = np.where(vols > 1e-100, vols, 1.0) ** 2
    return np.where(vols > 1e-100, variance / squares, limit)
