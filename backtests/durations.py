"""Do hits come in clusters, by the waiting times between them?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2

from backtests.nulls import monte_carlo_p

FloatArray = NDArray[np.float64]
Hits = NDArray[np.bool_]
LEAST_HITS = 2
SHAPES = (0.01, 50.0)  # between which the Weibull law's shape is sought


class Weibull(NamedTuple):
    """Rate a, shape b (below 1: clusters), and the likelihood ratio against b = 1."""

    rate: float
    shape: float
    lr: float


def waiting_times(hits: Hits) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Windows from hit to hit, those before the first and after the last too, and which of them are cut off.

    Examples
    --------
    >>> waiting_times(np.array([0, 1, 0, 0, 1, 0], bool))
    (array([2., 3., 1.]), array([ True, False,  True]))
    """
    places = np.flatnonzero(hits) + 1.0
    edges = np.concatenate([[0.0], places, [float(len(hits))]])
    waits = np.diff(edges)
    cut = np.zeros(len(waits), dtype=bool)
    cut[[0, -1]] = True
    keep = np.ones(len(waits), dtype=bool)
    keep[0], keep[-1] = not hits[0], not hits[-1]  # a hit at an end leaves nothing cut off there
    return waits[keep], cut[keep]


def fit_weibull(waits: FloatArray, cut: NDArray[np.bool_]) -> Weibull:
    r"""Weibull law of waiting times by maximum likelihood, and its likelihood ratio against no memory.

    .. math:: f(d) = a^b b d^{b-1} e^{-(a d)^b}, \qquad S(d) = e^{-(a d)^b}

    with f for whole waiting times, S for those cut off. Given b the best a is
    :math:`a^b = N_{whole} / \sum d^b`; the likelihood is then concave in b.

    Parameters
    ----------
    waits, cut : arrays of shape (n,), see :func:`waiting_times`; at least one is whole.

    References
    ----------
    Christoffersen & Pelletier (2004), "Backtesting value-at-risk: a duration-based approach", J. Financial
    Econometrics 2(1).
    """
    longest = waits.max()
    x, log_x = waits / longest, np.log(waits / longest)  # no power of it overflows
    whole, known = int((~cut).sum()), float(log_x[~cut].sum())

    def slope(b: float) -> float:
        power = x**b
        return whole / b + known - whole * float(power @ log_x) / float(power.sum())

    def likelihood(b: float) -> float:
        return float(whole * (np.log(b) + np.log(whole / (x**b).sum())) + (b - 1) * known)

    shape = SHAPES[1] if slope(SHAPES[1]) > 0 else float(brentq(slope, *SHAPES, xtol=1e-10))
    rate = (whole / float((x**shape).sum())) ** (1 / shape) / longest
    return Weibull(float(rate), shape, max(2 * (likelihood(shape) - likelihood(1.0)), 0.0))


def duration_lr(hits: Hits) -> float:
    """Likelihood ratio of :func:`fit_weibull`, one degree of freedom; NaN with fewer than two hits."""
    return fit_weibull(*waiting_times(hits)).lr if hits.sum() >= LEAST_HITS else np.nan


def duration_p(hits: Hits) -> float:
    """P-value of :func:`duration_lr` by its law for many hits; with few :func:`duration_exact_p` keeps its size."""
    return float(chi2.sf(duration_lr(hits), 1))


def duration_exact_p(hits: Hits, draws: int = 999, seed: int | np.random.Generator = 0) -> float:
    """P-value of :func:`duration_lr` against the same number of hits at random places: exact at any number of them.

    Parameters
    ----------
    hits : array of shape (n,), oldest first, of windows that do not overlap.
    draws, seed : permutations, and the seed (or generator) they are drawn with.
    """
    if hits.sum() < LEAST_HITS:
        return np.nan
    rng = np.random.default_rng(seed)
    null = np.array([duration_lr(rng.permutation(hits)) for _ in range(draws)])
    return monte_carlo_p(duration_lr(hits), null)
