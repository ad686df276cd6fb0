"""Bitfinex sockets (v2): books P0 to P4, raw books R0 (orders by number), trades, and status of derivatives.

Messages name their channel by a number that only the answer to the subscription explains, so a
capture must hold those answers. Books carry no time of their own unless the connection asked for
it (``conf`` flag 32768); without it their time is that of receipt. With flag 65536 every message
of a connection is numbered: where numbers are missing, all books are void until their next snapshot.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from math import nan
from pathlib import Path
from typing import Any

from features.intake.batch import Item, Note, Options, Rejected, Rows
from features.intake.capture import Message, collect
from features.intake.channels import FirstChannel, PastTrades
from features.schema import ADD, DELETE, FUNDING, OPEN_INTEREST, ORDER_EVENTS, SET

NS_PER_MS = 1_000_000
BULK_UPDATES = 536_870_912  # conf flag: changes of a book come as lists, too
FIRST_STAMP = 10**12  # what follows a message's content is its number if below, its time in ms if above
FUNDING_INTERVAL_S = 8 * 3600
SPOT, LAST, DUE, PREDICTED, RATE, MARK, OPEN = 3, 2, 7, 8, 11, 14, 17  # places in a derivative's status
POSITION, TIME, SYMBOL, AMOUNT, BASE_PRICE, IS_MATCH = 1, 2, 4, 5, 6, 8  # places in a liquidation


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a recorded socket of Bitfinex; ``tickers``, ``candles`` and the books and trades of lending are left out.

    Of several books (P0 to P4, lengths) of one pair the one that comes first is kept, the others
    are left out with a note; R0 goes to its own table. Liquidations are told at their start only.
    """
    del options
    feed = Feed()
    for item in collect(path, feed.parse):
        if isinstance(item, Rejected):
            feed.lost.update(feed.orders)
        yield item
    yield from feed.books.notes()
    yield from feed.gaps


@dataclass(slots=True)
class Channel:
    """A subscription; ``raw``: its book tells orders; ``begun``: its snapshot has come."""

    kind: str
    symbol: str
    book: str
    raw: bool
    begun: bool = False


@dataclass(slots=True)
class Feed:
    """What must be remembered from message to message.

    Attributes
    ----------
    books : the book that is kept, by symbol.
    orders : the live orders of raw books with side and price, by symbol.
    lost : symbols whose orders are not known until their next snapshot.
    gaps : what is to be told of missing numbers.
    seq : number of the last message of the connection; -1 unknown.
    """

    channels: dict[int, Channel] = field(default_factory=dict)
    books: FirstChannel = field(default_factory=lambda: FirstChannel("books"))
    trades: PastTrades = field(default_factory=PastTrades)
    orders: dict[str, dict[int, tuple[int, float]]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    gaps: list[Note] = field(default_factory=list)
    bulk: bool = False
    seq: int = -1

    def parse(self, rows: Rows, message: Message) -> None:
        """Add the rows of one message; other channels and answers to requests add none."""
        body = message.body
        if isinstance(body, dict):
            self._event(body)
            return
        word = body[1] if isinstance(body[1], str) else ""
        start = 3 if word and word != "hb" else 2
        content, tail = body[start - 1], body[start:]
        ts_ns = next((x * NS_PER_MS for x in tail if x >= FIRST_STAMP), message.local_ns)
        self._count(rows, message, next((x for x in tail if x < FIRST_STAMP), None), ts_ns)
        if body[0] == 0 or word in ("hb", "cs", "tu"):
            return
        if body[0] not in self.channels:
            raise ValueError(f"channel {body[0]} was not subscribed in this file, its symbol is not known")
        self._content(rows, message, self.channels[body[0]], content, ts_ns)

    def _event(self, body: dict[str, Any]) -> None:
        if body["event"] == "info" and "version" in body:  # a new connection
            self.channels, self.bulk, self.seq = {}, False, -1
        elif body["event"] == "conf" and body.get("status") == "OK":
            self.bulk = bool(int(body.get("flags", 0)) & BULK_UPDATES)
        elif body["event"] == "subscribed":
            key = body.get("key", "")
            kind = body["channel"] if body["channel"] != "status" else key.partition(":")[0]
            symbol = body.get("symbol") or key.partition(":")[2]
            book = " ".join(str(body[name]) for name in ("prec", "freq", "len") if name in body)
            self.channels[body["chanId"]] = channel = Channel(kind, symbol, book, raw=book.startswith("R0"))
            self.lost |= {symbol} if channel.raw else set()

    def _count(self, rows: Rows, message: Message, seq: int | None, ts_ns: int) -> None:
        """Follow the numbers of the connection; where some are missing no book is known until its next snapshot."""
        if seq is None:
            return
        if self.seq >= 0 and seq != self.seq + 1:
            told = f"line {message.row}: messages {self.seq + 1} to {seq - 1} are missing; books are void"
            self.gaps.append(Note(told))
            self.lost.update(self.orders)
            for symbol in self.books.kept:
                rows.cut(message.row, symbol, ts_ns, message.local_ns)
        self.seq = seq

    def _content(self, rows: Rows, message: Message, channel: Channel, content: Any, ts_ns: int) -> None:  # noqa: ANN401
        if channel.kind == "liq":
            _liquidations(rows, message, content)
        elif channel.kind == "deriv":
            _status(rows, message, channel.symbol, content)
        elif channel.symbol.startswith("t") and channel.kind == "trades":
            self._trades(rows, message, channel.symbol, content)
        elif channel.symbol.startswith("t") and channel.kind == "book":
            if not ts_ns:
                raise ValueError("it carries no time, and that of receipt was not recorded")
            self._book(rows, message, channel, content, ts_ns)

    def _book(self, rows: Rows, message: Message, channel: Channel, content: list[Any], ts_ns: int) -> None:
        listed = not content or isinstance(content[0], list)
        snapshot = listed and not (self.bulk and channel.begun)
        entries = content if listed else [content]
        channel.begun = True
        if channel.raw:
            self._orders(rows, message, channel.symbol, entries, ts_ns, snapshot=snapshot)
        elif self.books.keeps(channel.symbol, channel.book):
            _levels(rows, message, channel.symbol, entries, ts_ns, snapshot=snapshot)

    def _orders(
        self, rows: Rows, message: Message, symbol: str, entries: list[Any], ts_ns: int, *, snapshot: bool
    ) -> None:
        """Tell new orders from changed ones; of orders that are not known all are taken back."""
        known, live = symbol not in self.lost, dict(self.orders.get(symbol, {}))
        add = partial(rows.add, ORDER_EVENTS, message.row, symbol, ts_ns=ts_ns, local_ns=message.local_ns, seq=-1)
        if snapshot or not known:
            for number, (side, price) in live.items():
                add(order_id=number, action=DELETE, side=side, price=price, size=nan)
            live = {}
        for number, price, amount, *_ in entries if snapshot or known else []:
            side = 1 if amount > 0 else -1
            before = live.pop(number, None)
            if before is not None and (not price or before != (side, float(price))):
                add(order_id=number, action=DELETE, side=before[0], price=before[1], size=nan)
            if price:
                live[number] = (side, float(price))
                action = SET if before == live[number] else ADD
                add(order_id=number, action=action, side=side, price=float(price), size=float(abs(amount)))
        self.orders[symbol] = live
        self.lost -= {symbol} if snapshot else set()

    def _trades(self, rows: Rows, message: Message, symbol: str, content: list[Any]) -> None:
        """Add a trade, or the past trades that come with the subscription, oldest first."""
        past = not content or isinstance(content[0], list)
        for number, stamp, amount, price, *_ in sorted(content) if past else [content]:
            if self.trades.is_new(symbol, number, past=past):
                add = partial(rows.trade, message.row, symbol, stamp * NS_PER_MS, message.local_ns, seq=number, name="")
                add(side=1 if amount > 0 else -1, price=price, size=abs(amount))


def _levels(rows: Rows, message: Message, symbol: str, entries: list[Any], ts_ns: int, *, snapshot: bool) -> None:
    levels = [(amount > 0, price, abs(amount) if count else 0) for price, count, amount, *_ in entries]
    bids, asks = ([(price, size) for is_bid, price, size in levels if is_bid is side] for side in (True, False))
    rows.deltas(message.row, symbol, ts_ns, message.local_ns, bids, asks, snapshot=snapshot)


def _status(rows: Rows, message: Message, symbol: str, content: list[Any]) -> None:
    ts_ns, local_ns = content[0] * NS_PER_MS, message.local_ns
    add = partial(rows.add, row=message.row, symbol=symbol, ts_ns=ts_ns, local_ns=local_ns)
    last, spot, mark, predicted = (nan if content[i] is None else content[i] for i in (LAST, SPOT, MARK, PREDICTED))
    if content[RATE] is not None:
        add(
            FUNDING,
            funding_ns=(content[DUE] or 0) * NS_PER_MS,
            rate=float(content[RATE]),
            predicted_rate=float(predicted),
            interval_s=FUNDING_INTERVAL_S,
            mark_price=float(mark),
            index_price=float(spot),
            last_price=float(last),
        )
    if content[OPEN] is not None:
        add(OPEN_INTEREST, open_interest=float(content[OPEN]))


def _liquidations(rows: Rows, message: Message, content: list[Any]) -> None:
    for one in content:
        if one[IS_MATCH] == 0:  # the start; the parts that are then filled repeat it
            add = partial(rows.liquidation, message.row, one[SYMBOL], one[TIME] * NS_PER_MS, message.local_ns)
            side = -1 if one[AMOUNT] > 0 else 1  # the amount is the position's
            add(seq=-1, name=str(one[POSITION]), side=side, price=one[BASE_PRICE], size=abs(one[AMOUNT]))
