"""The normal law."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from models.tails.base import FloatArray, Ints


def normal_quantiles(levels: tuple[float, ...]) -> FloatArray:
    """Quantiles of N(0, 1), shape (q,).

    Examples
    --------
    >>> normal_quantiles((0.01, 0.025)).round(6)
    array([-2.326348, -1.959964])
    """
    quantiles: FloatArray = ndtri(np.array(levels))
    return quantiles


def normal_shortfall(levels: tuple[float, ...]) -> FloatArray:
    r"""Mean of N(0, 1) beyond its quantiles, outwards, shape (q,).

    .. math:: ES_p = \mp \varphi(\Phi^{-1}(p)) / \min(p, 1 - p)

    Examples
    --------
    >>> normal_shortfall((0.01, 0.025, 0.975)).round(6)
    array([-2.665214, -2.337803,  2.337803])
    """
    level = np.array(levels)
    density = np.exp(-0.5 * np.square(ndtri(level))) / np.sqrt(2 * np.pi)
    shortfall: FloatArray = np.where(level > 0.5, density / (1 - level), -density / level)
    return shortfall


@dataclass(frozen=True, slots=True)
class Normal:
    """N(m, s²) with the mean and the standard deviation of the window."""

    refit: Literal["day", "month"] = "day"

    def __call__(
        self, z: FloatArray, starts: Ints, stops: Ints, levels: tuple[float, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """See :class:`models.tails.base.Tail`."""
        windows = [z[a:b] for a, b in zip(starts, stops, strict=True)]
        mean = np.array([w.mean() for w in windows])[:, None]
        spread = np.array([w.std() for w in windows])[:, None]
        return mean + spread * normal_quantiles(levels), mean + spread * normal_shortfall(levels)
