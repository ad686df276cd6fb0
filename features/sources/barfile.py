"""Bars of any maker in CSV, Parquet or Feather: columns by their usual names, times by their size."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from features.bars import TIME_COLUMNS_NS, to_bars
from features.clock import NS_PER_S
from features.errors import FormatError, SchemaError
from features.intake.batch import Batch, Item, Note, Options, Rejected
from features.intake.columns import chunks, found, stamps
from features.intake.stream import require_file
from features.intake.units import UNITS_NS
from features.schema import BARS, bars

NAMES: dict[str, tuple[str, ...]] = {
    "time": (*TIME_COLUMNS_NS, "open_time", "opentime", "time", "timestamp", "ts", "date", "datetime", "unix", "t"),
    "close_time": ("close_time", "closetime"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v", "base_volume", "volume_base"),
    "quote_volume": ("quote_volume", "quote_asset_volume", "turnover", "volume_quote"),
    "trades": ("trades", "count", "number_of_trades", "num_trades", "n"),
    "symbol": ("symbol", "ticker", "pair", "instrument"),
    "buy_volume": ("buy_volume", "taker_buy_volume", "taker_buy_base_volume", "taker_buy_base_asset_volume"),
}
NUMBERS = tuple(name for name in NAMES if name not in ("time", "close_time", "symbol"))


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read bars; the columns are found by their usual names, in any case and order.

    A number as time is s, ms, µs or ns by its size, unless its name (``ts_ms``) or ``options.unit`` says it;
    a text is ISO-8601, UTC. Bars are stamped at their open; ``options.stamp`` says otherwise, and a file
    that has only a close time, or stamps that end one unit before a full bar, is stamped at the close.

    Raises
    ------
    SchemaError
        If time, a price or the volume is missing, or the instrument is not named.
    FormatError
        If it is no table.
    """
    if options.symbol is None:
        raise SchemaError(f"{path}: bars do not name their instrument; add --symbol")
    raw, faults = _load(path)
    yield from faults
    names = _found(path, raw.columns)
    frame = _of_one(path, raw.select("row", **{name: pl.col(column) for name, column in names.items()}), options)
    frame, faults = _timed(path, frame, names, options)
    yield from faults
    if len(frame) > 1 and frame["ts_ns"].is_sorted(descending=True) and frame["ts_ns"][0] > frame["ts_ns"][-1]:
        frame = frame.reverse()
        yield Note("the file is newest first; its rows were turned round")
    frame, note = _at_open(frame, names, options)
    if note is not None:
        yield note
    table = bars(options.bar_s) if options.bar_s else BARS
    yield Batch(table, frame.with_columns(symbol=pl.lit(options.symbol)))


def read_frame(path: Path) -> pd.DataFrame:
    """Read a whole file of bars whose columns carry the canonical names.

    The file has the columns ``open, high, low, close, volume`` and one of
    ``ts_ns, ts_us, ts_ms, ts_s`` (time of the bar's open, UTC).

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is neither CSV nor Parquet.
    SchemaError, TimeOrderError, PriceError
        If its content is not bars; see :func:`features.bars.to_bars`.
    """
    require_file(path)
    try:
        raw = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (
        pa.ArrowInvalid,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        UnicodeDecodeError,
    ) as error:
        reason = str(error).splitlines()[0]
        raise FormatError(f"{path}: cannot be read ({reason}); give bars as .csv or .parquet") from error
    return to_bars(raw, str(path))


def _of_one(path: Path, frame: pl.DataFrame, options: Options) -> pl.DataFrame:
    """The rows of one instrument, where a column names it."""
    if "symbol" not in frame.columns:
        return frame
    told = [str(name) for name in frame["symbol"].unique(maintain_order=True)]
    if options.symbol in told:
        return frame.filter(pl.col("symbol") == options.symbol)
    if len(told) > 1:
        raise SchemaError(f"{path}: holds bars of {', '.join(told[:10])}; choose one with --symbol, or split the file")
    return frame


def _load(path: Path) -> tuple[pl.DataFrame, list[Rejected]]:
    """The raw table with ``row``; a row of text with other fields than the header is rejected."""
    items = list(chunks(path))
    frames = [item for item in items if isinstance(item, pl.DataFrame)]
    if not frames:
        raise FormatError(f"{path}: has a header but no rows; give at least one bar")
    return pl.concat(frames), [item for item in items if isinstance(item, Rejected)]


def _found(path: Path, columns: list[str]) -> dict[str, str]:
    names = found([c for c in columns if c != "row"], NAMES)
    needed = [name for name in NUMBERS if BARS.columns[name].absent is None]
    missing = [name for name in needed if name not in names]
    if "time" not in names and "close_time" not in names:
        missing.insert(0, "time")
    if missing:
        raise SchemaError(
            f"{path}: no column for {', '.join(missing)}; found {', '.join(c for c in columns if c != 'row')}; "
            "name them as ts_ms, open, high, low, close, volume"
        )
    return names


def _timed(
    path: Path, frame: pl.DataFrame, names: dict[str, str], options: Options
) -> tuple[pl.DataFrame, list[Rejected]]:
    """Add ``ts_ns`` and make the rest numbers; a cell that is none is rejected with its row."""
    clock = "time" if "time" in names else "close_time"
    ts_ns = stamps(path, frame[clock].alias(names[clock]), options.unit)
    present = [name for name in NUMBERS if name in names]
    numbers = frame.select("row", *(pl.col(n).cast(pl.Float64, strict=False) for n in present), ts_ns=ts_ns)
    faults = []
    for name, column in (("ts_ns", clock), *((n, n) for n in present)):
        wrong = numbers[name].is_null() & frame[column].is_not_null()
        for i in wrong.arg_true().to_list():
            told = f"{names[column]} is {frame[column][i]!r}, which is no {'time' if name == 'ts_ns' else 'number'}"
            faults.append(Rejected(int(frame["row"][i]), told, ",".join(map(str, frame.row(i)[1:]))))
    bad = {fault.row for fault in faults}
    return numbers.filter(~pl.col("row").is_in(list(bad))), faults


def _at_open(frame: pl.DataFrame, names: dict[str, str], options: Options) -> tuple[pl.DataFrame, Note | None]:
    """Stamp bars at their open."""
    ts_ns = frame["ts_ns"].drop_nulls().to_numpy()
    steps, counts = np.unique(np.diff(ts_ns), return_counts=True)
    common = int(steps[counts.argmax()]) if len(steps) else 0
    step = options.bar_s * NS_PER_S if options.bar_s else common
    if step <= 0:
        return frame, None
    late = step - int(ts_ns[0] % step)  # one unit before a full bar: Binance's close_time
    ends_early = late in UNITS_NS.values() and late < step
    if options.stamp == "open" or not (options.stamp == "close" or ends_early or "time" not in names):
        return frame, None
    shift = step - (late if ends_early else 0)
    return frame.with_columns(pl.col("ts_ns") - shift), Note("bars were stamped at their close; now at their open")
