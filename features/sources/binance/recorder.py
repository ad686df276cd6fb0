"""Depth and trade rows as text: Binance's own T_DEPTH files, and the CSV of a recorder of its sockets.

One row is one level. Rows of one number and kind that follow each other are one message.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from features.errors import SchemaError
from features.intake.batch import BATCH_ROWS, Item, Note, Options, Rejected, Rows
from features.intake.stream import lines
from features.intake.units import UNITS_NS
from features.sources.binance.placing import Event, Placer, emit

MS_NS = UNITS_NS["ms"]
Cells = dict[str, str]
Key = tuple[str, str, int]


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read level by level; lines that begin with ``#`` are comments.

    Raises
    ------
    SchemaError
        If the header is of neither kind of file.
    """
    del options
    header: list[str] | None = None
    parser = _Parser()
    rows = Rows()
    for number, line in lines(path):
        if line.startswith(b"#"):
            continue
        try:
            cells = next(csv.reader([line.decode(errors="replace")]))
        except csv.Error as error:
            yield Rejected(number, f"the line cannot be read ({error})", line.decode(errors="replace"))
            continue
        if header is None:
            header = _known(path, cells)
            continue
        yield from _one(parser, rows, number, header, cells)
        if rows.count >= BATCH_ROWS:
            yield from rows.take()
    yield from parser.finish(rows)
    yield from rows.take()


def _known(path: Path, header: list[str]) -> list[str]:
    if {"symbol", "last_update_id", "update_type"} <= set(header) or {"TimestampOfReceive", "Price"} <= set(header):
        return header
    raise SchemaError(f"{path}: the columns {', '.join(header[:8])} are of no recorder that is known")


def _one(parser: "_Parser", rows: Rows, number: int, header: list[str], cells: list[str]) -> Iterator[Rejected]:
    if len(cells) != len(header):
        parser.spoil(rows)
        yield Rejected(number, f"{len(cells)} fields where the header has {len(header)}", ",".join(cells))
        return
    try:
        parser.take(rows, number, dict(zip(header, cells, strict=True)))
    except (KeyError, ValueError) as error:
        yield Rejected(number, f"the row cannot be read ({error})", ",".join(cells))


@dataclass(slots=True)
class _Parser:
    """The message that is being gathered, and the books that wait for a snapshot."""

    placers: dict[str, Placer] = field(default_factory=dict)
    off_book: int = 0
    _key: Key | None = None
    _spoilt: Key | None = None
    _event: Event | None = None

    def take(self, rows: Rows, number: int, cells: Cells) -> None:
        """Take one row in."""
        if cells.get("EventType") == "trade":
            if cells["XUnknownParameter"] in ("", "MARKET") and float(cells["Price"]) > 0:
                _trade(rows, number, cells)
            else:
                self.off_book += 1
            return
        key, event = _level(number, cells)
        if key == self._spoilt:
            raise ValueError("an earlier level of the same message cannot be read")
        is_ask = cells.get("IsAsk") == "1" or cells.get("side") == "a"
        try:
            level = (float(cells.get("Price") or cells["price"]), float(cells.get("Quantity") or cells["qty"]))
        except ValueError:
            self.spoil(rows, key)
            raise
        if key != self._key or self._event is None:
            self._close(rows)
            self._key, self._event = key, event
        elif event.seq > self._event.seq:  # a rebuilt book: its number is the latest of its levels
            event.bids.extend(self._event.bids)
            event.asks.extend(self._event.asks)
            self._event = event
        (self._event.asks if is_ask else self._event.bids).append(level)

    def finish(self, rows: Rows) -> Iterator[Note]:
        """Add what is still held back, and tell what was left out."""
        self._close(rows)
        for symbol, placer in self.placers.items():
            emit(rows, symbol, placer.finish())
        spare = sum(placer.redundant for placer in self.placers.values())
        if self.off_book:
            yield Note(f"{self.off_book} trades of the insurance fund or of deleveraging are not of the book, left out")
        if spare:
            yield Note(f"{spare} snapshots repeat what the changes had told already and were left out")

    def spoil(self, rows: Rows, key: Key | None = None) -> None:
        """Forget a message with a level that cannot be read: half of it would be a wrong book.

        Of a row without a key it is not known whose it is: the message that is being gathered goes.
        """
        if key is not None and key != self._key:
            self._close(rows)
        self._event, self._key, self._spoilt = None, None, key or self._key

    def _close(self, rows: Rows) -> None:
        if self._event is None or self._key is None:
            return
        symbol = self._key[0]
        emit(rows, symbol, self.placers.setdefault(symbol, Placer()).add(self._event))
        self._event = None


def _level(number: int, cells: Cells) -> tuple[Key, Event]:
    """The message that a row belongs to: its key, and the message without its levels."""
    if "update_type" in cells:
        seq, snapshot = int(cells["last_update_id"]), cells["update_type"] == "snap"
        ts_ns, prev_seq = int(cells["timestamp"]) * MS_NS, -1 if snapshot else int(cells["pu"])
        return (cells["symbol"], cells["update_type"], seq), Event(number, ts_ns, 0, seq, prev_seq, [], [], snapshot)
    kind = cells.get("StreamType") or ("DEPTH_SNAPSHOT" if cells.get("LastUpdateId") else "DIFFERENCE_DEPTH_STREAM")
    seq = int(cells["LastUpdateId"] if kind == "DEPTH_SNAPSHOT" else cells["FinalUpdateId"])
    ts_ns = int(cells.get("TransactionTime") or cells["EventTime"]) * MS_NS
    local_ns = _local_ns(cells)
    snapshot = kind != "DIFFERENCE_DEPTH_STREAM"
    before = cells.get("FinalUpdateIdInLastStream") or ""
    prev_seq = -1 if snapshot else int(before) if before else int(cells["FirstUpdateId"]) - 1
    key = (cells["Symbol"], kind, 0 if kind == "FINAL_DEPTH_SNAPSHOT" else seq)
    return key, Event(number, ts_ns, local_ns, seq, prev_seq, [], [], snapshot)


def _trade(rows: Rows, number: int, cells: Cells) -> None:
    rows.trade(
        number,
        cells["Symbol"],
        int(cells["TransactionTime"]) * MS_NS,
        _local_ns(cells),
        seq=int(cells["TradeId"]),
        name="",
        side=-1 if cells["IsBuyerMarketMaker"] == "1" else 1,
        price=float(cells["Price"]),
        size=float(cells["Quantity"]),
    )


def _local_ns(cells: Cells) -> int:
    fine = cells.get("TimestampOfReceiveUS")
    return int(fine) * 1_000 if fine else int(cells["TimestampOfReceive"]) * MS_NS
