"""CryptoChassis CSV: market depth at one-second steps, and trades.

Depth has one line ``time_seconds,bid_price_bid_size,ask_price_ask_size``; each side lists
``price_size`` from the best on, levels parted by ``|``. Venue and instrument stand in the
file's name: ``gemini__eth-usd__2021-07-02__trade.csv``.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from features.errors import SchemaError
from features.intake.batch import Batch, Item, Options, Rejected
from features.intake.csvfile import header_of, require_columns, typed_blocks
from features.schema import TRADES, book_snapshots

NAME = re.compile(r"(?P<venue>[^_]+(?:_[^_]+)*)__(?P<symbol>.+?)__\d{4}-\d\d-\d\d")
TIME = "time_seconds"
BOOK = {"bid": "bid_price_bid_size", "ask": "ask_price_ask_size"}
TRADE = ("price", "size", "is_buyer_maker")
SIDES = {"0": 1, "false": 1, "1": -1, "true": -1}  # a buyer who was the maker was sold to


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a file of depth or of trades; its columns tell which.

    Raises
    ------
    SchemaError
        If it has the columns of neither, or its name tells no instrument and ``options.symbol`` is absent.
    """
    header = header_of(path)
    name = _name(path, options)
    if "is_buyer_maker" in header:
        require_columns(path, header, [TIME, *TRADE])
        return _read_trades(path, name)
    require_columns(path, header, [TIME, *BOOK.values()])
    return _read_depth(path, name)


def _name(path: Path, options: Options) -> list[pl.Expr]:
    """The columns that name the instrument; the venue too if the file's name tells it."""
    match = NAME.match(path.name)
    symbol = options.symbol if match is None else match["symbol"]
    if symbol is None:
        raise SchemaError(
            f"{path}: the name does not tell the instrument as in gemini__eth-usd__2021-07-02__trade.csv; add --symbol"
        )
    named = [pl.lit(symbol).alias("symbol")]
    return named if match is None else [*named, pl.lit(match["venue"]).alias("venue")]


def _read_trades(path: Path, name: list[pl.Expr]) -> Iterator[Item]:
    dtypes = {TIME: pl.String, "price": pl.Float64, "size": pl.Float64, "is_buyer_maker": pl.String}
    for block in typed_blocks(path, dtypes):
        if isinstance(block, Rejected):
            yield block
            continue
        side = pl.col("is_buyer_maker").str.to_lowercase().replace_strict(SIDES, default=None, return_dtype=pl.Int8)
        frame = block.with_columns(_ns(), side.alias("side"))
        yield from _refused(block, frame["ts_ns"].is_null(), TIME)
        yield from _refused(block, frame["side"].is_null() & frame["ts_ns"].is_not_null(), "is_buyer_maker")
        frame = frame.filter(pl.col("ts_ns").is_not_null() & pl.col("side").is_not_null())
        yield Batch(TRADES, frame.select("row", *name, "ts_ns", "side", "price", "size"))


def _read_depth(path: Path, name: list[pl.Expr]) -> Iterator[Item]:
    """Read depth; the first block tells how many levels the book has."""
    depth = 0
    for block in typed_blocks(path, dict.fromkeys((TIME, *BOOK.values()), pl.String)):
        if isinstance(block, Rejected):
            yield block
            continue
        depth = depth or _depth(block)
        levels = [e for side, column in BOOK.items() for i in range(depth) for e in _level(side, column, i)]
        frame = block.with_columns(_ns(), *levels)
        bad = _faults(frame, depth)
        for column, where in bad.items():
            yield from _refused(block, where, column)
        wrong = pl.DataFrame(bad).select(pl.any_horizontal(pl.all()).alias("wrong"))["wrong"]
        values = [e.meta.output_name() for e in levels]
        yield Batch(book_snapshots(depth), frame.filter(~wrong).select("row", *name, "ts_ns", *values))


def _depth(block: pl.DataFrame) -> int:
    counts = block.select(pl.col(column).str.count_matches("|", literal=True).max() for column in BOOK.values())
    return 1 + max(count or 0 for count in counts.row(0))


def _level(side: str, column: str, i: int) -> tuple[pl.Expr, pl.Expr]:
    """Price and size of one level, NaN where the book is shallower; null if the text is no number."""
    pair = pl.col(column).str.split("|").list.get(i, null_on_oob=True)
    price, size = (pair.str.split("_").list.get(k, null_on_oob=True).cast(pl.Float64, strict=False) for k in (0, 1))
    absent = pair.is_null() | (pair == "")
    return tuple(  # type: ignore[return-value]  # of two
        pl.when(absent).then(float("nan")).otherwise(value).alias(f"{side}_{what}_{i}")
        for value, what in ((price, "px"), (size, "sz"))
    )


def _faults(frame: pl.DataFrame, depth: int) -> dict[str, pl.Series]:
    """Where the time cannot be read, and where a side cannot or has more levels than the book."""
    faults = {TIME: frame["ts_ns"].is_null()}
    for side, column in BOOK.items():
        unread = pl.any_horizontal(pl.col(f"^{side}_(px|sz)_\\d+$").is_null())
        deeper = pl.col(column).str.count_matches("|", literal=True).fill_null(0) >= depth
        crowded = pl.col(column).str.contains(r"_[^|]*_").fill_null(value=False)
        earlier = pl.any_horizontal(faults.values())
        faults[column] = frame.select((unread | deeper | crowded) & ~earlier)[:, 0]
    return faults


def _refused(block: pl.DataFrame, where: pl.Series, column: str) -> Iterator[Rejected]:
    for cells in block.filter(where).iter_rows(named=True):
        row = cells.pop("row")
        reason = f"{column} is {cells[column]!r}, which cannot be read"
        yield Rejected(row, reason, ",".join("" if cell is None else str(cell) for cell in cells.values()))


def _ns() -> pl.Expr:
    """Nanoseconds of seconds with up to nine decimals, digit by digit; null for anything else."""
    parts = pl.col(TIME).str.extract_groups(r"^(?P<s>\d{9,10})(?:\.(?P<ns>\d{1,9})\d*)?$")
    ns = parts.struct["ns"].fill_null("").str.pad_end(9, "0")
    return (parts.struct["s"].cast(pl.Int64) * 1_000_000_000 + ns.cast(pl.Int64)).alias("ts_ns")
