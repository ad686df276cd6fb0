"""High quantiles of windows that slide along a series: only what may be among the largest values is ever sorted."""

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]

BATCH = 30  # windows that share their candidates


def upper_quantiles(value: FloatArray, starts: Ints, stops: Ints, levels: tuple[float, ...]) -> FloatArray:
    """Quantiles of each ``value[start:stop]``, linear between neighbours (Hyndman & Fan's type 7), shape (m, k).

    Some windows that follow one another share most of their values. What is less than the r-th largest value of that
    shared part is less than the r-th largest of each: it need not be looked at where r values decide.

    Parameters
    ----------
    value : array of shape (n,), finite.
    starts, stops : arrays of shape (m,), not decreasing, ``starts < stops``.
    levels : k probabilities, increasing; any are right, high ones are fast.

    Examples
    --------
    >>> upper_quantiles(np.array([3.0, 1.0, 2.0, 9.0]), np.array([0, 1]), np.array([3, 4]), (0.5, 0.75))
    array([[2. , 2.5],
           [2. , 5.5]])
    """
    found = np.empty((len(starts), len(levels)))
    for first in range(0, len(starts), BATCH):
        some = slice(first, first + BATCH)
        _batch(value, starts[some], stops[some], np.array(levels), found[some])
    return found


@compiled
def _batch(value: FloatArray, starts: Ints, stops: Ints, levels: FloatArray, found: FloatArray) -> None:
    """Quantiles of a few windows, into ``found`` (m, k)."""
    longest = np.max(stops - starts)
    deciding = longest - int(levels[0] * (longest - 1))  # the largest values, down to the lower neighbour
    shared = value[starts[-1] : max(stops[0], starts[-1])]
    least = np.partition(shared, len(shared) - deciding)[len(shared) - deciding] if len(shared) >= deciding else -np.inf
    candidates = starts[0] + np.flatnonzero(value[starts[0] : stops[-1]] >= least)
    for i in range(len(starts)):
        first, stop = np.searchsorted(candidates, starts[i]), np.searchsorted(candidates, stops[i])
        largest = np.sort(value[candidates[first:stop]])
        n = stops[i] - starts[i]
        left_out = n - len(largest)
        for k in range(len(levels)):
            place = levels[k] * (n - 1)
            low = int(place)
            below, above = largest[low - left_out], largest[min(low + 1, n - 1) - left_out]
            part, step = place - low, above - below
            found[i, k] = below + step * part if part < 0.5 else above - step * (1 - part)
