"""The law of excursions in deviations: what bounds it, what the past's ratios say, and when they are long."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from features.errors import ForecastError
from models.base import Forecast
from models.calibration.laws import Memory
from models.calibration.windows import law_moments
from models.excursions.quantiles import upper_quantiles

FloatArray = NDArray[np.float64]

EXCURSION_LEVELS = (0.99, 0.995)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the market: its sign, its outcome's name, the levels of the return that end as far out."""

    sign: Literal[-1, 1]
    target: str
    levels: tuple[float, ...]


SIDES = {
    "dn": Side(-1, "excursion_down", (0.01, 0.005)),
    "up": Side(1, "excursion_up", EXCURSION_LEVELS),
}


@dataclass(frozen=True, slots=True)
class Excursions:
    """Quantiles of excursions at :data:`EXCURSION_LEVELS`, positive log units, shape (n, h, k) down and up.

    Raises
    ------
    ForecastError
        If shapes differ, or a number is not finite, not positive, or less than at the level below.
    """

    down: FloatArray
    up: FloatArray

    def __post_init__(self) -> None:
        """Refuse what no excursion could have."""
        if self.down.shape != self.up.shape or self.down.shape[-1:] != (len(EXCURSION_LEVELS),):
            raise ForecastError(f"excursions have shapes {self.down.shape} down, {self.up.shape} up; give the same")
        for quantiles in (self.down, self.up):
            if not (np.isfinite(quantiles) & (quantiles > 0)).all():
                raise ForecastError(
                    "quantiles of excursions must be finite and positive; "
                    "leave out an instrument whose price stands still"
                )
            if (np.diff(quantiles, axis=-1) < 0).any():
                raise ForecastError("quantiles of excursions cross; rearrange them before")

    def rows(self, first: int, stop: int | None = None) -> "Excursions":
        """Those of origins ``first`` to ``stop - 1``."""
        return Excursions(self.down[first:stop], self.up[first:stop])


def reflected_quantile(level: float) -> float:
    r"""Quantile of the greatest value of a standard Brownian motion over one unit of time.

    .. math:: P\left(\max_{t \le 1} W_t > x\right) = 2 P(W_1 > x), \qquad x_p = \Phi^{-1}\left(\tfrac{1 + p}{2}\right)

    References
    ----------
    The reflection principle: Karatzas & Shreve (1991), "Brownian Motion and Stochastic Calculus", section 2.6.

    Examples
    --------
    >>> round(reflected_quantile(0.99), 4)
    2.5758
    """
    return float(norm.ppf((1 + level) / 2))


def bounds(forecast: Forecast, side: Side, h: int) -> tuple[FloatArray, FloatArray]:
    r"""Least and largest quantiles of an excursion, in deviations, shape (n, k) each.

    With :math:`q_u` the loss at the end that is exceeded with probability u, and :math:`e_u` the mean of losses beyond,

    .. math:: q_u \; \le \; x_{1-u} \; \le \; q_{u/2} \; \le \; e_u

    First: the price that ends there has been there. Second, Lévy's inequality (of Brownian motion an equality, the
    reflection principle): a path of symmetric independent increments, or one of a volatility that is independent of
    them, that has been beyond x ends beyond it at least every other time. Third, Jensen's: the quantile function is
    convex where the density falls outwards. A skewed path may break the second; what is answered is only used where
    nothing better is known, and is not less than what Brownian motion would do.

    Parameters
    ----------
    forecast : n origins, with tails at the levels of the side.
    side : down or up.
    h : column of the horizon.

    References
    ----------
    Lévy's inequality: Loève (1977), "Probability Theory I", 4th ed., section 18.
    """
    columns = [forecast.level_index(level) for level in side.levels]
    deviation = np.sqrt(forecast.variance[:, h])[:, None]
    beyond = side.sign * forecast.shortfall[:, h][:, columns] / deviation
    brownian = np.array([reflected_quantile(level) for level in EXCURSION_LEVELS])
    return end_losses(forecast, side, h) / deviation, np.maximum(beyond, brownian)


def end_losses(forecast: Forecast, side: Side, h: int) -> FloatArray:
    """Quantiles of how far out the price ends, log units, shape (n, k); negative where that is on the good side."""
    columns = [forecast.level_index(level) for level in side.levels]
    return side.sign * forecast.quantiles[:, h][:, columns]


def conditional_scale(shape: Forecast, side: Side, h: int) -> FloatArray:
    r"""How long excursions are in deviations, by the tails of a model whose shape moves, shape (n, k).

    .. math:: c_p = \sqrt{\max(q_p / \sigma, 1)}

    The root: half of what the tail's shape says, in logs. All of it errs at eight hours and a day, where tails are
    estimated of little. A shape that never moves changes nothing. A tail of less than a deviation is no scale.
    """
    return np.sqrt(np.maximum(bounds(shape, side, h)[0], 1.0))


def ratio_law(ratio: FloatArray, fallback: FloatArray, scale: FloatArray | None, memory: Memory) -> FloatArray:
    """Quantiles of the windows' ratios of excursion to deviation, as known at each origin, shape (n, k).

    Parameters
    ----------
    ratio : array of shape (n,), excursion over deviation; NaN where unknown.
    fallback : array of shape (n, k), answered where too few are known.
    scale : array of shape (n, k), positive, divided out of the ratios and put back; None: one.
    memory : what was known when.
    """
    if scale is None:
        return _quantiles(ratio, EXCURSION_LEVELS, fallback, memory)
    parts = [
        scale[:, k] * _quantiles(ratio / scale[:, k], (level,), (fallback / scale)[:, k : k + 1], memory)[:, 0]
        for k, level in enumerate(EXCURSION_LEVELS)
    ]
    return np.stack(parts, axis=1)


def _quantiles(value: FloatArray, levels: tuple[float, ...], fallback: FloatArray, memory: Memory) -> FloatArray:
    """Quantiles of what had ended by the last midnight, shape (n,) -> (n, k)."""
    found = fallback.copy()
    ended, rows, law = memory.ended(value, law_moments(memory.origin_ns, "day"))
    if len(rows):
        found[rows] = upper_quantiles(value[np.isfinite(value)], ended.starts, ended.stops, levels)[law]
    return found
