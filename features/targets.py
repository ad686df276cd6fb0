"""What came after each origin: variance, return, excursions. The only module that looks ahead.

A window is ``(t, t + horizon]``. It is *scoreable* if the data cover it, no row in it nor the row just before lies in
a gap, and its price moved at all. An outcome is a look-back seen from the end of its window: it is read off the row
where the window ends. So training must end one horizon before what it is tested on:
:attr:`features.spec.FeatureSpec.purge_s`.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.engine import Ints
from features.families.family import Look
from features.families.variance import KERNEL_TERMS, kernel_variance
from features.grid import Grid
from features.rolling import MAX, MIN, SUM, Roller, Window
from features.terms import Floats

LEAST_VARIANCE = 1e-12
N_LAGS = len(KERNEL_TERMS)


@dataclass(frozen=True, slots=True)
class Targets:
    """Outcomes of the windows that begin at each origin, shape (n, h); NaN where not scoreable or not yet known.

    ``realised_variance``: sum of squared returns of rows. ``kernel_variance``: a Parzen realised kernel of them, with a
    seventh of the noise between neighbouring rows that the sum has; NaN for less than seven rows. ``log_return``.
    ``excursion_down``, ``excursion_up``: how far the price fell below, rose above, that of the origin, in log units,
    not negative.
    """

    realised_variance: Floats
    kernel_variance: Floats
    log_return: Floats
    excursion_down: Floats
    excursion_up: Floats

    @property
    def arrays(self) -> dict[str, Floats]:
        """Every outcome by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def rows(self, first: int, stop: int) -> "Targets":
        """Outcomes of origins ``first`` to ``stop - 1``."""
        return Targets(**{name: values[first:stop] for name, values in self.arrays.items()})

    def until(self, origin_ns: NDArray[np.int64], horizons_s: tuple[int, ...], now_ns: int) -> "Targets":
        """Outcomes of windows that had ended by ``now_ns``; NaN for all others."""
        ends_ns = origin_ns[:, None] + np.array(horizons_s, dtype=np.int64) * NS_PER_S
        known = ends_ns <= now_ns
        return Targets(**{name: np.where(known, values, np.nan) for name, values in self.arrays.items()})


def compute_targets(grid: Grid, origin_ns: Ints, horizons_s: tuple[int, ...]) -> Targets:
    """Outcomes over each horizon after each origin.

    Parameters
    ----------
    grid : prices of one instrument.
    origin_ns : array of shape (n,), ends of rows of the grid.
    horizons_s : h horizons in seconds, multiples of the row.

    Returns
    -------
    Targets
        Arrays of shape (n, h).
    """
    after = grid.row_after(origin_ns)
    columns = [_one_horizon(grid, after, horizon_s // grid.bar_s) for horizon_s in horizons_s]
    return Targets(*(np.stack(parts, axis=1) for parts in zip(*columns, strict=True)))


def _one_horizon(grid: Grid, after: Ints, rows: int) -> tuple[Floats, ...]:
    """Outcomes of the ``rows`` rows from ``after`` on, shape (n,) each, in the order of :class:`Targets`."""
    ends = after + rows - 1
    covered = (after >= 1) & (ends < len(grid.log_close))
    start, end = np.where(covered, after, 1) - 1, np.where(covered, ends, 0)
    rolled = _rolled(grid, rows)[:, end]
    gaps = np.concatenate([[0], np.cumsum(grid.in_gap)])
    whole = covered & (gaps[end + 1] == gaps[start]) & (rolled[0] > LEAST_VARIANCE)
    origin = grid.log_close[start]
    outcomes = (
        rolled[0],
        kernel_variance(Look(rows, grid.bar_s), *rolled[:N_LAGS]) if rows > N_LAGS else np.full(len(after), np.nan),
        grid.log_close[end] - origin,
        np.maximum(origin - rolled[-2], 0.0),
        np.maximum(rolled[-1] - origin, 0.0),
    )
    return tuple(np.where(whole, values, np.nan) for values in outcomes)


def _rolled(grid: Grid, rows: int) -> Floats:
    """Sums of products of returns at each lag, the least low and the greatest high of the last ``rows`` rows."""
    n = len(grid.log_close)
    terms = np.full((N_LAGS + 2, n), np.nan)
    for lag, term in enumerate(KERNEL_TERMS):
        terms[lag, lag:] = term.compute(grid.log_return)
    terms[-2:] = grid.log_low, grid.log_high
    lags = tuple(Window(lag, max(rows - lag, 1), SUM) for lag in range(N_LAGS))
    return Roller((*lags, Window(N_LAGS, rows, MIN), Window(N_LAGS + 1, rows, MAX))).add(terms, 0)
