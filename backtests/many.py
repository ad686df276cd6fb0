"""Many tests at once: which rejections stand, and are there more than chance would give?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

FloatArray = NDArray[np.float64]


def benjamini_hochberg(p_values: FloatArray) -> FloatArray:
    r"""P-values adjusted for the false discovery rate of tests that are independent or positively dependent.

    .. math:: \tilde p_{(i)} = \min_{j \ge i} \min \left( 1, \frac{m}{j} p_{(j)} \right)

    Rejecting where it is at most q keeps the expected share of false rejections at most q.

    Parameters
    ----------
    p_values : array of shape (m,); NaN (nothing to test) stays and is not counted in m.

    References
    ----------
    Benjamini & Hochberg (1995), "Controlling the false discovery rate", J. Royal Statistical Society B 57(1).

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])).round(4)
    array([0.04  , 0.0533, 0.0533, 0.5   ])
    """
    return _stepped_up(p_values, 1.0)


def benjamini_yekutieli(p_values: FloatArray) -> FloatArray:
    r"""As :func:`benjamini_hochberg` for tests of any dependence: larger by :math:`\sum_{i=1}^m 1/i`.

    References
    ----------
    Benjamini & Yekutieli (2001), "The control of the false discovery rate in multiple testing under dependency",
    Annals of Statistics 29(4).

    Examples
    --------
    >>> benjamini_yekutieli(np.array([0.01, 0.04])).round(4)
    array([0.03, 0.06])
    """
    known = int(np.isfinite(p_values).sum())
    return _stepped_up(p_values, float(np.sum(1 / np.arange(1, known + 1))))


def _stepped_up(p_values: FloatArray, factor: float) -> FloatArray:
    """Each p-value times factor m / rank, made monotone from the largest down; NaN where it was."""
    order = np.argsort(p_values)[: int(np.isfinite(p_values).sum())]  # NaN is sorted behind
    raised = factor * p_values[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted = np.full(p_values.shape, np.nan)
    adjusted[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return adjusted


class Rejections(NamedTuple):
    """Tests rejected out of those that could tell, and the band of counts expected of right forecasts."""

    rejected: int
    tested: int
    fewest: int
    most: int


def count_rejections(p_values: FloatArray, size: float = 0.05, confidence: float = 0.95) -> Rejections:
    """Rejections at a nominal size against the binomial band.

    The band is that of independent tests. Tests of one instrument's levels are dependent, which makes it too narrow;
    conservative tests, such as those of combined phases, stay below it.

    Parameters
    ----------
    p_values : array of any shape; NaN (nothing to test) is not counted.
    size : nominal size of each test.
    confidence : probability of the band.

    Examples
    --------
    >>> count_rejections(np.array([0.01, 0.2, 0.6, np.nan]))
    Rejections(rejected=1, tested=3, fewest=0, most=1)
    """
    known = p_values[np.isfinite(p_values)]
    fewest, most = binom.interval(confidence, len(known), size)
    return Rejections(int((known < size).sum()), len(known), int(fewest), int(most))
