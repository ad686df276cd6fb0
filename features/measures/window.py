"""What every measure does at its door: the window is long enough, shapes agree, and a 0/0 is NaN."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def need(values: FloatArray, fewest: int, measure: str, what: str = "returns") -> int:
    """Length of the window; one with fewer than ``fewest`` entries is refused.

    Raises
    ------
    ValueError
        If the last axis is shorter; the message names the measure, what it needs and what it got.

    Examples
    --------
    >>> need(np.zeros((4, 2)), 3, "MedRV")
    Traceback (most recent call last):
    ValueError: MedRV needs at least 3 returns, got 2; use a longer window
    """
    n: int = values.shape[-1]
    if n < fewest:
        raise ValueError(f"{measure} needs at least {fewest} {what}, got {n}; use a longer window")
    return n


def same_shape(measure: str, *arrays: NDArray[Any]) -> None:
    """Refuse series that do not run side by side.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> same_shape("realised beta", np.zeros(3), np.zeros(4))
    Traceback (most recent call last):
    ValueError: realised beta needs series of one shape, got (3,) and (4,)
    """
    shapes = [a.shape for a in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"{measure} needs series of one shape, got {' and '.join(map(str, shapes))}")


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient that is NaN wherever the denominator is zero: no scale, no answer.

    Examples
    --------
    >>> ratio(np.array([1.0, 1.0, 0.0]), np.array([2.0, 0.0, 0.0]))
    array([0.5, nan, nan])
    """
    quotient: FloatArray = numerator / np.where(denominator == 0, np.nan, denominator)
    return quotient


def step_returns(log_returns: FloatArray, step_bars: int) -> FloatArray:
    """All overlapping returns over ``step_bars`` bars, of shape (..., n - step_bars + 1), oldest first.

    Examples
    --------
    >>> step_returns(np.array([1.0, 2.0, 3.0, 4.0]), 3)
    array([6., 9.])
    """
    sums: FloatArray = sliding_window_view(log_returns, step_bars, axis=-1).sum(axis=-1)
    return sums
