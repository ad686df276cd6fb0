"""Bars as pandas frames: names, dtypes, order, and the checks that make them bars.

A frame of bars has exactly the columns of :data:`features.schema.BARS`.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.clock import DAY_NS, NS_PER_S, format_utc
from features.errors import PriceError, SchemaError, ShortHistoryError, TimeOrderError
from features.schema import BAR_PRICES, BARS, FIRST_NS, LAST_NS

# A vendor's time column says its unit in its name; ours is ts_ns.
TIME_COLUMNS_NS = {"ts_ns": 1, "ts_us": 1_000, "ts_ms": 1_000_000, "ts_s": NS_PER_S}
LARGEST_LEAP = 10  # a slipped decimal point or a redenomination, not a market
COLUMNS = {name: "int64" if name == "ts_ns" else "float64" for name in BARS.columns}
OPTIONAL = [name for name, column in BARS.columns.items() if column.absent is not None]


def check_time(ts_ns: NDArray[np.int64], where: str) -> None:
    """Refuse timestamps that do not strictly increase.

    Raises
    ------
    TimeOrderError
        Naming the first row that repeats or goes back, and its time.
    """
    back = np.flatnonzero(np.diff(ts_ns) <= 0)
    if back.size:
        row = int(back[0]) + 1
        fault = "repeats" if ts_ns[row] == ts_ns[row - 1] else "goes back from"
        raise TimeOrderError(
            f"{where}: row {row} ({format_utc(int(ts_ns[row]))}) {fault} row {row - 1} "
            f"({format_utc(int(ts_ns[row - 1]))}); sort by time and keep one row per bar"
        )


def _refuse(bad: NDArray[np.bool_], frame: pd.DataFrame, column: str, rule: str, where: str) -> None:
    """Raise PriceError at the first row where ``bad`` is true."""
    if bad.any():
        row = int(bad.argmax())
        time = format_utc(int(frame["ts_ns"].iloc[row]))
        raise PriceError(
            f"{where}: row {row} ({time}): {column} is {frame[column].iloc[row]}, but {rule}; "
            "correct or remove the row (an absent bar is allowed, a wrong one is not)"
        )


def check_bars(frame: pd.DataFrame, where: str) -> None:
    """Check bars: order, positive finite prices, high and low around open and close, volume >= 0, no leaps."""
    check_time(frame["ts_ns"].to_numpy(), where)
    for column in BAR_PRICES:
        price = frame[column].to_numpy()
        _refuse(
            ~(np.isfinite(price) & (price > 0)),
            frame,
            column,
            "prices are finite and positive",
            where,
        )
    volume = frame["volume"].to_numpy()
    _refuse(~(np.isfinite(volume) & (volume >= 0)), frame, "volume", "volume is finite and >= 0", where)
    body = frame[["open", "close"]].to_numpy()
    high, low = frame["high"].to_numpy(), frame["low"].to_numpy()
    _refuse(high < body.max(axis=1), frame, "high", "high is at least open and close", where)
    _refuse(low > body.min(axis=1), frame, "low", "low is at most open and close", where)
    leap = np.abs(np.diff(np.log(frame["close"].to_numpy()), prepend=np.log(frame["close"].iloc[0]))) > np.log(
        LARGEST_LEAP
    )
    wick = (high > LARGEST_LEAP * body.max(axis=1)) | (low * LARGEST_LEAP < body.min(axis=1))
    _refuse(wick, frame, "high", f"high and low stay within {LARGEST_LEAP} times of open and close", where)
    _refuse(
        leap, frame, "close", f"no close is {LARGEST_LEAP} times, or a part in {LARGEST_LEAP}, of the one before", where
    )


def to_bars(raw: pd.DataFrame, where: str) -> pd.DataFrame:
    """Type, select and check the columns of a frame that names them as the schema does.

    The time column is ``ts_ns``, ``ts_us``, ``ts_ms`` or ``ts_s``: its name is its unit. Quote volume,
    number of trades and bought volume are NaN where the frame has no such column.

    Parameters
    ----------
    raw : frame with at least time, prices and volume; what the schema does not name is left out.
    where : file or source, for messages.

    Raises
    ------
    SchemaError
        If a column is missing or does not hold numbers.
    TimeOrderError, PriceError
        If the values break the rules of bars.
    ShortHistoryError
        If there is no row at all.
    """
    time_column = next((name for name in TIME_COLUMNS_NS if name in raw.columns), None)
    missing = [c for c in COLUMNS if c not in (*raw.columns, *OPTIONAL, "ts_ns")]
    if time_column is None:
        missing.insert(0, " or ".join(TIME_COLUMNS_NS))
    if missing or time_column is None:
        wanted = [time_column or "ts_ms", *(c for c in COLUMNS if c not in (*OPTIONAL, "ts_ns"))]
        raise SchemaError(
            f"{where}: no column {', '.join(missing)}; found {', '.join(map(str, raw.columns))}; "
            f"rename the columns to {', '.join(wanted)}"
        )
    if raw.empty:
        raise ShortHistoryError(f"{where}: the file has no rows; give at least one bar")
    given = raw.assign(**{c: float("nan") for c in OPTIONAL if c not in raw.columns}).rename(
        columns={time_column: "ts_ns"}
    )
    frame = pd.DataFrame({c: _numbers(given[c], dtype, where) for c, dtype in COLUMNS.items()})
    _check_unit(frame["ts_ns"].to_numpy(), time_column, where)
    frame["ts_ns"] *= TIME_COLUMNS_NS[time_column]
    check_bars(frame, where)
    return frame


def _check_unit(stamps: NDArray[np.int64], time_column: str, where: str) -> None:
    """Refuse stamps that lie outside 1990 to 2200 in the unit that their column names."""
    edges = (FIRST_NS // TIME_COLUMNS_NS[time_column], LAST_NS // TIME_COLUMNS_NS[time_column])
    outside = (stamps < edges[0]) | (stamps > edges[1])
    if outside.any():
        row = int(outside.argmax())
        raise TimeOrderError(
            f"{where}: row {row}: {time_column}={stamps[row]} is no time between 1990 and 2200; "
            f"name the column by its unit: {', '.join(TIME_COLUMNS_NS)}"
        )


def _numbers(column: pd.Series, dtype: str, where: str) -> pd.Series:
    """Cast one column, or say which row holds something else than a number."""
    numeric = pd.to_numeric(column, errors="coerce")
    bad = numeric.isna() & column.notna() if dtype == "float64" else numeric.isna() | (numeric % 1 != 0)
    if bad.any():
        row = int(bad.to_numpy().argmax())
        wanted = "a number" if dtype == "float64" else "a whole number"
        raise SchemaError(
            f"{where}: row {row}: column {column.name} holds {column.iloc[row]!r}, which is not {wanted}; correct it"
        )
    cast: pd.Series = numeric.astype(np.dtype(dtype))
    return cast


def anchor_ns(ts_ns: NDArray[np.int64], bar_ns: int) -> int:
    """An instant of the bars' grid: midnights and their parts; bars longer than a day begin where the first does."""
    return 0 if bar_ns <= DAY_NS else int(ts_ns[0])


def commonest_step_ns(ts_ns: NDArray[np.int64]) -> int:
    """The commonest step between stamps, of which there are at least two."""
    steps, counts = np.unique(np.diff(ts_ns), return_counts=True)
    return int(steps[counts.argmax()])


def bar_length_s(frame: pd.DataFrame, where: str) -> int:
    """Length of the bars in seconds: the commonest step between stamps.

    Raises
    ------
    ShortHistoryError
        If there are fewer than two bars.
    TimeOrderError
        If a stamp lies off the grid of that length.
    """
    ts_ns = frame["ts_ns"].to_numpy()
    if len(ts_ns) < 2:
        raise ShortHistoryError(f"{where}: {len(ts_ns)} bar cannot tell the bar length; give at least two")
    step_ns = commonest_step_ns(ts_ns)
    off = np.flatnonzero((ts_ns - anchor_ns(ts_ns, step_ns)) % step_ns)
    if off.size or step_ns % NS_PER_S:
        row = int(off[0]) if off.size else 1
        raise TimeOrderError(
            f"{where}: row {row} ({format_utc(int(ts_ns[row]))}) is off the grid of {step_ns / NS_PER_S:g} s bars; "
            "stamp each bar at its open, on multiples of its length"
        )
    return step_ns // NS_PER_S
