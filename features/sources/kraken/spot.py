"""Kraken spot, v1 and v2: books of limited depth, trades and best quotes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from features.clock import NS_PER_S
from features.intake.batch import Level, Note, Rows
from features.intake.capture import Message
from features.intake.channels import FirstChannel, PastTrades
from features.intake.units import iso_ns
from features.sources.kraken.book import Book

SIDES = {"b": 1, "s": -1, "buy": 1, "sell": -1}  # of the taker
DEPTHS = (10, 25, 100, 500, 1000)
REPUBLISHED = 4  # fields of a level that comes back into the depth; its time is that of its order


@dataclass(slots=True)
class Spot:
    """What must be remembered from message to message.

    Attributes
    ----------
    channels : name and pair of each v1 channel number, for messages that do not repeat them.
    depths : the subscribed depth of v2 books, by pair.
    misfits : what is to be told of checksums.
    """

    channels: dict[int, tuple[str, str]] = field(default_factory=dict)
    depths: dict[str, int] = field(default_factory=dict)
    books: dict[str, Book] = field(default_factory=dict)
    kept: FirstChannel = field(default_factory=lambda: FirstChannel("books"))
    trades: PastTrades = field(default_factory=PastTrades)
    misfits: list[Note] = field(default_factory=list)

    def parse(self, rows: Rows, message: Message) -> None:
        """Add the rows of one message; other channels and answers to requests add none."""
        body = message.body
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

    def notes(self) -> Iterator[Note]:
        """Tell what was left out, and which books became void."""
        yield from self.kept.notes()
        yield from self.misfits

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

    def book(self, pair: str, depth: int, *, snapshot: bool) -> Book | None:
        """The book of a pair, a new one for a snapshot; ``None`` if another depth is kept."""
        if not self.kept.keeps(pair, f"book-{depth}"):
            return None
        if snapshot or pair not in self.books:
            before = self.books.get(pair)
            self.books[pair] = Book(depth, known=snapshot, ts_ns=before.ts_ns if before else 0)
        return self.books[pair]


def _old_name(subscription: dict[str, Any]) -> str:
    return f"book-{subscription.get('depth', 10)}" if subscription["name"] == "book" else str(subscription["name"])


def _seconds_ns(text: str) -> int:
    whole, _, frac = text.partition(".")
    return int(whole) * NS_PER_S + int(frac[:9].ljust(9, "0"))


def _add(
    rows: Rows, message: Message, pair: str, book: Book, bids: Sequence[Level], asks: Sequence[Level], *, snapshot: bool
) -> None:
    """Add the rows of one book message, at the time that the book has reached."""
    if not book.ts_ns:
        raise ValueError("it carries no time, and that of receipt was not recorded")
    bids, asks = book.apply(bids, asks)
    rows.deltas(message.row, pair, book.ts_ns, message.local_ns, bids, asks, snapshot=snapshot)


def _book_v1(spot: Spot, rows: Rows, message: Message, pair: str, parts: dict[str, Any], depth: int) -> None:
    snapshot = "as" in parts or "bs" in parts
    book = spot.book(pair, depth, snapshot=snapshot)
    if book is None:
        return
    bids, asks = (parts.get(name, []) for name in (("bs", "as") if snapshot else ("b", "a")))
    times = [_seconds_ns(level[2]) for level in (*bids, *asks) if len(level) < REPUBLISHED]
    book.ts_ns = max(times, default=book.ts_ns or message.local_ns)
    _add(rows, message, pair, book, bids, asks, snapshot=snapshot)
    if "c" in parts and book.known and not book.fits(parts["c"]):
        rows.cut(message.row, pair, book.ts_ns, message.local_ns)
        text = f"line {message.row}: the checksum of {pair} does not fit; void until its next snapshot"
        spot.misfits.append(Note(text))
        book.known = False


def _trades_v1(rows: Rows, message: Message, pair: str, trades: list[list[Any]]) -> None:
    for price, size, time, side, *_ in trades:
        add = partial(rows.trade, message.row, pair, _seconds_ns(time), message.local_ns, seq=-1, name="")
        add(side=SIDES[side], price=price, size=size)


def _spread_v1(rows: Rows, message: Message, pair: str, spread: list[str]) -> None:
    bid, ask, time, bid_size, ask_size = spread
    rows.quote(message.row, pair, _seconds_ns(time), message.local_ns, (bid, bid_size), (ask, ask_size))


def _books_v2(spot: Spot, rows: Rows, message: Message) -> None:
    snapshot = message.body["type"] == "snapshot"
    for data in message.body["data"]:
        pair = data["symbol"]
        bids, asks = ([(level["price"], level["qty"]) for level in data.get(side, [])] for side in ("bids", "asks"))
        if snapshot and pair not in spot.depths:  # the answer to the subscription was not recorded
            most = max(len(bids), len(asks))
            spot.depths[pair] = next((depth for depth in DEPTHS if most <= depth), DEPTHS[-1])
        book = spot.book(pair, spot.depths.get(pair, DEPTHS[-1]), snapshot=snapshot)
        if book is not None:
            book.ts_ns = iso_ns(data["timestamp"]) if "timestamp" in data else message.local_ns
            _add(rows, message, pair, book, bids, asks, snapshot=snapshot)


def _trades_v2(spot: Spot, rows: Rows, message: Message) -> None:
    past = message.body["type"] == "snapshot"
    for trade in sorted(message.body["data"], key=lambda trade: int(trade["trade_id"])):
        number = int(trade["trade_id"])
        if spot.trades.is_new(trade["symbol"], number, past=past):
            add = partial(rows.trade, message.row, trade["symbol"], iso_ns(trade["timestamp"]), message.local_ns)
            add(seq=number, name="", side=SIDES[trade["side"]], price=trade["price"], size=trade["qty"])


V1: dict[str, Callable[[Rows, Message, str, Any], None]] = {"trade": _trades_v1, "spread": _spread_v1}
V2: dict[str, Callable[[Spot, Rows, Message], None]] = {"book": _books_v2, "trade": _trades_v2}
