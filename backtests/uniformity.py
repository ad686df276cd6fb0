"""Do outcomes fall between the forecast quantiles as often as the levels say?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from backtests.compare import LEAST_DAYS, by_day, hac_lag

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MOMENTS = (1, 2, 3, 4)


class Uniformity(NamedTuple):
    """Statistic, chi-squared with so many degrees of freedom, and its p-value."""

    statistic: float
    degrees: int
    p: float


def pit_bins(log_return: FloatArray, quantiles: FloatArray) -> IntArray:
    """Number of quantiles that each outcome is not below: where its probability transform lies.

    Parameters
    ----------
    log_return : array of shape (n,).
    quantiles : array of shape (n, q), not decreasing.

    Returns
    -------
    array of shape (n,), from 0 (below all) to q.

    Examples
    --------
    >>> pit_bins(np.array([-3.0, 0.5]), np.array([[-2.0, 0.0, 2.0]] * 2))
    array([0, 2])
    """
    bins: IntArray = (log_return[:, None] >= quantiles).sum(axis=1)
    return bins


def bin_probabilities(levels: tuple[float, ...]) -> FloatArray:
    """Probability of each of the q + 1 bins between q levels."""
    return np.diff(np.concatenate([[0.0], levels, [1.0]]))


def pit_chi2(bins: IntArray, levels: tuple[float, ...]) -> Uniformity:
    r"""Pearson's test of the bins' frequencies, of windows that do not overlap.

    .. math:: X^2 = \sum_j \frac{(n_j - n \pi_j)^2}{n \pi_j}

    Parameters
    ----------
    bins : array of shape (n,), see :func:`pit_bins`; a rare bin should expect some five of them.
    levels : q probabilities of the quantiles.

    References
    ----------
    Diebold, Gunther & Tay (1998), "Evaluating density forecasts with applications to financial risk management",
    International Economic Review 39(4); for windows that overlap run it over their phases.
    """
    expected = bin_probabilities(levels) * len(bins)
    counts = np.bincount(bins, minlength=len(expected))
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return Uniformity(statistic, len(levels), float(chi2.sf(statistic, len(levels))))


def pit_moments(bins: IntArray, levels: tuple[float, ...], day: IntArray, horizon_s: int) -> Uniformity:
    r"""Knueppel's test of the probability transform's first four moments, robust to dependence in time.

    .. math:: n \, \bar d' \hat\Omega^{-1} \bar d \sim \chi^2_4, \qquad
              d_k = E[S^k \mid bin] - E[S^k], \quad S = \sqrt{12} (u - \tfrac12)

    A few quantiles tell only the bin that u lies in; the moments' means within it stand for them, which are right
    in the mean if the bins' frequencies are. Omega is the long-run covariance of daily means (Bartlett weights).

    Parameters
    ----------
    bins : array of shape (n,), see :func:`pit_bins`.
    levels : q probabilities of the quantiles.
    day : array of shape (n,), day number of each origin: hours and instruments of a day are one cluster.
    horizon_s : horizon in seconds; sets the least lag.

    Returns
    -------
    statistic and p-value are NaN on fewer than 20 days, and where so few bins are met that four moments cannot be
    told apart; :func:`pit_chi2` may tell then.

    References
    ----------
    Knueppel (2015), "Evaluating the calibration of multi-step-ahead density forecasts using raw moments", J. Business
    & Economic Statistics 33(2).
    """
    daily = by_day(bin_moments(levels)[bins], day)
    mean, n = daily.mean(axis=0), len(daily)
    covariance = long_run_covariance(daily, hac_lag(n, horizon_s))
    if n < LEAST_DAYS or np.linalg.matrix_rank(covariance) < len(mean):
        return Uniformity(np.nan, len(mean), np.nan)
    statistic = float(n * mean @ np.linalg.solve(covariance, mean))
    return Uniformity(statistic, len(mean), float(chi2.sf(statistic, len(mean))))


def bin_moments(levels: tuple[float, ...]) -> FloatArray:
    """Mean of S^k in each bin less its mean over all, shape (q + 1, 4); weighted by the bins' probabilities it is 0."""
    edges = np.sqrt(12) * (np.concatenate([[0.0], levels, [1.0]]) - 0.5)
    columns = []
    for k in MOMENTS:
        power = edges ** (k + 1) / (k + 1)
        columns.append(np.diff(power) / np.diff(edges) - (power[-1] - power[0]) / np.sqrt(12))
    return np.column_stack(columns)


def long_run_covariance(values: FloatArray, lag: int) -> FloatArray:
    """Newey and West's covariance of a series of vectors about its mean, shape (n, m) -> (m, m)."""
    n = len(values)
    error = values - values.mean(axis=0)
    covariance: FloatArray = error.T @ error / n
    for j in range(1, min(lag, n - 1) + 1):
        gamma = error[j:].T @ error[:-j] / n
        covariance = covariance + (1 - j / (lag + 1)) * (gamma + gamma.T)
    return covariance
