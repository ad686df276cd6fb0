"""Integrated variance by neighbour truncation: the smaller or the middle of neighbouring returns, so jumps fall out.

Shapes, units and NaN as in :mod:`features.measures.variance`.
"""

from math import pi, sqrt

import numpy as np

from features.measures.window import FloatArray, need

MIN_SCALE = pi / (pi - 2)
MED_SCALE = pi / (6 - 4 * sqrt(3) + pi)


def neighbour_minimum(log_returns: FloatArray) -> FloatArray:
    """The smaller of each two neighbouring sizes, of shape (..., n - 1)."""
    size = np.abs(log_returns)
    return np.minimum(size[..., 1:], size[..., :-1])


def neighbour_median(log_returns: FloatArray) -> FloatArray:
    """The middle of each three neighbouring sizes, of shape (..., n - 2); by four comparisons, so that NaN stays."""
    size = np.abs(log_returns)
    old, mid, new = size[..., :-2], size[..., 1:-1], size[..., 2:]
    return np.maximum(np.minimum(old, mid), np.minimum(np.maximum(old, mid), new))


def min_realised_variance(log_returns: FloatArray) -> FloatArray:
    r"""Integrated variance from the smaller of each two neighbouring returns.

    .. math:: MinRV = \frac{\pi}{\pi - 2} \, \frac{n}{n - 1} \sum_{i=2}^{n} \min(|r_i|, |r_{i-1}|)^2

    A single jump is dropped whole; a zero return drops its neighbour too.

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there are fewer than two returns.

    References
    ----------
    Andersen, Dobrev & Schaumburg (2012), "Jump-robust volatility estimation using
    nearest neighbor truncation", J. Econometrics 169(1).

    Examples
    --------
    >>> min_realised_variance(np.array([0.01, -0.02, 0.01])).round(7)
    np.float64(0.0008256)
    """
    n = need(log_returns, 2, "MinRV")
    total: FloatArray = np.square(neighbour_minimum(log_returns)).sum(axis=-1)
    return MIN_SCALE * n / (n - 1) * total


def med_realised_variance(log_returns: FloatArray) -> FloatArray:
    r"""Integrated variance from the middle of each three neighbouring returns.

    .. math:: MedRV = \frac{\pi}{6 - 4\sqrt{3} + \pi} \, \frac{n}{n - 2}
        \sum_{i=3}^{n} \mathrm{med}(|r_i|, |r_{i-1}|, |r_{i-2}|)^2

    A single jump or a single zero return is dropped whole.

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there are fewer than three returns.

    References
    ----------
    Andersen, Dobrev & Schaumburg (2012), "Jump-robust volatility estimation using
    nearest neighbor truncation", J. Econometrics 169(1).

    Examples
    --------
    >>> med_realised_variance(np.array([0.01, -0.02, 0.01])).round(7)
    np.float64(0.0004258)
    """
    n = need(log_returns, 3, "MedRV")
    total: FloatArray = np.square(neighbour_median(log_returns)).sum(axis=-1)
    return MED_SCALE * n / (n - 2) * total
