"""Can hits be foretold from earlier hits or from the quantile itself?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

FloatArray = NDArray[np.float64]
Hits = NDArray[np.bool_]
LAGS = 4
LEAST_WINDOWS = 50


class DynamicQuantile(NamedTuple):
    """Statistic, chi-squared with so many degrees of freedom, and its p-value."""

    statistic: float
    degrees: int
    p: float


def dq_test(hits: Hits, quantile: FloatArray, level: float, lags: int = LAGS) -> DynamicQuantile:
    r"""Dynamic quantile test: hits less their level regressed on a constant, their own lags and the quantile.

    .. math:: DQ = \frac{\hat\beta' X' X \hat\beta}{p (1 - p)} \sim \chi^2_k, \qquad \hat\beta = (X'X)^{-1} X' (I - p)

    A quantile that never changes is no regressor beside the constant and is not counted in k.

    Parameters
    ----------
    hits : array of shape (n,), oldest first, of windows that do not overlap.
    quantile : array of shape (n,), the forecasts that were hit.
    level : p, probability of the tail.
    lags : lagged hits among the regressors.

    Returns
    -------
    statistic and p-value are NaN on fewer than 50 windows.

    References
    ----------
    Engle & Manganelli (2004), "CAViaR: conditional autoregressive value at risk by regression quantiles", J. Business
    & Economic Statistics 22(4), the out-of-sample test.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> quantile = -np.exp(rng.normal(size=1_000))
    >>> dq_test(rng.random(1_000) < 0.05, quantile, 0.05).degrees
    6
    """
    degrees = 1 + lags + int(np.ptp(quantile) > 0) if len(quantile) else 1 + lags
    if len(hits) < LEAST_WINDOWS:
        return DynamicQuantile(np.nan, degrees, np.nan)
    excess: FloatArray = hits.astype(float) - level
    regressors = _regressors(excess, quantile, lags)
    gram, known = regressors.T @ regressors, regressors.T @ excess[lags:]
    if np.linalg.matrix_rank(regressors) < regressors.shape[1]:  # hits may be too few to tell their lags apart
        beta = np.linalg.lstsq(regressors, excess[lags:], rcond=None)[0]
    else:
        beta = np.linalg.solve(gram, known)
    statistic = float(beta @ gram @ beta) / (level * (1 - level))
    return DynamicQuantile(statistic, degrees, float(chi2.sf(statistic, degrees)))


def _regressors(excess: FloatArray, quantile: FloatArray, lags: int) -> FloatArray:
    """Constant, lagged hits, the quantile in units of its mean size; shape (n - lags, lags + 2)."""
    n = len(excess)
    lagged = [excess[lags - j : n - j] for j in range(1, lags + 1)]
    return np.column_stack([np.ones(n - lags), *lagged, quantile[lags:] / np.abs(quantile).mean()])


def dq_p(hits: Hits, quantile: FloatArray, level: float) -> float:
    """P-value of :func:`dq_test`."""
    return dq_test(hits, quantile, level).p
