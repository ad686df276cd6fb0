"""Extreme value theory: an empirical body with generalised Pareto tails."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.errors import SettingError, ShortHistoryError
from models.tails.base import FloatArray, Ints, sorted_quantile, sorted_windows
from models.tails.historical import empirical

LEAST_EXCEEDANCES = 10
EXPONENTIAL = 1e-6  # an index closer to zero is one


@dataclass(frozen=True, slots=True)
class GeneralisedPareto:
    r"""The window's own quantiles up to a threshold, a generalised Pareto law beyond it.

    .. math:: q_p = u + \frac{\sigma}{\xi} \left( \left( \frac{p}{\tau} \right)^{-\xi} - 1 \right), \qquad
              ES_p = \frac{q_p + \sigma - \xi u}{1 - \xi}

    for the losses beyond their quantile u at the share :math:`\tau`, each side by itself. Scale and index by
    probability-weighted moments: in closed form, and an index below one, so that the shortfall exists.

    Parameters
    ----------
    share : of the window that lies beyond each threshold, below one half.

    References
    ----------
    McNeil & Frey (2000), "Estimation of tail-related risk measures for heteroscedastic financial time series",
    J. Empirical Finance 7; Hosking & Wallis (1987), "Parameter and quantile estimation for the generalized Pareto
    distribution", Technometrics 29(3).
    """

    share: float = 0.05
    refit: Literal["day", "month"] = "day"

    def __post_init__(self) -> None:
        """Refuse a share that leaves no body."""
        if not 0 < self.share < 0.5:
            raise SettingError(f"share={self.share} of each tail leaves no body; choose one between 0 and 0.5")

    def __call__(
        self, z: FloatArray, starts: Ints, stops: Ints, levels: tuple[float, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """See :class:`models.tails.base.Tail`.

        Raises
        ------
        ShortHistoryError
            If fewer than ten values lie beyond a threshold.
        """
        shape, beyond = np.empty((len(starts), len(levels))), np.empty((len(starts), len(levels)))
        level = np.array(levels)
        lower, upper = level < self.share, 1 - level < self.share - 1e-12
        for i, window in enumerate(sorted_windows(z, starts, stops)):
            empirical(window, level, shape[i], beyond[i])
            shape[i, lower], beyond[i, lower] = (-part for part in self._tail(-window[::-1], level[lower]))
            shape[i, upper], beyond[i, upper] = self._tail(window, 1 - level[upper])
        return shape, beyond

    def _tail(self, window: FloatArray, chance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Quantiles exceeded with a chance below the share, and the means above them, of sorted values."""
        threshold = sorted_quantile(window, 1 - self.share)
        excess = window[np.searchsorted(window, threshold) :] - threshold
        if len(excess) < LEAST_EXCEEDANCES:
            raise ShortHistoryError(
                f"a generalised Pareto tail needs {LEAST_EXCEEDANCES} values beyond its threshold, {len(window)} "
                f"values have {len(excess)}; give a longer memory, or choose the tail fhs"
            )
        scale, index = pareto_parameters(excess)
        ratio = np.log(self.share / chance)
        reach = ratio if abs(index) < EXPONENTIAL else np.expm1(index * ratio) / index
        quantile = threshold + scale * reach
        return quantile, quantile + (scale + index * scale * reach) / (1 - index)


def pareto_parameters(excess: FloatArray) -> tuple[float, float]:
    r"""Scale and index of a generalised Pareto law by probability-weighted moments.

    .. math:: \sigma = \frac{2 a_0 a_1}{a_0 - 2 a_1}, \qquad \xi = 2 - \frac{a_0}{a_0 - 2 a_1}, \qquad
              a_s = E[X (1 - F(X))^s]

    Parameters
    ----------
    excess : array of shape (n,), not negative, in increasing order.

    Examples
    --------
    >>> share = (np.arange(100_000) + 0.65) / 100_000
    >>> [round(x, 2) for x in pareto_parameters(0.5 * ((1 - share) ** -0.2 - 1) / 0.2)]
    [0.5, 0.2]
    """
    n = len(excess)
    a0 = excess.mean()
    a1 = (excess * (1 - (np.arange(n) + 0.65) / n)).mean()
    gap = max(a0 - 2 * a1, 1e-12 * a0 + 1e-300)
    return float(2 * a0 * a1 / gap), float(2 - a0 / gap)
