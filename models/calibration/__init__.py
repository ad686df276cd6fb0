"""Online calibration, the same for every model: debiased variance, and tails from what the past's residuals say.

Everything here is causal and by time: the value at an origin uses windows that had ended by it. Forecasts may be of
some of the panel's origins only, with holes between them.
"""

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.panel import Panel
from models.base import Forecast
from models.calibration.bias import online_bias
from models.calibration.conformal import CONFORMAL, Conformal, Series
from models.calibration.laws import Memory, historical_shift
from models.calibration.online import OnlineCalibrator
from models.calibration.pool import calibrate_together
from models.calibration.recalibration import RECALIBRATIONS
from models.calibration.settings import PATIENT, SETTLING_ROWS, Calibration
from models.calibration.standard import OWN, Chain, rows_of, standardised, tracked

__all__ = [
    "CONFORMAL",
    "OWN",
    "PATIENT",
    "RECALIBRATIONS",
    "SETTLING_ROWS",
    "Calibration",
    "Chain",
    "Memory",
    "OnlineCalibrator",
    "calibrate",
    "calibrate_together",
    "historical_shift",
    "online_bias",
]

FloatArray = NDArray[np.float64]


def calibrate(
    raw: Forecast,
    panel: Panel,
    settings: Calibration,
    first_row: int = 0,
    tail: str = OWN,
    *,
    recalibrate: str | None = None,
    track: bool | str | Conformal = False,
    handover_ns: int | None = None,
) -> Forecast:
    """Debias the variance, then give it tails by what the last year's residuals say.

    Parameters
    ----------
    raw : forecasts from origins of the panel, not necessarily all.
    panel : their past; its targets are used only once their windows had ended.
    settings : memory of the calibration.
    first_row : rows of ``raw`` before it are used but not answered.
    tail : ``own``, the model's shape moved by :func:`historical_shift`, or a name of :data:`models.tails.TAILS`.
    recalibrate : map the quantiles by a name of :data:`RECALIBRATIONS`, refitted monthly.
    track : move the quantiles on by a method of :data:`CONFORMAL`, by its name or itself; True: by the tracker.
    handover_ns : origins up to this instant were forecast by another model than those after it, which it taught.
        All tails learn from the residuals of both, each standardised by its own debiased variance. The later model's
        variance is debiased by its own windows: one of the other counts as if RV/f had been 1, for what the other
        was biased by, the later may have learned to correct. None: one model.

    Returns
    -------
    Forecast
        From row ``first_row`` on.

    Raises
    ------
    ForecastError, SettingError
        If a forecast is from an origin that the panel does not have; if there is no such tail, map or method.
    """
    chain = Chain(settings, tail, recalibrate, track)
    rows_of(raw, panel)
    variance = np.empty_like(raw.variance)
    quantiles, shortfall = np.empty_like(raw.quantiles), np.empty_like(raw.shortfall)
    for h in range(len(raw.horizons_s)):
        part = standardised(raw, panel, h, chain, first_row, handover_ns)
        variance[:, h], scale = part.variance, np.sqrt(part.variance)[:, None]
        shape, beyond = part.shape, part.beyond
        if chain.method is not None:
            horizon_ns, every_ns = raw.horizons_s[h] * NS_PER_S, panel.spec.every_s * NS_PER_S
            present = np.ones((len(part.z), 1), dtype=bool)
            log_sd = np.log(scale)
            series = Series(raw.origin_ns, horizon_ns, part.z[:, None], shape[:, None], present, log_sd)
            shape = tracked(chain.method, series, raw.levels, every_ns)[:, 0]
            beyond = shape + (beyond - part.shape)
        quantiles[:, h], shortfall[:, h] = shape * scale, beyond * scale
    return Forecast(raw.origin_ns, raw.horizons_s, variance, raw.levels, quantiles, shortfall).rows(first_row)
