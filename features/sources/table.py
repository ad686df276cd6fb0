"""Trades, books, quotes and orders of any maker in CSV or Parquet, by the usual names of their columns.

What the rows are, the columns tell: ``bid_px_0`` books, ``bid`` and ``ask`` quotes, ``order_id`` and ``action``
orders, ``is_snapshot`` book changes, ``funding_rate`` funding, ``price`` and ``size`` trades.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from features.errors import SchemaError
from features.intake.batch import Batch, Item, Options, Rejected
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
    "symbol": ("symbol", "instrument", "pair"),
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
    for item in chunks(path):
        if isinstance(item, Rejected):
            yield item
            continue
        names = found(item.columns, NAMES)
        table, shape = _shape(path, item.columns, names)
        frame = item.rename({column: name for name, column in names.items() if column != name}, strict=False)
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
        raise SchemaError(f"{path}: no column of times; found {', '.join(raw.columns)}; name it ts_ms")
    return frame.with_columns(ts_ns=ts_ns, **({} if local is None else {"local_ns": local}))


Shape = Callable[[pl.DataFrame], pl.DataFrame]


def _shape(path: Path, columns: list[str], names: dict[str, str]) -> tuple[Table, Shape]:
    """Tell the table by the columns that only it has."""
    depth = sum(c.startswith("bid_px_") for c in columns)
    if depth:
        return book_snapshots(depth), lambda frame: _floats(frame, [c for c in columns if c[:7] in LEVELS])
    if {"bid_px_0", "ask_px_0"} <= names.keys():
        return book_snapshots(1), _quotes
    if {"order_id", "action", "price", "size"} <= names.keys():
        return ORDER_EVENTS, _orders
    if {"is_snapshot", "price", "size"} <= names.keys():
        return BOOK_DELTAS, _deltas
    if "rate" in names:
        return FUNDING, _funding
    if {"price", "size"} <= names.keys():
        return TRADES, _trades
    raise SchemaError(
        f"{path}: the columns {', '.join(columns)} are of no table that is known; "
        "name them as docs/data.md does, or use the source of the vendor"
    )


LEVELS = ("bid_px_", "bid_sz_", "ask_px_", "ask_sz_")


def _floats(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    return frame.with_columns([numbers(frame[c]).alias(c) for c in columns])


def _quotes(frame: pl.DataFrame) -> pl.DataFrame:
    return _floats(frame, [f"{name}0" for name in LEVELS if f"{name}0" in frame.columns])


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
    return _floats(frame.drop("seq", strict=False), ["price", "size"]).with_columns(action=action, side=_side(frame))


def _deltas(frame: pl.DataFrame) -> pl.DataFrame:
    snapshot = pl.col("is_snapshot").cast(pl.String).str.to_lowercase().replace_strict(WORDS, default=None)
    starts = snapshot & ~snapshot.shift(1, fill_value=False)
    flags = snapshot.cast(pl.UInt8) * SNAPSHOT + starts.cast(pl.UInt8) * RESET
    return _floats(frame, ["price", "size"]).with_columns(side=_side(frame), flags=flags)


def _funding(frame: pl.DataFrame) -> pl.DataFrame:
    hours = numbers(frame["interval_h"]) if "interval_h" in frame.columns else pl.Series([0.0] * len(frame))
    return _floats(frame, ["rate"]).with_columns(interval_s=(hours * 3_600).cast(pl.Int64), funding_ns=pl.col("ts_ns"))
