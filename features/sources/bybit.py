"""Bybit: recorded sockets and the ``*_ob500.data`` archives of books, v5 and the older v2.

=========================  ==================================================
topic                      becomes
=========================  ==================================================
``orderbook.N.X``          book rows; ``orderbook.1.X`` quotes
``orderBookL2_25.X``       book rows (v2; also ``orderBook_200.100ms.X``)
``publicTrade.X``          trades (v2: ``trade.X``)
``tickers.X``              funding, open interest (v2: ``instrument_info.*.X``)
``allLiquidation.X``       liquidations (also ``liquidation.X``)
=========================  ==================================================
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import isnan, nan
from pathlib import Path
from typing import Any

from features.intake.batch import Item, Note, Options, Rows
from features.intake.capture import Message, collect
from features.intake.channels import FirstChannel, PastTrades
from features.intake.units import iso_ns
from features.schema import FUNDING, OPEN_INTEREST

NS_PER_MS, NS_PER_US = 1_000_000, 1_000
SIDES = {"Buy": 1, "Sell": -1}
LIQUIDATED = {"Buy": -1, "Sell": 1}  # the venue names the position; the order that closes it is on the other side
TOP, RPI = "orderbook.1", "orderbook.rpi"
RATE, OPEN = ("fundingRate", "funding_rate"), ("openInterest", "open_interest")
MARK, INDEX, LAST = ("markPrice", "mark_price"), ("indexPrice", "index_price"), ("lastPrice", "last_price")
VALUE, PREDICTED = ("openInterestValue", "open_value"), ("predicted_funding_rate",)
DUE, INTERVAL_H = ("nextFundingTime", "next_funding_time"), ("fundingIntervalHour", "funding_rate_interval")


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read an archive of books or a recorded socket of Bybit.

    Of several depths of a symbol's book the one that comes first is kept; the others are left out with a note.
    """
    del options
    feed = Feed()
    yield from collect(path, feed.parse)
    yield from feed.books.notes()
    yield from (Note(f"{symbol}: left out {RPI}, orders that only retail users can meet") for symbol in feed.rpi)


@dataclass(slots=True)
class Feed:
    """What must be remembered from message to message.

    Attributes
    ----------
    rpi : symbols whose books of retail orders were left out.
    tickers : the fields told so far, by symbol; changes carry only those that changed.
    tops : books of one level, by symbol.
    """

    books: FirstChannel = field(default_factory=lambda: FirstChannel("books"))
    trades: PastTrades = field(default_factory=PastTrades)
    rpi: dict[str, None] = field(default_factory=dict)
    tickers: dict[str, dict[str, Any]] = field(default_factory=dict)
    tops: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)

    def parse(self, rows: Rows, message: Message) -> None:
        """Add the rows of one message; other topics and answers to requests add none."""
        topic = message.body.get("topic", "")
        parse = TOPICS.get(topic.partition(".")[0])
        if parse is not None:
            channel, _, symbol = topic.rpartition(".")
            parse(self, rows, message, channel, symbol)


def _any(data: dict[str, Any], *names: str) -> Any:  # noqa: ANN401 - a JSON value
    """The first of the names that is there: versions of the API differ in them."""
    return data[next((name for name in names if name in data), names[0])]


def _number(data: dict[str, Any], names: tuple[str, ...]) -> float:
    """A ticker's number, plain or scaled (``mark_price_e4``); NaN if it is not there or empty."""
    for name in names:
        for key, scale in ((name, 1.0), (f"{name}_e4", 1e4), (f"{name}_e6", 1e6), (f"{name}_e8", 1e8)):
            if data.get(key) not in (None, ""):
                return float(data[key]) / scale
    return nan


def _book(feed: Feed, rows: Rows, message: Message, channel: str, symbol: str) -> None:
    body, data = message.body, message.body["data"]
    ts_ns = int(body.get("cts") or body["ts"]) * NS_PER_MS  # cts: the matching engine's time, since 2023
    seq = int(data.get("u", -1))
    snapshot = body["type"] == "snapshot" or seq == 1  # 1: the service was restarted
    if channel == TOP:
        book = feed.tops.setdefault(symbol, {"b": {}, "a": {}})
        bids, asks = (_top(book, side, data[side], snapshot) for side in ("b", "a"))
        rows.book(message.row, symbol, ts_ns, message.local_ns, bids, asks, seq=seq, depth=1)
    elif channel == RPI:
        feed.rpi[symbol] = None
    elif feed.books.keeps(symbol, channel):
        prev_seq = -1 if snapshot or seq < 0 else seq - 1
        add = partial(rows.deltas, message.row, symbol, ts_ns, message.local_ns, data["b"], data["a"])
        add(seq=seq, prev_seq=prev_seq, snapshot=snapshot)


def _top(
    book: dict[str, dict[str, str]], side: str, changes: list[list[str]], snapshot: bool
) -> list[tuple[float, float]]:
    """The best level of a side after a message."""
    levels = {} if snapshot else book[side]
    book[side] = {price: size for price, size in (levels | dict(changes)).items() if float(size)}
    best = sorted((float(price), float(size)) for price, size in book[side].items())
    return best[:1] if side == "a" else best[-1:]


def _old_book(feed: Feed, rows: Rows, message: Message, channel: str, symbol: str) -> None:
    if not feed.books.keeps(symbol, channel):
        return
    body, data = message.body, message.body["data"]
    ts_ns, snapshot = int(body["timestamp_e6"]) * NS_PER_US, body["type"] == "snapshot"
    levels: dict[int, list[tuple[str, float]]] = {1: [], -1: []}
    if snapshot:
        changes = data["order_book"] if isinstance(data, dict) else data
    else:
        changes = [*({**gone, "size": 0.0} for gone in data["delete"]), *data["update"], *data["insert"]]
    for change in changes:
        levels[SIDES[change["side"]]].append((change["price"], change["size"]))
    add = partial(rows.deltas, message.row, symbol, ts_ns, message.local_ns, levels[1], levels[-1])
    add(seq=int(body.get("cross_seq", -1)), snapshot=snapshot)


def _trade(feed: Feed, rows: Rows, message: Message, channel: str, symbol: str) -> None:
    """Add trades; v2 tells the latest one again after each subscription."""
    del channel
    for one in message.body["data"]:
        stamp = one.get("T") or one.get("trade_time_ms")
        ts_ns = int(stamp) * NS_PER_MS if stamp else iso_ns(one["timestamp"])
        symbol, name = _any(one, "s", "symbol"), str(_any(one, "i", "trade_id"))
        if not feed.trades.is_new(symbol, ts_ns, name):
            continue
        rows.trade(
            message.row,
            symbol,
            ts_ns,
            message.local_ns,
            seq=-1,
            name=name,
            side=SIDES[_any(one, "S", "side")],
            price=_any(one, "p", "price"),
            size=_any(one, "v", "size"),
        )


def _ticker(feed: Feed, rows: Rows, message: Message, channel: str, symbol: str) -> None:
    del channel
    body = message.body
    changes = body["data"]
    if "update" in changes:
        changes = {key: value for update in changes["update"] for key, value in update.items()}
    known = {} if body["type"] == "snapshot" else feed.tickers.get(symbol, {})
    feed.tickers[symbol] = known = known | changes
    ts_ns = int(body["timestamp_e6"]) * NS_PER_US if "timestamp_e6" in body else int(body["ts"]) * NS_PER_MS
    add = partial(rows.add, row=message.row, symbol=symbol, ts_ns=ts_ns, local_ns=message.local_ns)
    if _tells(changes, RATE, MARK, INDEX) and _tells(known, RATE):
        add(FUNDING, **_funding(known))
    if _tells(changes, OPEN, VALUE) and _tells(known, OPEN):
        add(OPEN_INTEREST, open_interest=_number(known, OPEN), value=_number(known, VALUE))


def _tells(data: dict[str, Any], *fields: tuple[str, ...]) -> bool:
    return any(not isnan(_number(data, names)) for names in fields)


def _funding(known: dict[str, Any]) -> dict[str, Any]:
    due = next((known[name] for name in DUE if known.get(name)), "0")
    hours = _number(known, INTERVAL_H)
    return {
        "funding_ns": int(due) * NS_PER_MS if str(due).isdigit() else iso_ns(due),
        "rate": _number(known, RATE),
        "predicted_rate": _number(known, PREDICTED),
        "interval_s": 0 if isnan(hours) else int(hours * 3600),
        "mark_price": _number(known, MARK),
        "index_price": _number(known, INDEX),
        "last_price": _number(known, LAST),
    }


def _liquidation(feed: Feed, rows: Rows, message: Message, channel: str, symbol: str) -> None:
    del feed, channel, symbol
    data = message.body["data"]
    for one in data if isinstance(data, list) else [data]:
        rows.liquidation(
            message.row,
            _any(one, "s", "symbol"),
            int(_any(one, "T", "updatedTime", "time")) * NS_PER_MS,
            message.local_ns,
            seq=-1,
            name="",
            side=LIQUIDATED[_any(one, "S", "side")],
            price=_any(one, "p", "price"),
            size=_any(one, "v", "size", "qty"),
        )


TOPICS: dict[str, Callable[[Feed, Rows, Message, str, str], None]] = {
    "orderbook": _book,
    "orderBookL2_25": _old_book,
    "orderBook_200": _old_book,
    "publicTrade": _trade,
    "trade": _trade,
    "tickers": _ticker,
    "instrument_info": _ticker,
    "liquidation": _liquidation,
    "allLiquidation": _liquidation,
}
