"""Bars of any maker in CSV, Parquet or Feather: columns by their usual names, times by their size."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from features.bars import TIME_COLUMNS_NS, to_bars
from features.clock import NS_PER_S
from features.errors import FormatError, SchemaError, SettingError
from features.intake.batch import Batch, Item, Note, Options, Rejected
from features.intake.csvfile import header_of, typed_blocks
from features.intake.stream import require_file
from features.intake.units import UNITS_NS, iso_ns, unit_ns
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
    "buy_volume": ("buy_volume", "taker_buy_volume", "taker_buy_base_volume", "taker_buy_base_asset_volume"),
}
NUMBERS = tuple(name for name in NAMES if name not in ("time", "close_time"))


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
    frame = raw.select("row", **{name: pl.col(column) for name, column in names.items()})
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


def _load(path: Path) -> tuple[pl.DataFrame, list[Rejected]]:
    """The raw table with ``row``; a row of text with other fields than the header is rejected."""
    require_file(path)
    with path.open("rb") as handle:
        magic = handle.read(6)
    if magic[:4] == b"PAR1" or magic == b"ARROW1" or magic[:4] == b"FEA1":
        return _columnar(path, parquet=magic[:4] == b"PAR1").with_row_index("row", offset=1), []
    header = header_of(path)
    items = list(typed_blocks(path, dict.fromkeys(header, pl.String)))
    frames = [item for item in items if isinstance(item, pl.DataFrame)]
    if not frames:
        raise FormatError(f"{path}: has a header but no rows; give at least one bar")
    return pl.concat(frames), [item for item in items if isinstance(item, Rejected)]


def _columnar(path: Path, *, parquet: bool) -> pl.DataFrame:
    try:
        table = pa.parquet.read_table(path, partitioning=None) if parquet else pa.feather.read_table(path)
    except pa.ArrowInvalid as error:
        raise FormatError(f"{path}: is damaged ({error}); fetch it again") from error
    return cast("pl.DataFrame", pl.from_arrow(table))


def _found(path: Path, columns: list[str]) -> dict[str, str]:
    """Which column holds what, by its name in lower case with underscores."""
    plain = {c.strip().lower().replace(" ", "_"): c for c in columns}
    names = {
        name: next(plain[alias] for alias in aliases if alias in plain)
        for name, aliases in NAMES.items()
        if any(alias in plain for alias in aliases)
    }
    needed = [name for name in (*BARS.columns,) if name in NUMBERS and BARS.columns[name].absent is None]
    missing = [name for name in needed if name not in names]
    if "time" not in names and "close_time" not in names:
        missing.insert(0, "time")
    if missing:
        raise SchemaError(
            f"{path}: no column for {', '.join(missing)}; found {', '.join(columns)}; "
            "name them as ts_ms, open, high, low, close, volume"
        )
    return names


def _timed(
    path: Path, frame: pl.DataFrame, names: dict[str, str], options: Options
) -> tuple[pl.DataFrame, list[Rejected]]:
    """Add ``ts_ns`` and make the rest numbers; a cell that is none is rejected with its row."""
    clock = "time" if "time" in names else "close_time"
    stamps = _stamps(path, frame[clock], names[clock], options)
    present = [name for name in NUMBERS if name in names]
    numbers = frame.select("row", ts_ns=stamps, *(pl.col(n).cast(pl.Float64, strict=False) for n in present))
    faults = []
    for name, column in (("ts_ns", clock), *((n, n) for n in present)):
        wrong = numbers[name].is_null() & frame[column].is_not_null()
        for i in wrong.arg_true().to_list():
            told = f"{names[column]} is {frame[column][i]!r}, which is no {'time' if name == 'ts_ns' else 'number'}"
            faults.append(Rejected(int(frame["row"][i]), told, ",".join(map(str, frame.row(i)[1:]))))
    bad = {fault.row for fault in faults}
    return numbers.filter(~pl.col("row").is_in(list(bad))), faults


def _stamps(path: Path, column: pl.Series, name: str, options: Options) -> pl.Series:
    """Nanoseconds of a time column of numbers, texts or datetimes; null where it cannot be read."""
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("ns")).cast(pl.Int64)
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() < len(numbers):
        scale = _scale(path, float(cast("float", numbers.drop_nulls()[0])), name, options)
        whole = column.cast(pl.Int64, strict=False)
        return whole.fill_null((numbers * scale).cast(pl.Int64, strict=False) // scale) * scale if scale > 1 else whole
    return pl.Series([_iso(text) for text in column.to_list()], dtype=pl.Int64)


def _scale(path: Path, stamp: float, name: str, options: Options) -> int:
    """Nanoseconds of the unit: as given, as the column's name says, or as its size tells; they must agree."""
    told = UNITS_NS[options.unit] if options.unit else TIME_COLUMNS_NS.get(name)
    try:
        found = unit_ns(stamp)
    except ValueError as error:
        raise FormatError(f"{path}: column {name}: {error}") from None
    if told is not None and told != found:
        units = {scale: unit for unit, scale in UNITS_NS.items()}
        raise SettingError(
            f"{path}: column {name} is to be in {units[told]}, but {stamp:.0f} is a time between 1990 and 2200 "
            f"only in {units[found]}; give --unit {units[found]}"
        )
    return found


def _iso(text: str | None) -> int | None:
    try:
        return iso_ns(text) if text else None
    except ValueError:
        return None


def _at_open(frame: pl.DataFrame, names: dict[str, str], options: Options) -> tuple[pl.DataFrame, Note | None]:
    """Stamp bars at their open."""
    ts_ns = frame["ts_ns"].drop_nulls().to_numpy()
    if len(ts_ns) < 2:
        return frame, None
    steps, counts = np.unique(np.diff(ts_ns), return_counts=True)
    step = options.bar_s * NS_PER_S if options.bar_s else int(steps[counts.argmax()])
    late = step - int(ts_ns[0] % step)  # one unit before a full bar: Binance's close_time
    ends_early = late in UNITS_NS.values() and late < step
    if options.stamp == "open" or not (options.stamp == "close" or ends_early or "time" not in names):
        return frame, None
    shift = step - (late if ends_early else 0)
    return frame.with_columns(pl.col("ts_ns") - shift), Note("bars were stamped at their close; now at their open")
