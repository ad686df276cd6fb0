"""What may be fed: rows that are whole, before any of them is taken."""

from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.clock import NS_PER_S, format_utc
from features.errors import PriceError, RowError, SchemaError, TimeOrderError
from features.schema import FIRST_NS, LAST_NS, Table, table_of


def admitted(kind: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the columns of its table, so that nothing of it can fail half-way.

    Raises
    ------
    SchemaError
        If a column is missing, of another type, or has nulls.
    TimeOrderError
        If a time is not between 1990 and 2200: seconds or milliseconds taken for nanoseconds would stop the clock.
    RowError
        If a row breaks a rule of its table.
    """
    table = table_of(kind)
    if frame.schema != table.dtypes or any(frame.null_count().row(0)):
        try:
            frame = table.conform(frame)
        except pl.exceptions.PolarsError as error:
            raise SchemaError(f"{kind}: {error}; give the columns {', '.join(table.columns)}") from error
    nulls = frame.null_count().row(0)
    if any(nulls):
        name = frame.columns[int(np.argmax(nulls))]
        raise SchemaError(f"{kind}: column {name} has nulls; give every row a value")
    refuse_wild(kind, frame["ts_ns"].to_numpy())
    if kind.startswith("bars_"):
        _refuse_order(kind, frame)
    _refuse_broken(table, frame)
    return frame


def _refuse_order(kind: str, frame: pl.DataFrame) -> None:
    """Refuse bars that go back in time or lie off their grid."""
    ts_ns, bar_ns = frame["ts_ns"].to_numpy(), int(kind[5:-1]) * NS_PER_S
    for wrong, what in (
        (np.diff(ts_ns, prepend=ts_ns[:1]) < 0, "before the bar above it"),
        (ts_ns % bar_ns != 0, "off its grid"),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            raise TimeOrderError(
                f"{kind}: row {row} at {format_utc(int(ts_ns[row]))} is {what}; sort and align the bars"
            )


def refuse_wild(what: str, ts_ns: NDArray[np.int64]) -> None:
    """Refuse times that are not between 1990 and 2200."""
    wild = np.flatnonzero((ts_ns < FIRST_NS) | (ts_ns > LAST_NS))
    if len(wild):
        raise TimeOrderError(f"{what}: row {wild[0]} has ts_ns {ts_ns[wild[0]]}; give nanoseconds since 1970 UTC")


def _refuse_broken(table: Table, frame: pl.DataFrame) -> None:
    """Refuse rows that break a rule of their table: one of them could stay in the book for ever."""
    if not frame.select(_any_broken(table.kind)).item():
        return
    for rule in table.rules:
        broken = frame.select(rule.broken.fill_null(value=True)).to_series()
        if broken.any():
            row = int(broken.arg_max() or 0)
            at, value = format_utc(int(frame["ts_ns"][row])), frame[rule.column][row]
            raise RowError(f"{table.kind}: row {row} at {at} has {rule.column} {value}; {rule.demand}")


@cache
def _any_broken(kind: str) -> pl.Expr:
    return pl.any_horizontal(rule.broken.fill_null(value=True) for rule in table_of(kind).rules).any()


def refuse_books(what: str, ts_ns: NDArray[np.int64], books: NDArray[np.float64]) -> None:
    """Refuse wild times, and prices and sizes that are negative or infinite."""
    refuse_wild(what, ts_ns)
    bad = np.flatnonzero(((books < 0) | np.isinf(books)).any(axis=1))
    if len(bad):
        raise PriceError(f"{what}: row {bad[0]} at {format_utc(int(ts_ns[bad[0]]))} has a negative or infinite number")
