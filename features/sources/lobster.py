"""LOBSTER: limit order books of NASDAQ shares, in pairs of files without header, line by line the same events.

``TICKER_DATE_STARTMS_ENDMS_message_LEVEL.csv`` has time, type, order, size, price, direction;
``..._orderbook_LEVEL.csv`` the book after each, ask price, ask size, bid price, bid size a level.
Times are seconds after midnight in New York, prices dollars times 10000.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from features.clock import NS_PER_S
from features.errors import FormatError, SchemaError
from features.intake.batch import Batch, Item, Note, Options, Rejected
from features.intake.csvfile import header_of, typed_blocks
from features.intake.stream import blocks
from features.schema import (
    ADD,
    DELETE,
    FILL,
    HALT,
    HIDDEN,
    ORDER_EVENTS,
    REDUCE,
    TRADES,
    Table,
    book_snapshots,
)

NAME = re.compile(
    r"(?P<ticker>.+)_(?P<date>\d{4}-\d\d-\d\d)_(?P<start>\d+)_\d+_(?P<kind>message|orderbook)_(?P<depth>\d+)(\..*)?"
)
NS_PER_MS = 1_000_000
TICKS_PER_DOLLAR = 10_000
EMPTY = 9_999_999_999
MESSAGE: dict[str, type[pl.DataType]] = {
    "time": pl.Float64,
    "type": pl.Int64,
    "order_id": pl.Int64,
    "size": pl.Float64,
    "price": pl.Float64,
    "direction": pl.Int64,
}
MPID = "mpid"  # some files name the participant in a seventh column
AUCTION, HALTED = 6, 7
ACTIONS = {1: ADD, 2: REDUCE, 3: DELETE, 4: FILL, 5: HIDDEN, HALTED: HALT}
TRADED = (4, 5, AUCTION)


@dataclass(frozen=True, slots=True)
class Day:
    """What a file's name tells."""

    symbol: str
    midnight_ns: int
    start_ns: int
    depth: int
    kind: str


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read either file of a pair.

    Messages give order events and trades. A fill names the resting order's direction; the
    aggressor's is the opposite. An auction's trade sums up many orders and has no aggressor. In
    a halt ``size`` is the venue's sign: -1 halted, 0 quoting resumes, 1 trading resumes.

    Books take their times from the message file beside them, if it has as many lines; if not,
    all carry the time that the file's name begins with and only their order is known.

    Raises
    ------
    FormatError
        If the name or the number of columns is not LOBSTER's.
    """
    day = _day(path, options)
    width = len(header_of(path))
    if day.kind == "message":
        return _read_messages(path, day, _message_names(path, width))
    if width != 4 * day.depth:
        raise FormatError(
            f"{path}: {width} columns, where a book of {day.depth} levels has {4 * day.depth}; mend the file's name"
        )
    return _read_books(path, day)


def _day(path: Path, options: Options) -> Day:
    match = NAME.fullmatch(path.name)
    if match is None:
        raise FormatError(f"{path}: not named TICKER_DATE_STARTMS_ENDMS_message_LEVEL.csv or ..._orderbook_LEVEL.csv")
    midnight = datetime.fromisoformat(match["date"]).replace(tzinfo=ZoneInfo("America/New_York"))
    midnight_ns = int(midnight.timestamp()) * NS_PER_S
    start_ns = midnight_ns + int(match["start"]) * NS_PER_MS
    return Day(options.symbol or match["ticker"], midnight_ns, start_ns, int(match["depth"]), match["kind"])


def _message_names(path: Path, width: int) -> list[str]:
    names = [*MESSAGE, MPID]
    if width not in (len(MESSAGE), len(names)):
        raise SchemaError(f"{path}: {width} columns; a message file has {', '.join(MESSAGE)}")
    return names[:width]


def _ns(day: Day) -> pl.Expr:
    return day.midnight_ns + (pl.col("time") * NS_PER_S).round().cast(pl.Int64, strict=False)


def _dollars(price: pl.Expr) -> pl.Expr:
    """Dollars of ten-thousandths; rounded, as a column over a constant may be one bit off the nearest number."""
    return (price / TICKS_PER_DOLLAR).round(4)


def _read_messages(path: Path, day: Day, names: Sequence[str]) -> Iterator[Item]:
    kind, direction = pl.col("type"), pl.col("direction")
    known = kind.is_in([*ACTIONS, AUCTION]) & (direction.is_in([-1, 1]) | kind.is_in([AUCTION, HALTED]))
    for block in typed_blocks(path, MESSAGE, names=names):
        if isinstance(block, Rejected):
            yield block
            continue
        good = pl.all_horizontal(pl.all().is_not_null()) & known
        frame = block.filter(good.fill_null(value=False))
        yield from _refused(block.join(frame, on="row", how="anti"), "a cell is empty, or type or direction is unknown")
        frame = frame.with_columns(_ns(day).alias("ts_ns"), pl.lit(day.symbol).alias("symbol"))
        yield _order_events(frame)
        yield _trades(frame)


def _refused(block: pl.DataFrame, reason: str) -> Iterator[Rejected]:
    for cells in block.iter_rows(named=True):
        row = cells.pop("row")
        yield Rejected(row, reason, ",".join("" if cell is None else str(cell) for cell in cells.values()))


def _order_events(frame: pl.DataFrame) -> Batch:
    halt = pl.col("type") == HALTED
    events = frame.filter(pl.col("type") != AUCTION).with_columns(
        pl.col("type").replace_strict(ACTIONS, return_dtype=pl.Int8).alias("action"),
        pl.when(halt).then(0).otherwise(pl.col("direction")).alias("side"),
        pl.when(halt).then(float("nan")).otherwise(_dollars(pl.col("price"))).alias("price"),
        pl.when(halt).then(pl.col("price")).otherwise(pl.col("size")).alias("size"),
    )
    return _batch(ORDER_EVENTS, events, "order_id", "action")


def _trades(frame: pl.DataFrame) -> Batch:
    trades = frame.filter(pl.col("type").is_in(TRADED)).with_columns(
        pl.when(pl.col("type") == AUCTION).then(0).otherwise(-pl.col("direction")).alias("side"),
        _dollars(pl.col("price")),
    )
    return _batch(TRADES, trades)


def _batch(table: Table, frame: pl.DataFrame, *more: str) -> Batch:
    return Batch(table, frame.select("row", "symbol", "ts_ns", *more, "side", "price", "size"))


def _read_books(path: Path, day: Day) -> Iterator[Item]:
    times, note = _times(path, day)
    if note:
        yield Note(f"{path.name}: {note}; only the order of its rows is known, all carry the time of opening")
    names = [f"{side}_{what}_{i}" for i in range(day.depth) for side in ("ask", "bid") for what in ("px", "sz")]
    levels = [e for i in range(day.depth) for side in ("ask", "bid") for e in _level(side, i)]
    for block in typed_blocks(path, dict.fromkeys(names, pl.Float64), names=names):
        if isinstance(block, Rejected):
            yield block
            continue
        frame = block.drop_nulls()
        yield from _refused(block.join(frame, on="row", how="anti"), "a cell is empty")
        ts = pl.lit(day.start_ns).alias("ts_ns") if times is None else times.gather(frame["row"] - 1).alias("ts_ns")
        frame = frame.select("row", pl.lit(day.symbol).alias("symbol"), ts, pl.col("row").alias("seq"), *levels)
        yield Batch(book_snapshots(day.depth), frame)


def _level(side: str, i: int) -> tuple[pl.Expr, pl.Expr]:
    """Price in dollars and size of a level, NaN where there is none."""
    price, size = pl.col(f"{side}_px_{i}"), pl.col(f"{side}_sz_{i}")
    empty = pl.when(price.abs() == EMPTY).then(float("nan"))
    return (
        empty.otherwise(_dollars(price)).alias(price.meta.output_name()),
        empty.otherwise(size).alias(size.meta.output_name()),
    )


def _times(path: Path, day: Day) -> tuple[pl.Series | None, str]:
    """The times of the message file beside a book, or why there are none."""
    partner = path.with_name(path.name.replace("_orderbook_", "_message_"))
    if not partner.is_file():
        return None, f"no {partner.name} lies beside it"
    names = _message_names(partner, len(header_of(partner)))
    parts = [
        part for part in typed_blocks(partner, {"time": pl.Float64}, names=names) if isinstance(part, pl.DataFrame)
    ]
    stamps = pl.concat(parts).drop_nulls() if parts else pl.DataFrame()
    count = sum(block.count(b"\n") + (not block.endswith(b"\n")) for block in blocks(path))
    if len(stamps) != count or stamps["row"][-1] != count:
        return None, f"{partner.name} has {len(stamps)} lines with a time where the book has {count}"
    return stamps.select(_ns(day).alias("ts_ns"))["ts_ns"], ""
