"""Is one model's loss smaller than another's, beyond chance?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from features.clock import DAY_S

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LEAST_DAYS = 20
ROUNDING = 1e-12


class DieboldMariano(NamedTuple):
    """Mean difference of daily mean losses (negative: the model is better), its t statistic, two-sided p-value."""

    difference: float
    t: float
    p: float


def newey_west_t(values: FloatArray, lag: int) -> float:
    r"""T statistic of a mean under autocorrelation (Bartlett weights).

    .. math:: t = \bar x \Big/ \sqrt{\tfrac1n \left( \gamma_0 + 2 \sum_{j=1}^{L} (1 - \tfrac{j}{L+1}) \gamma_j \right)}

    Parameters
    ----------
    values : array of shape (n,), oldest first.
    lag : L, the last autocovariance that counts.

    Returns
    -------
    0 where the values do not vary.

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


def by_day(values: FloatArray, day: IntArray) -> FloatArray:
    """Mean of each day in the order of days, values that are not finite left out.

    Parameters
    ----------
    values : array of shape (n,) or (n, m).
    day : array of shape (n,), day number of each origin.

    Examples
    --------
    >>> by_day(np.array([1.0, 3.0, 5.0, np.nan]), np.array([7, 7, 8, 8]))
    array([2., 5.])
    """
    if values.ndim > 1:
        return np.column_stack([by_day(column, day) for column in values.T])
    known = np.isfinite(values)
    _, which = np.unique(day[known], return_inverse=True)
    means: FloatArray = np.bincount(which, values[known]) / np.bincount(which)
    return means


def hac_lag(n_days: int, horizon_s: int) -> int:
    """Lag in days for a series of daily means: the windows' overlap, or Newey & West's rule if that is longer.

    Examples
    --------
    >>> hac_lag(10, 86_400), hac_lag(1_640, 3_600)
    (2, 7)
    """
    return max(int(np.ceil(horizon_s / DAY_S)) + 1, int(4 * (n_days / 100) ** (2 / 9)))


def clustered_t(values: FloatArray, day: IntArray, horizon_s: int) -> float:
    """T statistic of a mean whose hours (and instruments) of a day are one cluster.

    Parameters
    ----------
    values : array of shape (n,), such as hits less their level, or the terms of an Acerbi-Szekely statistic.
    day : array of shape (n,), day number of each origin.
    horizon_s : horizon in seconds; sets the least lag.
    """
    daily = by_day(values, day)
    return newey_west_t(daily, hac_lag(len(daily), horizon_s))


def clustered_p(values: FloatArray, day: IntArray, horizon_s: int) -> float:
    """Two-sided p-value of :func:`clustered_t` by the normal law."""
    return float(2 * norm.sf(abs(clustered_t(values, day, horizon_s))))


def diebold_mariano(loss: FloatArray, baseline_loss: FloatArray, day: IntArray, horizon_s: int) -> float:
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
    return clustered_t(loss - baseline_loss, day, horizon_s)


def dm_test(
    loss: FloatArray, baseline_loss: FloatArray, day: IntArray, horizon_s: int, *, small_sample: bool = True
) -> DieboldMariano:
    r"""Test of equal accuracy on daily means, with the small-sample correction of Harvey, Leybourne & Newbold.

    .. math:: t^* = t \sqrt{\frac{n + 1 - 2 k + k (k - 1) / n}{n}}, \qquad k = \lceil h / 1\,\text{day} \rceil + 1

    for n days, k the days that windows of one day reach into, p of Student's law with n - 1 degrees of freedom;
    without the correction t itself and the normal law.

    Parameters
    ----------
    loss, baseline_loss : arrays of shape (n,), of the same windows; pairs that are not finite are left out.
    day : array of shape (n,), day number of each origin.
    horizon_s : h in seconds.
    small_sample : correct t and p.

    Returns
    -------
    t and p are NaN on fewer than 20 days: nothing can be said; 0 and 1 where the losses are the same.

    References
    ----------
    Diebold & Mariano (1995), "Comparing predictive accuracy", J. Business & Economic Statistics 13(3);
    Harvey, Leybourne & Newbold (1997), "Testing the equality of prediction mean squared errors", International
    J. of Forecasting 13(2).
    """
    daily = by_day(loss - baseline_loss, day)
    n, mean = len(daily), float(daily.mean())
    if n < LEAST_DAYS:
        return DieboldMariano(mean, np.nan, np.nan)
    if (np.abs(daily) <= ROUNDING * np.nanmean(np.abs(baseline_loss))).all():
        return DieboldMariano(0.0, 0.0, 1.0)
    t = newey_west_t(daily, hac_lag(n, horizon_s))
    if not small_sample:
        return DieboldMariano(mean, t, float(2 * norm.sf(abs(t))))
    reach = int(np.ceil(horizon_s / DAY_S)) + 1
    t *= float(np.sqrt((n + 1 - 2 * reach + reach * (reach - 1) / n) / n))
    return DieboldMariano(mean, t, float(2 * student.sf(abs(t), n - 1)))
