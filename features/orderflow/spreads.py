"""What trades cost and what they did to the price.

Prices and mids are in quote currency, signs +1 bought, -1 sold, 0 not decided, shape (n,) each. Answers
are fractions of the mid before the trade, both ways (a round trip).
"""

import numpy as np

from features.orderflow.levels import FloatArray, SignArray, ratio


def _twice(sign: SignArray, gain: FloatArray, mid: FloatArray) -> FloatArray:
    """Both ways of a signed difference over mid; NaN where the sign is not decided, which is no cost of 0."""
    return ratio(2.0 * np.where(sign != 0, sign, np.nan) * gain, mid)


def effective_spread_frac(price: FloatArray, mid: FloatArray, sign: SignArray) -> FloatArray:
    r"""What the aggressor paid against the prevailing mid; NaN without a sign or a mid.

    .. math:: 2 s \frac{p - m}{m}

    References
    ----------
    Huang & Stoll (1996), "Dealer versus auction markets", J. of Financial Economics 41(3).

    Examples
    --------
    >>> effective_spread_frac(np.array([100.5]), np.array([100.0]), np.array([1], dtype=np.int8))
    array([0.01])
    """
    return _twice(sign, price - mid, mid)


def realised_spread_frac(price: FloatArray, mid: FloatArray, mid_later: FloatArray, sign: SignArray) -> FloatArray:
    r"""What of it was left to the other side after the price had moved; known only when ``mid_later`` is.

    .. math:: 2 s \frac{p - m'}{m}

    The fraction is of the mid before the trade, so that effective = realised + impact to the digit.

    References
    ----------
    Huang & Stoll (1996), "Dealer versus auction markets", J. of Financial Economics 41(3).

    Examples
    --------
    >>> bought = np.array([1], dtype=np.int8)
    >>> realised_spread_frac(np.array([100.5]), np.array([100.0]), np.array([100.25]), bought)
    array([0.005])
    """
    return _twice(sign, price - mid_later, mid)


def price_impact_frac(mid: FloatArray, mid_later: FloatArray, sign: SignArray) -> FloatArray:
    r"""How far the mid followed the trade, both ways; known only when ``mid_later`` is.

    .. math:: 2 s \frac{m' - m}{m}

    Examples
    --------
    >>> price_impact_frac(np.array([100.0]), np.array([100.25]), np.array([1], dtype=np.int8))
    array([0.005])
    """
    return _twice(sign, mid_later - mid, mid)
