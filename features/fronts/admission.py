"""What may be fed: rows that are whole, before any of them is taken."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.clock import format_utc
from features.errors import PriceError, SchemaError, TimeOrderError
from features.schema import FIRST_NS, LAST_NS, table_of

POSITIVE = {
    "trades": ("price", "size"), "agg_trades": ("price", "size"), "bars": ("open", "high", "low", "close"),
}  # fmt: skip


def admitted(kind: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the columns of its table, so that nothing of it can fail half-way.

    Raises
    ------
    SchemaError
        If a column is missing, of another type, or has nulls.
    TimeOrderError
        If a time is not between 1990 and 2200: seconds or milliseconds taken for nanoseconds would stop the clock.
    PriceError
        If a price or size that must be positive is not.
    """
    table = table_of(kind)
    if frame.schema != table.dtypes:
        try:
            frame = table.conform(frame)
        except pl.exceptions.PolarsError as error:
            raise SchemaError(f"{kind}: {error}; give the columns {', '.join(table.columns)}") from error
    for name in frame.columns:
        if frame[name].null_count():
            raise SchemaError(f"{kind}: column {name} has nulls; give every row a value")
    refuse_wild(kind, frame["ts_ns"].to_numpy())
    _refuse_prices(kind, frame)
    return frame


def refuse_wild(what: str, ts_ns: NDArray[np.int64]) -> None:
    """Refuse times that are not between 1990 and 2200."""
    wild = np.flatnonzero((ts_ns < FIRST_NS) | (ts_ns > LAST_NS))
    if len(wild):
        raise TimeOrderError(f"{what}: row {wild[0]} has ts_ns {ts_ns[wild[0]]}; give nanoseconds since 1970 UTC")


def _refuse_prices(kind: str, frame: pl.DataFrame) -> None:
    names = POSITIVE.get("bars" if kind.startswith("bars_") else kind, ())
    for name in names:
        values = frame[name].to_numpy()
        bad = np.flatnonzero(~((values > 0) & (values < np.inf)))
        if len(bad):
            at = format_utc(int(frame["ts_ns"][int(bad[0])]))
            raise PriceError(f"{kind}: {name} {values[bad[0]]} at {at}; it must be positive and finite")
