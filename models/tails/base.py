"""What a tail answers, and a sorted window that slides along a series."""

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]


class Tail(Protocol):
    """A law of standardised returns, learned from those whose windows had ended.

    It is asked anew for every midnight, or for the first one of each month and held between.
    """

    @property
    def refit(self) -> Literal["day", "month"]:
        """How often the law moves."""
        ...

    def __call__(
        self, z: FloatArray, starts: Ints, stops: Ints, levels: tuple[float, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """Quantiles and shortfalls at m moments, each from ``z[starts[i]:stops[i]]`` alone.

        Parameters
        ----------
        z : array of shape (n,), standardised returns in the order of their windows, finite.
        starts, stops : arrays of shape (m,), not decreasing, ``starts < stops``.
        levels : q probabilities, increasing.

        Returns
        -------
        shape, beyond : arrays of shape (m, q), not crossing, the shortfall not inside its quantile.
        """
        ...


def sorted_windows(z: FloatArray, starts: Ints, stops: Ints) -> Iterator[FloatArray]:
    """Each ``z[start:stop]`` in increasing order, made from the one before it; starts and stops do not decrease.

    Examples
    --------
    >>> [w.tolist() for w in sorted_windows(np.array([3.0, 1.0, 2.0, 1.0]), np.array([0, 1]), np.array([3, 4]))]
    [[1.0, 2.0, 3.0], [1.0, 1.0, 2.0]]
    """
    window, first, last = np.empty(0), 0, 0
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        window = next_window(window, z, first, last, start, stop)
        first, last = start, stop
        yield window


@compiled
def next_window(window: FloatArray, z: FloatArray, first: int, last: int, start: int, stop: int) -> FloatArray:
    """``z[start:stop]`` sorted, made from ``window``, which is ``z[first:last]`` sorted."""
    if start >= last:
        return np.sort(z[start:stop])
    return _moved(window, np.sort(z[first:start]), np.sort(z[last:stop]))


@compiled
def _moved(window: FloatArray, gone: FloatArray, new: FloatArray) -> FloatArray:
    """A sorted window without some of its values and with others, all of them sorted."""
    out = np.empty(len(window) - len(gone) + len(new))
    n, g, k = 0, 0, 0
    for value in window:
        if g < len(gone) and value == gone[g]:
            g += 1
            continue
        while k < len(new) and new[k] < value:
            out[n] = new[k]
            n, k = n + 1, k + 1
        out[n] = value
        n += 1
    out[n:] = new[k:]
    return out


@compiled
def sorted_quantile(window: FloatArray, level: float) -> float:
    """Quantile of sorted values, linear between neighbours (Hyndman & Fan's type 7, NumPy's default)."""
    place = level * (len(window) - 1)
    low = int(place)
    high = min(low + 1, len(window) - 1)
    part, step = place - low, window[high] - window[low]
    return float(window[low] + step * part if part < 0.5 else window[high] - step * (1 - part))
