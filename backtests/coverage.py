"""Tests of hit sequences: does a quantile hold as often as it says, and without clusters?"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

Hits = NDArray[np.bool_]


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


def conditional_coverage_p(hits: Hits, level: float) -> float:
    """P-value of coverage and independence together: the two ratios add, two degrees of freedom."""
    ratio = kupiec_lr(int(hits.sum()), len(hits), level) + christoffersen_lr(hits)
    return float(chi2.sf(ratio, 2))


def over_phases(test: Callable[[Hits, float], float], hits: Hits, level: float, step: int) -> float:
    """P-value of a test where windows overlap: run on each ``step``-th hit, combined as twice the median.

    ``min(1, 2 median p)`` keeps the level under any dependence of the sub-samples (it is conservative).

    References
    ----------
    Rueschendorf (1982), "Random variables with maximum sums", Advances in
    Applied Probability 14(3).
    """
    p_values = [test(hits[phase::step], level) for phase in range(step)]
    return float(p_values[0] if step == 1 else min(1.0, 2 * np.median(p_values)))
