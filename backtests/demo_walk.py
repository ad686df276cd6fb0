"""Forecasts as they would have been made: refitted on a schedule, each on the past of its own time."""

from pathlib import Path

import numpy as np
import pandas as pd

from features.clock import month_starts
from features.errors import ShortHistoryError
from features.files import written_whole
from features.panel import Panel
from features.pipeline import Progress, no_progress
from models.base import LEVELS, Forecast, Forecaster, concatenate
from models.calibration import Calibration, calibrate
from models.neural.forecaster import Frozen


def walk_forward(
    model: Forecaster,
    panel: Panel,
    from_ns: int,
    to_ns: int,
    calibration: Calibration,
    progress: Progress = no_progress,
) -> Forecast:
    """Calibrated forecasts from every origin in ``[from_ns, to_ns]``, refitted at each month's start.

    A fold's model is fitted on the panel as it stood at the fold's start:
    windows that had not ended then are NaN, which is the purge. Calibration
    moves on hour by hour, on windows that had ended. A model that was trained
    beforehand comes as :class:`models.neural.forecaster.Frozen`, so that
    it is not calibrated on what it was trained on.

    Raises
    ------
    ShortHistoryError
        If the panel has no origin in the period or no past before it.
    """
    starts = month_starts(from_ns, to_ns)
    if panel.first_row_from(from_ns) == 0 or panel.origin_ns[-1] < from_ns:
        raise ShortHistoryError("a walk-forward needs origins in its period and a past before it; choose other dates")
    folds = []
    for i, (start_ns, stop_ns) in enumerate(zip(starts, [*starts[1:], to_ns + 1], strict=True)):
        folds.append(_fold(model, panel, start_ns, stop_ns, calibration))
        progress(i + 1, len(starts))
    return concatenate(folds)


def _fold(model: Forecaster, panel: Panel, start_ns: int, stop_ns: int, calibration: Calibration) -> Forecast:
    """Fit at the start, forecast the origins in ``[start_ns, stop_ns)``."""
    fitted = model.fit(panel.until(start_ns))
    past = panel.until(stop_ns - 1)
    first = past.first_row_from(start_ns)
    recent = past.rows(max(0, first - calibration.warm_up_rows), len(past))
    handover_ns = fitted.trained_until_ns if isinstance(fitted, Frozen) else None
    raw, first = fitted.forecast(recent), recent.first_row_from(start_ns)
    return calibrate(raw, recent, calibration, first, handover_ns=handover_ns)


def write_forecasts(forecasts: dict[str, Forecast], instrument: str, path: Path) -> None:
    """Write forecasts as a long table: one row a model, origin and horizon, a column a level.

    Columns: instrument, origin_ms, horizon_s, model, variance, ``q_LEVEL``, ``es_LEVEL``.
    """
    frames = [_to_frame(forecast, instrument, name) for name, forecast in forecasts.items()]
    with written_whole(path) as scratch:
        pd.concat(frames, ignore_index=True).to_parquet(scratch, compression="zstd", index=False)


def _to_frame(forecast: Forecast, instrument: str, model: str) -> pd.DataFrame:
    n, n_horizons = forecast.variance.shape
    columns = {
        "instrument": instrument,
        "origin_ms": np.repeat(forecast.origin_ns // 1_000_000, n_horizons),
        "horizon_s": np.tile(np.array(forecast.horizons_s, dtype=np.int32), n),
        "model": model,
        "variance": forecast.variance.ravel(),
    }
    for k, level in enumerate(forecast.levels):
        columns[f"q_{level:g}"] = forecast.quantiles[:, :, k].ravel()
        columns[f"es_{level:g}"] = forecast.shortfall[:, :, k].ravel()
    return pd.DataFrame(columns)


def read_forecasts(path: Path, model: str) -> Forecast:
    """Read one model's forecasts back from :func:`write_forecasts`."""
    frame = pd.read_parquet(path, filters=[("model", "==", model)])
    horizons_s = tuple(int(h) for h in frame["horizon_s"].unique())
    shape = (-1, len(horizons_s), len(LEVELS))
    return Forecast(
        origin_ns=frame["origin_ms"].to_numpy()[:: len(horizons_s)] * 1_000_000,
        horizons_s=horizons_s,
        variance=frame["variance"].to_numpy().reshape(shape[:2]),
        levels=LEVELS,
        quantiles=frame[[f"q_{p:g}" for p in LEVELS]].to_numpy().reshape(shape),
        shortfall=frame[[f"es_{p:g}" for p in LEVELS]].to_numpy().reshape(shape),
    )
