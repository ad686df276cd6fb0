"""Deribit sockets (v2 subscriptions): book, trades, ticker, incremental_ticker, quote, perpetual.

Sizes are as the venue counts them: dollars of inverse futures, coins of options and linear
contracts. Prices of inverse options are in coins.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from features.clock import HOUR_S, NS_PER_S
from features.intake.batch import Item, Options, Rows
from features.intake.capture import Message, collect
from features.schema import FUNDING, OPEN_INTEREST, OPTION_QUOTES

NS_PER_MS = 1_000_000
SIDES = {"buy": 1, "sell": -1}
CHANGES = ("new", "change", "delete")
OPTION = re.compile(
    r"(?P<root>[^-]+)-(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d\d)-(?P<strike>[\dd]+)-(?P<kind>[CP])"
)
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
EXPIRY_HOUR = 8
FUNDING_S = 8 * HOUR_S
GREEKS = ("delta", "gamma", "vega", "theta", "rho")
GROUPED_PARTS = 5  # book.<instrument>.<group>.<depth>.<interval>; the other book channels have three
Data = dict[str, Any]


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a recorded socket of Deribit.

    Funding accrues all the time here: ``rate`` is ``current_funding``, what would be paid over
    eight hours at the premium of the moment. Tickers of options become option quotes under the
    name of their underlying; an empty side of the book has no price and no volatility.
    """
    del options
    return collect(path, partial(_parse, {}))


def _parse(tickers: dict[str, Data], rows: Rows, message: Message) -> None:
    """Add the rows of one message; other channels, and answers to requests, add none."""
    if message.url or "params" not in message.body:
        return
    channel, data = message.body["params"].get("channel", ""), message.body["params"].get("data")
    kind = channel.partition(".")[0]
    if kind == "incremental_ticker":
        data = _whole_ticker(tickers, data)
    parse = CHANNELS.get(kind)
    if parse is not None:
        parse(rows, message, data)


def _whole_ticker(tickers: dict[str, Data], data: Data) -> Data:
    """Complete a ticker that says only what changed."""
    name = data["instrument_name"]
    if data["type"] == "snapshot":
        tickers[name] = data
    elif name in tickers:
        tickers[name] = tickers[name] | data
    else:
        fault = f"no snapshot of the ticker of {name} came before this change"
        raise ValueError(fault)
    return tickers[name]


def _ts_ns(data: Data) -> int:
    return int(data["timestamp"]) * NS_PER_MS


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _price(value: float | None) -> float:
    """A price or a volatility: 0 says that there is none."""
    return float(value) if value else float("nan")


def _book(rows: Rows, message: Message, data: Data) -> None:
    parts = message.body["params"]["channel"].split(".")
    if len(parts) == GROUPED_PARTS:
        _top_book(rows, message, data, group=parts[2], depth=int(parts[3]))
        return
    first = data["type"] == "snapshot" if "type" in data else "prev_change_id" not in data
    rows.deltas(
        message.row,
        data["instrument_name"],
        _ts_ns(data),
        message.local_ns,
        [_level(*level) for level in data["bids"]],
        [_level(*level) for level in data["asks"]],
        seq=data["change_id"],
        prev_seq=-1 if first else data["prev_change_id"],
        snapshot=first,
    )


def _level(change: str, price: float, amount: float) -> tuple[float, float]:
    if change not in CHANGES:
        fault = f"{change!r} is none of {', '.join(CHANGES)}"
        raise ValueError(fault)
    return price, 0.0 if change == "delete" else amount


def _top_book(rows: Rows, message: Message, data: Data, group: str, depth: int) -> None:
    if group != "none":
        fault = f"levels are summed over steps of {group}; record the channel with group none"
        raise ValueError(fault)
    seq = data.get("change_id", -1)
    name, ts_ns = data["instrument_name"], _ts_ns(data)
    rows.book(message.row, name, ts_ns, message.local_ns, data["bids"], data["asks"], seq=seq, depth=depth)


def _trades(rows: Rows, message: Message, data: list[Data]) -> None:
    for trade in sorted(data, key=lambda t: (t["timestamp"], t["trade_seq"])):
        values = (message.row, trade["instrument_name"], _ts_ns(trade), message.local_ns)
        side, price, size = SIDES[trade["direction"]], trade["price"], trade["amount"]
        rows.trade(*values, seq=trade["trade_seq"], name="", side=side, price=price, size=size)
        # M, T or MT: the maker, the taker or both were liquidated; both are two liquidations of one trade.
        for role in trade.get("liquidation") or "":
            name = f"{trade['trade_id']}-{role}"
            order_side = {"T": side, "M": -side}[role]
            rows.liquidation(*values, seq=-1, name=name, side=order_side, price=price, size=size)


def _ticker(rows: Rows, message: Message, data: Data) -> None:
    if OPTION.fullmatch(data["instrument_name"]):
        _option(rows, message, data)
        return
    if data.get("open_interest") is not None:
        values = {"ts_ns": _ts_ns(data), "local_ns": message.local_ns, "open_interest": float(data["open_interest"])}
        rows.add(OPEN_INTEREST, message.row, data["instrument_name"], **values)
    if data.get("current_funding") is not None:
        _funding(rows, message, data["instrument_name"], data, data["current_funding"])


def _perpetual(rows: Rows, message: Message, data: Data) -> None:
    name = message.body["params"]["channel"].split(".")[1]
    _funding(rows, message, name, data, data["interest"])


def _funding(rows: Rows, message: Message, name: str, data: Data, rate: float) -> None:
    rows.add(
        FUNDING,
        message.row,
        name,
        ts_ns=_ts_ns(data),
        local_ns=message.local_ns,
        rate=float(rate),
        interval_s=FUNDING_S,
        mark_price=_price(data.get("mark_price")),
        index_price=_price(data.get("index_price")),
        last_price=_price(data.get("last_price")),
    )


@lru_cache(maxsize=65_536)
def _terms(name: str) -> Data:
    """What an option's name tells; strikes of small coins are written 0d65 for 0.65."""
    parts = OPTION.fullmatch(name)
    if parts is None:
        fault = f"{name} is no option"
        raise ValueError(fault)
    month = MONTHS.index(parts["month"]) + 1
    expiry = datetime(2000 + int(parts["year"]), month, int(parts["day"]), EXPIRY_HOUR, tzinfo=UTC)
    return {
        "instrument": name,
        "is_call": parts["kind"] == "C",
        "strike": float(parts["strike"].replace("d", ".")),
        "expiry_ns": int(expiry.timestamp()) * NS_PER_S,
    }


def _option(rows: Rows, message: Message, data: Data) -> None:
    name, greeks = data["instrument_name"], data.get("greeks") or {}
    sides: Data = {}
    for side in ("bid", "ask"):
        sides[f"{side}_price"] = _price(data.get(f"best_{side}_price"))
        sides[f"{side}_size"] = _number(data.get(f"best_{side}_amount"))
        sides[f"{side}_iv"] = _price(data.get(f"{side}_iv")) / 100
    rows.add(
        OPTION_QUOTES,
        message.row,
        name.partition("-")[0],
        ts_ns=_ts_ns(data),
        local_ns=message.local_ns,
        **_terms(name),
        **sides,
        mark_price=_number(data.get("mark_price")),
        mark_iv=_price(data.get("mark_iv")) / 100,
        last_price=_price(data.get("last_price")),
        underlying=data.get("underlying_index") or "",
        underlying_price=_price(data.get("underlying_price")),
        open_interest=_number(data.get("open_interest")),
        **{greek: _number(greeks.get(greek)) for greek in GREEKS},
    )


def _quote(rows: Rows, message: Message, data: Data) -> None:
    bid, ask = ((_price(data[f"best_{side}_price"]), _number(data[f"best_{side}_amount"])) for side in ("bid", "ask"))
    rows.quote(message.row, data["instrument_name"], _ts_ns(data), message.local_ns, bid, ask)


CHANNELS: dict[str, Callable[[Rows, Message, Any], None]] = {
    "book": _book,
    "trades": _trades,
    "ticker": _ticker,
    "incremental_ticker": _ticker,
    "perpetual": _perpetual,
    "quote": _quote,
}
