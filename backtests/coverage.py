"""Tests of hit sequences: does a quantile hold as often as it says, and without clusters?"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from backtests.overlap import combine_phases

FloatArray = NDArray[np.float64]
Hits = NDArray[np.bool_]


def hits_of(log_return: FloatArray, quantile: FloatArray, level: float) -> Hits:
    """Returns strictly beyond their quantile: below it for levels up to one half, above it for higher ones.

    Parameters
    ----------
    log_return, quantile : arrays of shape (n,), of the same windows.
    level : of the quantile; the tests below take the tail's probability, :func:`tail_probability`.

    Examples
    --------
    >>> hits_of(np.array([-2.0, -1.0, 3.0]), np.array([-1.0, -1.0, -1.0]), 0.05)
    array([ True, False, False])
    """
    return log_return < quantile if level <= 0.5 else log_return > quantile


def tail_probability(level: float) -> float:
    """Probability beyond the quantile of a level, free of the rounding of ``1 - level``.

    Examples
    --------
    >>> tail_probability(0.01), tail_probability(0.99)
    (0.01, 0.01)
    """
    return level if level <= 0.5 else round(1 - level, 12)


def _log_likelihood(hits: int, misses: int, rate: float) -> float:
    """Bernoulli log likelihood with 0 ln 0 = 0."""
    gain = hits * np.log(rate) if hits else 0.0
    return float(gain + (misses * np.log1p(-rate) if misses else 0.0))


def kupiec_lr(n_hits: int, n_obs: int, level: float) -> float:
    r"""Likelihood ratio of unconditional coverage, chi-squared with one degree of freedom.

    .. math:: LR = 2 \ln \frac{(k/n)^k (1-k/n)^{n-k}}{p^k (1-p)^{n-k}}

    References
    ----------
    Kupiec (1995), "Techniques for verifying the accuracy of risk measurement
    models", J. of Derivatives 3(2).

    Examples
    --------
    >>> round(kupiec_lr(57, 1043, 0.05), 5)
    0.46147
    """
    misses = n_obs - n_hits
    found = _log_likelihood(n_hits, misses, n_hits / n_obs)
    return 2 * (found - _log_likelihood(n_hits, misses, level))


def kupiec_p(hits: Hits, level: float) -> float:
    """P-value of :func:`kupiec_lr`."""
    return float(chi2.sf(kupiec_lr(int(hits.sum()), len(hits), level), 1))


def christoffersen_lr(hits: Hits) -> float:
    r"""Likelihood ratio of independence against a first-order Markov chain, one degree of freedom.

    .. math:: LR = 2 \ln \frac{(1-p_{01})^{n_{00}} p_{01}^{n_{01}} (1-p_{11})^{n_{10}} p_{11}^{n_{11}}}
                             {(1-p)^{n_{00}+n_{10}} p^{n_{01}+n_{11}}}

    with n_ij the transitions from i to j, and p their pooled rate of hits.

    References
    ----------
    Christoffersen (1998), "Evaluating interval forecasts", International
    Economic Review 39(4).
    """
    before, after = hits[:-1], hits[1:]
    n00, n01 = int((~before & ~after).sum()), int((~before & after).sum())
    n10, n11 = int((before & ~after).sum()), int((before & after).sum())
    chain = _log_likelihood(n01, n00, n01 / max(n00 + n01, 1)) + _log_likelihood(n11, n10, n11 / max(n10 + n11, 1))
    pooled = _log_likelihood(n01 + n11, n00 + n10, (n01 + n11) / max(len(before), 1))
    return 2 * (chain - pooled)


def christoffersen_p(hits: Hits) -> float:
    """P-value of :func:`christoffersen_lr`."""
    return float(chi2.sf(christoffersen_lr(hits), 1))


def conditional_coverage_p(hits: Hits, level: float) -> float:
    """P-value of coverage and independence together: the two ratios add, two degrees of freedom."""
    ratio = kupiec_lr(int(hits.sum()), len(hits), level) + christoffersen_lr(hits)
    return float(chi2.sf(ratio, 2))


def over_phases(test: Callable[[Hits, float], float], hits: Hits, level: float, step: int) -> float:
    """P-value of a test where windows overlap: run on each ``step``-th hit, combined as twice the median.

    No origin may be missing; where some are, and for tests that need more than hits, use
    :func:`~backtests.overlap.combine_phases`.
    """
    return combine_phases(lambda rows: test(hits[rows], level), np.arange(len(hits)) % step, step)
