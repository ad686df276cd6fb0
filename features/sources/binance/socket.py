"""Binance sockets of spot, USD-M and COIN-M with REST snapshots among them; sizes of COIN-M are in contracts."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.intake.batch import Item, Level, Note, Options, Rows
from features.intake.capture import Message, collect
from features.intake.units import unit_ns
from features.schema import AGG_TRADES, FUNDING, TRADES, bars
from features.sources.binance.placing import Event, Placer, emit, near

INTERVALS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
COIN_M = re.compile(r"USD_(PERP|\d{6})")
PARTIAL = re.compile(r"@depth(5|10|20)(@|$)")
URL_SYMBOL = re.compile(r"[?&]symbol=([A-Za-z0-9_]+)")
Data = dict[str, Any]


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a capture; ``options.symbol`` names a REST snapshot's instrument where neither address nor file does.

    A REST snapshot is put where its ``lastUpdateId`` belongs; it carries no time on spot, so there it gets
    that of the change it follows.
    """
    parser = _Parser(options.symbol)
    yield from collect(path, parser.parse, parser.finish)
    yield from parser.notes()


@dataclass(slots=True)
class _Parser:
    """What must be remembered along a capture: books that wait for a snapshot, and the symbols seen."""

    symbol: str | None
    placers: dict[str, Placer] = field(default_factory=dict)
    seen: dict[str, None] = field(default_factory=dict)
    nameless: list[Event] = field(default_factory=list)
    lists: int = 0
    off_book: int = 0

    def parse(self, rows: Rows, message: Message) -> None:
        """Add the rows of one message; streams of all symbols send lists."""
        body = message.body
        stream, data = (body.get("stream", ""), body.get("data", body)) if isinstance(body, dict) else ("", body)
        for item in data if isinstance(data, list) else [data]:
            self._item(rows, message, stream, item)

    def _item(self, rows: Rows, message: Message, stream: str, data: Data) -> None:
        partial = PARTIAL.search(stream)
        if partial:
            _top_book(rows, message, stream, data, int(partial[1]))
        elif "lastUpdateId" in data:
            self._snapshot(rows, message, stream, data)
        elif data.get("e") == "depthUpdate":
            self._change(rows, message, data)
        elif "symbols" in data:
            self.lists += 1
        else:
            self._event(rows, message, data)

    def _event(self, rows: Rows, message: Message, data: Data) -> None:
        """Everything but books; a quote of spot carries no name of its event."""
        name = data.get("e") or ("bookTicker" if {"b", "a", "s", "u"} <= data.keys() else "")
        if name not in EVENTS:
            return
        if data.get("X", "MARKET") != "MARKET":
            self.off_book += 1
            return
        self.seen[str(data["o"]["s"] if name == "forceOrder" else data["s"])] = None
        EVENTS[name](rows, message, data)

    def finish(self, rows: Rows) -> None:
        """Add what is still held back."""
        if self.nameless and len(self.seen) > 1:
            raise ValueError(f"a REST snapshot does not tell which of {', '.join(self.seen)} it is of; add --symbol")
        if self.nameless and not self.seen:
            raise ValueError("a REST snapshot does not tell its symbol; add --symbol")
        for event in self.nameless:
            self.placers.setdefault(next(iter(self.seen)), Placer()).wait(event)
        for symbol, placer in self.placers.items():
            emit(rows, symbol, placer.finish())

    def notes(self) -> Iterator[Note]:
        """What was left out."""
        spare = sum(placer.redundant for placer in self.placers.values())
        if spare:
            yield Note(f"{spare} REST snapshots repeat what the changes had told already and were left out")
        if self.off_book:
            yield Note(f"{self.off_book} trades of the insurance fund or of deleveraging are not of the book, left out")
        if self.lists:
            yield Note("a list of instruments, no market data")

    def _change(self, rows: Rows, message: Message, data: Data) -> None:
        """A change; a snapshot without a name whose number it passes is of its symbol."""
        symbol = str(data["s"])
        self.seen[symbol] = None
        prev_seq = data["pu"] if "pu" in data else data["U"] - 1
        ts_ns = _time_ns(data.get("T") or data["E"])
        event = Event(message.row, ts_ns, message.local_ns, data["u"], prev_seq, _levels(data["b"]), _levels(data["a"]))
        for waiting in [w for w in self.nameless if prev_seq <= w.seq < event.seq and near(event, w)]:
            self.nameless.remove(waiting)
            self._place(rows, symbol, waiting)
        self._place(rows, symbol, event)

    def _snapshot(self, rows: Rows, message: Message, stream: str, data: Data) -> None:
        stamp = data.get("T") or data.get("E")
        bids, asks = _levels(data["bids"]), _levels(data["asks"])
        ts_ns = _time_ns(stamp) if stamp else 0
        event = Event(message.row, ts_ns, message.local_ns, data["lastUpdateId"], -1, bids, asks, snapshot=True)
        told = URL_SYMBOL.search(message.url)
        symbol = told[1].upper() if told else stream.partition("@")[0].upper() or self.symbol
        if not symbol:
            covered = [name for name, placer in self.placers.items() if placer.covers(event)]
            symbol = covered[0] if len(covered) == 1 else None
        if symbol:
            self.seen[symbol] = None
            self._place(rows, symbol, event)
        else:
            self.nameless.append(event)

    def _place(self, rows: Rows, symbol: str, event: Event) -> None:
        placer = self.placers.setdefault(symbol, Placer())
        emit(rows, symbol, placer.add(event))


def _levels(levels: list[list[Any]]) -> list[Level]:
    return [level[:2] for level in levels]


def _top_book(rows: Rows, message: Message, stream: str, data: Data, depth: int) -> None:
    """A partial book: on spot without a name or time, on futures dressed as a change."""
    symbol = data.get("s") or stream.partition("@")[0].upper()
    stamp = data.get("T") or data.get("E")
    ts_ns = _or_local(_time_ns(stamp) if stamp else 0, message)
    bids, asks = _levels(data.get("bids") or data.get("b") or []), _levels(data.get("asks") or data.get("a") or [])
    seq = data["lastUpdateId"] if "lastUpdateId" in data else data["u"]
    rows.book(message.row, symbol, ts_ns, message.local_ns, bids, asks, seq=seq, depth=depth)


def _or_local(ts_ns: int, message: Message) -> int:
    """The exchange's time, or where it tells none the recorder's."""
    if not (ts_ns or message.local_ns):
        raise ValueError("neither the message nor the recorder tells a time")
    return ts_ns or message.local_ns


def _trade(rows: Rows, message: Message, data: Data) -> None:
    """The buyer made the order that waited, so the aggressor sold."""
    alone = data["e"] == "trade"
    seq, table = (data["t"], TRADES) if alone else (data["a"], AGG_TRADES)
    side = -1 if data["m"] else 1
    ts_ns = _time_ns(data["T"])
    rows.trade(message.row, data["s"], ts_ns, message.local_ns, seq, "", side, data["p"], data["q"], table)


def _time_ns(stamp: int) -> int:
    return stamp * unit_ns(stamp)


def _quote(rows: Rows, message: Message, data: Data) -> None:
    ts_ns = _or_local(_time_ns(data["T"]) if "T" in data else 0, message)
    bid, ask = (data["b"], data["B"]), (data["a"], data["A"])
    rows.quote(message.row, data["s"], ts_ns, message.local_ns, bid, ask, seq=data["u"])


def _mark(rows: Rows, message: Message, data: Data) -> None:
    """Dated futures are marked too, but pay no funding."""
    if not data.get("r"):
        return
    rows.add(
        FUNDING,
        message.row,
        data["s"],
        ts_ns=_time_ns(data["E"]),
        local_ns=message.local_ns,
        funding_ns=_time_ns(data["T"]),
        rate=float(data["r"]),
        mark_price=float(data["p"]),
        index_price=float(data.get("i") or "nan"),
    )


def _kline(rows: Rows, message: Message, data: Data) -> None:
    """Only a bar that is closed is a bar."""
    bar = data["k"]
    if not bar["x"]:
        return
    interval = bar["i"]
    if interval[-1] not in INTERVALS_S:
        return
    names = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "quote_volume": "q", "buy_volume": "V"}
    untold = {"quote_volume": float("nan")} if COIN_M.search(data["s"]) else {}  # there it tells base units
    rows.add(
        bars(int(interval[:-1]) * INTERVALS_S[interval[-1]]),
        message.row,
        data["s"],
        ts_ns=_time_ns(bar["t"]),
        trades=float(bar["n"]),
        **{name: float(bar[key]) for name, key in names.items()} | untold,
    )


def _liquidation(rows: Rows, message: Message, data: Data) -> None:
    """The order that closes a position; its steps come too, and only its end tells all that was filled."""
    order = data["o"]
    if order["X"] != "FILLED":
        return
    side = {"BUY": 1, "SELL": -1}[order["S"]]
    ts_ns = _time_ns(order["T"])
    rows.liquidation(message.row, order["s"], ts_ns, message.local_ns, -1, "", side, order["ap"], order["z"])


EVENTS: dict[str, Callable[[Rows, Message, Data], None]] = {
    "trade": _trade,
    "aggTrade": _trade,
    "bookTicker": _quote,
    "markPriceUpdate": _mark,
    "kline": _kline,
    "forceOrder": _liquidation,
}
