"""Realised skewness and kurtosis of consecutive log returns.

Both take shape (..., n), oldest first, answer shape (...), a pure number. NaN propagates; a constant price has
no shape, so it answers NaN.
"""

import numpy as np

from features.measures.variance import realised_variance
from features.measures.window import FloatArray, need, ratio


def realised_skewness(log_returns: FloatArray) -> FloatArray:
    r"""Asymmetry of the returns, dominated by the sign of the largest; near 0 without jumps.

    .. math:: RSkew = \sqrt{n} \sum_i r_i^3 \, / \, RV^{3/2}

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there are fewer than three returns.

    References
    ----------
    Amaya, Christoffersen, Jacobs & Vasquez (2015), "Does realized skewness predict the
    cross-section of equity returns?", J. Financial Economics 118(1).

    Examples
    --------
    >>> realised_skewness(np.array([0.01, -0.02, 0.01])).round(6)
    np.float64(-0.707107)
    """
    n = need(log_returns, 3, "realised skewness")
    cubes: FloatArray = np.power(log_returns, 3).sum(axis=-1)
    return ratio(np.sqrt(n) * cubes, realised_variance(log_returns) ** 1.5)


def realised_kurtosis(log_returns: FloatArray) -> FloatArray:
    r"""Weight of the extremes among the returns: 3 for calm normal ones, up to n for a single move.

    .. math:: RKurt = n \sum_i r_i^4 \, / \, RV^2

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there are fewer than four returns.

    References
    ----------
    Amaya, Christoffersen, Jacobs & Vasquez (2015), "Does realized skewness predict the
    cross-section of equity returns?", J. Financial Economics 118(1).

    Examples
    --------
    >>> realised_kurtosis(np.array([0.01, -0.02, 0.01, 0.02])).round(6)
    np.float64(1.36)
    """
    n = need(log_returns, 4, "realised kurtosis")
    fourths: FloatArray = np.power(log_returns, 4).sum(axis=-1)
    return ratio(n * fourths, realised_variance(log_returns) ** 2)
