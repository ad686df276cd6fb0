"""Integrated quarticity, the time integral of the squared variance: how noisy a variance measure is.

Every function takes log returns of shape (..., n), oldest first, dimensionless, and answers shape (...):
squared variance over the whole window (the window's length is the unit of time). NaN propagates; a constant
price answers 0.
"""

from math import gamma, pi, sqrt

import numpy as np

from features.measures.truncation import neighbour_median
from features.measures.window import FloatArray, need

MED_QUARTIC_SCALE = 3 * pi / (9 * pi + 72 - 52 * sqrt(3))


def absolute_moment(power: float) -> float:
    r"""Mean of the absolute power of a standard normal number.

    .. math:: \mu_p = 2^{p/2} \, \Gamma((p + 1) / 2) \, / \, \Gamma(1/2)

    Examples
    --------
    >>> round(absolute_moment(1), 6), round(absolute_moment(4), 6)
    (0.797885, 3.0)
    """
    return 2 ** (power / 2) * gamma((power + 1) / 2) / sqrt(pi)


def realised_quarticity(log_returns: FloatArray) -> FloatArray:
    r"""Sum of fourth powers, scaled so that it estimates the integrated quarticity.

    .. math:: RQ = \frac{n}{3} \sum_{i=1}^{n} r_i^4

    Its square root over RV tells how noisy RV is. One jump moves it far.

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

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
    n = need(log_returns, 1, "realised quarticity")
    total: FloatArray = np.power(log_returns, 4).sum(axis=-1)
    return n / 3 * total


def tripower_quarticity(log_returns: FloatArray) -> FloatArray:
    r"""Integrated quarticity that a rare jump hardly moves, from products of three neighbours.

    .. math:: TPQ = \mu_{4/3}^{-3} \, \frac{n^2}{n - 2} \sum_{i=3}^{n} (|r_i| |r_{i-1}| |r_{i-2}|)^{4/3}

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there are fewer than three returns.

    References
    ----------
    Barndorff-Nielsen & Shephard (2006), "Econometrics of testing for jumps in financial
    economics using bipower variation", J. Financial Econometrics 4(1); the factor as in
    Huang & Tauchen (2005), J. Financial Econometrics 3(4).

    Examples
    --------
    >>> tripower_quarticity(np.array([0.01, -0.02, 0.01])).round(11)
    np.float64(3.9539e-07)
    """
    n = need(log_returns, 3, "tri-power quarticity")
    size = np.abs(log_returns)
    product = size[..., 2:] * size[..., 1:-1] * size[..., :-2]
    total: FloatArray = np.power(product, 4 / 3).sum(axis=-1)
    return n**2 / (n - 2) / absolute_moment(4 / 3) ** 3 * total


def med_realised_quarticity(log_returns: FloatArray) -> FloatArray:
    r"""Integrated quarticity from the middle of each three neighbouring returns.

    .. math:: MedRQ = \frac{3 \pi}{9 \pi + 72 - 52 \sqrt{3}} \, \frac{n^2}{n - 2}
        \sum_{i=3}^{n} \mathrm{med}(|r_i|, |r_{i-1}|, |r_{i-2}|)^4

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
    >>> med_realised_quarticity(np.array([0.01, -0.02, 0.01])).round(11)
    np.float64(8.31e-08)
    """
    n = need(log_returns, 3, "MedRQ")
    total: FloatArray = np.power(neighbour_median(log_returns), 4).sum(axis=-1)
    return MED_QUARTIC_SCALE * n**2 / (n - 2) * total
