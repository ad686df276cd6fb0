"""Forward variance and return: the only module that looks ahead.

A window is ``(t, t + horizon]``; it is *scoreable* if the data cover it, no bar
in it nor the bar just before lies in a gap, and its price moved at all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.grid import BarGrid

FloatArray = NDArray[np.float64]
LEAST_VARIANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Targets:
    """Outcomes of the windows that begin at each origin; NaN where not scoreable or not yet known.

    ``realised_variance`` (n, h): sum of squared bar returns. ``log_return`` (n, h).
    """

    realised_variance: FloatArray
    log_return: FloatArray

    def until(self, origin_ns: NDArray[np.int64], horizons_s: tuple[int, ...], now_ns: int) -> "Targets":
        """Outcomes of windows that had ended by ``now_ns``; NaN for all others."""
        ends_ns = origin_ns[:, None] + np.array(horizons_s, dtype=np.int64) * NS_PER_S
        known = ends_ns <= now_ns
        return Targets(
            realised_variance=np.where(known, self.realised_variance, np.nan),
            log_return=np.where(known, self.log_return, np.nan),
        )


def compute_targets(grid: BarGrid, origin_ns: NDArray[np.int64], horizons_s: tuple[int, ...]) -> Targets:
    """Sum squared returns and returns over each horizon after each origin.

    Parameters
    ----------
    grid : bars of one instrument.
    origin_ns : array of shape (n,), on the grid, each with at least one bar before it.
    horizons_s : seconds, multiples of the bar.

    Returns
    -------
    Targets
        Arrays of shape (n, h).
    """
    columns = [_one_horizon(grid, origin_ns, horizon_s // grid.bar_s) for horizon_s in horizons_s]
    return Targets(
        realised_variance=np.stack([variance for variance, _ in columns], axis=1),
        log_return=np.stack([log_return for _, log_return in columns], axis=1),
    )


def _one_horizon(grid: BarGrid, origin_ns: NDArray[np.int64], bars: int) -> tuple[FloatArray, FloatArray]:
    """Realised variance and return of the next ``bars`` bars, shape (n,) each."""
    first = grid.first_bar_after(origin_ns)
    n = len(grid.log_close)
    covered = (first >= 1) & (first + bars <= n)
    start = np.where(covered, first, 1)
    stop = np.where(covered, first + bars, 1)
    squares = np.concatenate([[0.0], np.cumsum(np.square(grid.log_return))])
    gaps = np.concatenate([[0], np.cumsum(grid.in_gap)])
    variance = squares[stop] - squares[start]
    whole = covered & (gaps[stop] == gaps[start - 1]) & (variance > LEAST_VARIANCE)
    log_return = grid.log_close[stop - 1] - grid.log_close[start - 1]
    return np.where(whole, variance, np.nan), np.where(whole, log_return, np.nan)
