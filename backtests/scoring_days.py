"""Windows gathered into days: hours and instruments of a day are one cluster, in every test and interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Days:
    """Which day each of n windows begins in. What takes windows and their days takes days just as well, and faster.

    ``number``: of each of the D days, increasing. ``which``: index of each window's day, shape (n,).
    """

    number: IntArray
    which: IntArray

    def __len__(self) -> int:
        return len(self.number)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum over each day, shape (n,) -> (D,)."""
        return np.bincount(self.which, values, minlength=len(self)).astype(np.float64)

    def means(self, values: FloatArray) -> FloatArray:
        """Mean over each day of what is finite, shape (n,) -> (D,); NaN where nothing is.

        Examples
        --------
        >>> days_of(np.array([7, 7, 9])).means(np.array([1.0, 3.0, np.nan]))
        array([ 2., nan])
        """
        known = np.isfinite(values)
        count = np.bincount(self.which[known], minlength=len(self))
        total = np.bincount(self.which[known], values[known], minlength=len(self))
        found = np.full(len(self), np.nan)
        np.divide(total, count, out=found, where=count > 0)
        return found


def days_of(day: IntArray) -> Days:
    """Gather windows by the number of their day, shape (n,)."""
    return Days(*np.unique(day, return_inverse=True))
