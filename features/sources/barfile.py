"""Bars from a CSV or Parquet file whose columns carry the canonical names."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from features.errors import FormatError, MissingFileError
from features.schema import BARS, to_canonical


def read(path: Path) -> pd.DataFrame:
    """Read ``.csv`` (also compressed) or ``.parquet`` bars.

    The file has the columns ``open, high, low, close, volume`` and one of
    ``ts_ns, ts_us, ts_ms, ts_s`` (time of the bar's open, UTC).

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is neither CSV nor Parquet.
    SchemaError, TimeOrderError, PriceError
        If its content is not bars; see :func:`features.schema.to_canonical`.
    """
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "no such file"
        raise MissingFileError(f"{path}: {fault}; give the path of a CSV or Parquet file of bars")
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
    return to_canonical(raw, BARS, str(path))
