"""Bars on the full regular grid: carried-forward closes and flagged gaps.

A bar that is absent or has no volume is *missing*: the price is carried
forward (zero return; the next bar carries the whole move). A run of missing
bars longer than 30 minutes is a *gap*.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.clock import NS_PER_S

FloatArray = NDArray[np.float64]
MAX_CARRY_S = 1_800


@dataclass(frozen=True, slots=True)
class BarGrid:
    """One instrument on a regular grid of ``bar_s`` seconds; every array has shape (n,).

    ``start_ns`` is the open of bar 0; bar i is known at ``start_ns + (i + 1) bar``.
    ``log_return[0]`` is 0.
    """

    start_ns: int
    bar_s: int
    log_close: FloatArray
    log_high: FloatArray
    log_low: FloatArray
    log_return: FloatArray
    volume: FloatArray
    in_gap: NDArray[np.bool_]

    @property
    def end_ns(self) -> int:
        """Close of the last bar."""
        return self.start_ns + len(self.log_close) * self.bar_s * NS_PER_S

    def first_bar_after(self, ts_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the first bar that opens at or after each instant on the grid."""
        return (ts_ns - self.start_ns) // (self.bar_s * NS_PER_S)


def to_grid(bars: pd.DataFrame, bar_s: int) -> BarGrid:
    """Lay canonical bars on the regular grid of their length."""
    ts_ns = bars["ts_ns"].to_numpy()
    traded = bars["volume"].to_numpy() > 0
    slot = (ts_ns - ts_ns[0]) // (bar_s * NS_PER_S)
    n = int(slot[-1]) + 1
    live = np.zeros(n, dtype=bool)
    live[slot[traded]] = True
    live[0] = True  # the first price has nothing before it to be carried from
    source = np.maximum.accumulate(np.where(live, np.arange(n), 0))

    def spread(column: str) -> FloatArray:
        out = np.full(n, np.nan)
        out[slot] = bars[column].to_numpy()
        return out

    log_close = np.log(spread("close")[source])
    return BarGrid(
        start_ns=int(ts_ns[0]),
        bar_s=bar_s,
        log_close=log_close,
        log_high=np.where(live, np.log(spread("high")), log_close),
        log_low=np.where(live, np.log(spread("low")), log_close),
        log_return=np.diff(log_close, prepend=log_close[0]),
        volume=np.where(live, spread("volume"), 0.0),
        in_gap=_long_runs(~live, MAX_CARRY_S // bar_s),
    )


def _long_runs(flag: NDArray[np.bool_], longest: int) -> NDArray[np.bool_]:
    """True inside every run of ``flag`` that is longer than ``longest``.

    Examples
    --------
    >>> _long_runs(np.array([1, 0, 1, 1, 1], dtype=bool), 2).astype(int)
    array([0, 0, 1, 1, 1])
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flag, [False]]).astype(np.int8)))
    out = np.zeros(len(flag), dtype=bool)
    for start, stop in edges.reshape(-1, 2):
        out[start:stop] = stop - start > longest
    return out


def traded(bars: pd.DataFrame) -> pd.DataFrame:
    """The bars in which anything was traded; the others show no price of their own."""
    return bars[bars["volume"] > 0]
