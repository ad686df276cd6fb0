"""How much rests in the book, on which side, and how steeply.

Each takes books of shape (n, 4 K) (:mod:`features.orderflow.levels`) and answers shape (n,), known at
the row's instant. A level that is not known makes NaN of every sum that needs it: a book of which
less is seen must not look like a thin one.
"""

import numpy as np

from features.orderflow.levels import ASK, BID, FloatArray, ratio, side_levels
from features.orderflow.touch import mid


def depth(books: FloatArray, side: int, levels: int) -> FloatArray:
    r"""Size that rests on the best ``levels`` levels of a side, in base units.

    .. math:: D_k = \sum_{j=0}^{k-1} q_j

    Raises
    ------
    ValueError
        If the books have fewer than ``levels`` levels.

    Examples
    --------
    >>> book = np.array([[99.0, 2.0, 98.0, 5.0, 101.0, 1.0, 103.0, 4.0]])
    >>> depth(book, BID, 2), depth(book, ASK, 1)
    (array([7.]), array([1.]))
    """
    _, sizes = side_levels(books, side, levels, "depth")
    total: FloatArray = sizes.sum(axis=1)
    return total


def depth_notional(books: FloatArray, side: int, levels: int) -> FloatArray:
    r"""Worth of the best ``levels`` levels of a side at their own prices, in quote currency.

    .. math:: N_k = \sum_{j=0}^{k-1} p_j q_j

    Raises
    ------
    ValueError
        If the books have fewer than ``levels`` levels.

    Examples
    --------
    >>> depth_notional(np.array([[99.0, 2.0, 98.0, 5.0, 101.0, 1.0, 103.0, 4.0]]), BID, 2)
    array([688.])
    """
    prices, sizes = side_levels(books, side, levels, "depth notional")
    worth: FloatArray = (prices * sizes).sum(axis=1)
    return worth


def imbalance(books: FloatArray, levels: int) -> FloatArray:
    r"""Excess of bids over asks in the best ``levels`` levels, in [-1, 1]; NaN where both are 0.

    .. math:: I_k = \frac{D^b_k - D^a_k}{D^b_k + D^a_k}

    Raises
    ------
    ValueError
        If the books have fewer than ``levels`` levels.

    References
    ----------
    Cao, Hansch & Wang (2009), "The information content of an open limit-order book",
    J. of Futures Markets 29(1).

    Examples
    --------
    >>> imbalance(np.array([[99.0, 3.0, 101.0, 1.0]]), 1)
    array([0.5])
    """
    bids, asks = (depth(books, side, levels) for side in (BID, ASK))
    return ratio(bids - asks, bids + asks)


def slope(books: FloatArray, side: int, levels: int) -> FloatArray:
    r"""Share of the side's depth that each unit of relative distance from mid adds: the slope of a straight line.

    .. math:: \frac{D_j}{D_k} = \alpha + \beta \frac{|p_j - m|}{m} + \varepsilon_j, \quad j = 1..k

    Least squares over the best ``k`` levels. A slope of 2000 says that half of the depth lies within
    2.5 bp: a book crowded at the touch is steep, one that reaches far is flat. NaN where the prices do
    not differ or all sizes are 0.

    Raises
    ------
    ValueError
        If there are fewer than 2 levels.

    References
    ----------
    Ghysels & Nguyen (2019), "Price discovery of a speculative asset: evidence from a Bitcoin exchange",
    J. of Risk and Financial Management 12(4), there with the distance in currency.

    Examples
    --------
    >>> slope(np.array([[99.0, 1.0, 98.0, 1.0, 101.0, 1.0, 103.0, 3.0]]), ASK, 2)  # from 1/4 to 1 within 2 %
    array([37.5])
    """
    if levels < 2:
        raise ValueError(f"slope needs at least 2 levels, got {levels}; give deeper books")
    prices, sizes = side_levels(books, side, levels, "slope")
    away = np.abs(prices - prices[:, :1])  # from the touch: a shift changes no slope, and keeps the digits
    filled = np.cumsum(sizes, axis=1)
    away = away - away.mean(axis=1, keepdims=True)
    line = ratio((away * filled).sum(axis=1), np.square(away).sum(axis=1))
    return ratio(line * mid(books), filled[:, -1])
