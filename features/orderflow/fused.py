"""All columns of a matrix of books in one compiled pass, chunk by chunk.

The readable twins are in :mod:`features.orderflow.touch`, ``shape``, ``walk`` and ``pressure``; the numbers
are theirs, however the rows are cut into chunks. Books lie row by row, columns one after the other: a tile of
books stays in the cache while one loop after the other takes its few columns from it.
"""

import numpy as np

from features.compiled import compiled
from features.orderflow.columns import PER_LEVEL, TOUCH, book_columns
from features.orderflow.levels import FloatArray, IntArray
from features.orderflow.walk import BP

TILE = 64
N_TOUCH, N_LEVEL = len(TOUCH), len(PER_LEVEL)


def sweep(
    books: FloatArray,
    previous: FloatArray,
    levels: tuple[int, ...],
    notionals: tuple[float, ...],
    out: FloatArray,
    bands_bp: tuple[float, ...] = (),
) -> None:
    """Write every column of :func:`features.orderflow.columns.book_columns` for a chunk of books.

    Parameters
    ----------
    books : array of shape (n, 4 K), rows in order of time.
    previous : array of shape (4 K,)
        The last row of the chunk before; NaN at the start, where no flow is known.
    levels, notionals, bands_bp : as in ``book_columns``.
    out : array of shape (m, n)
        Filled; one C-contiguous row for each of the m columns.

    Raises
    ------
    ValueError
        If the books have fewer levels than the deepest of ``levels``, or a shape does not fit.
    SettingError
        As in ``book_columns``.

    Examples
    --------
    >>> columns, book = book_columns((1,), ()), np.array([[99.0, 3.0, 101.0, 1.0]])
    >>> out = np.empty((len(columns), 1))
    >>> sweep(book, np.full(4, np.nan), (1,), (), out)
    >>> dict(zip(columns, out[:, 0].tolist(), strict=True))["imbalance_1"]
    0.5
    """
    wanted = (len(book_columns(levels, notionals, bands_bp)), len(books))
    depth, odd = divmod(books.shape[-1], 4)
    if odd or depth < levels[-1]:
        raise ValueError(f"a sweep over {levels[-1]} levels needs as many in the books, got {books.shape[-1] / 4:g}")
    if out.shape != wanted or not out.flags.c_contiguous or previous.shape != books.shape[1:]:
        raise ValueError(f"a sweep needs out of shape {wanted}, C order, and previous of {books.shape[1:]}")
    ks, sizes = np.array(levels, dtype=np.int64), np.array(notionals, dtype=np.float64)
    below, above = (np.array([1 - side * band_bp * BP for band_bp in bands_bp]) for side in (1, -1))
    rows = np.require(books, np.float64, ["C", "W"])  # a read-only matrix would be compiled for anew
    if len(rows):
        _sweep(np.stack([previous, rows[0]]), ks, sizes, below, above, out, 0)
        _sweep(rows, ks, sizes, below, above, out, 1)


@compiled
def _sweep(
    books: FloatArray,
    levels: IntArray,
    notionals: FloatArray,
    below: FloatArray,
    above: FloatArray,
    out: FloatArray,
    start: int,
) -> None:
    """Columns of all books but the first, which is only the past of the second, from column ``start`` of ``out``."""
    costs = N_TOUCH + N_LEVEL * len(levels) + 2 * (levels[-1] > 1)
    within = costs + 2 * len(notionals)
    half = books.shape[1] // 2
    for first in range(1, len(books), TILE):
        part = books[first - 1 : first + TILE]
        at = start + first - 1
        tile = out[:, at : at + TILE]
        _touch(part, tile)
        _side(part, 0, levels, tile, N_TOUCH, costs - 2)
        _side(part, half, levels, tile, N_TOUCH + 1, costs - 1)
        _flows(part, levels, tile)
        _costs(part, half, -1.0, notionals, tile, costs)
        _costs(part, 0, 1.0, notionals, tile, costs + 1)
        _within(part, 0, 1.0, below, tile, within)
        _within(part, half, -1.0, above, tile, within + 1)


@compiled
def _touch(books: FloatArray, out: FloatArray) -> None:
    """Mid, spread and deviation of the microprice."""
    half = books.shape[1] // 2
    for row in range(1, len(books)):
        book = books[row]
        mid = 0.5 * (book[0] + book[half])
        spread = (book[half] - book[0]) / mid
        out[0, row - 1], out[1, row - 1] = mid, spread
        out[2, row - 1] = 0.5 * spread * ((book[1] - book[half + 1]) / (book[1] + book[half + 1]))


@compiled
def _side(books: FloatArray, first: int, levels: IntArray, out: FloatArray, at: int, slope_at: int) -> None:
    """Depth, notional and slope of a side."""
    half, deepest = books.shape[1] // 2, levels[-1]
    for row in range(1, len(books)):
        book, start = books[row], 0
        filled = worth = aways = squares = fills = products = 0.0
        for i in range(len(levels)):
            for j in range(first + 2 * start, first + 2 * levels[i], 2):
                away = abs(book[j] - book[first])
                filled += book[j + 1]
                worth += book[j] * book[j + 1]
                aways += away
                squares += away * away
                fills += filled
                products += away * filled
            start = levels[i]
            out[at + N_LEVEL * i, row - 1], out[at + N_LEVEL * i + 2, row - 1] = filled, worth
        if deepest > 1:
            mid = 0.5 * (book[0] + book[half])
            line = (deepest * products - aways * fills) / (deepest * squares - aways * aways)
            out[slope_at, row - 1] = line * mid / filled


@compiled
def _flows(books: FloatArray, levels: IntArray, out: FloatArray) -> None:
    """Imbalance of the depths, which are there already, and order-flow imbalance."""
    half = books.shape[1] // 2
    for row in range(1, len(books)):
        book, before = books[row], books[row - 1]
        start, flow, moved = 0, 0.0, 0.0
        for i in range(len(levels)):
            for j in range(2 * start, 2 * levels[i], 2):
                bid, bid_before, ask, ask_before = book[j], before[j], book[half + j], before[half + j]
                bids = (bid >= bid_before) * book[j + 1] - (bid <= bid_before) * before[j + 1]
                asks = (ask <= ask_before) * book[half + j + 1] - (ask >= ask_before) * before[half + j + 1]
                flow += bids - asks
                moved += (bid - bid_before) + (ask - ask_before)
            start, at = levels[i], N_TOUCH + N_LEVEL * i
            out[at + 4, row - 1] = (out[at, row - 1] - out[at + 1, row - 1]) / (out[at, row - 1] + out[at + 1, row - 1])
            out[at + 5, row - 1] = flow + 0.0 * moved  # NaN where a price is not known: that compares as no change


@compiled
def _costs(books: FloatArray, first: int, sign: float, notionals: FloatArray, out: FloatArray, at: int) -> None:
    """Cost of trades through a side, in every second column; NaN behind what is seen."""
    half = books.shape[1] // 2
    for row in range(1, len(books) if len(notionals) else 0):
        book, done = books[row], 0
        mid = 0.5 * (book[0] + book[half])
        worth = filled = above = 0.0
        for j in range(first, first + half, 2):
            price, size, away = book[j], book[j + 1], sign * (mid - book[j])
            while done < len(notionals) and worth + price * size >= notionals[done]:
                rest = (notionals[done] - worth) / price
                out[at + 2 * done, row - 1] = (above + away * rest) / (mid * (filled + rest))
                done += 1
            if done == len(notionals):
                break
            worth += price * size
            filled += size
            above += away * size
        for i in range(done, len(notionals)):
            out[at + 2 * i, row - 1] = np.nan


@compiled
def _within(books: FloatArray, first: int, sign: float, bands: FloatArray, out: FloatArray, at: int) -> None:
    """Depth of a side up to each edge ``mid * bands``, in every second column; NaN behind what is seen."""
    half = books.shape[1] // 2
    for row in range(1, len(books) if len(bands) else 0):
        book, held, done = books[row], 0.0, 0
        mid = 0.5 * (book[0] + book[half])
        for j in range(first, first + half, 2):
            while done < len(bands) and sign * book[j] <= sign * (mid * bands[done]):
                out[at + 2 * done, row - 1] = held + (book[j + 1] if book[j] == mid * bands[done] else 0.0)
                done += 1
            if done == len(bands):
                break
            held += book[j + 1] + 0.0 * book[j]
        for i in range(done, len(bands)):
            out[at + 2 * i, row - 1] = np.nan
