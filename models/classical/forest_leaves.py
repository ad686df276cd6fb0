"""Leaves of a forest as laws: which past outcomes an origin is like, counted on a grid of outcomes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from models.base import outward

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]
GRID = 400  # bins of outcomes; with fewer outcomes than bins the law is exact
CHUNK = 2_000  # origins at a time


@dataclass(frozen=True)
class Leaves:
    r"""Meinshausen's weights, gathered by leaf.

    .. math:: w_i(x) = \frac1M \sum_{m=1}^{M} \frac{1\{i \in L_m(x)\}}{\#L_m(x)}, \qquad
              \hat F(z \mid x) = \sum_i w_i(x) \, 1\{z_i \le z\}

    Parameters
    ----------
    forest : grown trees.
    share : arrays of shape (leaves, bins), one of each tree: share of a leaf's outcomes in each bin.
    ratio : arrays of shape (leaves,), one of each tree: mean of the other outcome, of variance, in each leaf.
    top, mean : arrays of shape (bins,), greatest and mean outcome of each bin.
    """

    forest: RandomForestRegressor
    share: tuple[FloatArray, ...]
    ratio: tuple[FloatArray, ...]
    top: FloatArray
    mean: FloatArray

    @classmethod
    def gather(cls, forest: RandomForestRegressor, x: FloatArray, z: FloatArray, ratio: FloatArray) -> "Leaves":
        """Count past outcomes (n,) in the leaves that their features (n, f) fall into; sizes by node number."""
        parts = np.array_split(np.argsort(z, kind="stable"), min(GRID, len(z)))
        place = np.empty(len(z), dtype=np.int64)
        for k, part in enumerate(parts):
            place[part] = k
        nodes = _nodes(forest, x)
        shares, ratios = [], []
        for m, tree in enumerate(forest.estimators_):
            count = np.zeros((tree.tree_.node_count, len(parts)))
            np.add.at(count, (nodes[:, m], place), 1.0)
            size = np.maximum(count.sum(axis=1), 1.0)
            shares.append(count / size[:, None])
            ratios.append(np.bincount(nodes[:, m], ratio, minlength=len(size)) / size)
        top, mean = (np.array([summary(z[part]) for part in parts]) for summary in (np.max, np.mean))
        return cls(forest, tuple(shares), tuple(ratios), top, mean)

    def mean_ratio(self, x: FloatArray) -> FloatArray:
        """Weighted mean of the outcome of variance, shape (n, f) -> (n,)."""
        nodes = _nodes(self.forest, x)
        mean: FloatArray = np.mean([ratio[nodes[:, m]] for m, ratio in enumerate(self.ratio)], axis=0)
        return mean

    def law(self, x: FloatArray, levels: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
        """Quantiles and shortfalls of the outcome, shape (n, f) -> (n, q), (n, q)."""
        parts = [self._law(x[first : first + CHUNK], levels) for first in range(0, len(x), CHUNK)]
        if not parts:
            return np.zeros((0, len(levels))), np.zeros((0, len(levels)))
        quantiles, shortfall = (np.concatenate(part) for part in zip(*parts, strict=True))
        return quantiles, shortfall

    def _law(self, x: FloatArray, levels: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
        nodes = _nodes(self.forest, x)
        weight = np.mean([share[nodes[:, m]] for m, share in enumerate(self.share)], axis=0)
        reached = np.cumsum(weight, axis=1)
        first = np.cumsum(weight * self.mean, axis=1)
        rows = np.arange(len(x))
        quantiles, shortfall = np.empty((len(x), len(levels))), np.empty((len(x), len(levels)))
        for k, (level, side) in enumerate(zip(levels, outward(levels), strict=True)):
            at = np.minimum(
                (reached < level - 1e-12).sum(axis=1), len(self.top) - 1
            )  # shares sum to 1 but for rounding
            below, sum_below = reached[rows, at], first[rows, at]
            quantiles[:, k] = self.top[at]
            above = np.maximum(1.0 - below, 0.0)
            beyond = np.where(above > 0, (first[:, -1] - sum_below) / np.maximum(above, 1e-12), quantiles[:, k])
            shortfall[:, k] = sum_below / below if side < 0 else beyond
        side = outward(levels)
        return quantiles, quantiles + side * np.maximum(side * (shortfall - quantiles), 0.0)


def _nodes(forest: RandomForestRegressor, x: FloatArray) -> Ints:
    """Node of each tree that each row falls into, shape (n, f) -> (n, m)."""
    nodes: Ints = forest.apply(x).astype(np.int64)
    return nodes
