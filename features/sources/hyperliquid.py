"""Hyperliquid sockets and its archive of ``l2Book``: l2Book, bbo, trades, activeAssetCtx."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

from features.intake.batch import Item, Level, Options, Rows
from features.intake.capture import Message, collect
from features.intake.units import iso_ns
from features.schema import FUNDING, OPEN_INTEREST

NS_PER_MS = 1_000_000
SIDES = {"B": 1, "A": -1}  # of the aggressor
DEPTH = 20
INTERVAL_S = 3600
"""Funding is paid, and its rate is told, by the hour."""


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a recorded socket of Hyperliquid, or a file of its archive (``{"time":..., "raw":{...}}``), unpacked.

    ``l2Book`` is the whole book of 20 levels at every message; a message that repeats the one
    before it, time included, is left out. ``activeAssetCtx`` carries no time: its rows have that of receipt.
    """
    del options
    return collect(path, Feed().parse)


@dataclass(slots=True)
class Feed:
    """What must be remembered from message to message: the last book, by coin."""

    books: dict[str, dict[str, Any]] = field(default_factory=dict)

    def parse(self, rows: Rows, message: Message) -> None:
        """Add the rows of one message; other channels and answers to requests add none."""
        body = message.body
        if "raw" in body:
            body = body["raw"]
            message = Message(message.row, iso_ns(message.body["time"]), message.url, body)
        parse = CHANNELS.get(body.get("channel", ""))
        if parse is not None:
            parse(self, rows, message, body["data"])


def _ts_ns(data: dict[str, Any]) -> int:
    return int(data["time"]) * NS_PER_MS


def _level(level: dict[str, Any] | None) -> Level:
    return (nan, nan) if level is None else (level["px"], level["sz"])


def _book(feed: Feed, rows: Rows, message: Message, data: dict[str, Any]) -> None:
    if feed.books.get(data["coin"]) == data:
        return
    bids, asks = ([_level(level) for level in side] for side in data["levels"])
    depth = max(DEPTH, len(bids), len(asks))
    rows.book(message.row, data["coin"], _ts_ns(data), message.local_ns, bids, asks, depth=depth)
    feed.books[data["coin"]] = data


def _quote(feed: Feed, rows: Rows, message: Message, data: dict[str, Any]) -> None:
    del feed
    bid, ask = (_level(level) for level in data["bbo"])
    rows.quote(message.row, data["coin"], _ts_ns(data), message.local_ns, bid, ask)


def _trades(feed: Feed, rows: Rows, message: Message, data: list[dict[str, Any]]) -> None:
    del feed
    newest_first = bool(data) and data[0]["time"] > data[-1]["time"]
    for trade in reversed(data) if newest_first else data:
        rows.trade(
            message.row,
            trade["coin"],
            _ts_ns(trade),
            message.local_ns,
            seq=-1,
            name=str(trade["tid"]),  # a hash: it does not count up
            side=SIDES[trade["side"]],
            price=trade["px"],
            size=trade["sz"],
        )


def _context(feed: Feed, rows: Rows, message: Message, data: dict[str, Any]) -> None:
    del feed
    coin, context, ts_ns = data["coin"], data["ctx"], message.local_ns
    if "funding" not in context:  # a spot market
        return
    if not ts_ns:
        raise ValueError("it carries no time, and that of receipt was not recorded")
    rows.add(
        FUNDING,
        message.row,
        coin,
        ts_ns=ts_ns,
        local_ns=ts_ns,
        rate=float(context["funding"]),
        interval_s=INTERVAL_S,
        mark_price=float(context.get("markPx") or nan),
        index_price=float(context.get("oraclePx") or nan),
    )
    amount = float(context["openInterest"])
    rows.add(OPEN_INTEREST, message.row, coin, ts_ns=ts_ns, local_ns=ts_ns, open_interest=amount)


CHANNELS: dict[str, Callable[[Feed, Rows, Message, Any], None]] = {
    "l2Book": _book,
    "bbo": _quote,
    "trades": _trades,
    "activeAssetCtx": _context,
}
