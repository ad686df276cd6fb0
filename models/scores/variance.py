"""Losses of a variance forecast."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from scipy.special import digamma

Array = Any  # numpy array or torch tensor


def qlike(realised_variance: Array, variance: Array) -> Array:
    r"""Quasi-likelihood loss of a variance forecast, robust to noise in the target.

    .. math:: L = \frac{RV}{f} - \ln \frac{RV}{f} - 1

    Parameters
    ----------
    realised_variance, variance : arrays of one shape, positive, same units.

    References
    ----------
    Patton (2011), "Volatility forecast comparison using imperfect volatility
    proxies", J. Econometrics 160(1).

    Examples
    --------
    >>> qlike(np.array([2.0]), np.array([1.0])).round(6)
    array([0.306853])
    """
    xp = array_namespace(realised_variance, variance)
    ratio = realised_variance / variance
    return ratio - xp.log(ratio) - 1


def qlike_floor(n_returns: int) -> float:
    r"""Expected QLIKE of the true variance when RV sums ``n_returns`` iid normal squares.

    .. math:: E[L] = \ln(n/2) - \psi(n/2)

    Examples
    --------
    >>> [round(qlike_floor(n), 4) for n in (12, 48, 288)]
    [0.0856, 0.021, 0.0035]
    """
    return float(np.log(n_returns / 2) - digamma(n_returns / 2))


def log_variance_error(realised_variance: Array, variance: Array) -> Array:
    r"""Squared error of the log variance: a miss by a factor counts the same at every height.

    .. math:: L = (\ln RV - \ln f)^2

    Unlike QLIKE it asks for the mean of the log, which is below the log of the mean: a forecast of the variance
    itself does not have the least expected loss.

    Parameters
    ----------
    realised_variance, variance : arrays of one shape, positive, same units.

    References
    ----------
    Patton (2011), "Volatility forecast comparison using imperfect volatility
    proxies", J. Econometrics 160(1).

    Examples
    --------
    >>> log_variance_error(np.array([np.e, 1.0]), np.array([1.0, np.e**2])).round(6)
    array([1., 4.])
    """
    xp = array_namespace(realised_variance, variance)
    return (xp.log(realised_variance) - xp.log(variance)) ** 2
