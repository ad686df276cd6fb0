"""How two price series move together over the same bars.

All take two arrays of log returns of shape (..., n), aligned, oldest first, dimensionless, and
answer shape (...). NaN in either propagates.
"""

import numpy as np

from features.measures.variance import realised_variance
from features.measures.window import FloatArray, need, ratio, same_shape


def realised_covariance(first: FloatArray, second: FloatArray) -> FloatArray:
    r"""Sum of products of two series' returns; over the whole window, not annualised.

    .. math:: RC = \sum_{i=1}^{n} r_i s_i

    Parameters
    ----------
    first, second : arrays of shape (..., n), log returns over the same bars.

    Raises
    ------
    ValueError
        If there is no return or the shapes differ.

    References
    ----------
    Barndorff-Nielsen & Shephard (2004), "Econometric analysis of realized covariation",
    Econometrica 72(3).

    Examples
    --------
    >>> realised_covariance(np.array([0.01, -0.02]), np.array([0.02, -0.01])).round(6)
    np.float64(0.0004)
    """
    same_shape("realised covariance", first, second)
    need(first, 1, "realised covariance")
    total: FloatArray = (first * second).sum(axis=-1)
    return total


def realised_correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    r"""Realised covariance on a scale from -1 to 1; NaN where either price stands still.

    .. math:: \rho = RC / \sqrt{RV_1 RV_2}

    Parameters
    ----------
    first, second : arrays of shape (..., n), log returns over the same bars.

    Raises
    ------
    ValueError
        If there are fewer than two returns (one gives -1 or 1 always) or the shapes differ.

    References
    ----------
    As :func:`realised_covariance`.

    Examples
    --------
    >>> realised_correlation(np.array([0.01, -0.02]), np.array([0.02, -0.01])).round(6)
    np.float64(0.8)
    """
    need(first, 2, "realised correlation")
    scale = np.sqrt(realised_variance(first)) * np.sqrt(realised_variance(second))
    return ratio(realised_covariance(first, second), scale)


def realised_beta(first: FloatArray, second: FloatArray) -> FloatArray:
    r"""What the first series moves when the second moves by one; NaN where the second stands still.

    .. math:: \beta = RC / RV_2

    Parameters
    ----------
    first, second : arrays of shape (..., n), log returns over the same bars; the second is the market.

    Raises
    ------
    ValueError
        If there is no return or the shapes differ.

    References
    ----------
    Andersen, Bollerslev, Diebold & Wu (2006), "Realized beta: persistence and predictability",
    Advances in Econometrics 20.

    Examples
    --------
    >>> realised_beta(np.array([0.01, -0.02]), np.array([0.02, -0.01])).round(6)
    np.float64(0.8)
    """
    return ratio(realised_covariance(first, second), realised_variance(second))
