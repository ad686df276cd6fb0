"""Was there a jump in the window? The test by realised and bipower variation.

It takes log returns of shape (..., n), oldest first, dimensionless. NaN propagates; where the price does not move,
there is no scale and the answer is NaN.
"""

from math import pi

import numpy as np

from features.measures.quarticity import tripower_quarticity
from features.measures.variance import bipower_variation, realised_variance
from features.measures.window import FloatArray, need, ratio

RATIO_VARIANCE = pi**2 / 4 + pi - 5
"""How much more variance bipower variation has than realised variance, in units of quarticity over n."""


def bns_jump_statistic(log_returns: FloatArray) -> FloatArray:
    r"""Share of the variance that jumps make up, in its own standard errors: N(0, 1) without jumps, large with.

    .. math:: z = \frac{1 - BV / RV}{\sqrt{(\pi^2 / 4 + \pi - 5) \, n^{-1} \max(1, TPQ / BV^2)}}

    with bipower variation times n / (n - 1). One-sided: above 2.326 is a jump at the level of 1 %.

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there are fewer than three returns.

    References
    ----------
    Barndorff-Nielsen & Shephard (2006), "Econometrics of testing for jumps in financial economics
    using bipower variation", J. Financial Econometrics 4(1); the form with the maximum: Huang &
    Tauchen (2005), "The relative contribution of jumps to total price variance", ibid. 3(4).

    Examples
    --------
    >>> bns_jump_statistic(np.array([0.01, -0.01, 0.01, 0.3, -0.01, 0.01])).round(2)
    np.float64(2.73)
    """
    n = need(log_returns, 3, "Barndorff-Nielsen-Shephard statistic")
    bipower = bipower_variation(log_returns) * n / (n - 1)
    share = 1 - ratio(bipower, realised_variance(log_returns))
    widening = np.maximum(1.0, ratio(tripower_quarticity(log_returns), bipower**2))
    z: FloatArray = share / np.sqrt(RATIO_VARIANCE / n * widening)
    return z
