"""Law of a statistic if the forecasts were right, by simulation: where windows overlap no table holds."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]
Tail = Literal["high", "low", "both"]


def overlapping_uniforms(n: int, overlap: int, rng: np.random.Generator) -> FloatArray:
    r"""Probability transforms of the right forecast for windows of ``overlap`` steps that begin at every step.

    .. math:: u_t = \Phi \left( m^{-1/2} \sum_{j=0}^{m-1} \varepsilon_{t+j} \right), \qquad \varepsilon \sim N(0, 1)

    Each is uniform; two that share a part of their windows are as dependent as sums of independent normal returns.

    Parameters
    ----------
    n : windows.
    overlap : m, steps in a window; 1 gives independent values.
    rng : generator.

    Returns
    -------
    array of shape (n,); ``u < p`` are hits of a low tail, ``u > 1 - p`` of a high one.

    Examples
    --------
    >>> overlapping_uniforms(3, 1, np.random.default_rng(0)).round(3)
    array([0.55 , 0.447, 0.739])
    """
    total = np.concatenate([[0.0], np.cumsum(rng.standard_normal(n + overlap - 1))])
    uniform: FloatArray = ndtr((total[overlap:] - total[:-overlap]) / np.sqrt(overlap))
    return uniform


def simulated_null(
    statistic: Callable[[FloatArray], float], n: int, overlap: int, draws: int, seed: int | np.random.Generator
) -> FloatArray:
    """Draws of a statistic under the null, in order; those that are NaN (nothing to test) are left out.

    Parameters
    ----------
    statistic : answers the statistic of one sequence of :func:`overlapping_uniforms`.
    n, overlap : windows, and steps in each.
    draws : sequences.
    seed : of the draws, or a generator.

    Examples
    --------
    >>> null = simulated_null(lambda u: float((u < 0.1).sum()), 50, 1, 400, 0)
    >>> float(null.mean().round())
    5.0
    """
    rng = np.random.default_rng(seed)
    found = np.array([statistic(overlapping_uniforms(n, overlap, rng)) for _ in range(draws)])
    return np.sort(found[~np.isnan(found)])


def monte_carlo_p(observed: float, null: FloatArray, tail: Tail = "high") -> float:
    r"""P-value against simulated draws; never 0, and at most the nominal size however few the draws.

    .. math:: p = \frac{1 + \#\{b : T_b \ge T\}}{1 + B}

    Parameters
    ----------
    observed : T; NaN has no p-value.
    null : array of shape (B,).
    tail : which values speak against the null; both is twice the smaller of the two, at most 1.

    References
    ----------
    Dufour (2006), "Monte Carlo tests with nuisance parameters", J. Econometrics 133(2).

    Examples
    --------
    >>> monte_carlo_p(3.0, np.array([1.0, 2.0, 3.0, 4.0]))
    0.6
    """
    if np.isnan(observed):
        return np.nan
    high = float((1 + np.sum(null >= observed)) / (1 + len(null)))
    low = float((1 + np.sum(null <= observed)) / (1 + len(null)))
    return {"high": high, "low": low, "both": min(1.0, 2 * min(low, high))}[tail]
