"""How much smaller is a model's loss than a baseline's, and how sure is that?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtests.confidence_set import circular_block_counts

FloatArray = NDArray[np.float64]


class Skill(NamedTuple):
    """Share of the baseline's loss that a model saves, and its confidence interval."""

    skill: float
    low: float
    high: float


def skill(
    loss: FloatArray,
    baseline_loss: FloatArray,
    day: NDArray[np.int64],
    *,
    block: int = 10,
    draws: int = 1_000,
    seed: int | np.random.Generator = 0,
    confidence: float = 0.95,
) -> Skill:
    r"""Skill with an interval by a circular block bootstrap over days.

    .. math:: S = 1 - \frac{\sum L_t}{\sum L^0_t}

    Days are drawn whole, with all their hours and instruments, in blocks: what they share stays together.

    Parameters
    ----------
    loss, baseline_loss : arrays of shape (n,), of the same windows, of a loss that is positive in the mean.
    day : array of shape (n,), day number of each origin.
    block : days in a block, more than windows and crises last.
    draws, seed : of the bootstrap.
    confidence : probability of the interval, whose ends are quantiles of the draws.

    References
    ----------
    Politis & Romano (1992), "A circular block-resampling procedure for stationary data", in LePage & Billard (eds.),
    Exploring the Limits of Bootstrap, Wiley.

    Examples
    --------
    >>> skill(np.array([0.5, 1.0]), np.array([1.0, 2.0]), np.array([0, 1]), draws=10)
    Skill(skill=0.5, low=0.5, high=0.5)
    """
    _, which = np.unique(day, return_inverse=True)
    of_model, of_baseline = np.bincount(which, loss), np.bincount(which, baseline_loss)
    counts = circular_block_counts(len(of_model), block, draws, seed)
    drawn = 1 - (counts @ of_model) / (counts @ of_baseline)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Skill(float(1 - of_model.sum() / of_baseline.sum()), float(low), float(high))
