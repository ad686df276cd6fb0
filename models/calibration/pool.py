"""Several instruments calibrated together: what one shows of its quantiles helps those that have shown little."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.errors import ForecastError
from features.panel import Panel
from models.base import Forecast
from models.calibration.conformal import Series
from models.calibration.standard import Chain, Standard, standardised, tracked

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]


def calibrate_together(
    raw: Mapping[str, Forecast], panels: Mapping[str, Panel], chain: Chain, pool_windows: float
) -> dict[str, Forecast]:
    r"""Calibrate each instrument by itself but for tracking, whose offsets are partially pooled.

    Parameters
    ----------
    raw : forecasts by instrument, of the same horizons and levels; origins may differ.
    panels : their past by instrument; targets are used only once their windows had ended.
    chain : what is done; it must track.
    pool_windows : :math:`\kappa` of :func:`models.calibration.conformal.pool_offset`, windows that do not overlap
        after which an instrument's own offset weighs as much as the mean of all; 0: each by itself.

    Returns
    -------
    Forecasts by instrument, of all rows of ``raw``.

    Raises
    ------
    ForecastError, SettingError
        If an instrument has no panel, horizons or levels differ, or the chain tracks nothing.
    """
    method, one = chain.method, _one_kind(raw, panels)
    if method is None:
        raise ForecastError("nothing to pool: the chain does not track; name a method of CONFORMAL, or calibrate each")
    ts_ns = np.unique(np.concatenate([forecast.origin_ns for forecast in raw.values()]))
    every_ns = next(iter(panels.values())).spec.every_s * NS_PER_S
    parts: dict[str, list[Standard]] = {name: [] for name in raw}
    for h, horizon_s in enumerate(one.horizons_s):
        found = {name: standardised(forecast, panels[name], h, chain) for name, forecast in raw.items()}
        rows = {name: np.searchsorted(ts_ns, forecast.origin_ns) for name, forecast in raw.items()}
        series = _together(ts_ns, horizon_s * NS_PER_S, list(found.values()), list(rows.values()))
        told = tracked(method, series, one.levels, every_ns, pool_windows)
        for i, (name, part) in enumerate(found.items()):
            moved = told[rows[name], i]
            parts[name].append(Standard(part.variance, part.z, moved, moved + (part.beyond - part.shape)))
    return {name: forecast_of(raw[name], part) for name, part in parts.items()}


def forecast_of(raw: Forecast, parts: list[Standard]) -> Forecast:
    """The forecast of one instrument from its horizons."""
    scale = np.sqrt(np.stack([part.variance for part in parts], axis=1))[..., None]
    return Forecast(
        raw.origin_ns,
        raw.horizons_s,
        np.stack([part.variance for part in parts], axis=1),
        raw.levels,
        np.stack([part.shape for part in parts], axis=1) * scale,
        np.stack([part.beyond for part in parts], axis=1) * scale,
    )


def _one_kind(raw: Mapping[str, Forecast], panels: Mapping[str, Panel]) -> Forecast:
    """The first of the forecasts, which all others are like."""
    absent = sorted(set(raw) - set(panels))
    if absent or not raw:
        raise ForecastError(f"no panel of {', '.join(absent) or 'anything'}; give the panels of the forecasts")
    first = next(iter(raw.values()))
    for name, forecast in raw.items():
        if (forecast.horizons_s, forecast.levels) != (first.horizons_s, first.levels):
            raise ForecastError(f"{name}: other horizons or levels than {next(iter(raw))}; calibrate it by itself")
        if panels[name].spec.every_s != panels[next(iter(raw))].spec.every_s:
            raise ForecastError(f"{name}: origins of another distance than {next(iter(raw))}'s; calibrate it by itself")
    return first


def _together(ts_ns: Ints, horizon_ns: int, parts: list[Standard], rows: list[Ints]) -> Series:
    """Instruments beside each other on one clock."""
    n, c, q = len(ts_ns), len(parts), parts[0].shape.shape[1]
    z, shape, present = np.full((n, c), np.nan), np.zeros((n, c, q)), np.zeros((n, c), dtype=bool)
    log_sd = np.zeros((n, c))
    for i, (part, row) in enumerate(zip(parts, rows, strict=True)):
        z[row, i], shape[row, i], present[row, i] = part.z, part.shape, True
        log_sd[row, i] = np.log(np.sqrt(part.variance))
    return Series(ts_ns, horizon_ns, z, shape, present, log_sd)
