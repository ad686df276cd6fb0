"""From a raw forecast to a debiased variance, a tail and what came of it in standard deviations: one horizon."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.errors import ForecastError, lookup
from features.panel import Panel
from models.base import Forecast
from models.calibration.bias import bias_of_ended
from models.calibration.conformal import CONFORMAL, Conformal, Scale, Series, Tracker
from models.calibration.laws import Memory, historical_shift, learned
from models.calibration.recalibration import RECALIBRATIONS, recalibrated
from models.calibration.settings import Calibration
from models.calibration.windows import Ended
from models.tails import TAILS

FloatArray = NDArray[np.float64]
OWN = "own"


@dataclass(frozen=True, slots=True)
class Standard:
    """Variance (n,), standardised returns (n,), NaN where unknown, and standardised quantiles, shortfalls (n, q)."""

    variance: FloatArray
    z: FloatArray
    shape: FloatArray
    beyond: FloatArray


@dataclass(frozen=True, slots=True)
class Chain:
    """What is done to a raw forecast, and in this order: debias, tail, recalibration, tracking.

    ``tail``: ``own`` or a name of :data:`models.tails.TAILS`. ``recalibrate``: None or a name of
    :data:`models.calibration.recalibration.RECALIBRATIONS`. ``track``: a method, a name of
    :data:`models.calibration.conformal.CONFORMAL`, True for the tracker.
    """

    settings: Calibration
    tail: str = OWN
    recalibrate: str | None = None
    track: bool | str | Conformal = False

    def __post_init__(self) -> None:
        """Refuse names that there are not."""
        if self.tail != OWN:
            lookup(TAILS, self.tail, "tail")
        if self.recalibrate is not None:
            lookup(RECALIBRATIONS, self.recalibrate, "recalibration")
        _ = self.method

    @property
    def method(self) -> Conformal | None:
        """The method that tracks, if one does."""
        if isinstance(self.track, str):
            return lookup(CONFORMAL, self.track, "tracking")
        if isinstance(self.track, bool):
            return Tracker() if self.track else None
        return self.track

    @property
    def needs_the_past(self) -> bool:
        """Whether a later step learns from what the tail answered before the first row of interest."""
        return self.recalibrate is not None or self.method is not None


def rows_of(raw: Forecast, panel: Panel) -> NDArray[np.int64]:
    """Row of the panel of each forecast."""
    rows = np.searchsorted(panel.origin_ns, raw.origin_ns)
    found = panel.origin_ns[np.minimum(rows, len(panel) - 1)] == raw.origin_ns if len(panel) else np.zeros(0, bool)
    if not found.all() or len(found) != len(rows) or (np.diff(raw.origin_ns) <= 0).any():
        raise ForecastError(
            f"{panel.instrument}: forecasts to calibrate must be from origins of the panel, in order of time, "
            "each once; give the panel that they were made from"
        )
    return rows


def standardised(
    raw: Forecast, panel: Panel, h: int, chain: Chain, first_row: int = 0, handover_ns: int | None = None
) -> Standard:
    """Horizon h of a forecast, untracked: debiased, with its tail, recalibrated.

    Parameters
    ----------
    raw : forecasts from origins of the panel.
    panel : their past.
    h : column of the horizon in ``raw``.
    chain : what is done; tracking is not done here.
    first_row : rows before it may be left with the model's own tails.
    handover_ns : see :func:`models.calibration.calibrate`.
    """
    rows, settings = rows_of(raw, panel), chain.settings
    step_ns, horizon_ns = panel.spec.every_s * NS_PER_S, raw.horizons_s[h] * NS_PER_S
    column = panel.horizon_index(raw.horizons_s[h])
    ended = Ended.of(raw.origin_ns, raw.origin_ns, horizon_ns, settings.bias_rows * step_ns)
    realised = panel.targets.realised_variance[rows, column]
    bias = bias_of_ended(raw.variance[:, h], realised, ended, settings)
    if handover_ns is not None:
        later = raw.origin_ns > handover_ns
        as_forecast = np.where(later | np.isnan(realised), realised, raw.variance[:, h])
        bias = np.where(later, bias_of_ended(raw.variance[:, h], as_forecast, ended, settings), bias)
    variance = (raw.variance[:, h] * bias).astype(raw.variance.dtype, copy=False)
    standard = np.sqrt(raw.variance[:, h])[:, None]
    shape, beyond = raw.quantiles[:, h] / standard, raw.shortfall[:, h] / standard
    z = panel.targets.log_return[rows, column] / np.sqrt(variance)
    first = 0 if chain.needs_the_past else first_row
    memory = Memory(raw.origin_ns, horizon_ns, settings.tail_rows * step_ns, settings.least_rows, first)
    if chain.tail == OWN:
        shape, beyond = historical_shift(z, shape, beyond, raw.levels, memory)
    else:
        shape, beyond = learned(TAILS[chain.tail], z, shape, beyond, raw.levels, memory)
    if chain.recalibrate is not None:
        method = RECALIBRATIONS[chain.recalibrate]
        shape, beyond = recalibrated(method, z, shape, beyond, raw.levels, memory)
    return Standard(variance, z, shape, beyond)


def tracked(
    method: Conformal, series: Series, levels: tuple[float, ...], every_ns: int, pool_windows: float = 0.0
) -> FloatArray:
    """Quantiles that a method tells of one horizon, shape (T, c, q); see :class:`Series`."""
    return method.walk(series, Scale.of(levels, series.horizon_ns, every_ns), pool_windows)
