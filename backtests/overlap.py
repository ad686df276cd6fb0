"""One p-value from sub-samples whose windows do not overlap."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def combine_phases(test: Callable[[IntArray], float], phase: IntArray, step: int) -> float:
    r"""P-value of a test that is run on each phase of overlapping windows.

    .. math:: p = \min(1, 2 \, \text{median}_k \, p_k)

    keeps the level under any dependence of the sub-samples (it is conservative). With one phase p is its own.

    Parameters
    ----------
    test : answers the p-value on the windows of the given rows; NaN where they cannot tell.
    phase : array of shape (n,), number of each origin on the grid of origins modulo ``step``: windows of one phase
        follow each other without overlap, though origins be missing.
    step : origins in a window's length.

    Returns
    -------
    NaN if no phase can tell.

    References
    ----------
    Rueschendorf (1982), "Random variables with maximum sums", Advances in Applied Probability 14(3);
    DiCiccio, DiCiccio & Romano (2020), "Exact tests via multiple data splitting", Statistics & Probability Letters 166.

    Examples
    --------
    >>> combine_phases(lambda rows: 0.1 * len(rows), np.array([0, 1, 2, 0, 1, 2, 0]), 3)
    0.4
    """
    found = np.array([test(np.flatnonzero(phase == k)) for k in range(step)])
    found = found[~np.isnan(found)]
    if not len(found):
        return np.nan
    return float(found[0] if step == 1 else min(1.0, 2 * np.median(found)))
