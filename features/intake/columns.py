"""Tables of any maker, CSV, Parquet or Feather: chunks of columns, found by name, with times told by their size."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from features.errors import FormatError
from features.intake.batch import BATCH_ROWS, Rejected
from features.intake.csvfile import header_of, typed_blocks
from features.intake.stream import first_lines, require_file
from features.intake.units import scale_ns, scaled, texts_ns

UNIT_ENDS = ("_ns", "_us", "_ms", "_s")


def chunks(path: Path) -> Iterator[pl.DataFrame | Rejected]:
    """Yield a table's rows with ``row`` from 1; cells of text files stay text.

    Raises
    ------
    MissingFileError, FormatError
        If there is no such file or it is no table.
    """
    require_file(path)
    with path.open("rb") as handle:
        magic = handle.read(6)
    if magic[:4] == b"PAR1" or magic == b"ARROW1" or magic[:4] == b"FEA1":
        yield from _columnar(path, parquet=magic[:4] == b"PAR1")
    else:
        separator = _separator(path)
        header = header_of(path, separator)
        yield from typed_blocks(path, dict.fromkeys(header, pl.String), separator=separator)


def _separator(path: Path) -> str:
    """What stands between fields: comma, semicolon or tab, whichever the first line has most of."""
    first = first_lines(path)
    return max(",;\t", key=lambda c: first[0].count(c.encode())) if first else ","


def _columnar(path: Path, *, parquet: bool) -> Iterator[pl.DataFrame]:
    row = 1
    try:
        table = None if parquet else pa.feather.read_table(path)
        batches = pq.ParquetFile(path).iter_batches(BATCH_ROWS) if table is None else table.to_batches(BATCH_ROWS)
        for batch in batches:
            frame = cast("pl.DataFrame", pl.from_arrow(batch))
            yield frame.with_columns(pl.int_range(row, row + len(frame), dtype=pl.Int64).alias("row"))
            row += len(frame)
    except pa.ArrowInvalid as error:
        raise FormatError(f"{path}: is damaged ({error}); fetch it again") from error


def found(columns: Sequence[str], names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Which column holds what, by its name in lower case with underscores.

    Examples
    --------
    >>> found(["Open time", "HIGH"], {"time": ["open_time"], "high": ["high"], "low": ["low"]})
    {'time': 'Open time', 'high': 'HIGH'}
    """
    plain = {c.strip().lower().replace(" ", "_"): c for c in columns}
    return {
        name: next(plain[alias] for alias in aliases if alias in plain)
        for name, aliases in names.items()
        if any(alias in plain for alias in aliases)
    }


def numbers(column: pl.Series) -> pl.Series:
    """A column as float64, null where a cell is no number."""
    return column.cast(pl.Float64, strict=False)


def stamps(path: Path, column: pl.Series, unit: str | None) -> pl.Series:
    """Nanoseconds of a column of numbers, texts or datetimes; null where a cell is no time.

    A number's unit is ``unit``, or what the column's name ends in (``_ms``), or what its size tells; they must agree.

    Raises
    ------
    SettingError
        If they do not.
    FormatError
        If the first number is no time between 1990 and 2200 in any unit.
    """
    if column.dtype in (pl.Duration, pl.Time):
        raise FormatError(f"{path}: column {column.name} holds {column.dtype}, which is no moment; give date and time")
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("ns")).cast(pl.Int64)
    values = numbers(column)
    if values.null_count() == len(values):
        return texts_ns(column)
    told = unit or next((end[1:] for end in UNIT_ENDS if column.name.lower().endswith(end)), None)
    scale = scale_ns(f"{path}: column {column.name}", cast("float", values.median()), told)
    if column.dtype.is_integer():
        return scaled(column.cast(pl.Int64), scale)
    return _fractions(column, values, scale)


def _fractions(column: pl.Series, values: pl.Series, scale: int) -> pl.Series:
    """Stamps with decimals, such as 1625184005.549 s: texts exactly, floats as near as they are."""
    whole = values.floor().cast(pl.Int64, strict=False)
    part = ((values - values.floor()) * scale).round().cast(pl.Int64, strict=False)
    if column.dtype == pl.String and column.str.contains(r"^\s*\d+(\.\d*)?\s*$").all():
        digits = len(str(scale)) - 1
        whole = column.str.extract(r"(\d+)").cast(pl.Int64, strict=False)
        decimals = column.str.extract(r"\.(\d*)").fill_null("").str.pad_end(9, "0").str.slice(0, digits)
        part = decimals.cast(pl.Int64, strict=False).fill_null(0) if digits else pl.Series([0] * len(whole))
    stamps_ns = scaled(whole, scale)
    return pl.select(pl.when(stamps_ns == -1).then(-1).otherwise(stamps_ns + part)).to_series().alias(column.name)
