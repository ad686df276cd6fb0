"""Prices of one instrument on its regular grid: what outcomes are measured on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl

from features.clock import NS_PER_S
from features.engine import Bools, Channels, Ints
from features.fronts.bars import BarFront
from features.spec import MAX_CARRY_S
from features.terms import Floats

CHANNELS = ("log_close", "log_high", "log_low", "log_return", "missing")


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of ``bar_s`` seconds without holes; every array has shape (n,).

    Row i covers ``[first_slot + i, first_slot + i + 1) * bar_s`` since 1970 and is known at its end. In a row that is
    ``missing`` the price is carried forward; the next row's return is the whole move. ``log_return[0]`` is NaN.
    """

    first_slot: int
    bar_s: int
    log_close: Floats
    log_high: Floats
    log_low: Floats
    log_return: Floats
    missing: Floats
    longest_carry_s: int = MAX_CARRY_S

    @property
    def start_ns(self) -> int:
        """Beginning of the first row."""
        return self.first_slot * self.bar_s * NS_PER_S

    @property
    def end_ns(self) -> int:
        """End of the last row."""
        return self.start_ns + len(self.log_close) * self.bar_s * NS_PER_S

    @property
    def in_gap(self) -> Bools:
        """Rows inside too long a run of missing rows; a price that is not known is a gap at once."""
        return _long_runs(self.missing > 0, self.longest_carry_s // self.bar_s) | np.isnan(self.log_close)

    def row_after(self, ts_ns: Ints) -> Ints:
        """Index of the first row that begins at or after each instant on the grid."""
        return (ts_ns - self.start_ns) // (self.bar_s * NS_PER_S)


def of_channels(first_slot: int, bar_s: int, channels: Channels, longest_carry_s: int = MAX_CARRY_S) -> Grid:
    """The prices among the channels of consecutive rows."""
    prices = {name: channels[name] for name in CHANNELS}
    return Grid(first_slot, bar_s, **prices, longest_carry_s=longest_carry_s)


def of_bars(bars: pd.DataFrame, bar_s: int) -> Grid:
    """Lay canonical bars of ``bar_s`` seconds on their grid."""
    front = BarFront(bar_s)
    front.take(pl.from_pandas(bars, nan_to_null=False))
    step_ns = bar_s * NS_PER_S
    first, stop = int(bars["ts_ns"].iloc[0]) // step_ns, int(bars["ts_ns"].iloc[-1]) // step_ns + 1
    return of_channels(first, bar_s, front.close(first, stop))


def _long_runs(flag: Bools, longest: int) -> Bools:
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
