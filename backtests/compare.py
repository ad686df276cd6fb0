"""Is one model's loss smaller than another's, beyond chance?"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def newey_west_t(values: FloatArray, lag: int) -> float:
    r"""T statistic of a mean under autocorrelation (Bartlett weights).

    .. math:: t = \bar x \Big/ \sqrt{\tfrac1n \left( \gamma_0 + 2 \sum_{j=1}^{L} (1 - \tfrac{j}{L+1}) \gamma_j \right)}

    References
    ----------
    Newey & West (1987), "A simple, positive semi-definite, heteroskedasticity
    and autocorrelation consistent covariance matrix", Econometrica 55(3).
    """
    n = len(values)
    error = values - values.mean()
    variance = error @ error / n
    for j in range(1, min(lag, n - 1) + 1):
        variance += 2 * (1 - j / (lag + 1)) * (error[j:] @ error[:-j]) / n
    return float(values.mean() / np.sqrt(variance / n)) if variance > 0 else 0.0


def diebold_mariano(loss: FloatArray, baseline_loss: FloatArray, day: NDArray[np.int64], horizon_s: int) -> float:
    """T statistic of the mean difference of daily mean losses; negative: the model is better.

    Parameters
    ----------
    loss, baseline_loss : arrays of shape (n,), of the same windows.
    day : array of shape (n,), day number of each origin: hours of a day are one cluster.
    horizon_s : horizon in seconds; sets the least lag.

    References
    ----------
    Diebold & Mariano (1995), "Comparing predictive accuracy", J. Business &
    Economic Statistics 13(3).
    """
    _, which = np.unique(day, return_inverse=True)
    daily = np.bincount(which, loss - baseline_loss) / np.bincount(which)
    lag = max(int(np.ceil(horizon_s / 86_400)) + 1, int(4 * (len(daily) / 100) ** (2 / 9)))
    return newey_west_t(daily, lag)
