"""How two price series move together whose ticks come when they come."""

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.measures.window import FloatArray, need, same_shape

IntArray = NDArray[np.int64]


@compiled
def _overlapping_products(a_ns: IntArray, a_log: FloatArray, b_ns: IntArray, b_log: FloatArray) -> float:
    """Sum over all pairs of overlapping steps, each met once; NaN if none overlap."""
    i, j, total, met = 1, 1, 0.0, False
    while i < len(a_ns) and j < len(b_ns):
        if max(a_ns[i - 1], b_ns[j - 1]) < min(a_ns[i], b_ns[j]):
            total += (a_log[i] - a_log[i - 1]) * (b_log[j] - b_log[j - 1])
            met = True
        if a_ns[i] < b_ns[j]:  # the step that ends first can meet no later one
            i += 1
        else:
            j += 1
    return total if met else np.nan


def hayashi_yoshida(
    first_ns: IntArray, first_log_price: FloatArray, second_ns: IntArray, second_log_price: FloatArray
) -> float:
    r"""Covariance of two series of ticks without a common clock, over the time that both cover.

    .. math:: HY = \sum_{i, j} \Delta x_i \, \Delta y_j \, 1\{(s_{i-1}, s_i] \cap (t_{j-1}, t_j] \ne \emptyset\}

    No grid, hence no bias towards 0 from stale prices. A NaN price makes it NaN if a step from or to it
    overlaps a step of the other series.

    Parameters
    ----------
    first_ns, second_ns : arrays of shape (n,) and (m,), times in ns, strictly ascending.
    first_log_price, second_log_price : arrays of the same shapes, logs of prices at these times.

    Returns
    -------
    float
        Covariance over the whole stretch; NaN where no step of one overlaps a step of the other.

    Raises
    ------
    ValueError
        If a series has fewer than two ticks, or other than one price a time, or times that do not ascend
        strictly: of several trades at one instant keep the last.

    References
    ----------
    Hayashi & Yoshida (2005), "On covariance estimation of non-synchronously observed
    diffusion processes", Bernoulli 11(2).

    Examples
    --------
    >>> hayashi_yoshida(np.array([0, 2, 4]), np.array([0.0, 0.01, 0.0]), np.array([1, 3]), np.array([0.0, 0.02]))
    0.0
    """
    for ts_ns, log_price in ((first_ns, first_log_price), (second_ns, second_log_price)):
        same_shape("Hayashi-Yoshida covariance", ts_ns, log_price)
        need(log_price, 2, "Hayashi-Yoshida covariance", "ticks")
        if (np.diff(ts_ns) <= 0).any():
            raise ValueError("Hayashi-Yoshida covariance needs strictly ascending times; keep one tick of each instant")
    return float(_overlapping_products(first_ns, first_log_price, second_ns, second_log_price))
