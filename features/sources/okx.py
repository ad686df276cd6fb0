"""OKX sockets (v5 public): books, trades, funding-rate, open-interest, liquidation-orders."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.intake.batch import Item, Options, Rows
from features.intake.capture import Message, collect
from features.intake.channels import FirstChannel, PastTrades
from features.schema import FUNDING, OPEN_INTEREST

NS_PER_MS = 1_000_000
SIDES = {"buy": 1, "sell": -1}
BOOKS = ("books", "books-l2-tbt", "books50-l2-tbt")
TOP_BOOKS = {"books5": 5, "bbo-tbt": 1}


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a recorded socket of OKX; sizes of derivatives are in contracts.

    ``books`` carry ``seqId`` and ``prevSeqId`` since 2023; before that only a checksum, and
    then the sequence is not told. ``tickers`` repeat what books and trades say and are left out.
    Of several channels of one instrument's book, or of its trades, the one that comes first is kept;
    the others are left out with a note.
    """
    del options
    feed = Feed()
    yield from collect(path, feed.parse)
    yield from feed.books.notes()
    yield from feed.tapes.notes()


@dataclass(slots=True)
class Feed:
    """What must be remembered from message to message: the channels that are kept, and trades."""

    books: FirstChannel = field(default_factory=lambda: FirstChannel("books"))
    tapes: FirstChannel = field(default_factory=lambda: FirstChannel("channels of trades"))
    trades: PastTrades = field(default_factory=PastTrades)

    def parse(self, rows: Rows, message: Message) -> None:
        """Add the rows of one message; other channels and answers to subscriptions add none."""
        body = message.body
        channel = body["arg"]["channel"] if "data" in body else ""
        for data in body["data"] if channel in CHANNELS else ():
            CHANNELS[channel](self, rows, message, {"instId": body["arg"].get("instId"), **data})


def _ts_ns(data: dict[str, Any]) -> int:
    return int(data["ts"]) * NS_PER_MS


def _book(feed: Feed, rows: Rows, message: Message, data: dict[str, Any]) -> None:
    if not feed.books.keeps(data["instId"], message.body["arg"]["channel"]):
        return
    bids, asks = ([level[:2] for level in data[side]] for side in ("bids", "asks"))
    rows.deltas(
        message.row,
        data["instId"],
        _ts_ns(data),
        message.local_ns,
        bids,
        asks,
        seq=int(data.get("seqId", -1)),
        prev_seq=int(data.get("prevSeqId", -1)),
        snapshot=message.body["action"] == "snapshot",
    )


def _top_book(_: Feed, rows: Rows, message: Message, data: dict[str, Any]) -> None:
    bids, asks = ([level[:2] for level in data[side]] for side in ("bids", "asks"))
    depth = TOP_BOOKS[message.body["arg"]["channel"]]
    rows.book(
        message.row, data["instId"], _ts_ns(data), message.local_ns, bids, asks, seq=int(data["seqId"]), depth=depth
    )


def _trade(feed: Feed, rows: Rows, message: Message, data: dict[str, Any]) -> None:
    """Add a trade; the latest one is told again after each subscription."""
    symbol, number = data["instId"], int(data["tradeId"])
    if not (feed.tapes.keeps(symbol, message.body["arg"]["channel"]) and feed.trades.is_new(symbol, number)):
        return
    rows.trade(
        message.row,
        symbol,
        _ts_ns(data),
        message.local_ns,
        seq=number,
        name="",
        side=SIDES[data["side"]],
        price=data["px"],
        size=data["sz"],
    )


def _funding(_: Feed, rows: Rows, message: Message, data: dict[str, Any]) -> None:
    rows.add(
        FUNDING,
        message.row,
        data["instId"],
        ts_ns=_ts_ns(data),
        local_ns=message.local_ns,
        funding_ns=int(data["fundingTime"]) * NS_PER_MS,
        rate=float(data["fundingRate"]),
        predicted_rate=float(data.get("nextFundingRate") or "nan"),
    )


def _open_interest(_: Feed, rows: Rows, message: Message, data: dict[str, Any]) -> None:
    rows.add(
        OPEN_INTEREST,
        message.row,
        data["instId"],
        ts_ns=_ts_ns(data),
        local_ns=message.local_ns,
        open_interest=float(data["oi"]),
        value=float(data.get("oiUsd") or "nan"),
    )


def _liquidation(_: Feed, rows: Rows, message: Message, data: dict[str, Any]) -> None:
    for detail in data["details"]:
        rows.liquidation(
            message.row,
            data["instId"],
            _ts_ns(detail),
            message.local_ns,
            seq=-1,
            name="",
            side=SIDES[detail["side"]],
            price=detail["bkPx"],
            size=detail["sz"],
        )


CHANNELS: dict[str, Callable[[Feed, Rows, Message, dict[str, Any]], None]] = {
    **dict.fromkeys(BOOKS, _book),
    **dict.fromkeys(TOP_BOOKS, _top_book),
    "trades": _trade,
    "trades-all": _trade,
    "funding-rate": _funding,
    "open-interest": _open_interest,
    "liquidation-orders": _liquidation,
}
