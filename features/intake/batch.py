"""What a reader hands out: batches of canonical rows, and rows that it could not read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from features.schema import (
    BOOK_DELTAS,
    BREAK,
    LIQUIDATIONS,
    RESET,
    SNAPSHOT,
    TRADES,
    Table,
    book_snapshots,
)

BATCH_ROWS = 262_144
Level = Sequence[float | str]  # price and size, as numbers or as the venue's text


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table, in the file's order.

    ``frame`` has the table's columns (those with a value for absence may be left out), ``symbol``
    (the vendor's name), ``row`` (1-based line or record in the file), and ``venue`` where the file says it.
    """

    table: Table
    frame: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be read: where it stands, why, and its text."""

    row: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user must know about a file although no row is wrong."""

    text: str


Item = Batch | Rejected | Note


@dataclass(frozen=True, slots=True)
class Options:
    """What the file itself may not say.

    Attributes
    ----------
    symbol : name for files of one instrument that carry no name.
    kind : the table, where several would fit.
    unit : ``s``, ``ms``, ``us`` or ``ns`` of the time column; found from its size if absent.
    stamp : ``open`` or ``close``: what a bar's time means.
    bar_s : length of the bars; the commonest step if absent.
    """

    symbol: str | None = None
    kind: str | None = None
    unit: str | None = None
    stamp: str | None = None
    bar_s: int | None = None


Reader = Callable[[Path, Options], Iterator[Item]]


@dataclass(slots=True)
class Rows:
    """Collects rows of several tables, in plain lists, until they are taken as batches."""

    count: int = 0
    _columns: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    _tables: dict[str, Table] = field(default_factory=dict)

    def add(self, table: Table, row: int, symbol: str, **values: Any) -> None:  # noqa: ANN401 - a cell of any dtype
        """Add one row; the values of one table always carry the same names."""
        columns = self._of(table, ("row", "symbol", *values))
        columns["row"].append(row)
        columns["symbol"].append(symbol)
        for name, value in values.items():
            columns[name].append(value)
        self.count += 1

    def trade(
        self,
        row: int,
        symbol: str,
        ts_ns: int,
        local_ns: int,
        seq: int,
        name: str,
        side: int,
        price: float,
        size: float,
        table: Table = TRADES,
    ) -> None:
        """Add a trade; ``seq`` is its number, or -1 and ``name`` its id."""
        self.add(
            table,
            row,
            symbol,
            ts_ns=ts_ns,
            local_ns=local_ns,
            seq=seq,
            id=name,
            side=side,
            price=float(price),
            size=float(size),
        )

    def liquidation(
        self,
        row: int,
        symbol: str,
        ts_ns: int,
        local_ns: int,
        seq: int,
        name: str,
        side: int,
        price: float,
        size: float,
    ) -> None:
        """Add a liquidation; ``side`` is that of the liquidating order."""
        self.trade(row, symbol, ts_ns, local_ns, seq, name, side, price, size, LIQUIDATIONS)

    def deltas(
        self,
        row: int,
        symbol: str,
        ts_ns: int,
        local_ns: int,
        bids: Sequence[Level],
        asks: Sequence[Level],
        *,
        seq: int = -1,
        prev_seq: int = -1,
        snapshot: bool = False,
    ) -> None:
        """Add one book message: new sizes of levels, bids first; a snapshot clears the book before its first row.

        A snapshot without levels becomes one row of side 0; a change without levels still counts for the
        sequence and becomes one too.
        """
        levels = [(1, p, s) for p, s in bids] + [(-1, p, s) for p, s in asks] or [(0, float("nan"), float("nan"))]
        n = len(levels)
        sides = [side for side, _, _ in levels]
        prices, sizes = [float(p) for _, p, _ in levels], [float(s) for _, _, s in levels]
        flags = [SNAPSHOT | RESET, *([SNAPSHOT] * (n - 1))] if snapshot else [0] * n
        self._deltas(row, symbol, ts_ns, local_ns, n, seq, prev_seq, flags, sides, prices, sizes)

    def cut(self, row: int, symbol: str, ts_ns: int, local_ns: int) -> None:
        """Say that the feed was interrupted: the book is void until the next snapshot."""
        nan = float("nan")
        self._deltas(row, symbol, ts_ns, local_ns, 1, -1, -1, [BREAK], (0,), (nan,), (nan,))

    def quote(
        self,
        row: int,
        symbol: str,
        ts_ns: int,
        local_ns: int,
        bid: Level,
        ask: Level,
        *,
        seq: int = -1,
    ) -> None:
        """Add a best bid and ask as a book of one level."""
        self.book(row, symbol, ts_ns, local_ns, [bid], [ask], seq=seq)

    def book(
        self,
        row: int,
        symbol: str,
        ts_ns: int,
        local_ns: int,
        bids: Sequence[Level],
        asks: Sequence[Level],
        *,
        seq: int = -1,
        depth: int | None = None,
    ) -> None:
        """Add a top-of-book snapshot, best levels first, NaN below the last level given."""
        depth = depth or max(len(bids), len(asks), 1)
        table = self._tables.get(f"book_snapshots_{depth}") or book_snapshots(depth)
        nothing = [(float("nan"), float("nan"))] * depth
        cells = [float(x) for side in (bids, asks) for level in [*side[:depth], *nothing[len(side) :]] for x in level]
        columns = self._of(table, ("row", "symbol", *table.columns))
        for column, value in zip(columns.values(), (row, symbol, ts_ns, local_ns, seq, *cells), strict=True):
            column.append(value)
        self.count += 1

    def take(self) -> Iterator[Batch | Rejected]:
        """Hand out everything collected, one batch a table, and start afresh; cells of a wrong kind are rejected."""
        held, self._columns, self.count = self._columns, {}, 0
        for kind, columns in held.items():
            table = self._tables[kind]
            dtypes = {"row": pl.Int64, "symbol": pl.String} | table.dtypes
            schema = {c: dtypes[c] for c in columns}
            try:
                yield Batch(table, pl.DataFrame(columns, schema=schema))
            except WRONG_CELL:
                yield from _row_by_row(table, columns, schema)

    def mark(self) -> dict[str, int]:
        """Where the tables end now; see :meth:`back_to`."""
        return {kind: len(columns["row"]) for kind, columns in self._columns.items()}

    def back_to(self, mark: dict[str, int]) -> None:
        """Forget the rows added since ``mark``: half a message is none."""
        for kind, columns in self._columns.items():
            for values in columns.values():
                del values[mark.get(kind, 0) :]
        self.count = sum(len(columns["row"]) for columns in self._columns.values())

    def _deltas(
        self,
        row: int,
        symbol: str,
        ts_ns: int,
        local_ns: int,
        n: int,
        seq: int,
        prev_seq: int,
        *lists: Sequence[float],
    ) -> None:
        names = ("row", "symbol", "ts_ns", "local_ns", "seq", "prev_seq", "flags", "side", "price", "size")
        columns = self._of(BOOK_DELTAS, names)
        for name, value in zip(names[:6], (row, symbol, ts_ns, local_ns, seq, prev_seq), strict=True):
            columns[name].extend([value] * n)
        for name, values in zip(names[6:], lists, strict=True):
            columns[name].extend(values)
        self.count += n

    def _of(self, table: Table, names: tuple[str, ...]) -> dict[str, list[Any]]:
        if table.kind not in self._columns:
            self._tables[table.kind] = table
            self._columns[table.kind] = {name: [] for name in names}
        return self._columns[table.kind]


def split(frame: pl.DataFrame, names: Sequence[str]) -> dict[tuple[Any, ...], pl.DataFrame]:
    """Rows by the values of some columns, which go; quick where there is only one value of each."""
    alone = frame.select(pl.col(names).eq_missing(pl.col(names).first()).all())
    if all(alone.row(0)):
        return {frame.select(names).row(0): frame.drop(names)}
    groups: dict[tuple[Any, ...], pl.DataFrame] = frame.partition_by(
        names, as_dict=True, maintain_order=True, include_key=False
    )
    return groups


WRONG_CELL = (TypeError, OverflowError, pl.exceptions.PolarsError)


def _row_by_row(
    table: Table, columns: dict[str, list[Any]], schema: dict[str, type[pl.DataType]]
) -> Iterator[Batch | Rejected]:
    """The slow way to a batch: rows with a cell of a wrong kind, such as a number beyond 64 bits, are left out."""
    good: list[int] = []
    for i, row in enumerate(columns["row"]):
        cells = {name: [values[i]] for name, values in columns.items()}
        try:
            pl.DataFrame(cells, schema=schema)
        except WRONG_CELL as error:
            yield Rejected(int(row), f"a cell is of a wrong kind ({str(error).splitlines()[0]})", str(cells))
        else:
            good.append(i)
    yield Batch(table, pl.DataFrame({n: [values[i] for i in good] for n, values in columns.items()}, schema=schema))
