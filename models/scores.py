"""Losses and scores: the loss in training and the score in a backtest are the same function.

Every function takes NumPy arrays or torch tensors and answers the same kind
(array API). Smaller is better. No pandas, no torch, no I/O here.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray
from scipy.special import digamma

Array = Any  # numpy array or torch tensor
FloatArray = NDArray[np.float64]
FZ_LEVELS = (0.01, 0.025)


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


def pinball(outcome: Array, quantile: Array, level: float | Array) -> Array:
    r"""Quantile loss.

    .. math:: L = (y - q) (p - 1\{y < q\})

    Examples
    --------
    >>> pinball(np.array([-3.0, 1.0]), np.array([-2.0, -2.0]), 0.01).round(2)
    array([0.99, 0.03])
    """
    xp = array_namespace(outcome, quantile)
    error = outcome - quantile
    return xp.maximum(level * error, (level - 1) * error)


def fz0(outcome: Array, quantile: Array, shortfall: Array, level: float) -> Array:
    r"""Joint loss of a lower quantile and the mean below it; differences are relative scale errors.

    .. math:: L = -\frac{1\{y \le v\}(v - y)}{p\,e} + \frac{v}{e} + \ln(-e) - 1

    For an upper tail pass ``-outcome, -quantile, -shortfall`` and the mirrored level.

    Parameters
    ----------
    outcome, quantile, shortfall : arrays of one shape; ``shortfall <= quantile``, ``shortfall < 0``.
    level : probability of the tail.

    References
    ----------
    Patton, Ziegel & Chen (2019), "Dynamic semiparametric models for expected
    shortfall (and value-at-risk)", J. Econometrics 211(2), equation 6.

    Examples
    --------
    >>> fz0(np.array([-3.0, 0.0]), np.array([-2.0, -2.0]), np.array([-2.5, -2.5]), 0.025).round(6)
    array([16.716291,  0.716291])
    """
    xp = array_namespace(outcome, quantile, shortfall)
    beyond = xp.where(outcome <= quantile, quantile - outcome, xp.zeros_like(quantile))
    return -beyond / (level * shortfall) + quantile / shortfall + xp.log(-shortfall) - 1


def fz0_of_tails(outcome: Array, quantiles: Array, shortfall: Array, levels: tuple[float, ...]) -> Array:
    """Mean of :func:`fz0` over the ``FZ_LEVELS`` of both tails, shapes (...), (..., q), (..., q) -> (...)."""
    total = 0.0
    for level in FZ_LEVELS:
        low, high = levels.index(level), levels.index(1 - level)
        total = total + fz0(outcome, quantiles[..., low], shortfall[..., low], level)
        total = total + fz0(-outcome, -quantiles[..., high], -shortfall[..., high], level)
    return total / (2 * len(FZ_LEVELS))


def crps_from_quantiles(outcome: FloatArray, quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    r"""Continuous ranked probability score from a few quantiles.

    .. math:: CRPS = 2 \int_0^1 L_p(y, q_p) \, dp

    by the trapezium rule, the pinball loss being 0 at levels 0 and 1.

    Parameters
    ----------
    outcome : array of shape (...).
    quantiles : array of shape (..., q).
    levels : q probabilities.

    Returns
    -------
    array of shape (...), in the unit of the outcome.

    References
    ----------
    Gneiting & Ranjan (2011), "Comparing density forecasts using threshold- and
    quantile-weighted scoring rules", J. Business & Economic Statistics 29(3).

    Examples
    --------
    >>> from scipy.stats import norm
    >>> levels = tuple(np.arange(0.005, 1, 0.005))
    >>> crps_from_quantiles(np.array(0.0), norm.ppf(levels), levels).round(3)  # exactly .233695
    np.float64(0.234)
    """
    losses = pinball(np.asarray(outcome)[..., None], quantiles, np.array(levels))
    edge = np.zeros((*losses.shape[:-1], 1))
    grid = np.concatenate([[0.0], levels, [1.0]])
    area: FloatArray = np.trapezoid(np.concatenate([edge, losses, edge], axis=-1), grid, axis=-1)
    return 2 * area
