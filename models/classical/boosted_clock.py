"""The clock of late: how much more than usual the hours ahead moved on the days and weeks just before."""

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_S, NS_PER_S
from features.panel import Panel

FloatArray = NDArray[np.float64]
WEEK_S = 7 * DAY_S
# A cycle in seconds and how many of its last turns are averaged; twelve weeks before an origin are read at most.
CYCLES = ((DAY_S, 1), (DAY_S, 7), (DAY_S, 28), (DAY_S, 77), (WEEK_S, 1), (WEEK_S, 4), (WEEK_S, 11))
DEAD = 5.0  # log units below the level: further down, the tape stood still and tells nothing of the clock


def recent_clock(panel: Panel, step: FloatArray, level: FloatArray) -> FloatArray:
    r"""Profile of the hours ahead on their last turns, less that of all hours of those turns, shape (n, h, c).

    .. math:: c_{t,h} = \frac1h \sum_{j=1}^h \Big( \frac1D \sum_{d=1}^{D} u_{t+j-dP}
              - \frac{1}{DP} \sum_{i<DP} u_{t+j-P-i} \Big)

    with u the log of variance over one step, P the steps of a cycle and D its turns, for each of ``CYCLES``. A fitted
    clock is years old; the market's changes when exchanges open, or summer time begins.

    Parameters
    ----------
    panel : origins, which may have holes, and horizons.
    step : array of shape (n,), log of variance over the step that ended at each origin.
    level : array of shape (n,), log of the usual variance, against which a dead step is known.

    Returns
    -------
    array of shape (n, h, c)
        0 where no turn is remembered; a step without an origin is read as usual.
    """
    spec = panel.spec
    rows = (panel.origin_ns - panel.origin_ns[0]) // (spec.every_s * NS_PER_S)
    excess = np.zeros(int(rows[-1]) + 1)
    excess[rows] = np.nan_to_num(np.maximum(step - level, -DEAD), nan=0.0)
    cycles = [(period_s // spec.every_s, turns) for period_s, turns in CYCLES if period_s > spec.every_s]
    columns = [_ahead(excess, period, turns, spec.horizon_rows)[rows] for period, turns in cycles]
    return np.stack(columns, axis=2)


def _ahead(excess: FloatArray, period: int, turns: int, horizon_rows: tuple[int, ...]) -> FloatArray:
    """One cycle: mean profile over the rows ahead, one period before, shape (m,) -> (m, h)."""
    profile = _mean_of_last(excess, period, turns) - _mean_of_last(excess, 1, period * turns)
    # Entry i + 1 of the sums ends with the row one period before row i + 1: all that is read lies at or before row i.
    sums = np.concatenate([np.zeros(period + 1), np.cumsum(profile)])
    first = np.arange(len(excess)) + 1
    ends = [first + min(rows, period) for rows in horizon_rows]
    return np.stack([(sums[end] - sums[first]) / (end - first) for end in ends], axis=1)


def _mean_of_last(value: FloatArray, step: int, count: int) -> FloatArray:
    """Mean of ``value[i], value[i - step], ...``, at most ``count`` of them, fewer at the start, shape (n,).

    Examples
    --------
    >>> _mean_of_last(np.array([1.0, 2.0, 3.0, 6.0, 5.0]), 2, 2)
    array([1., 2., 2., 4., 4.])
    """
    mean = np.empty_like(value)
    for phase in range(step):
        sums = np.cumsum(value[phase::step])
        sums[count:] -= sums[:-count].copy()
        mean[phase::step] = sums / np.minimum(np.arange(len(sums)) + 1, count)
    return mean
