"""How far a standardised return reaches on either side, by trees: a conditional law without quantile regression."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.base import LEVELS, outward
from models.classical.boosted_trees import Boosting, grow, raw_values

FloatArray = NDArray[np.float64]
MOST_SQUARE = 25.0  # squares of z as trees see them: five deviations
LEAST_SQUARE = 1e-4


@dataclass(frozen=True, slots=True)
class TailsOfOneHorizon:
    """Trees of the log mean square of falls and of rises, and the law of what is left."""

    falls: str
    rises: str
    quantiles: FloatArray  # (q,)
    shortfall: FloatArray  # (q,)

    def at(self, x: FloatArray, threads: int = 1) -> tuple[FloatArray, FloatArray]:
        """Quantiles and shortfalls of the standardised return, shapes (n, f) -> (n, q), (n, q)."""
        down, up = sides(self.falls, self.rises, x, threads)
        reach = np.where(self.quantiles < 0, down[:, None], up[:, None])
        # The mean beyond a quantile near the middle may lie on the other side of zero: its own side's scale counts.
        beyond = np.where(self.shortfall < 0, down[:, None], up[:, None]) * self.shortfall
        quantiles = reach * self.quantiles
        side = outward(LEVELS)
        return quantiles, quantiles + side * np.maximum(side * (beyond - quantiles), 0.0)


@dataclass(frozen=True, slots=True)
class Tails:
    r"""Conditional law of the standardised return z from two sums of trees, one of falls and one of rises.

    .. math:: s^-(x)^2 = E[z^2 \mid z < 0, x], \qquad s^+(x)^2 = E[z^2 \mid z > 0, x], \qquad
              q_p(x) = s^{\mp}(x) \, Q_p\{z / s^{\mp}\}

    each s by the gamma deviance of z², clipped at 25; Q the quantiles of the scaled past. A tail learns from
    every return of its side, where a regression of the 1 % quantile learns from one in a hundred; quantiles cannot
    cross, for all of a side share one scale.

    Parameters
    ----------
    trees, leaves : see :class:`models.classical.boosted_trees.Boosting`.

    References
    ----------
    Koenker & Zhao (1996), "Conditional quantile estimation and inference for ARCH models", Econometric Theory 12(5),
    for quantiles by location and scale; Barone-Adesi, Giannopoulos & Vosper (1999), J. Futures Markets 19(5).
    """

    trees: int = 120
    leaves: int = 15
    seed: int = 0
    threads: int = 1

    def fit(self, x: FloatArray, z: FloatArray) -> TailsOfOneHorizon:
        """Fit on features (n, f) and standardised returns (n,) of the past."""
        boosting = Boosting(
            count=self.trees, leaves=self.leaves, penalty=10.0, seed=self.seed + 1, threads=self.threads
        )
        square = np.clip(z**2, LEAST_SQUARE, MOST_SQUARE)
        falls, rises = (grow(x[side], square[side], "gamma", boosting) for side in (z < 0, z > 0))
        down, up = sides(falls, rises, x, self.threads)
        return TailsOfOneHorizon(falls, rises, *_law(z / np.where(z < 0, down, up)))


def sides(falls: str, rises: str, x: FloatArray, threads: int = 1) -> tuple[FloatArray, FloatArray]:
    """Root mean squares of falls and of rises, shape (n, f) -> (n,), (n,)."""
    down, up = (np.exp(raw_values(trees, x, threads) / 2) for trees in (falls, rises))
    return down, up


def _law(scaled: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Quantiles of the past at ``LEVELS`` and the means beyond them, shape (n,) -> (q,), (q,)."""
    quantiles = np.quantile(scaled, LEVELS)
    beyond = [
        scaled[side * scaled >= side * quantile].mean()
        for quantile, side in zip(quantiles, outward(LEVELS), strict=True)
    ]
    return quantiles, np.array(beyond)
