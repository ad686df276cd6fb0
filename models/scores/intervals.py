"""Losses of several quantiles together: an interval, nested intervals, the whole law."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from models.scores.tails import pinball

Array = Any  # numpy array or torch tensor
FloatArray = NDArray[np.float64]


def interval_score(outcome: Array, low: Array, high: Array, miss_rate: float) -> Array:
    r"""Winkler's score of a central interval: its width, and what it was missed by over the rate of misses.

    .. math:: L = (u - l) + \tfrac2\alpha (l - y)^+ + \tfrac2\alpha (y - u)^+

    It is 2 / alpha times the sum of both ends' pinball losses.

    Parameters
    ----------
    outcome, low, high : arrays of one shape, in one unit; ``low <= high``.
    miss_rate : alpha, the probability outside the interval, half of it at each end.

    References
    ----------
    Winkler (1972), "A decision-theoretic approach to interval estimation", J. American Statistical Association
    67(337); Gneiting & Raftery (2007), "Strictly proper scoring rules, prediction, and estimation", J. American
    Statistical Association 102(477), equation 43.

    Examples
    --------
    >>> interval_score(np.array([0.0, 3.0, -2.5]), np.array([-2.0] * 3), np.array([2.0] * 3), 0.05)
    array([ 4., 44., 24.])
    """
    xp = array_namespace(outcome, low, high)
    nothing = xp.zeros_like(outcome)
    below, above = xp.maximum(low - outcome, nothing), xp.maximum(outcome - high, nothing)
    return high - low + 2 / miss_rate * (below + above)


def weighted_interval_score(outcome: FloatArray, quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    r"""Interval scores of all central intervals and the error of the median, weighted to approach the CRPS.

    .. math:: L = \frac{1}{K + \frac12} \left( \tfrac12 |y - m| + \sum_{k=1}^K \tfrac{\alpha_k}{2} IS_{\alpha_k} \right)

    It is twice the mean pinball loss over the levels.

    Parameters
    ----------
    outcome : array of shape (...).
    quantiles : array of shape (..., q).
    levels : q = 2 K + 1 probabilities, symmetric about one half.

    Returns
    -------
    array of shape (...), in the unit of the outcome.

    Raises
    ------
    ValueError
        If the levels are not symmetric about a median.

    References
    ----------
    Bracher, Ray, Gneiting & Reich (2021), "Evaluating epidemic forecasts in an interval format", PLOS Computational
    Biology 17(2).

    Examples
    --------
    >>> weighted_interval_score(np.array(3.0), np.array([-2.0, 1.0, 2.0]), (0.1, 0.5, 0.9)).round(6)
    np.float64(1.6)
    """
    grid = np.array(levels)
    if len(grid) % 2 == 0 or not np.allclose(grid + grid[::-1], 1, rtol=0, atol=1e-9):
        raise ValueError(f"nested intervals need a median and levels symmetric about it, got {levels}")
    middle = len(grid) // 2
    total: FloatArray = np.abs(outcome - quantiles[..., middle]) / 2
    for k in range(middle):
        miss_rate = 2 * float(grid[k])
        total = total + miss_rate / 2 * interval_score(outcome, quantiles[..., k], quantiles[..., -1 - k], miss_rate)
    return total / (middle + 0.5)


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
