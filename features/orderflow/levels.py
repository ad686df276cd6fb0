"""Prices and sizes of one side out of a matrix of books, and a ratio that is NaN where there is none.

A matrix of books has shape (n, 4 K), float64, one row an instant of a regular grid, as
:mod:`features.book` writes it: ``bid_px_0, bid_sz_0, ..., bid_px_{K-1}, bid_sz_{K-1}, ask_px_0, ...``,
best first, NaN where a level or the whole book is not known. Sizes are base units; where a venue counts
contracts, notionals and costs mean nothing until they are converted.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
SignArray = NDArray[np.int8]
BID, ASK = 1, -1


def side_levels(books: FloatArray, side: int, levels: int, measure: str) -> tuple[FloatArray, FloatArray]:
    """Prices and sizes of the best ``levels`` levels of a side, each a view of shape (n, levels).

    Parameters
    ----------
    books : array of shape (n, 4 K).
    side : +1 bids, -1 asks.
    levels : how many of the K levels, the best first.
    measure : who asks; named in the error.

    Raises
    ------
    ValueError
        If the books have fewer levels than are asked for, or the matrix is none of books.

    Examples
    --------
    >>> book = np.array([[99.0, 2.0, 98.0, 5.0, 101.0, 1.0, 103.0, 4.0]])
    >>> side_levels(book, ASK, 2, "depth")
    (array([[101., 103.]]), array([[1., 4.]]))
    """
    depth, odd = divmod(books.shape[-1], 4)
    if odd or books.ndim != 2:
        raise ValueError(f"{measure} needs books of shape (n, 4 K), got {books.shape}")
    if not 1 <= levels <= depth:
        raise ValueError(f"{measure} needs {levels} levels (at least 1), the books have {depth}; ask for what is there")
    first = 0 if side == BID else 2 * depth
    return books[:, first : first + 2 * levels : 2], books[:, first + 1 : first + 2 * levels : 2]


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient; NaN where the denominator is 0, since no number stands for what is not defined.

    Examples
    --------
    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]))
    array([0.5, nan])
    """
    out = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    quotient: FloatArray = np.divide(numerator, denominator, out=out, where=denominator != 0)
    return quotient
