"""Walks from the touch into the book: what a trade costs, what rests near mid.

Each takes books of shape (n, 4 K) (:mod:`features.orderflow.levels`) and answers shape (n,), known at
the row's instant. A walk that meets the end of what is seen, or a level that is not known, answers NaN:
never a cheap trade because the book behind is not visible.
"""

import numpy as np

from features.errors import SettingError
from features.orderflow.levels import FloatArray, IntArray, ratio, side_levels
from features.orderflow.touch import mid

BP = 1e-4


def _before(values: FloatArray, level: IntArray) -> FloatArray:
    """Sum of each row's values at the levels before ``level``."""
    sums = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
    found: FloatArray = sums[np.arange(len(values)), level]
    return found


def trade_cost(books: FloatArray, side: int, notional: float) -> FloatArray:
    r"""Cost of a trade of ``notional`` at once as a fraction of mid: half the spread and the walk behind it.

    .. math:: C(Q) = \pm \left( \frac{Q}{m \, q(Q)} - 1 \right), \quad
              q(Q) = \sum_{j < J} q_j + \frac{Q - \sum_{j < J} p_j q_j}{p_J}

    Level J is the first at which the levels up to it are worth Q; q(Q) is the base amount that Q pays for
    or that is sold for it.

    Parameters
    ----------
    books : array of shape (n, 4 K).
    side : the side walked through: -1 the asks, by a purchase; +1 the bids, by a sale.
    notional : quote currency paid or received, > 0.

    Returns
    -------
    array of shape (n,)
        NaN where the levels that are seen are worth less than ``notional``.

    Raises
    ------
    SettingError
        If the notional is not positive.

    References
    ----------
    Irvine, Benston & Kandel (2000), "Liquidity beyond the inside spread", the cost of a round trip.

    Examples
    --------
    >>> book = np.array([[99.0, 2.0, 98.0, 5.0, 101.0, 1.0, 103.0, 4.0]])
    >>> trade_cost(book, -1, 204.0), trade_cost(book, -1, 600.0)  # one at 101, one at 103; 513 is all there is
    (array([0.02]), array([nan]))
    """
    if not 0 < notional < np.inf:
        raise SettingError(f"a trade's notional is positive, got {notional}")
    prices, sizes = side_levels(books, side, books.shape[1] // 4, "trade cost")
    middle, worth = mid(books), prices * sizes
    enough = np.cumsum(worth, axis=1) >= notional
    last = enough.argmax(axis=1)
    price = prices[np.arange(len(books)), last]
    rest = ratio(notional - _before(worth, last), price)
    paid_above = _before(-side * (prices - middle[:, None]) * sizes, last) - side * (price - middle) * rest
    cost = ratio(paid_above, middle * (_before(sizes, last) + rest))
    return np.where(enough.any(axis=1), cost, np.nan)


def depth_within(books: FloatArray, side: int, band_bp: float) -> FloatArray:
    r"""Size that rests within ``band_bp`` basis points of mid, in base units.

    .. math:: D(x) = \sum_j q_j \, 1\{|p_j - m| \le 10^{-4} x m\}

    Returns
    -------
    array of shape (n,)
        NaN where the levels that are seen do not reach the edge of the band: what lies behind them may be
        in it. 0 where the touch is outside.

    Raises
    ------
    SettingError
        If the band is not positive.

    Examples
    --------
    >>> book = np.array([[99.0, 2.0, 98.0, 5.0, 101.0, 1.0, 103.0, 4.0]])
    >>> depth_within(book, -1, 200.0), depth_within(book, +1, 500.0)
    (array([1.]), array([nan]))
    """
    if not 0 < band_bp < np.inf:
        raise SettingError(f"a band around mid is positive, got {band_bp} bp")
    prices, sizes = side_levels(books, side, books.shape[1] // 4, "depth within a band")
    ahead, edge = side * prices, side * mid(books)[:, None] * (1 - side * band_bp * BP)
    reached = ahead <= edge
    unknown = np.isnan(ahead) & (np.arange(prices.shape[1]) < reached.argmax(axis=1)[:, None])
    held = np.where(ahead >= edge, sizes, np.where(unknown, np.nan, 0.0))
    return np.where(reached.any(axis=1), held.sum(axis=1), np.nan)
