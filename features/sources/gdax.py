"""GDAX (today Coinbase Exchange) level-2 CSV: a file of updates with times, and beside it the book that it starts from.

``l2update*.csv`` has the columns side, price, size, time, and ``snapshot_bids.csv`` and
``snapshot_asks.csv`` the same without time. No file names its instrument.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from features.errors import FormatError, SchemaError
from features.intake.batch import Batch, Item, Note, Options, Rejected
from features.intake.csvfile import header_of, require_columns, typed_blocks
from features.intake.stream import first_lines
from features.schema import ASK, BID, BOOK_DELTAS, RESET, SNAPSHOT

LEVEL: dict[str, type[pl.DataType]] = {"side": pl.String, "price": pl.Float64, "size": pl.Float64}
SIDES = {"buy": BID, "sell": ASK}
TIME = "%Y-%m-%dT%H:%M:%S%.fZ"
SNAPSHOTS = ("snapshot_bids.csv", "snapshot_asks.csv")


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a file of updates, after the snapshots beside it.

    The snapshots have no time; they are stamped with that of the first update, and only the
    earliest of several files of updates in a folder begins with them. Their rows count as row 0
    of the updates. Where a line of theirs cannot be read they are left out: half a book is none.

    Raises
    ------
    SchemaError
        If the columns are not those of updates, or ``options.symbol`` is absent.
    FormatError
        If the file is one of the snapshots.
    """
    header = header_of(path)
    if set(header) == set(LEVEL):
        raise FormatError(
            f"{path}: a snapshot without time; name the l2update file; the snapshots beside it are read with it"
        )
    require_columns(path, header, [*LEVEL, "time"])
    if options.symbol is None:
        raise SchemaError(f"{path}: nothing in the file tells the instrument; add --symbol, such as BTC-USD")
    return _read(path, options.symbol)


def _read(path: Path, symbol: str) -> Iterator[Item]:
    started = False
    for block in typed_blocks(path, {**LEVEL, "time": pl.String}):
        if isinstance(block, Rejected):
            yield block
            continue
        time = pl.col("time").str.to_datetime(TIME, time_unit="ns", strict=False).dt.timestamp("ns")
        frame, bad = _sound(block, time.alias("ts_ns"))
        yield from bad
        if not started and len(frame):
            started = True
            yield from _snapshots(path, symbol, frame["ts_ns"][0])
        yield _batch(frame, symbol, pl.lit(0))


def _batch(frame: pl.DataFrame, symbol: str, flags: pl.Expr) -> Batch:
    named = frame.with_columns(pl.lit(symbol).alias("symbol"), flags.cast(pl.UInt8).alias("flags"))
    return Batch(BOOK_DELTAS, named.select("row", "symbol", "ts_ns", "flags", "side", "price", "size"))


def _sound(block: pl.DataFrame, time: pl.Expr) -> tuple[pl.DataFrame, list[Rejected]]:
    """Give sides and times as numbers, and the rows where one of the cells cannot be read apart."""
    side = pl.col("side").replace_strict(SIDES, default=None, return_dtype=pl.Int8)
    frame = block.with_columns(side, time)
    wrong = frame.select(pl.any_horizontal(pl.col("side", "price", "size", "ts_ns").is_null()))[:, 0]
    bad = []
    for cells in block.filter(wrong).iter_rows(named=True):
        row = cells.pop("row")
        text = ",".join("" if cell is None else str(cell) for cell in cells.values())
        bad.append(Rejected(row, "side is not buy or sell, or a number or the time is missing or unreadable", text))
    return frame.filter(~wrong), bad


def _snapshots(path: Path, symbol: str, ts_ns: int) -> Iterator[Item]:
    """Hand out the snapshots that lie beside as one, if both do and the updates are the first after them."""
    files = [path.with_name(name) for name in SNAPSHOTS]
    found = [file.name for file in files if file.is_file()]
    earlier = _earlier(path)
    if len(found) < len(files):
        there = f"only {found[0]}" if found else "neither"
        yield Note(
            f"{path.name}: of {' and '.join(SNAPSHOTS)} {there} lies beside it; the book before the updates is unknown"
        )
        return
    if earlier is not None:
        yield Note(f"{path.name}: the snapshots beside it belong to {earlier}, which begins earlier")
        return
    yield Note(f"{path.name}: {' and '.join(SNAPSHOTS)} have no time; they are stamped with that of the first update")
    levels: list[pl.DataFrame] = []
    faulty = False
    for file in files:
        for block in typed_blocks(file, LEVEL):
            frames, bad = ([], [block]) if isinstance(block, Rejected) else _levels(block, ts_ns)
            yield from (Rejected(1, f"{file.name}: row {r.row}: {r.reason}", r.text) for r in bad)
            levels, faulty = levels + frames, faulty or bool(bad)
    if levels and not faulty:
        first = pl.int_range(pl.len()) == 0
        yield _batch(pl.concat(levels), symbol, pl.when(first).then(SNAPSHOT | RESET).otherwise(SNAPSHOT))


def _levels(block: pl.DataFrame, ts_ns: int) -> tuple[list[pl.DataFrame], list[Rejected]]:
    """Sound rows of a snapshot, before the first row of the updates, and the others."""
    frame, bad = _sound(block, pl.lit(ts_ns).alias("ts_ns"))
    return [frame.with_columns(row=pl.lit(0, pl.Int64))], bad


def _earlier(path: Path) -> str | None:
    """The name of a file of updates in the same folder that begins before this one."""
    own = _first_time(path)
    for other in sorted(path.parent.glob("*.csv")):
        if other.name not in (path.name, *SNAPSHOTS) and "" < _first_time(other) < own:
            return other.name
    return None


def _first_time(path: Path) -> str:
    """The text of the first update's time, as good for comparing as a time; nothing if the file is of another kind."""
    lines = [line.decode(errors="replace") for line in first_lines(path, 2)]
    if len(lines) < 2 or lines[0].split(",") != [*LEVEL, "time"]:
        return ""
    return lines[1].split(",")[-1]
