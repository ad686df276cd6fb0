"""Replay a book with nautilus_trader; run by book_replay.py in the peer's own environment.

Run:  python nautilus_book.py EVENTS.npz RESULT.npz

The deltas are built beforehand; what is timed is their application alone, without reading levels.
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


def main() -> None:
    """Apply the deltas one by one and message by message; write the times of both ways and the last book."""
    given = np.load(sys.argv[1])
    depth, repeats = int(given["depth"]), int(given["repeats"])
    name = InstrumentId.from_str("BTCUSDT.BINANCE")
    deltas = []
    columns = (given[c].tolist() for c in ("ts_ns", "side", "price", "size"))
    for ts_ns, side, price, size in zip(*columns, strict=True):
        order = BookOrder(OrderSide.BUY if side > 0 else OrderSide.SELL, Price(price, 1), Quantity(size, 3), 0)
        action = BookAction.UPDATE if size > 0 else BookAction.DELETE
        deltas.append(OrderBookDelta(name, action, order, 0, 0, ts_ns, ts_ns))
    edges = [0, *(np.flatnonzero(np.diff(given["ts_ns"])) + 1).tolist(), len(deltas)]
    messages = [OrderBookDeltas(name, deltas[a:b]) for a, b in itertools.pairwise(edges)]

    def one_by_one(book: OrderBook) -> None:
        apply = book.apply_delta
        for delta in deltas:
            apply(delta)

    def by_message(book: OrderBook) -> None:
        apply = book.apply_deltas
        for message in messages:
            apply(message)

    times: dict[str, list[float]] = {}
    for work in [one_by_one, by_message] * repeats:
        book = OrderBook(name, BookType.L2_MBP)
        start = time.process_time()
        work(book)
        times.setdefault(work.__name__, []).append(time.process_time() - start)
    levels = [
        (level.price.as_double(), float(level.size())) for side in (book.bids(), book.asks()) for level in side[:depth]
    ]
    np.savez(sys.argv[2], times=list(times.values()), books=np.array(levels).reshape(1, -1))


if __name__ == "__main__":
    main()
