"""Tardis Machine's normalised messages: one JSON object a line, or one pretty-printed object or list in a file.

``trade``, ``book_change``, ``book_snapshot`` (also quotes), ``book_ticker``, ``derivative_ticker``,
``liquidation``, ``option_summary``, ``trade_bar`` and ``disconnect``; the venue of a row is its ``exchange``.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from features.errors import FormatError
from features.intake.batch import BATCH_ROWS, Batch, Item, Note, Options, Rejected, Rows
from features.intake.capture import BAD_MESSAGE
from features.intake.stream import first_lines, lines, opened
from features.intake.units import iso_ns
from features.schema import FUNDING, OPEN_INTEREST, OPTION_QUOTES, bars

Json = dict[str, Any]
SIDES = {"buy": 1, "sell": -1, "unknown": 0}
INSTRUMENTS = ("spot", "perpetual", "future", "option", "combo")
NO_JSON = (msgspec.DecodeError, RecursionError)
BLANKS = re.compile(r"\s*")
WHOLE_ID = re.compile(r"\d{1,18}")
NAN = float("nan")
IN_FRACTIONS = ("okex", "okx", "binance", "bybit", "huobi")  # venues whose volatilities are fractions per year
PERCENT_FROM = 3.0  # no mark volatility of a liquid option is 300 % or 3 %
NS_PER_MS = 1_000_000
TELL_FROM = 50  # lines; a pretty-printed message is shorter


@dataclass(slots=True)
class _Venue:
    """What was collected of one exchange, and the books that were seen."""

    rows: Rows = field(default_factory=Rows)
    books: dict[str, None] = field(default_factory=dict)
    unclocked: set[str] = field(default_factory=set)
    idle_cuts: int = 0


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read the messages of a file.

    A bar is stamped at its open, ``timestamp`` less its length. Volatilities in percent become fractions:
    Deribit's are percent in recorded data, while some tools write fractions; the size of the mark's tells.
    """
    del options
    venues: dict[str, _Venue] = {}
    instruments = 0
    for row, text, message in _messages(path):
        if isinstance(message, dict) and message.get("type") in INSTRUMENTS and "id" in message:
            instruments += 1
            continue
        fault = _add(venues, row, message)
        if fault:
            yield Rejected(row, fault, text or json.dumps(message))
        if sum(venue.rows.count for venue in venues.values()) >= BATCH_ROWS:
            yield from _take(venues)
    yield from _take(venues)
    yield from _notes(venues, instruments)


def _messages(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Line, text and content of each message; a line that is no JSON comes as its fault."""
    head = first_lines(path, TELL_FROM)
    if head[:1] == [b"["] or not any(_is_message(line) for line in head):
        yield from _whole(path)
        return
    for row, line in lines(path):
        try:
            message = msgspec.json.decode(line)
        except NO_JSON as error:
            message = error
        yield row, line.decode(errors="replace"), message


def _is_message(line: bytes) -> bool:
    try:
        message = msgspec.json.decode(line)
    except NO_JSON:
        return False
    return isinstance(message, dict) and ("type" in message or "exchange" in message)


def _whole(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Read values that span lines, one after another; a list counts as its members. Rows are messages, not lines."""
    with opened(path) as stream:
        text = stream.read().decode("utf-8-sig", errors="replace").rstrip()
    decoder, at, row = json.JSONDecoder(), 0, 0
    while at < len(text):
        start = BLANKS.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing too
        try:
            value, at = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise FormatError(f"{path}: line {error.lineno} is no JSON ({error.msg}); fetch the file again") from error
        except RecursionError as error:
            raise FormatError(f"{path}: holds no messages ({error}); fetch the file again") from error
        for message in value if isinstance(value, list) else [value]:
            row += 1
            yield row, "", message


def _add(venues: dict[str, _Venue], row: int, message: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Add the rows of a message; what is wrong with it, if it cannot be read."""
    if not isinstance(message, dict):
        return f"the line is no JSON ({message})" if isinstance(message, Exception) else "the message is no JSON object"
    venue = venues.setdefault(str(message.get("exchange")), _Venue())
    mark = venue.rows.mark()
    try:
        parse = TYPES.get(message["type"])
        if parse is None:
            return f"unknown type {message['type']!r}"
        if not message["exchange"]:
            return "the message names no exchange"
        parse(venue, row, message)
    except BAD_MESSAGE as error:
        venue.rows.back_to(mark)
        what = f"no field {error.args[0]!r}" if isinstance(error, KeyError) else error
        return f"the message cannot be read ({what})"
    return None


def _take(venues: dict[str, _Venue]) -> Iterator[Batch | Rejected]:
    for name, venue in venues.items():
        for item in venue.rows.take():
            if isinstance(item, Batch):
                item = Batch(item.table, item.frame.with_columns(pl.lit(name).alias("venue")))
            yield item


def _notes(venues: dict[str, _Venue], instruments: int) -> Iterator[Note]:
    if instruments:
        yield Note(f"{instruments} descriptions of instruments: they hold no market data")
    for name, venue in venues.items():
        if venue.idle_cuts:
            yield Note(f"{name}: {venue.idle_cuts} interruptions of the feed before any book was seen")
        for bar in sorted(venue.unclocked):
            yield Note(f"{name}: {bar} bars are not cut by whole seconds of the clock and were left out")


def _times(message: Json) -> tuple[int, int]:
    local_ns = iso_ns(message["localTimestamp"]) if message.get("localTimestamp") else 0
    if message.get("timestamp"):
        return iso_ns(message["timestamp"]), local_ns
    if not local_ns:
        raise ValueError("it has no timestamp")
    return local_ns, local_ns


def _identity(message: Json) -> dict[str, Any]:
    """The number of a trade, or its name where that is no number."""
    name = str(message.get("id") or "")
    return {"seq": int(name), "name": ""} if WHOLE_ID.fullmatch(name) else {"seq": -1, "name": name}


def _levels(message: Json, side: str) -> list[tuple[float, float]]:
    return [(level["price"], level["amount"]) for level in message[side]]


def _number(message: Json, name: str) -> float:
    value = message.get(name)
    return NAN if value is None else float(value)


def _trade(venue: _Venue, row: int, m: Json) -> None:
    side, price, size = SIDES[m["side"]], m["price"], m["amount"]
    venue.rows.trade(row, m["symbol"], *_times(m), **_identity(m), side=side, price=price, size=size)


def _liquidation(venue: _Venue, row: int, m: Json) -> None:
    side, price, size = SIDES[m["side"]], m["price"], m["amount"]
    venue.rows.liquidation(row, m["symbol"], *_times(m), **_identity(m), side=side, price=price, size=size)


def _book_change(venue: _Venue, row: int, m: Json) -> None:
    bids, asks = _levels(m, "bids"), _levels(m, "asks")
    venue.rows.deltas(row, m["symbol"], *_times(m), bids, asks, snapshot=m["isSnapshot"])
    venue.books[m["symbol"]] = None


def _book_snapshot(venue: _Venue, row: int, m: Json) -> None:
    bids, asks = _given_levels(m, "bids"), _given_levels(m, "asks")
    depth = int(m["depth"])
    if max(len(bids), len(asks)) > depth:
        raise ValueError(f"more levels than its depth of {depth}")
    venue.rows.book(row, m["symbol"], *_times(m), bids, asks, depth=depth)


def _given_levels(message: Json, side: str) -> list[tuple[float, float]]:
    """Levels of a snapshot; those that the book does not have may be there without price and amount."""
    return [(level["price"], level["amount"]) for level in message[side] if level.get("price") is not None]


def _quote(venue: _Venue, row: int, m: Json) -> None:
    bid, ask = ((_number(m, f"{side}Price"), _number(m, f"{side}Amount")) for side in ("bid", "ask"))
    venue.rows.quote(row, m["symbol"], *_times(m), bid, ask)


def _derivative(venue: _Venue, row: int, m: Json) -> None:
    ts_ns, local_ns = _times(m)
    times = {"ts_ns": ts_ns, "local_ns": local_ns}
    if m.get("fundingRate") is not None:
        venue.rows.add(
            FUNDING,
            row,
            m["symbol"],
            **times,
            funding_ns=iso_ns(m["fundingTimestamp"]) if m.get("fundingTimestamp") else 0,
            rate=float(m["fundingRate"]),
            predicted_rate=_number(m, "predictedFundingRate"),
            mark_price=_number(m, "markPrice"),
            index_price=_number(m, "indexPrice"),
            last_price=_number(m, "lastPrice"),
        )
    if m.get("openInterest") is not None:
        venue.rows.add(OPEN_INTEREST, row, m["symbol"], **times, open_interest=float(m["openInterest"]))


def _option(venue: _Venue, row: int, m: Json) -> None:
    ts_ns, local_ns = _times(m)
    unit = _iv_unit(m)
    ivs = {f"{which}_iv": _number(m, name) * unit for which, name in IVS.items()}
    numbers = {column: _number(m, name) for column, name in OPTION_NUMBERS.items()}
    venue.rows.add(
        OPTION_QUOTES,
        row,
        m["symbol"].partition("-")[0],
        ts_ns=ts_ns,
        local_ns=local_ns,
        instrument=m["symbol"],
        is_call={"call": True, "put": False}[m["optionType"]],
        strike=float(m["strikePrice"]),
        expiry_ns=iso_ns(m["expirationDate"]),
        underlying=str(m.get("underlyingIndex") or ""),
        **ivs,
        **numbers,
    )


def _iv_unit(m: Json) -> float:
    """Fractions of one unit of volatility, by that of the mark, else by the smallest that is given."""
    if m["exchange"].startswith(IN_FRACTIONS):
        return 1.0
    given = [m[name] for name in (IVS["mark"], *IVS.values()) if m.get(name)]
    told = given[0] if m.get(IVS["mark"]) else min(given, default=0.0)
    return 1.0 if told < PERCENT_FROM else 0.01


def _bar(venue: _Venue, row: int, m: Json) -> None:
    if m["kind"] != "time" or m["interval"] % 1000:
        venue.unclocked.add(m.get("name") or m["kind"])
        return
    venue.rows.add(
        bars(m["interval"] // 1000),
        row,
        m["symbol"],
        ts_ns=iso_ns(m["timestamp"]) - m["interval"] * NS_PER_MS,
        **{name: float(m[name]) for name in ("open", "high", "low", "close", "volume", "trades")},
        buy_volume=float(m["buyVolume"]),
    )


def _disconnect(venue: _Venue, row: int, m: Json) -> None:
    venue.idle_cuts += not venue.books
    for symbol in venue.books:
        venue.rows.cut(row, symbol, *_times(m))


def _pass_over(venue: _Venue, row: int, m: Json) -> None:
    del venue, row, m


IVS = {"mark": "markIV", "bid": "bestBidIV", "ask": "bestAskIV"}
OPTION_NUMBERS = {
    "bid_price": "bestBidPrice",
    "bid_size": "bestBidAmount",
    "ask_price": "bestAskPrice",
    "ask_size": "bestAskAmount",
    "mark_price": "markPrice",
    "last_price": "lastPrice",
    "underlying_price": "underlyingPrice",
    "open_interest": "openInterest",
} | {greek: greek for greek in ("delta", "gamma", "vega", "theta", "rho")}
TYPES: dict[str, Callable[[_Venue, int, Json], None]] = {
    "trade": _trade,
    "book_change": _book_change,
    "book_snapshot": _book_snapshot,
    "book_ticker": _quote,
    "quote": _quote,
    "derivative_ticker": _derivative,
    "liquidation": _liquidation,
    "option_summary": _option,
    "trade_bar": _bar,
    "disconnect": _disconnect,
    "error": _pass_over,
}
