"""Feature families: a grid and the origins in, one column out; each a line in a table.

A column holds, for each origin, what was known at that instant: bars with
index below ``ends``. Variances are logs of the hourly rate, floored far below
any traded hour, so that a frozen tape gives a low number and not minus infinity.
"""

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from features.clock import DAY_NS, HOUR_NS, HOUR_S
from features.errors import SettingError, lookup
from features.grid import BarGrid
from features.measures import MEASURES

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Measure = Callable[[FloatArray], FloatArray]
# (grid, index of the first bar after each origin, origins, look-back in bars) -> column
Family = Callable[[BarGrid, IntArray, IntArray, int], FloatArray]

VARIANCE_FLOOR = 1e-9  # per hour: a third of a basis point of price
CHUNK = 1_024
USUAL_VOLUME_H = 720


def rolled(measure: Measure, per_bar: FloatArray, ends: IntArray, window_bars: int) -> FloatArray:
    """Apply a measure to the ``window_bars`` bars before each end; NaN where there are fewer.

    Parameters
    ----------
    measure : function of (..., n) to (...).
    per_bar : array of shape (n,), one value a bar.
    ends : array of shape (m,), index of the first bar *not* seen.
    window_bars : length of the window.

    Returns
    -------
    array of shape (m,)
    """
    out = np.full(len(ends), np.nan)
    if window_bars > len(per_bar):
        return out
    windows = sliding_window_view(per_bar, window_bars)
    known = np.flatnonzero((ends >= window_bars) & (ends <= len(per_bar)))
    for rows in np.split(known, range(CHUNK, len(known), CHUNK)):  # bounds the copies
        out[rows] = measure(windows[ends[rows] - window_bars])
    return out


def _hours(grid: BarGrid, window_bars: int) -> float:
    return window_bars * grid.bar_s / HOUR_S


def _log_rate(measure_name: str) -> Family:
    """Log of a variance measure of returns, per hour."""
    measure = MEASURES[measure_name]

    def column(grid: BarGrid, ends: IntArray, _origins: IntArray, window_bars: int) -> FloatArray:
        rate = rolled(measure, grid.log_return, ends, window_bars) / _hours(grid, window_bars)
        return np.log(np.maximum(rate, VARIANCE_FLOOR))

    return column


def _log_range(grid: BarGrid, ends: IntArray, _origins: IntArray, window_bars: int) -> FloatArray:
    """Log of the Parkinson variance, per hour."""
    ranges = grid.log_high - grid.log_low
    rate = rolled(MEASURES["parkinson"], ranges, ends, window_bars) / _hours(grid, window_bars)
    return np.log(np.maximum(rate, VARIANCE_FLOOR))


def _downside(grid: BarGrid, ends: IntArray, _origins: IntArray, window_bars: int) -> FloatArray:
    """Downside share of realised variance, between 0 and 1."""
    down = rolled(MEASURES["downside_semivariance"], grid.log_return, ends, window_bars)
    total = rolled(MEASURES["realised_variance"], grid.log_return, ends, window_bars)
    floor = VARIANCE_FLOOR * _hours(grid, window_bars)
    return (down + floor / 2) / (total + floor)


def _rq_ratio(grid: BarGrid, ends: IntArray, _origins: IntArray, window_bars: int) -> FloatArray:
    """Log of sqrt(RQ) / RV: how noisy the variance of the window is."""
    quarticity = rolled(MEASURES["realised_quarticity"], grid.log_return, ends, window_bars)
    variance = rolled(MEASURES["realised_variance"], grid.log_return, ends, window_bars)
    floor = VARIANCE_FLOOR * _hours(grid, window_bars)
    return np.log((np.sqrt(quarticity) + floor) / (variance + floor))


def _log_return(grid: BarGrid, ends: IntArray, _origins: IntArray, window_bars: int) -> FloatArray:
    """Log return over the window."""
    return rolled(lambda r: r.sum(axis=-1), grid.log_return, ends, window_bars)


def _move(grid: BarGrid, ends: IntArray, _origins: IntArray, window_bars: int) -> FloatArray:
    """Return over the window in units of its realised volatility, between -sqrt(n) and sqrt(n)."""
    variance = rolled(MEASURES["realised_variance"], grid.log_return, ends, window_bars)
    floor = VARIANCE_FLOOR * _hours(grid, window_bars)
    return _log_return(grid, ends, _origins, window_bars) / np.sqrt(variance + floor)


def _log_volume(grid: BarGrid, ends: IntArray, _origins: IntArray, window_bars: int) -> FloatArray:
    """Log of base volume per hour over the window relative to the last 30 days."""
    month_bars = USUAL_VOLUME_H * HOUR_S // grid.bar_s
    recent = rolled(lambda v: v.mean(axis=-1), grid.volume, ends, window_bars)
    usual = rolled(lambda v: v.mean(axis=-1), grid.volume, ends, month_bars)
    return np.log((recent + 1e-6 * usual + 1e-12) / (usual + 1e-12))


def _wave(period_ns: int, function: Callable[[FloatArray], FloatArray]) -> Family:
    """Sine or cosine of the clock."""

    def column(_grid: BarGrid, _ends: IntArray, origins: IntArray, _window_bars: int) -> FloatArray:
        return function(2 * np.pi * (origins % period_ns) / period_ns)

    return column


def _weekend(_grid: BarGrid, _ends: IntArray, origins: IntArray, _window_bars: int) -> FloatArray:
    """1 on Saturday and Sunday UTC, else 0 (1 January 1970 was a Thursday)."""
    return ((origins // DAY_NS + 3) % 7 >= 5).astype(np.float64)


FAMILIES: dict[str, Family] = {
    "downside": _downside,
    "log_bv": _log_rate("bipower_variation"),
    "log_range": _log_range,
    "log_return": _log_return,
    "log_rv": _log_rate("realised_variance"),
    "log_volume": _log_volume,
    "move": _move,
    "rq_ratio": _rq_ratio,
}
CALENDAR: dict[str, Family] = {  # these have no look-back
    "hour2_cos": _wave(12 * HOUR_NS, np.cos),
    "hour2_sin": _wave(12 * HOUR_NS, np.sin),
    "hour_cos": _wave(DAY_NS, np.cos),
    "hour_sin": _wave(DAY_NS, np.sin),
    "week_cos": _wave(7 * DAY_NS, np.cos),
    "week_sin": _wave(7 * DAY_NS, np.sin),
    "weekend": _weekend,
}


def parse(name: str, bar_s: int) -> tuple[Family, int]:
    """Split a feature's name into its family and its look-back in bars (0 for a calendar family).

    Raises
    ------
    SettingError
        If the family is unknown or the look-back is no whole number of bars.

    Examples
    --------
    >>> parse("log_rv_4h", 900)[1], parse("weekend", 900)[1]
    (16, 0)
    """
    if name in CALENDAR:
        return CALENDAR[name], 0
    family, _, lookback = name.rpartition("_")
    hours = lookback.removesuffix("h")
    if not (lookback.endswith("h") and hours.isdigit() and int(hours) * HOUR_S % bar_s == 0 and int(hours)):
        raise SettingError(f"feature {name!r}: no look-back in whole hours and bars; write log_rv_24h")
    return lookup(FAMILIES, family, "feature family"), int(hours) * HOUR_S // bar_s


def history_bars(name: str, bar_s: int) -> int:
    """Bars before an origin that a feature needs.

    Examples
    --------
    >>> history_bars("log_rv_4h", 900), history_bars("log_volume_1h", 900), history_bars("weekend", 900)
    (16, 2880, 0)
    """
    _, window_bars = parse(name, bar_s)
    usual = USUAL_VOLUME_H * HOUR_S // bar_s if name.startswith("log_volume_") else 0
    return max(window_bars, usual)
