"""Law of Acerbi and Szekely's second statistic for independent days and a stated law of returns, by simulation."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from backtests.coverage import tail_probability

FloatArray = NDArray[np.float64]


def independent_z2(
    n_obs: int, level: float, degrees: float | None = None, *, draws: int = 20_000, seed: int = 0
) -> FloatArray:
    r"""Draws of Z2 if returns are independent, of Student's law and forecast right, in order.

    .. math:: Z_2 = 1 - \frac{1}{n p} \sum_{k=1}^{K} \frac{F^{-1}(p U_k)}{e}, \qquad K \sim B(n, p)

    Scale cancels, so that quantile and shortfall may change from day to day. Only hits are drawn, which is exact
    and needs a share p of the work. Where windows overlap use :func:`~backtests.shortfall_tests.simulated_z`.

    Parameters
    ----------
    n_obs : n, days.
    level : of the quantile; above one half the tail is the upper one.
    degrees : of freedom, above 1; none for the normal law.
    draws, seed : of the simulation.

    Returns
    -------
    array of shape (draws,); its quantile at the size of the test is the critical value, below which it rejects.

    References
    ----------
    Acerbi & Szekely (2014), "Back-testing expected shortfall", Risk, December.

    Examples
    --------
    >>> float(np.quantile(independent_z2(250, 0.025), 0.05).round(1))
    -0.7
    """
    rng, p = np.random.default_rng(seed), tail_probability(level)
    law = stats.norm() if degrees is None else stats.t(degrees)
    hits = rng.binomial(n_obs, p, draws)
    sizes = law.ppf(p * rng.random(int(hits.sum()))) / _shortfall(p, degrees)
    day = np.repeat(np.arange(draws), hits)
    statistics: FloatArray = 1 - np.bincount(day, sizes, draws) / (n_obs * p)
    return np.sort(statistics)


def _shortfall(p: float, degrees: float | None) -> float:
    """Mean of the standard law below its quantile, negative."""
    if degrees is None:
        return -float(stats.norm.pdf(stats.norm.ppf(p)) / p)
    q = stats.t.ppf(p, degrees)
    return -float(stats.t.pdf(q, degrees) / p * (degrees + q * q) / (degrees - 1))
