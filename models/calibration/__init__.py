"""Online calibration, the same for every model: debiased variance, and tails from what the past's residuals say.

Everything here is causal and by time: the value at an origin uses windows that had ended by it. Forecasts may be of
some of the panel's origins only, with holes between them.
"""

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.errors import ForecastError, lookup
from features.panel import Panel
from models.base import Forecast
from models.calibration.bias import bias_of_ended, online_bias
from models.calibration.laws import Memory, historical_shift, learned
from models.calibration.settings import PATIENT, SETTLING_ROWS, Calibration
from models.calibration.tracking import tracked
from models.calibration.windows import Ended
from models.tails import TAILS

__all__ = ["OWN", "PATIENT", "SETTLING_ROWS", "Calibration", "Memory", "calibrate", "historical_shift", "online_bias"]

FloatArray = NDArray[np.float64]
OWN = "own"


def calibrate(
    raw: Forecast, panel: Panel, settings: Calibration, first_row: int = 0, tail: str = OWN, *, track: bool = False
) -> Forecast:
    """Debias the variance, then give it tails by what the last year's residuals say.

    Parameters
    ----------
    raw : forecasts from origins of the panel, not necessarily all.
    panel : their past; its targets are used only once their windows had ended.
    settings : memory of the calibration.
    first_row : rows of ``raw`` before it are used but not answered.
    tail : ``own``, the model's shape moved by :func:`historical_shift`, or a name of :data:`models.tails.TAILS`.
    track : move the quantiles on by :func:`models.calibration.tracking.tracked`.

    Returns
    -------
    Forecast
        From row ``first_row`` on.

    Raises
    ------
    ForecastError, SettingError
        If a forecast is from an origin that the panel does not have; if there is no such tail.
    """
    rows = _rows_of(raw, panel)
    law = None if tail == OWN else lookup(TAILS, tail, "tail")
    step_ns = panel.spec.every_s * NS_PER_S
    variance = np.empty_like(raw.variance)
    quantiles, shortfall = np.empty_like(raw.quantiles), np.empty_like(raw.shortfall)
    for h, horizon_s in enumerate(raw.horizons_s):
        column, horizon_ns = panel.horizon_index(horizon_s), horizon_s * NS_PER_S
        ended = Ended.of(raw.origin_ns, raw.origin_ns, horizon_ns, settings.bias_rows * step_ns)
        bias = bias_of_ended(raw.variance[:, h], panel.targets.realised_variance[rows, column], ended, settings)
        variance[:, h] = raw.variance[:, h] * bias
        scale, standard = np.sqrt(variance[:, h])[:, None], np.sqrt(raw.variance[:, h])[:, None]
        shape, beyond = raw.quantiles[:, h] / standard, raw.shortfall[:, h] / standard
        z = panel.targets.log_return[rows, column] / scale[:, 0]
        memory = Memory(
            raw.origin_ns, horizon_ns, settings.tail_rows * step_ns, settings.least_rows, 0 if track else first_row
        )
        if law is None:
            shape, beyond = historical_shift(z, shape, beyond, raw.levels, memory)
        else:
            shape, beyond = learned(law, z, shape, beyond, raw.levels, memory)
        if track:
            shape, beyond = tracked(z, shape, beyond, raw.levels, raw.origin_ns, horizon_ns, step_ns)
        quantiles[:, h], shortfall[:, h] = shape * scale, beyond * scale
    return Forecast(raw.origin_ns, raw.horizons_s, variance, raw.levels, quantiles, shortfall).rows(first_row)


def _rows_of(raw: Forecast, panel: Panel) -> NDArray[np.int64]:
    """Row of the panel of each forecast."""
    rows = np.searchsorted(panel.origin_ns, raw.origin_ns)
    found = panel.origin_ns[np.minimum(rows, len(panel) - 1)] == raw.origin_ns if len(panel) else np.zeros(0, bool)
    if not found.all() or (np.diff(raw.origin_ns) <= 0).any():
        raise ForecastError(
            f"{panel.instrument}: forecasts to calibrate must be from origins of the panel, in order of time, "
            "each once; give the panel that they were made from"
        )
    return rows
