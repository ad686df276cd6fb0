"""Half an hour of one Bitstamp book, order by order: from the wheel that it is published in to the store."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from backtests.book_plan import Depth, FloatArray
from backtests.book_wheel import OB_ANALYTICS, PinnedWheel, obtain, unpacked
from features.book import BookBuilder, grid_ns
from features.clock import NS_PER_S
from features.errors import DataError, ShortHistoryError
from features.importing import ImportReport, Request, drop_file, import_file
from features.intake.batch import Options
from features.pipeline import Progress
from features.tape import Stream, Tape

SAMPLE = "ob_analytics/_sample_data/"
VENUE, SOURCE = "bitstamp", "bitstamp"
PICTURE_STEP_S, PICTURE_LEVELS, BANDS = 5, 400, 140
REACH_FRAC = 5e-4  # of the mid: how far beyond its range the picture of the book shows


@dataclass(frozen=True, slots=True)
class Session:
    """Which wheel holds the session, and where in it."""

    wheel: PinnedWheel = OB_ANALYTICS
    orders: str = SAMPLE + "orders.csv.gz"
    trades: str = SAMPLE + "trades.csv"
    symbol: str = "BTCUSD"


def store_session(session: Session, out: Path, given: Path | None, progress: Progress) -> list[str]:
    """Bring the session's orders and trades into ``out/store``; answers what was there already.

    Raises
    ------
    DataError
        If the wheel cannot be got, is damaged, or its files cannot be read; the store then holds nothing of it.
    """
    path, is_new = obtain(session.wheel, out / "download", given)
    progress(1, 3)
    request = Request(SOURCE, options=Options(symbol=session.symbol))
    reports: list[ImportReport] = []
    with unpacked(path, (session.orders, session.trades)) as files:
        try:
            for file in files:
                reports.append(import_file(file, out / "store", request, lambda _: None))
                progress(1 + len(reports), 3)
        except DataError:
            for report in reports:  # orders without their trades are half a session
                drop_file(out / "store", Path(report.file).name)
            raise
    had = [] if is_new or given else ["download"]
    return [*had, *(["store"] if all(report.unchanged for report in reports) else [])]


def stream(symbol: str, kind: str) -> Stream:
    """The session's stream of a kind."""
    return Stream(VENUE, symbol, kind)


def span_ns(root: Path, symbol: str) -> tuple[int, int]:
    """First and last order event, exchange time."""
    parts = Tape(root).parts(stream(symbol, "order_events"))
    return min(p.first_ns for p in parts), max(p.last_ns for p in parts)


def trades_of(root: Path, symbol: str) -> pl.DataFrame:
    """All trades of the session by time: ``ts_ns``, ``side``, ``price``, ``size``."""
    frames = Tape(root).scan(stream(symbol, "trades"), ("ts_ns", "side", "price", "size"))
    return pl.concat(list(frames)).sort("ts_ns", maintain_order=True)


def depth_of(root: Path, symbol: str) -> Depth:
    """Books of the session every few seconds, laid on bands of price around the mid's range.

    Raises
    ------
    ShortHistoryError
        If no instant has a book with both sides.
    """
    first_ns, last_ns = span_ns(root, symbol)
    at_ns = grid_ns(first_ns, last_ns, PICTURE_STEP_S * NS_PER_S)
    builder = BookBuilder(depth=PICTURE_LEVELS)
    # A row of features ends just before its instant, and so does a row of the picture.
    books = np.concatenate(list(_books(Tape(root).scan(stream(symbol, "order_events")), builder, at_ns - 1)))
    bid, ask = books[:, 0], books[:, 2 * PICTURE_LEVELS]
    mid = (bid + ask) / 2
    if not np.isfinite(mid).any():
        raise ShortHistoryError(f"{symbol}: no book with bids and asks in the session; give a longer one")
    reach = REACH_FRAC * float(np.nanmean(mid))
    edges = np.linspace(np.nanmin(mid) - reach, np.nanmax(mid) + reach, BANDS + 1)
    return Depth(at_ns, mid, edges, np.stack([resting(book, edges) for book in books]))


def _books(frames: Iterator[pl.DataFrame], builder: BookBuilder, at_ns: np.ndarray) -> Iterator[FloatArray]:
    for frame in frames:
        done_ns, books = builder.orders(frame, at_ns)
        at_ns = at_ns[len(done_ns) :]
        yield books
    yield builder.finish(at_ns)[1]


def resting(book: FloatArray, edges: FloatArray) -> FloatArray:
    """Base amount in each band of price of one book, shape (4 * depth,) -> (k,); NaN if the book is void.

    Examples
    --------
    >>> book = np.array([99.0, 2.0, 98.0, 1.0, 101.0, 4.0, np.nan, np.nan])
    >>> resting(book, np.array([97.5, 98.5, 99.5, 100.5, 101.5]))
    array([1., 2., 0., 4.])
    """
    price, size = book[::2], book[1::2]
    known = np.isfinite(price)
    if not known.any():
        return np.full(len(edges) - 1, np.nan)
    amount: FloatArray = np.histogram(price[known], edges, weights=size[known])[0]
    return amount
