"""What every model answers, classical or neural, and what it must be able to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from features.errors import ForecastError, SettingError
from features.panel import Panel, horizon_index

FloatArray = NDArray[np.float64]

LEVELS = (0.005, 0.01, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.99, 0.995)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Law of the log return over each horizon after each origin.

    Parameters
    ----------
    origin_ns : array of shape (n,), int64 nanoseconds UTC.
    horizons_s : h horizons in seconds.
    variance : array of shape (n, h), of the log return, over the horizon, not annualised.
    levels : q probabilities, increasing.
    quantiles : array of shape (n, h, q), signed log returns, not decreasing along q.
    shortfall : array of shape (n, h, q)
        Mean log return below the quantile for levels up to one half, above it for higher ones.

    Raises
    ------
    ForecastError
        If a shape does not fit, a number is not finite, a variance is not
        positive, quantiles cross or a shortfall lies inside its quantile.
    """

    origin_ns: NDArray[np.int64]
    horizons_s: tuple[int, ...]
    variance: FloatArray
    levels: tuple[float, ...]
    quantiles: FloatArray
    shortfall: FloatArray

    def __post_init__(self) -> None:
        """Refuse a forecast that no distribution could have."""
        shape = (len(self.origin_ns), len(self.horizons_s))
        tail_shape = (*shape, len(self.levels))
        found = self.variance.shape, self.quantiles.shape, self.shortfall.shape
        if found != (shape, tail_shape, tail_shape):
            raise ForecastError(f"a forecast of shape {tail_shape} got variance, quantiles, shortfall of {found}")
        if not all(np.isfinite(a).all() for a in (self.variance, self.quantiles, self.shortfall)):
            raise ForecastError("a forecast must be finite; a model that cannot forecast must say so, not answer NaN")
        if (self.variance <= 0).any():
            raise ForecastError("a forecast variance must be positive")
        if (np.diff(self.quantiles, axis=-1) < 0).any():
            raise ForecastError("forecast quantiles cross; rearrange them before")
        if (outward(self.levels) * (self.shortfall - self.quantiles) < 0).any():
            raise ForecastError("a forecast shortfall lies inside its quantile")

    def rows(self, first: int, stop: int | None = None) -> "Forecast":
        """The forecasts of origins ``first`` to ``stop - 1``."""
        cut = slice(first, stop)
        return Forecast(
            self.origin_ns[cut],
            self.horizons_s,
            self.variance[cut],
            self.levels,
            self.quantiles[cut],
            self.shortfall[cut],
        )

    def horizon_index(self, horizon_s: int) -> int:
        """Column of a horizon; UnknownHorizonError if it was not forecast."""
        return horizon_index(self.horizons_s, horizon_s)

    def level_index(self, level: float) -> int:
        """Column of a level.

        Raises
        ------
        SettingError
            If it was not forecast; the message lists those that were.
        """
        if level not in self.levels:
            known = ", ".join(f"{p:g}" for p in self.levels)
            raise SettingError(f"no forecast at level {level:g}; known: {known}")
        return self.levels.index(level)


def outward(levels: tuple[float, ...]) -> FloatArray:
    """Direction of the tail of each level: -1 up to one half, +1 above, shape (q,).

    Examples
    --------
    >>> outward((0.01, 0.5, 0.99))
    array([-1., -1.,  1.])
    """
    return np.where(np.array(levels) > 0.5, 1.0, -1.0)


def concatenate(parts: list[Forecast]) -> Forecast:
    """Join forecasts of consecutive origins."""
    return Forecast(
        np.concatenate([p.origin_ns for p in parts]),
        parts[0].horizons_s,
        np.concatenate([p.variance for p in parts]),
        parts[0].levels,
        np.concatenate([p.quantiles for p in parts]),
        np.concatenate([p.shortfall for p in parts]),
    )


class Forecaster(Protocol):
    """A model of the law of returns.

    The past is an argument and there is no other way to it: ``fit`` and
    ``forecast`` see the panel that they are given, and row i of a forecast may
    use rows up to i of its values, never its targets.
    """

    def fit(self, panel: Panel) -> Self:
        """Fit on every row whose window had ended; other targets are NaN. Answers a fitted model."""
        ...

    def forecast(self, panel: Panel) -> Forecast:
        """Forecast from every origin of the panel, before calibration."""
        ...


class PooledForecaster(Protocol):
    """A model that learns from several instruments at once and forecasts each of them, also one that it never saw.

    What one instrument tells of another comes through the spec's leaders (``BTCUSDT.log_rv_1h``): a panel alone
    is enough to forecast from.
    """

    def fit(self, panels: Sequence[Panel]) -> Self:
        """Fit on every row whose window had ended, of panels of one spec. Answers a fitted model."""
        ...

    def forecast(self, panel: Panel) -> Forecast:
        """Forecast from every origin of one instrument's panel, before calibration."""
        ...
