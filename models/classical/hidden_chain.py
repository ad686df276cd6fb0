"""Hidden Markov chain: which regime rules, filtered forward and smoothed backward."""

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled

FloatArray = NDArray[np.float64]


@compiled
def filter_forward(log_density: FloatArray, transition: FloatArray, start: FloatArray) -> tuple[FloatArray, float]:
    r"""Probability of each regime at each row given the rows up to it (Hamilton's filter).

    .. math:: P(s_t = j \mid F_t) \propto f_j(y_t) \sum_i P(s_{t-1} = i \mid F_{t-1}) \, p_{ij}

    Parameters
    ----------
    log_density : array of shape (n, m), ln f_j(y_t); a row of equal values tells nothing.
    transition : array of shape (m, m), from row to column.
    start : array of shape (m,), before the first row.

    Returns
    -------
    filtered : array of shape (n, m).
    log_likelihood : float.

    References
    ----------
    Hamilton (1989), "A new approach to the economic analysis of nonstationary time series and the business cycle",
    Econometrica 57(2).
    """
    n, m = log_density.shape
    filtered = np.empty((n, m))
    total = 0.0
    for t in range(n):
        top = log_density[t, 0]
        for j in range(1, m):
            top = max(top, log_density[t, j])
        mass = 0.0
        for j in range(m):
            expected = 0.0
            for i in range(m):
                expected += (start[i] if t == 0 else filtered[t - 1, i]) * transition[i, j]
            filtered[t, j] = expected * np.exp(log_density[t, j] - top)
            mass += filtered[t, j]
        for j in range(m):
            filtered[t, j] /= mass
        total += top + np.log(mass)
    return filtered, total


@compiled
def smooth_backward(filtered: FloatArray, transition: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Probability of each regime given all rows (Kim's smoother), and the expected number of each step.

    Parameters
    ----------
    filtered : array of shape (n, m), of :func:`filter_forward`.
    transition : array of shape (m, m).

    Returns
    -------
    smoothed : array of shape (n, m).
    steps : array of shape (m, m), from row to column.

    References
    ----------
    Kim (1994), "Dynamic linear models with Markov-switching", J. Econometrics 60(1-2).
    """
    n, m = filtered.shape
    smoothed = np.empty((n, m))
    steps = np.zeros((m, m))
    smoothed[n - 1] = filtered[n - 1]
    for t in range(n - 2, -1, -1):
        for i in range(m):
            smoothed[t, i] = 0.0
        for j in range(m):
            expected = 0.0
            for i in range(m):
                expected += filtered[t, i] * transition[i, j]
            for i in range(m):
                share = filtered[t, i] * transition[i, j] * smoothed[t + 1, j] / max(expected, 1e-300)
                smoothed[t, i] += share
                steps[i, j] += share
    return smoothed, steps
