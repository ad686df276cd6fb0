"""Filtered historical simulation: the window's own quantiles."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.compiled import compiled
from models.tails.base import FloatArray, Ints, next_window, sorted_quantile


@dataclass(frozen=True, slots=True)
class Historical:
    """The empirical law of the window: quantiles linear between neighbours, means of what lies beyond them.

    References
    ----------
    Barone-Adesi, Giannopoulos & Vosper (1999), "VaR without correlations for
    portfolios of derivative securities", J. Futures Markets 19(5).
    """

    refit: Literal["day", "month"] = "day"

    def __call__(
        self, z: FloatArray, starts: Ints, stops: Ints, levels: tuple[float, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """See :class:`models.tails.base.Tail`."""
        shape, beyond = np.empty((len(starts), len(levels))), np.empty((len(starts), len(levels)))
        _slide(z, starts, stops, np.array(levels), shape, beyond)
        return shape, beyond


@compiled
def empirical(window: FloatArray, levels: FloatArray, shape: FloatArray, beyond: FloatArray) -> None:
    """Quantiles of sorted values, and means of the values not inside them, into ``shape`` and ``beyond`` (q,)."""
    total, n = 0.0, 0
    for k in range(len(levels)):
        shape[k] = sorted_quantile(window, levels[k])
        if levels[k] <= 0.5:
            while n < len(window) and window[n] <= shape[k]:
                total += window[n]
                n += 1
            beyond[k] = min(total / n, shape[k])
    total, n = 0.0, 0
    for k in range(len(levels) - 1, -1, -1):
        if levels[k] > 0.5:
            while n < len(window) and window[len(window) - 1 - n] >= shape[k]:
                total += window[len(window) - 1 - n]
                n += 1
            beyond[k] = max(total / n, shape[k])


@compiled
def _slide(z: FloatArray, starts: Ints, stops: Ints, levels: FloatArray, shape: FloatArray, beyond: FloatArray) -> None:
    """The empirical law of each window, the sorted window made from the one before it."""
    window, first, last = np.empty(0), 0, 0
    for i in range(len(starts)):
        window = next_window(window, z, first, last, starts[i], stops[i])
        first, last = starts[i], stops[i]
        empirical(window, levels, shape[i], beyond[i])
