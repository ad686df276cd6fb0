"""BitMEX sockets: orderBookL2, orderBookL2_25, orderBook10, trade, quote, liquidation, funding, instrument.

Sizes are contracts. The book names its levels by number: changes of a level carried no price
before 2023, so a change of a level that no ``partial`` or ``insert`` brought cannot be read.
Book messages carry a time since 2023 only, liquidations none; theirs is the time of receipt.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from features.clock import NS_PER_S
from features.intake.batch import Item, Options, Rows
from features.intake.capture import Message, collect
from features.intake.channels import PastTrades
from features.intake.units import iso_ns
from features.schema import FUNDING, OPEN_INTEREST

SIDES = {"Buy": 1, "Sell": -1}
NO_MATCH = "00000000-0000-0000-0000-000000000000"
TOP_DEPTH = 10
FUNDING_FIELDS = ("fundingRate", "indicativeFundingRate", "fundingTimestamp", "markPrice")
DAY_ZERO_NS = iso_ns("2000-01-01T00:00:00Z")
Data = dict[str, Any]


@dataclass(slots=True)
class Known:
    """What earlier messages said: prices of levels, fields of instruments, trades."""

    prices: dict[str, dict[int, float]] = field(default_factory=dict)
    instruments: dict[str, Data] = field(default_factory=dict)
    trades: PastTrades = field(default_factory=PastTrades)


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a recorded socket of BitMEX; other tables (``chat``, ``tradeBin1m``, ...) are left out.

    Only an ``insert`` of a liquidation is a new one. Values of index names (``.BXBT``) in the
    trade table are no trades.
    """
    del options
    return collect(path, partial(_parse, Known()))


def _parse(known: Known, rows: Rows, message: Message) -> None:
    """Add the rows of one message; other tables and answers to subscriptions add none."""
    if message.url:
        return
    parse = TABLES.get(message.body.get("table"))
    if parse is not None:
        parse(known, rows, message)


def _ts_ns(message: Message, *data: Data) -> int:
    """The latest time in the rows, else the time of receipt."""
    stamps = [row["timestamp"] for row in data if row.get("timestamp")]
    if stamps:
        return iso_ns(max(stamps))
    if not message.local_ns:
        raise ValueError("the message has no time, and the time of receipt was not recorded")
    return message.local_ns


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _book(known: Known, rows: Rows, message: Message) -> None:
    by_symbol: dict[str, list[Data]] = defaultdict(list)
    asked = message.body.get("filter") or {}
    if message.body["action"] == "partial" and "symbol" in asked:
        by_symbol[asked["symbol"]] = []  # an empty book has no levels to name it
    for level in message.body["data"]:
        by_symbol[level["symbol"]].append(level)
    for symbol, levels in by_symbol.items():
        _change(known, rows, message, symbol, levels)


def _change(known: Known, rows: Rows, message: Message, symbol: str, levels: list[Data]) -> None:
    action = message.body["action"]
    if action == "partial":
        known.prices[symbol] = {}
    prices = known.prices.setdefault(symbol, {})
    sides: dict[str, list[tuple[float, float]]] = {"Buy": [], "Sell": []}
    for level in levels:
        size = 0 if action == "delete" else level["size"]
        sides[level["side"]].append((_price(prices, action, level), size))
    rows.deltas(
        message.row,
        symbol,
        _ts_ns(message, *levels),
        message.local_ns,
        sides["Buy"],
        sides["Sell"],
        snapshot=action == "partial",
    )


def _price(prices: dict[int, float], action: str, level: Data) -> float:
    """The price of a level, remembered from the message that brings it until the one that takes it away."""
    price = level["price"] if action in ("partial", "insert") else level.get("price", prices.get(level["id"]))
    if price is None:
        fault = f"level {level['id']} of {level['symbol']} has no price: nothing told it before this {action}"
        raise ValueError(fault)
    if action == "delete":
        prices.pop(level["id"], None)
    else:
        prices[level["id"]] = price
    return float(price)


def _top_book(_: Known, rows: Rows, message: Message) -> None:
    for book in message.body["data"]:
        ts_ns = _ts_ns(message, book)
        rows.book(message.row, book["symbol"], ts_ns, message.local_ns, book["bids"], book["asks"], depth=TOP_DEPTH)


def _trade(known: Known, rows: Rows, message: Message) -> None:
    past = message.body["action"] == "partial"
    trades = [trade for trade in message.body["data"] if not trade["symbol"].startswith(".")]
    for trade in sorted(trades, key=lambda trade: _ts_ns(message, trade)):
        ts_ns = _ts_ns(message, trade)
        name = "" if trade["trdMatchID"] == NO_MATCH else trade["trdMatchID"]
        if not known.trades.is_new(trade["symbol"], ts_ns, name, past=past):
            continue
        rows.trade(
            message.row,
            trade["symbol"],
            ts_ns,
            message.local_ns,
            seq=-1,
            name=name,
            side=SIDES[trade["side"]],
            price=trade["price"],
            size=trade["size"],
        )


def _quote(_: Known, rows: Rows, message: Message) -> None:
    for quote in message.body["data"]:
        bid, ask = ((_number(quote.get(f"{side}Price")), _number(quote.get(f"{side}Size"))) for side in ("bid", "ask"))
        rows.quote(message.row, quote["symbol"], _ts_ns(message, quote), message.local_ns, bid, ask)


def _liquidation(_: Known, rows: Rows, message: Message) -> None:
    if message.body["action"] != "insert":
        return
    for order in message.body["data"]:
        rows.liquidation(
            message.row,
            order["symbol"],
            _ts_ns(message, order),
            message.local_ns,
            seq=-1,
            name=order["orderID"],
            side=SIDES[order["side"]],
            price=order["price"],
            size=order["leavesQty"],
        )


def _interval_s(data: Data) -> int:
    """Length of the funding interval; the venue writes it as a time of the first day of 2000."""
    text = data.get("fundingInterval")
    return (iso_ns(text) - DAY_ZERO_NS) // NS_PER_S if text else 0


def _paid_funding(_: Known, rows: Rows, message: Message) -> None:
    for data in message.body["data"]:
        _add_funding(rows, message, data, data["timestamp"])


def _add_funding(rows: Rows, message: Message, data: Data, settled: str | None) -> None:
    rows.add(
        FUNDING,
        message.row,
        data["symbol"],
        ts_ns=_ts_ns(message, data),
        local_ns=message.local_ns,
        funding_ns=iso_ns(settled) if settled else 0,
        rate=float(data["fundingRate"]),
        predicted_rate=_number(data.get("indicativeFundingRate")),
        interval_s=_interval_s(data),
        mark_price=_number(data.get("markPrice")),
        index_price=_number(data.get("indicativeSettlePrice")),
        last_price=_number(data.get("lastPrice")),
    )


def _instrument(known: Known, rows: Rows, message: Message) -> None:
    """Add open interest and funding where a message changes them; what it leaves out stays as it was."""
    for change in message.body["data"]:
        whole = known.instruments.get(change["symbol"], {}) | change
        known.instruments[change["symbol"]] = whole
        if change.get("openInterest") is not None:
            times = {"ts_ns": _ts_ns(message, change), "local_ns": message.local_ns}
            rows.add(OPEN_INTEREST, message.row, change["symbol"], **times, open_interest=float(change["openInterest"]))
        told = any(change.get(name) is not None for name in FUNDING_FIELDS)
        if told and whole.get("fundingRate") is not None:
            stamp = {"timestamp": change.get("timestamp")}
            _add_funding(rows, message, whole | stamp, whole.get("fundingTimestamp"))


TABLES: dict[str | None, Callable[[Known, Rows, Message], None]] = {
    "orderBookL2": _book,
    "orderBookL2_25": _book,
    "orderBook10": _top_book,
    "trade": _trade,
    "quote": _quote,
    "liquidation": _liquidation,
    "funding": _paid_funding,
    "instrument": _instrument,
}
