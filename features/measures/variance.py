"""Measures of integrated variance and quarticity from consecutive log returns.

Every function takes log returns of shape (..., n), oldest first, dimensionless,
and answers shape (...), over the whole window, not annualised. NaN propagates:
a gap in the tape must not look like calm.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def _need(log_returns: FloatArray, fewest: int, measure: str) -> None:
    """Refuse windows with fewer than ``fewest`` returns."""
    n = log_returns.shape[-1]
    if n < fewest:
        raise ValueError(f"{measure} needs at least {fewest} returns, got {n}; use a longer window")


def realised_variance(log_returns: FloatArray) -> FloatArray:
    r"""Sum of squared returns.

    .. math:: RV = \sum_{i=1}^{n} r_i^2

    Raises
    ------
    ValueError
        If there is no return.

    References
    ----------
    Andersen, Bollerslev, Diebold & Labys (2003), "Modeling and forecasting
    realized volatility", Econometrica 71(2).

    Examples
    --------
    >>> realised_variance(np.array([0.01, -0.02, 0.01])).round(6)
    np.float64(0.0006)
    """
    _need(log_returns, 1, "realised variance")
    total: FloatArray = np.square(log_returns).sum(axis=-1)
    return total


def bipower_variation(log_returns: FloatArray) -> FloatArray:
    r"""Integrated variance that a rare jump hardly moves.

    .. math:: BV = \frac{\pi}{2} \sum_{i=2}^{n} |r_i| |r_{i-1}|

    Raises
    ------
    ValueError
        If there are fewer than two returns.

    References
    ----------
    Barndorff-Nielsen & Shephard (2004), "Power and bipower variation with
    stochastic volatility and jumps", J. Financial Econometrics 2(1).

    Examples
    --------
    >>> bipower_variation(np.array([0.01, -0.02, 0.01])).round(7)
    np.float64(0.0006283)
    """
    _need(log_returns, 2, "bipower variation")
    size = np.abs(log_returns)
    total: FloatArray = (size[..., 1:] * size[..., :-1]).sum(axis=-1)
    return np.pi / 2 * total


def downside_semivariance(log_returns: FloatArray) -> FloatArray:
    r"""Sum of squared negative returns; with its upside twin it adds up to realised variance.

    .. math:: RS^- = \sum_i r_i^2 \, 1\{r_i < 0\}

    References
    ----------
    Barndorff-Nielsen, Kinnebrock & Shephard (2010), "Measuring downside risk:
    realised semivariance", in Volatility and Time Series Econometrics.

    Examples
    --------
    >>> downside_semivariance(np.array([0.01, -0.02, 0.01])).round(6)
    np.float64(0.0004)
    """
    return realised_variance(np.minimum(log_returns, 0.0))


def upside_semivariance(log_returns: FloatArray) -> FloatArray:
    r"""Sum of squared positive returns: the other half of :func:`downside_semivariance`.

    .. math:: RS^+ = \sum_i r_i^2 \, 1\{r_i > 0\}

    Examples
    --------
    >>> upside_semivariance(np.array([0.01, -0.02, 0.01])).round(6)
    np.float64(0.0002)
    """
    return realised_variance(np.maximum(log_returns, 0.0))


def realised_quarticity(log_returns: FloatArray) -> FloatArray:
    r"""Sum of fourth powers, scaled so that it estimates the integrated quarticity.

    .. math:: RQ = \frac{n}{3} \sum_{i=1}^{n} r_i^4

    Its square root over RV tells how noisy RV is.

    Raises
    ------
    ValueError
        If there is no return.

    References
    ----------
    Barndorff-Nielsen & Shephard (2002), "Econometric analysis of realized
    volatility", J. Royal Statistical Society B 64(2).

    Examples
    --------
    >>> realised_quarticity(np.array([0.01, -0.02, 0.01])).round(12)
    np.float64(1.8e-07)
    """
    _need(log_returns, 1, "realised quarticity")
    total: FloatArray = np.power(log_returns, 4).sum(axis=-1)
    quarticity: FloatArray = log_returns.shape[-1] / 3 * total
    return quarticity
