"""Replay a book with nautilus_trader; run by book_replay.py in the peer's own environment.

Run:  python nautilus_book.py EVENTS.npz RESULT.npz

Timed three ways, without reading levels: from the same arrays that margincast is given, objects made on the way;
and with all deltas built beforehand, one by one and message by message.
"""

import itertools
import sys
import time

import numpy as np
from nautilus_trader.model.book import OrderBook  # type: ignore[import-not-found,unused-ignore]
from nautilus_trader.model.data import (  # type: ignore[import-not-found,unused-ignore]
    BookOrder,
    OrderBookDelta,
    OrderBookDeltas,
)
from nautilus_trader.model.enums import BookAction, BookType, OrderSide  # type: ignore[import-not-found,unused-ignore]
from nautilus_trader.model.identifiers import InstrumentId  # type: ignore[import-not-found,unused-ignore]
from nautilus_trader.model.objects import Price, Quantity  # type: ignore[import-not-found,unused-ignore]

NAME = InstrumentId.from_str("BTCUSDT.BINANCE")
Row = tuple[int, int, float, float]


def delta_of(ts_ns: int, side: int, price: float, size: float) -> OrderBookDelta:
    """One change as the library wants it."""
    order = BookOrder(OrderSide.BUY if side > 0 else OrderSide.SELL, Price(price, 1), Quantity(size, 3), 0)
    action = BookAction.UPDATE if size > 0 else BookAction.DELETE
    return OrderBookDelta(NAME, action, order, 0, 0, ts_ns, ts_ns)


def from_arrays(book: OrderBook, rows: list[Row]) -> None:
    """Make and apply delta after delta."""
    apply = book.apply_delta
    for row in rows:
        apply(delta_of(*row))


def one_by_one(book: OrderBook, deltas: list[OrderBookDelta]) -> None:
    """Apply deltas that are made."""
    apply = book.apply_delta
    for delta in deltas:
        apply(delta)


def by_message(book: OrderBook, messages: list[OrderBookDeltas]) -> None:
    """Apply whole messages that are made."""
    apply = book.apply_deltas
    for message in messages:
        apply(message)


def main() -> None:
    """Replay in each of the three ways; write the times and the last book."""
    given = np.load(sys.argv[1])
    depth, repeats = int(given["depth"]), int(given["repeats"])
    rows = list(zip(*(given[c].tolist() for c in ("ts_ns", "side", "price", "size")), strict=True))
    deltas = [delta_of(*row) for row in rows]
    edges = [0, *(np.flatnonzero(np.diff(given["ts_ns"])) + 1).tolist(), len(deltas)]
    messages = [OrderBookDeltas(NAME, deltas[a:b]) for a, b in itertools.pairwise(edges)]
    ways = [(from_arrays, rows), (one_by_one, deltas), (by_message, messages)]
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats):
        for took, (work, events) in zip(times, ways, strict=True):
            book = OrderBook(NAME, BookType.L2_MBP)
            start = time.process_time()
            work(book, events)
            took.append(time.process_time() - start)
    np.savez(sys.argv[2], times=times, books=np.array(top(book, depth)).reshape(1, -1))


def top(book: OrderBook, depth: int) -> list[tuple[float, float]]:
    """The best levels, bids first."""
    sides = (book.bids()[:depth], book.asks()[:depth])
    return [(level.price.as_double(), float(level.size())) for side in sides for level in side]


if __name__ == "__main__":
    main()
