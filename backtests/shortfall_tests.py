"""Is the loss beyond a quantile as large as its forecast shortfall says?"""

import numpy as np
from numpy.typing import NDArray

from backtests.coverage import hits_of, tail_probability
from backtests.nulls import overlapping_uniforms

FloatArray = NDArray[np.float64]


def z1(log_return: FloatArray, quantile: FloatArray, shortfall: FloatArray, level: float) -> float:
    r"""Acerbi and Szekely's first statistic: the size of hits, whatever their number.

    .. math:: Z_1 = 1 - \frac{1}{N} \sum_{t: hit} \frac{r_t}{e_t}, \qquad N = \# hits

    Parameters
    ----------
    log_return, quantile, shortfall : arrays of shape (n,), signed log returns; shortfall on the side of the tail.
    level : of the quantile; above one half the tail is the upper one.

    Returns
    -------
    0 expected, negative: risk is understated; NaN without a hit.

    References
    ----------
    Acerbi & Szekely (2014), "Back-testing expected shortfall", Risk, December.
    """
    hits = hits_of(log_return, quantile, level)
    return float(1 - (log_return[hits] / shortfall[hits]).mean()) if hits.any() else np.nan


def z2_terms(log_return: FloatArray, quantile: FloatArray, shortfall: FloatArray, level: float) -> FloatArray:
    r"""Each window's part of :func:`z2`, whose mean it is: give it to ``clustered_t`` where windows overlap.

    .. math:: z_t = 1 - \frac{r_t 1\{hit_t\}}{p \, e_t}

    Parameters and source as of :func:`z1`; p is the tail's probability.
    """
    hits = hits_of(log_return, quantile, level)
    terms: FloatArray = 1 - log_return * hits / (tail_probability(level) * shortfall)
    return terms


def z2(log_return: FloatArray, quantile: FloatArray, shortfall: FloatArray, level: float) -> float:
    """Acerbi and Szekely's second statistic: size and number of hits together.

    0 expected, negative: risk is understated. Parameters and source as of :func:`z1`.

    Examples
    --------
    >>> z2(np.array([-3.0, 0.0, 1.0, 1.0]), np.full(4, -2.0), np.full(4, -3.0), 0.25)
    0.0
    """
    return float(z2_terms(log_return, quantile, shortfall, level).mean())


def simulated_z(
    ratio: FloatArray, level: float, *, overlap: int = 1, shape: float = 0.0, draws: int = 999, seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    r"""Draws of Z1 and Z2 if quantiles and shortfalls were right.

    .. math:: \frac{r}{e} = \rho + (1 - \rho) X, \qquad X \sim GPD(\xi, 1 - \xi), \quad E X = 1, \quad \rho = q / e

    at hits, which come with probability p, windows overlapping as in
    :func:`~backtests.nulls.overlapping_uniforms`. Quantile and shortfall leave open only the shape of the excess.

    Parameters
    ----------
    ratio : array of shape (n,), quantile over shortfall of each window, in (0, 1].
    level : of the quantile, or its tail's probability.
    overlap : steps in a window.
    shape : xi < 1 of the excess; 0 is the exponential law, a fatter one makes critical values wider.
    draws, seed : of the simulation.

    Returns
    -------
    Z1 (those without a hit left out) and Z2, each in order; compare by ``monte_carlo_p(z, null, "low")``.
    """
    rng, p = np.random.default_rng(seed), tail_probability(level)
    ones, twos = np.empty(draws), np.empty(draws)
    for b in range(draws):
        u = overlapping_uniforms(len(ratio), overlap, rng)
        hit = np.flatnonzero(u < p)
        sizes = ratio[hit] + (1 - ratio[hit]) * _excess(u[hit] / p, shape)
        ones[b] = 1 - sizes.mean() if len(hit) else np.nan
        twos[b] = 1 - sizes.sum() / (p * len(ratio))
    return np.sort(ones[~np.isnan(ones)]), np.sort(twos)


def _excess(survival: FloatArray, shape: float) -> FloatArray:
    """Value of the generalised Pareto law of mean one that is passed with the given probability."""
    if shape == 0:
        return -np.log(survival)
    return (1 - shape) / shape * (survival**-shape - 1)
