"""What the best bid and the best ask say: mid, spread, microprice.

Each takes books of shape (n, 4 K) (:mod:`features.orderflow.levels`) and answers shape (n,), known at
the row's instant. A book that lacks a side has no mid and no spread: NaN. A crossed book has a negative
spread, which shows it.
"""

from features.orderflow.levels import ASK, BID, FloatArray, ratio, side_levels


def touch(books: FloatArray, measure: str) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Best bid, its size, best ask, its size, each of shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> touch(np.array([[99.0, 2.0, 101.0, 1.0]]), "mid")
    (array([99.]), array([2.]), array([101.]), array([1.]))
    """
    (bid_px, bid_sz), (ask_px, ask_sz) = (side_levels(books, side, 1, measure) for side in (BID, ASK))
    return bid_px[:, 0], bid_sz[:, 0], ask_px[:, 0], ask_sz[:, 0]


def mid(books: FloatArray) -> FloatArray:
    r"""Middle of the touch, in quote currency.

    .. math:: m = \frac{b_0 + a_0}{2}

    Examples
    --------
    >>> import numpy as np
    >>> mid(np.array([[99.0, 2.0, 101.0, 1.0]]))
    array([100.])
    """
    bid_px, _, ask_px, _ = touch(books, "mid")
    middle: FloatArray = 0.5 * (bid_px + ask_px)
    return middle


def spread_frac(books: FloatArray) -> FloatArray:
    r"""Quoted spread as a fraction of mid.

    .. math:: S = \frac{a_0 - b_0}{m}

    Examples
    --------
    >>> import numpy as np
    >>> spread_frac(np.array([[99.0, 2.0, 101.0, 1.0]]))
    array([0.02])
    """
    bid_px, _, ask_px, _ = touch(books, "spread")
    return ratio(ask_px - bid_px, mid(books))


def microprice(books: FloatArray) -> FloatArray:
    r"""Touch weighted by the size on the other side, in quote currency.

    .. math:: \mu = \frac{b_0 q^a_0 + a_0 q^b_0}{q^b_0 + q^a_0}

    It leans to the side with less size, where the next move goes more often. NaN where both sizes are 0.

    References
    ----------
    Gatheral & Oomen (2010), "Zero-intelligence realized variance estimation", Finance and Stochastics 14(2);
    Stoikov (2018), "The micro-price", Quantitative Finance 18(12), calls it the weighted mid.

    Examples
    --------
    >>> import numpy as np
    >>> microprice(np.array([[99.0, 3.0, 101.0, 1.0]]))
    array([100.5])
    """
    bid_px, bid_sz, ask_px, ask_sz = touch(books, "microprice")
    return ratio(bid_px * ask_sz + ask_px * bid_sz, bid_sz + ask_sz)


def microprice_frac(books: FloatArray) -> FloatArray:
    r"""Deviation of the microprice from mid as a fraction of mid.

    .. math:: \frac{\mu - m}{m} = \frac{S}{2} \cdot \frac{q^b_0 - q^a_0}{q^b_0 + q^a_0}

    The right-hand side is computed: the left one loses the digits that prices share.

    Examples
    --------
    >>> import numpy as np
    >>> microprice_frac(np.array([[99.0, 3.0, 101.0, 1.0]]))
    array([0.005])
    """
    _, bid_sz, _, ask_sz = touch(books, "microprice deviation")
    lean: FloatArray = 0.5 * spread_frac(books) * ratio(bid_sz - ask_sz, bid_sz + ask_sz)
    return lean
