"""Trades, books, quotes and orders of any maker in CSV or Parquet, by the usual names of their columns.

What the rows are, the columns tell: ``bid_px_0`` books, ``bid`` and ``ask`` quotes, ``order_id`` and ``action``
orders, ``is_snapshot`` book changes, ``funding_rate`` funding, ``price`` and ``size`` trades.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from features.errors import SchemaError
from features.intake.batch import Batch, Item, Options, Rejected, split
from features.intake.columns import chunks, found, numbers, stamps
from features.schema import (
    ADD,
    BOOK_DELTAS,
    DELETE,
    FUNDING,
    ORDER_EVENTS,
    RESET,
    SET,
    SNAPSHOT,
    TRADES,
    Table,
    book_snapshots,
)

UNITS = ("_ns", "_us", "_ms", "_s", "")
NAMES: dict[str, tuple[str, ...]] = {
    "time": (
        *(f"{stem}{unit}" for stem in ("exch_ts", "exchange_ts", "ts", "time") for unit in UNITS),
        *("ts_ms_utc", "timestamp", "date", "datetime", "time_seconds"),
    ),
    "local": (
        *(f"{stem}{unit}" for stem in ("local_ts", "local", "receive_ts") for unit in UNITS),
        "local_timestamp",
    ),
    "seq": ("seq", "trade_id", "tradeid", "id", "update_id"),
    "price": ("price", "px"),
    "size": ("size", "qty", "quantity", "amount", "sz", "volume"),
    "side": ("side", "direction", "aggressor"),
    "maker": ("buyer_is_maker", "is_buyer_maker", "buyer_maker"),
    "is_ask": ("is_ask", "isask"),
    "order_id": ("order_id", "orderid"),
    "action": ("action", "event"),
    "is_snapshot": ("is_snapshot",),
    "rate": ("funding_rate", "fundingrate"),
    "interval_h": ("interval_h",),
    "bid_px_0": ("bid", "bid_price", "best_bid_price"),
    "bid_sz_0": ("bid_size", "bid_qty", "bid_amount", "best_bid_qty"),
    "ask_px_0": ("ask", "ask_price", "best_ask_price"),
    "ask_sz_0": ("ask_size", "ask_qty", "ask_amount", "best_ask_qty"),
    "symbol": ("symbol", "instrument", "pair", "ticker"),
    "venue": ("venue", "exchange"),
}
SIDES = {"buy": 1, "b": 1, "bid": 1, "1": 1, "sell": -1, "s": -1, "a": -1, "ask": -1, "-1": -1, "0": 0, "unknown": 0}
ACTIONS = {"created": ADD, "add": ADD, "new": ADD, "changed": SET, "change": SET, "deleted": DELETE, "delete": DELETE}
WORDS = {"true": True, "1": True, "false": False, "0": False}


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a table in chunks.

    A time of whole seconds beside a finer time of receipt is not that of the event, and the latter is taken.

    Raises
    ------
    SchemaError
        If the columns are of no table that is known, or the instrument is not named.
    """
    inside: Inside = {}
    for item in chunks(path):
        if isinstance(item, Rejected):
            yield item
            continue
        columns = [column for column in item.columns if column != "row"]
        names = found(columns, NAMES)
        table, shape = _shape(path, columns, names, inside)
        levels = [column for column in columns if column.startswith(LEVELS)]
        frame = item.select("row", *levels, *(pl.col(c).alias(n) for n, c in names.items() if c not in levels))
        if "symbol" not in names:
            if options.symbol is None:
                raise SchemaError(f"{path}: no column names the instrument; add --symbol")
            frame = frame.with_columns(symbol=pl.lit(options.symbol))
        yield Batch(table, shape(_timed(path, item, frame, names, options)))


def _timed(path: Path, raw: pl.DataFrame, frame: pl.DataFrame, names: dict[str, str], options: Options) -> pl.DataFrame:
    local = stamps(path, raw[names["local"]], None) if "local" in names else None
    coarse = "time" in names and names["time"].endswith("_s") and local is not None
    if "time" in names and not coarse:
        ts_ns = stamps(path, raw[names["time"]], options.unit)
    elif local is not None:
        ts_ns = local
    else:
        raise SchemaError(f"{path}: no column of times; found {', '.join(raw.columns[:-1])}; name it ts_ms")
    if local is not None:
        frame = frame.with_columns(local_ns=_told(local, raw[names["local"]]))
    return frame.with_columns(ts_ns=ts_ns)


def _told(values: pl.Series, cells: pl.Series) -> pl.Series:
    """Numbers of cells that may be empty: 0 stands for an empty one, -2, which no rule lets in, for a wrong one."""
    return pl.select(pl.when(values.is_not_null()).then(values).when(cells.is_null()).then(0).otherwise(-2)).to_series()


Inside = dict[str | None, tuple[bool, int]]
Shape = Callable[[pl.DataFrame], pl.DataFrame]


def _shape(path: Path, columns: list[str], names: dict[str, str], inside: Inside) -> tuple[Table, Shape]:
    """Tell the table by the columns that only it has."""
    levels = [c for c in columns if c.startswith(LEVELS)]
    if levels:
        return _book_table(path, levels), lambda frame: _floats(frame, levels)
    if {"bid_px_0", "ask_px_0"} <= names.keys():
        return book_snapshots(1), _quotes
    if {"order_id", "action", "price", "size"} <= names.keys():
        return ORDER_EVENTS, _orders
    if {"is_snapshot", "price", "size"} <= names.keys():
        return BOOK_DELTAS, lambda frame: _deltas(frame, inside)
    if "rate" in names:
        return FUNDING, _funding
    if {"price", "size"} <= names.keys():
        return TRADES, _trades
    raise SchemaError(
        f"{path}: the columns {', '.join(columns)} are of no table that is known; "
        "name them as docs/data.md does, or use the source of the vendor"
    )


def _book_table(path: Path, levels: list[str]) -> Table:
    """The table of books as deep as the columns; each level from 0 must be there whole."""
    depth = max((int(c.rpartition("_")[2]) for c in levels if c.rpartition("_")[2].isdigit()), default=0) + 1
    table = book_snapshots(depth)
    pairs = {c.replace("_px_", "_sz_") for c in levels} | {"bid_sz_0", "ask_sz_0"}
    odd = [c for c in levels if c not in table.columns] + sorted(pairs - set(levels))
    if odd:
        raise SchemaError(
            f"{path}: {odd[0]} is missing or odd; levels count from 0: bid_px_0, bid_sz_0, ask_px_0, ask_sz_0, ..."
        )
    return table


LEVELS = ("bid_px_", "bid_sz_", "ask_px_", "ask_sz_")


def _floats(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    return frame.with_columns([numbers(frame[c]).alias(c) for c in columns])


def _quotes(frame: pl.DataFrame) -> pl.DataFrame:
    frame = _floats(frame, [f"{name}0" for name in LEVELS if f"{name}0" in frame.columns])
    return frame.with_columns(seq=_numbered(frame["seq"])) if "seq" in frame.columns else frame


def _side(frame: pl.DataFrame) -> pl.Expr:
    """+1 and -1 from whatever tells the side; null where a word is not known."""
    if "maker" in frame.columns:
        maker = pl.col("maker").cast(pl.String).str.to_lowercase().replace_strict(WORDS, default=None)
        return 1 - 2 * maker.cast(pl.Int8)
    if "is_ask" in frame.columns:
        asks = pl.col("is_ask").cast(pl.String).str.to_lowercase().replace_strict(WORDS, default=None)
        return 1 - 2 * asks.cast(pl.Int8)
    if "side" in frame.columns:
        return (
            pl.col("side").cast(pl.String).str.to_lowercase().replace_strict(SIDES, default=None, return_dtype=pl.Int8)
        )
    return pl.lit(0, dtype=pl.Int8)


def _trades(frame: pl.DataFrame) -> pl.DataFrame:
    frame = _floats(frame, ["price", "size"]).with_columns(side=_side(frame))
    if "seq" not in frame.columns:
        return frame
    counted = frame["seq"].cast(pl.Int64, strict=False)
    if counted.null_count() > frame["seq"].null_count():
        return frame.drop("seq").with_columns(id=frame["seq"].cast(pl.String))
    return frame.with_columns(seq=counted)


def _orders(frame: pl.DataFrame) -> pl.DataFrame:
    action = (
        pl.col("action").cast(pl.String).str.to_lowercase().replace_strict(ACTIONS, default=None, return_dtype=pl.Int8)
    )
    numbers = frame["order_id"].cast(pl.Int64, strict=False)
    frame = _floats(frame.drop("seq", strict=False), ["price", "size"])
    return frame.with_columns(action=action, side=_side(frame), order_id=numbers)


def _deltas(frame: pl.DataFrame, inside: Inside) -> pl.DataFrame:
    """The first row of a snapshot clears the book; a new time begins a new one."""
    frame = _floats(frame, ["price", "size"]).with_columns(
        pl.col("is_snapshot").cast(pl.String).str.to_lowercase().replace_strict(WORDS, default=None), side=_side(frame)
    )
    if "seq" in frame.columns:
        frame = frame.with_columns(seq=_numbered(frame["seq"]))
    return pl.concat(_flagged(rows, key[0], inside) for key, rows in split(frame, ["symbol"]).items()).sort("row")


def _flagged(rows: pl.DataFrame, symbol: str | None, inside: Inside) -> pl.DataFrame:
    was, at_ns = inside.get(symbol, (False, 0))
    snapshot, same = pl.col("is_snapshot"), pl.col("ts_ns") == pl.col("ts_ns").shift(1, fill_value=at_ns)
    starts = snapshot & ~(snapshot.shift(1, fill_value=was) & same)
    flags = snapshot.cast(pl.UInt8) * SNAPSHOT + starts.cast(pl.UInt8) * RESET
    inside[symbol] = (bool(rows["is_snapshot"][-1]), int(rows["ts_ns"][-1] or 0))
    return rows.with_columns(flags=flags, symbol=pl.lit(symbol, dtype=pl.String))


def _numbered(column: pl.Series) -> pl.Series:
    """Running numbers: -1 for an empty cell, -2, which no rule lets in, for a wrong one."""
    counted = column.cast(pl.Int64, strict=False)
    told = pl.when(counted.is_not_null()).then(counted).when(column.is_null()).then(-1).otherwise(-2)
    return pl.select(told).to_series()


def _funding(frame: pl.DataFrame) -> pl.DataFrame:
    hours = pl.lit(0)
    if "interval_h" in frame.columns:
        hours = pl.lit(_told(numbers(frame["interval_h"]), frame["interval_h"]))
    interval_s = (hours * 3_600).cast(pl.Int64)
    return _floats(frame, ["rate"]).with_columns(interval_s=interval_s, funding_ns=pl.col("ts_ns"))
