"""Is one forecast better than another under every loss that asks for the same thing? Murphy diagrams.

A loss that is least in expectation at a quantile (or at the mean) is a mixture of elementary scores, one for each
threshold. A forecast whose curve lies below another's at all thresholds is better whatever the loss.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def elementary_quantile_score(
    outcome: FloatArray, quantile: FloatArray, level: float, threshold: FloatArray
) -> FloatArray:
    r"""Elementary score of a quantile forecast.

    .. math:: S_\theta(x, y) = (1\{y < x\} - p) (1\{\theta < x\} - 1\{\theta < y\})

    which is 1 - p where :math:`y \le \theta < x`, p where :math:`x \le \theta < y`, else 0. Over all thresholds
    it integrates to the pinball loss.

    Parameters
    ----------
    outcome, quantile, threshold : arrays that broadcast, in one unit.
    level : p of the quantile.

    References
    ----------
    Ehm, Gneiting, Jordan & Krueger (2016), "Of quantiles and expectiles: consistent scoring functions, Choquet
    representations and forecast rankings", J. Royal Statistical Society B 78(3).

    Examples
    --------
    >>> elementary_quantile_score(np.array(-3.0), np.array(-2.0), 0.01, np.array([-4.0, -2.5, 0.0]))
    array([0.  , 0.99, 0.  ])
    """
    over = (outcome < quantile).astype(float) - level
    score: FloatArray = over * ((threshold < quantile).astype(float) - (threshold < outcome))
    return score


def elementary_mean_score(outcome: FloatArray, forecast: FloatArray, threshold: FloatArray) -> FloatArray:
    r"""Elementary score of a forecast of the mean, such as a variance as the mean of realised variance.

    .. math:: S_\theta(x, y) = |y - \theta| \, 1\{\min(x, y) \le \theta < \max(x, y)\}

    Weighted by :math:`\phi''(\theta)` it integrates to the Bregman loss of :math:`\phi`: by 1 to half the squared
    error, by :math:`1/\theta^2` to QLIKE.

    Parameters
    ----------
    outcome, forecast, threshold : arrays that broadcast, in one unit.

    References
    ----------
    As of :func:`elementary_quantile_score`; twice theirs of the expectile at one half.

    Examples
    --------
    >>> elementary_mean_score(np.array(4.0), np.array(1.0), np.array([0.5, 1.0, 3.0, 4.0]))
    array([0., 3., 1., 0.])
    """
    between = (np.minimum(outcome, forecast) <= threshold) & (threshold < np.maximum(outcome, forecast))
    return np.abs(outcome - threshold) * between


def murphy_of_quantile(outcome: FloatArray, quantile: FloatArray, level: float, threshold: FloatArray) -> FloatArray:
    """Mean elementary score of quantile forecasts at each threshold, by sorting: any number of windows at once.

    Parameters
    ----------
    outcome, quantile : arrays of shape (n,).
    level : of the quantile.
    threshold : array of shape (m,).

    Returns
    -------
    array of shape (m,).
    """
    above = outcome < quantile
    over = _passed(outcome[above], threshold) - _passed(quantile[above], threshold)
    under = _passed(quantile[~above], threshold) - _passed(outcome[~above], threshold)
    return ((1 - level) * over + level * under) / len(outcome)


def murphy_of_mean(outcome: FloatArray, forecast: FloatArray, threshold: FloatArray) -> FloatArray:
    """Mean elementary score of forecasts of the mean at each threshold, by sorting; shapes (n,), (n,), (m,) -> (m,)."""
    above = outcome < forecast
    total = np.zeros(len(threshold))
    for part, sign in ((above, 1.0), (~above, -1.0)):
        low, high = (outcome, forecast) if sign > 0 else (forecast, outcome)
        count = _passed(low[part], threshold) - _passed(high[part], threshold)
        mass = _passed(low[part], threshold, outcome[part]) - _passed(high[part], threshold, outcome[part])
        total += sign * (threshold * count - mass)
    return total / len(outcome)


def _passed(value: FloatArray, threshold: FloatArray, weight: FloatArray | None = None) -> FloatArray:
    """Number, or weight, of the values at or below each threshold."""
    order = np.argsort(value)
    total = np.concatenate([[0.0], np.cumsum(np.ones(len(value)) if weight is None else weight[order])])
    return total[np.searchsorted(value[order], threshold, side="right")]
