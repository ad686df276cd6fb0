"""Order-flow imbalance: what arrived at the bids less what arrived at the asks between two books."""

import numpy as np

from features.orderflow.levels import ASK, BID, FloatArray, side_levels


def side_flow(books: FloatArray, side: int, levels: int) -> FloatArray:
    """Flow at each level of a side since the row before, shape (n, levels), base units; the first row is NaN.

    A better price adds all that rests there, a worse one takes off all that rested, the same price the difference.

    Examples
    --------
    >>> books = np.array([[99.0, 2.0, 101.0, 1.0], [99.0, 5.0, 100.0, 4.0]])
    >>> side_flow(books, BID, 1).tolist(), side_flow(books, ASK, 1).tolist()
    ([[nan], [3.0]], [[nan], [4.0]])
    """
    prices, sizes = side_levels(books, side, levels, "order-flow imbalance")
    now, then = side * prices[1:], side * prices[:-1]
    flow = (now >= then) * sizes[1:] - (now <= then) * sizes[:-1]
    unknown = np.isnan(now) | np.isnan(then)
    return np.concatenate([np.full((min(1, len(books)), levels), np.nan), np.where(unknown, np.nan, flow)])


def order_flow_imbalance(books: FloatArray, levels: int) -> FloatArray:
    r"""Net flow to the bids between consecutive books, summed over the best ``levels`` levels, in base units.

    .. math::
        e_j = q^b_j(t) 1\{b_j(t) \ge b_j(t-1)\} - q^b_j(t-1) 1\{b_j(t) \le b_j(t-1)\}
            - q^a_j(t) 1\{a_j(t) \le a_j(t-1)\} + q^a_j(t-1) 1\{a_j(t) \ge a_j(t-1)\}, \quad
        OFI_k = \sum_{j=0}^{k-1} e_j

    Parameters
    ----------
    books : array of shape (n, 4 K), rows in order of time.
    levels : how many levels, each compared with the one of its own rank in the row before.

    Returns
    -------
    array of shape (n,)
        Flow in ``(t-1, t]``, known at t. NaN in the first row, and where one of the levels is not known
        in this row or the one before.

    Raises
    ------
    ValueError
        If the books have fewer than ``levels`` levels.

    References
    ----------
    Cont, Kukanov & Stoikov (2014), "The price impact of order book events", J. Financial Econometrics
    12(1), for the touch; Xu, Gould & Howison (2018), "Multi-level order-flow imbalance in a limit order
    book", Market Microstructure and Liquidity 4(3-4), for each deeper level.

    Examples
    --------
    >>> order_flow_imbalance(np.array([[99.0, 2.0, 101.0, 1.0], [99.0, 5.0, 100.0, 4.0]]), 1)  # +3 bid, 4 new asked
    array([nan, -1.])
    """
    net: FloatArray = (side_flow(books, BID, levels) - side_flow(books, ASK, levels)).sum(axis=1)
    return net
