"""Coinbase sockets: Exchange (formerly Pro and GDAX) level2 and matches, Advanced Trade l2_data and market_trades.

Both venues say the side of the resting order in their trades; the aggressor's is the other.
The ``full`` channel names orders by UUID, which the order table cannot hold: of it only the
matches are read, and a note says how many messages were left out. ``sequence_num`` of Advanced
Trade counts the messages of a connection, over all its channels and products, so it is no
number of a book. Tickers repeat what book and trades say and are left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.intake.batch import Item, Note, Options, Rows
from features.intake.capture import Message, collect
from features.intake.channels import PastTrades
from features.intake.units import iso_ns
from features.schema import FIRST_NS

OPPOSITE = {"buy": -1, "sell": 1}
BOOK_SIDES = {"buy": "bid", "sell": "ask", "bid": "bid", "offer": "ask", "ask": "ask"}
FULL_TYPES = ("received", "open", "done", "change", "activate")
Data = dict[str, Any]
Levels = dict[str, list[tuple[str, str]]]


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a recorded socket of Coinbase.

    The first message of a book carried no time on the Exchange socket; its time is that of receipt.
    """
    del options
    feed = Feed()
    yield from collect(path, feed.parse)
    if feed.left_out:
        yield Note(
            f"{feed.left_out} messages of the channel full were left out, the first in row {feed.first_out}: "
            "orders named by UUID have no table; record level2 for the book"
        )


@dataclass(slots=True)
class Feed:
    """What must be remembered from message to message: trades, and how many messages were left out since which row."""

    trades: PastTrades = field(default_factory=PastTrades)
    left_out: int = 0
    first_out: int = 0

    def parse(self, rows: Rows, message: Message) -> None:
        """Add the rows of one message; other types and channels, and answers to subscriptions, add none."""
        body = message.body
        kind = body.get("channel") or body.get("type")
        if kind in FULL_TYPES:
            self.left_out, self.first_out = self.left_out + 1, self.first_out or message.row
        parse = KINDS.get(kind)
        if parse is not None:
            parse(self, rows, message, body)


def _ts_ns(message: Message, text: str | None) -> int:
    """The exchange's time, else that of receipt."""
    if text:
        return iso_ns(text)
    if not message.local_ns:
        raise ValueError("the message has no time, and the time of receipt was not recorded")
    return message.local_ns


def _snapshot(_: Feed, rows: Rows, message: Message, body: Data) -> None:
    ts_ns = _ts_ns(message, body.get("time"))
    bids, asks = ([level[:2] for level in body[side]] for side in ("bids", "asks"))
    rows.deltas(message.row, body["product_id"], ts_ns, message.local_ns, bids, asks, snapshot=True)


def _update(_: Feed, rows: Rows, message: Message, body: Data) -> None:
    levels: Levels = {"bid": [], "ask": []}
    for side, price, size in body["changes"]:
        levels[BOOK_SIDES[side]].append((price, size))
    ts_ns = _ts_ns(message, body.get("time"))
    rows.deltas(message.row, body["product_id"], ts_ns, message.local_ns, levels["bid"], levels["ask"])


def _match(feed: Feed, rows: Rows, message: Message, trade: Data) -> None:
    _trade(feed, rows, message, trade, past=trade["type"] == "last_match")


def _trade(feed: Feed, rows: Rows, message: Message, trade: Data, *, past: bool) -> None:
    number = int(trade["trade_id"])
    if not feed.trades.is_new(trade["product_id"], number, past=past):
        return
    rows.trade(
        message.row,
        trade["product_id"],
        _ts_ns(message, trade["time"]),
        message.local_ns,
        seq=number,
        name="",
        side=OPPOSITE[trade["side"].lower()],
        price=trade["price"],
        size=trade["size"],
    )


def _level2_events(_: Feed, rows: Rows, message: Message, body: Data) -> None:
    for event in body["events"]:
        levels: Levels = {"bid": [], "ask": []}
        for change in event["updates"]:
            levels[BOOK_SIDES[change["side"]]].append((change["price_level"], change["new_quantity"]))
        rows.deltas(
            message.row,
            event["product_id"],
            _event_ns(message, body, event),
            message.local_ns,
            levels["bid"],
            levels["ask"],
            snapshot=event["type"] == "snapshot",
        )


def _event_ns(message: Message, body: Data, event: Data) -> int:
    """The last change's time; levels of a first message are stamped 1970, and then the message's time stands."""
    if event["type"] != "snapshot":
        latest = max((iso_ns(change["event_time"]) for change in event["updates"]), default=0)
        if latest >= FIRST_NS:
            return latest
    return _ts_ns(message, body.get("timestamp"))


def _trade_events(feed: Feed, rows: Rows, message: Message, body: Data) -> None:
    """Add trades oldest first; the venue sends past trades newest first."""
    for event in body["events"]:
        for trade in sorted(event["trades"], key=lambda t: (iso_ns(t["time"]), int(t["trade_id"]))):
            _trade(feed, rows, message, trade, past=event["type"] == "snapshot")


KINDS: dict[str | None, Callable[[Feed, Rows, Message, Data], None]] = {
    "snapshot": _snapshot,
    "l2update": _update,
    "match": _match,
    "last_match": _match,
    "l2_data": _level2_events,
    "market_trades": _trade_events,
}
