"""Variance from high-low ranges."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def parkinson(log_ranges: FloatArray) -> FloatArray:
    r"""Integrated variance from the ranges of consecutive bars.

    .. math:: PK = \frac{1}{4 \ln 2} \sum_{i=1}^{n} (\ln H_i - \ln L_i)^2

    Parameters
    ----------
    log_ranges : array of shape (..., n)
        ``ln high - ln low`` of consecutive bars, dimensionless, >= 0.

    Returns
    -------
    array of shape (...)
        Variance over the whole window, not annualised; unbiased for a driftless
        Brownian path observed without pause, too small for a sparse one.

    Raises
    ------
    ValueError
        If there is no bar.

    References
    ----------
    Parkinson (1980), "The extreme value method for estimating the variance of
    the rate of return", J. of Business 53(1).

    Examples
    --------
    >>> parkinson(np.array([0.02, 0.01])).round(8)
    np.float64(0.00018034)
    """
    if log_ranges.shape[-1] < 1:
        raise ValueError("Parkinson variance needs at least 1 range, got 0; use a longer window")
    total: FloatArray = np.square(log_ranges).sum(axis=-1)
    variance: FloatArray = total / (4 * np.log(2))
    return variance
