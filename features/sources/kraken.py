"""Kraken sockets: spot v1 (lists), spot v2 (objects with ``channel``) and Kraken Futures v1 (``feed``).

A spot book is limited to the depth that was subscribed, and the venue does not say which levels
fall out of it: they must be dropped by whoever keeps the book. The reader keeps it and adds a
removal (size 0) for each of them, so that the rows alone give the book. It checks v1's checksum
of the ten best levels at every change, as spot has no sequence numbers; a book whose checksum
does not fit is void until its next snapshot. Futures books are whole and numbered.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import nan
from pathlib import Path
from typing import Any
from zlib import crc32

from features.clock import NS_PER_S
from features.intake.batch import Item, Level, Note, Options, Rejected, Rows
from features.intake.capture import Message, collect
from features.intake.units import iso_ns
from features.schema import FUNDING, OPEN_INTEREST

NS_PER_MS = 1_000_000
SIDES = {"b": 1, "s": -1, "buy": 1, "sell": -1}  # of the taker, in all three
DEPTHS = (10, 25, 100, 500, 1000)
CHECKED_LEVELS = 10
REPUBLISHED = 4  # fields of a level that comes back into the depth; its time is that of its order
LIQUIDATIONS = ("liquidation", "termination")


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a recorded socket of Kraken or Kraken Futures.

    Of several depths of a spot pair's book the one that comes first is kept; the others are left out with a note.
    """
    del options
    feed = Feed()
    for item in collect(path, feed.parse):
        if isinstance(item, Rejected) and item.row != feed.row:
            for book in feed.books.values():
                book.suspect = True
        yield item
    yield from map(Note, feed.notes)


@dataclass(slots=True)
class Side:
    """The levels of one side as sent, best first: ``keys`` are the prices, of bids negated."""

    sign: int
    keys: list[float] = field(default_factory=list)
    levels: dict[float, Level] = field(default_factory=dict)

    def put(self, level: Level) -> None:
        """Set or remove a level."""
        key = self.sign * float(level[0])
        if float(level[1]):
            if key not in self.levels:
                insort(self.keys, key)
            self.levels[key] = level
        elif self.levels.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]

    def cut_to(self, depth: int) -> list[Level]:
        """Drop what lies below ``depth``; the removals that say so."""
        fallen, self.keys[depth:] = self.keys[depth:], []
        return [(self.levels.pop(key)[0], 0.0) for key in fallen]

    def best(self) -> str:
        """The ten best levels as the checksum wants them: digits without point and leading zeros."""
        texts = (str(text) for key in self.keys[:CHECKED_LEVELS] for text in self.levels[key][:2])
        return "".join(text.replace(".", "").lstrip("0") for text in texts)


@dataclass(slots=True)
class Book:
    """A spot book; ``known``: since its snapshot nothing was lost; ``suspect``: a change may have been lost."""

    depth: int = DEPTHS[-1]
    known: bool = False
    suspect: bool = False
    ts_ns: int = 0
    bids: Side = field(default_factory=lambda: Side(-1))
    asks: Side = field(default_factory=lambda: Side(1))

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> tuple[list[Level], list[Level]]:
        """Apply a message; its levels with the removals of those that fell out of the depth."""
        told: list[list[Level]] = []
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for level in levels:
                side.put(level)
            told.append([*(level[:2] for level in levels), *side.cut_to(self.depth)])
        return told[0], told[1]

    def checksum(self) -> int:
        """The venue's checksum of the book as it stands."""
        return crc32((self.asks.best() + self.bids.best()).encode())


@dataclass(slots=True)
class Feed:
    """What must be remembered from message to message.

    Attributes
    ----------
    channels : name and pair of each v1 channel number, for messages that do not repeat them.
    chosen : the book channel that is kept, by pair.
    depths : the subscribed depth of v2 books, by pair.
    row : line of the last message that was JSON.
    """

    channels: dict[int, tuple[str, str]] = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)
    depths: dict[str, int] = field(default_factory=dict)
    books: dict[str, Book] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    row: int = 0

    def parse(self, rows: Rows, message: Message) -> None:
        """Add the rows of one message; other channels and answers to requests add none."""
        self.row, body = message.row, message.body
        if isinstance(body, list):
            self._listed(rows, message)
        elif body.get("event") == "subscriptionStatus" and "channelID" in body:
            name = body.get("channelName") or _old_name(body["subscription"])
            self.channels[body["channelID"]] = name, body["pair"]
        elif body.get("method") == "subscribe" and body.get("success"):
            result = body["result"]
            if result["channel"] == "book":
                self.depths[result["symbol"]] = int(result.get("depth", DEPTHS[0]))
        elif body.get("channel") in V2:
            V2[body["channel"]](self, rows, message)
        elif body.get("feed") in FUTURES and "event" not in body:
            FUTURES[body["feed"]](rows, message, body)

    def _listed(self, rows: Rows, message: Message) -> None:
        if len(message.body) > 2:
            _, *parts, name, pair = message.body
        elif message.body[0] in self.channels:
            (_, *parts), (name, pair) = message.body, self.channels[message.body[0]]
        else:
            raise ValueError(f"channel {message.body[0]} was not subscribed in this file, its pair is not known")
        kind, _, depth = name.partition("-")
        if kind == "book":
            _book_v1(self, rows, message, pair, {k: v for part in parts for k, v in part.items()}, int(depth or 10))
        elif kind in V1:
            V1[kind](rows, message, pair, parts[0])

    def book(self, pair: str, channel: str, depth: int) -> Book | None:
        """The book of a pair; ``None`` if another channel is kept for it."""
        if self.chosen.setdefault(pair, channel) != channel:
            note = f"{pair}: kept {self.chosen[pair]}, left out {channel}"
            self.notes += [note] * (note not in self.notes)
            return None
        return self.books.setdefault(pair, Book(depth))

    def add(
        self,
        rows: Rows,
        message: Message,
        pair: str,
        book: Book,
        bids: Sequence[Level],
        asks: Sequence[Level],
        *,
        ts_ns: int,
        snapshot: bool,
        checksum: str | None = None,
    ) -> None:
        """Add the rows of one book message and check the book."""
        if snapshot:
            self.books[pair] = book = Book(book.depth, known=True)
        elif book.suspect:
            rows.cut(message.row, pair, ts_ns, message.local_ns)
            book.known = False
        book.suspect, book.ts_ns = True, ts_ns  # until all of this message is read
        bids, asks = book.apply(bids, asks)
        rows.deltas(message.row, pair, ts_ns, message.local_ns, bids, asks, snapshot=snapshot)
        if checksum is not None and book.known and book.checksum() != int(checksum):
            rows.cut(message.row, pair, ts_ns, message.local_ns)
            self.notes.append(f"line {message.row}: the checksum of {pair} does not fit; void until its next snapshot")
            book.known = False
        book.suspect = False


def _old_name(subscription: dict[str, Any]) -> str:
    return f"book-{subscription.get('depth', 10)}" if subscription["name"] == "book" else str(subscription["name"])


def _seconds_ns(text: str) -> int:
    whole, _, frac = text.partition(".")
    return int(whole) * NS_PER_S + int(frac[:9].ljust(9, "0"))


def _book_v1(feed: Feed, rows: Rows, message: Message, pair: str, parts: dict[str, Any], depth: int) -> None:
    book = feed.book(pair, f"book-{depth}", depth)
    if book is None:
        return
    snapshot = "as" in parts or "bs" in parts
    bids, asks = (parts.get(name, []) for name in (("bs", "as") if snapshot else ("b", "a")))
    times = [_seconds_ns(level[2]) for level in (*bids, *asks) if len(level) < REPUBLISHED]
    ts_ns = max(times, default=book.ts_ns or message.local_ns)
    if not ts_ns:
        raise ValueError("it carries no time, and that of receipt was not recorded")
    feed.add(rows, message, pair, book, bids, asks, ts_ns=ts_ns, snapshot=snapshot, checksum=parts.get("c"))


def _trades_v1(rows: Rows, message: Message, pair: str, trades: list[list[Any]]) -> None:
    for price, size, time, side, *_ in trades:
        add = partial(rows.trade, message.row, pair, _seconds_ns(time), message.local_ns, seq=-1, name="")
        add(side=SIDES[side], price=price, size=size)


def _spread_v1(rows: Rows, message: Message, pair: str, spread: list[str]) -> None:
    bid, ask, time, bid_size, ask_size = spread
    rows.quote(message.row, pair, _seconds_ns(time), message.local_ns, (bid, bid_size), (ask, ask_size))


def _book_v2(feed: Feed, rows: Rows, message: Message) -> None:
    snapshot = message.body["type"] == "snapshot"
    for data in message.body["data"]:
        pair = data["symbol"]
        bids, asks = ([(level["price"], level["qty"]) for level in data.get(side, [])] for side in ("bids", "asks"))
        if snapshot and pair not in feed.depths:  # the answer to the subscription was not recorded
            most = max(len(bids), len(asks))
            feed.depths[pair] = next((depth for depth in DEPTHS if most <= depth), DEPTHS[-1])
        depth = feed.depths.get(pair, DEPTHS[-1])
        book = feed.book(pair, f"book of {depth}", depth)
        ts_ns = iso_ns(data["timestamp"]) if "timestamp" in data else message.local_ns
        if not ts_ns:
            raise ValueError("it carries no time, and that of receipt was not recorded")
        if book is not None:
            feed.add(rows, message, pair, book, bids, asks, ts_ns=ts_ns, snapshot=snapshot)


def _trades_v2(feed: Feed, rows: Rows, message: Message) -> None:
    del feed
    for trade in sorted(message.body["data"], key=lambda trade: int(trade["trade_id"])):
        add = partial(rows.trade, message.row, trade["symbol"], iso_ns(trade["timestamp"]), message.local_ns)
        add(seq=trade["trade_id"], name="", side=SIDES[trade["side"]], price=trade["price"], size=trade["qty"])


def _futures_snapshot(rows: Rows, message: Message, data: dict[str, Any]) -> None:
    bids, asks = ([(level["price"], level["qty"]) for level in data[side]] for side in ("bids", "asks"))
    add = partial(rows.deltas, message.row, data["product_id"], data["timestamp"] * NS_PER_MS, message.local_ns)
    add(bids, asks, seq=data["seq"], snapshot=True)


def _futures_book(rows: Rows, message: Message, data: dict[str, Any]) -> None:
    level, side, seq = (data["price"], data["qty"]), SIDES[data["side"]], data["seq"]
    add = partial(rows.deltas, message.row, data["product_id"], data["timestamp"] * NS_PER_MS, message.local_ns)
    add([level] if side > 0 else [], [level] if side < 0 else [], seq=seq, prev_seq=seq - 1)


def _futures_trade(rows: Rows, message: Message, data: dict[str, Any]) -> None:
    values = {"name": "", "side": SIDES[data["side"]], "price": data["price"], "size": data["qty"], "seq": data["seq"]}
    adds = (rows.trade, rows.liquidation) if data.get("type") in LIQUIDATIONS else (rows.trade,)
    for add in adds:
        add(message.row, data["product_id"], data["time"] * NS_PER_MS, message.local_ns, **values)


def _futures_trades(rows: Rows, message: Message, data: dict[str, Any]) -> None:
    for trade in sorted(data["trades"], key=lambda trade: int(trade["seq"])):
        _futures_trade(rows, message, trade)


def _futures_ticker(rows: Rows, message: Message, data: dict[str, Any]) -> None:
    """Funding, where the contract has it, and open interest; ``funding_rate`` is an amount, not a fraction."""
    ts_ns, local_ns = data["time"] * NS_PER_MS, message.local_ns
    add = partial(rows.add, row=message.row, symbol=data["product_id"], ts_ns=ts_ns, local_ns=local_ns)
    rate, forecast = (data.get(f"relative_funding_rate{suffix}") for suffix in ("", "_prediction"))
    if rate is not None:
        add(
            FUNDING,
            funding_ns=int(data.get("next_funding_rate_time") or 0) * NS_PER_MS,
            rate=float(rate),
            predicted_rate=nan if forecast is None else float(forecast),
            mark_price=float(data.get("markPrice") or nan),
            index_price=float(data.get("index") or nan),
            last_price=float(data.get("last") or nan),
        )
    if data.get("openInterest") is not None:
        add(OPEN_INTEREST, open_interest=float(data["openInterest"]))


V1: dict[str, Callable[[Rows, Message, str, Any], None]] = {"trade": _trades_v1, "spread": _spread_v1}
V2: dict[str, Callable[[Feed, Rows, Message], None]] = {"book": _book_v2, "trade": _trades_v2}
FUTURES: dict[str, Callable[[Rows, Message, dict[str, Any]], None]] = {
    "book_snapshot": _futures_snapshot,
    "book": _futures_book,
    "trade_snapshot": _futures_trades,
    "trade": _futures_trade,
    "ticker": _futures_ticker,
}
