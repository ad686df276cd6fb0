"""Quantiles of adverse excursions: how far the price goes against a position within a horizon, not where it ends."""

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.errors import ForecastError
from features.panel import Panel
from models.base import Forecast
from models.calibration.laws import Memory
from models.calibration.settings import Calibration
from models.calibration.standard import rows_of
from models.excursions.law import (
    EXCURSION_LEVELS,
    SIDES,
    Excursions,
    Side,
    bounds,
    conditional_scale,
    end_losses,
    ratio_law,
)
from models.excursions.tracking import tracked_excursions

__all__ = ["EXCURSION_LEVELS", "Excursions", "forecast_excursions"]

FloatArray = NDArray[np.float64]


def forecast_excursions(
    forecast: Forecast, panel: Panel, settings: Calibration, *, shape: Forecast | None = None, track: bool = False
) -> Excursions:
    r"""Quantiles of the excursions that follow from a calibrated forecast and the excursions of the past.

    .. math:: x_{p,t} = \max\left( \sigma_t \, c_{p,t} \, Q_p\left\{ \frac{D_s}{\sigma_s c_{p,s}} \right\},
              \; \ell_{p,t} \right)

    D is the excursion of a window s that had ended by the last midnight UTC, :math:`\sigma^2` the calibrated variance,
    c a :func:`~models.excursions.law.conditional_scale`. :math:`\ell_p` is the forecast's own quantile of the loss at
    the end: an excursion is never less than it, :math:`D \ge -r`, so neither is its quantile. Where too few windows
    are known the answer is the upper one of :func:`~models.excursions.law.bounds`.

    Parameters
    ----------
    forecast : calibrated, of n origins of the panel; also of those that the past's ratios are made of.
    panel : their past; its targets are used only once their windows had ended.
    settings : memory, the same as of the calibration.
    shape : forecasts of the same origins whose tails, in deviations, say when excursions are long; None: nothing does.
    track : move the quantiles on by :func:`~models.excursions.tracking.tracked_excursions`.

    Raises
    ------
    ForecastError
        If forecasts are of other origins than the panel's or than those of ``shape``.
    SettingError, UnknownHorizonError
        If a forecast has no quantile at the levels of the excursions; if the panel has not its horizons.

    References
    ----------
    Barone-Adesi, Giannopoulos & Vosper (1999), "VaR without correlations for portfolios of derivative securities",
    J. Futures Markets 19(5), filtered historical simulation, here of excursions.
    """
    rows = rows_of(forecast, panel)
    if shape is not None and not np.array_equal(shape.origin_ns, forecast.origin_ns):
        raise ForecastError(f"{panel.instrument}: the shape is of other origins than the forecast; align them")
    found: dict[str, FloatArray] = {}
    for name, side in SIDES.items():
        outcome = getattr(panel.targets, side.target)[rows]
        found[name] = np.empty((*forecast.variance.shape, len(EXCURSION_LEVELS)))
        for h, horizon_s in enumerate(forecast.horizons_s):
            excursion = outcome[:, panel.horizon_index(horizon_s)]
            found[name][:, h] = _one(forecast, panel, settings, shape, side, excursion, h, track=track)
    return Excursions(found["dn"], found["up"])


def _one(
    forecast: Forecast, panel: Panel, settings: Calibration, shape: Forecast | None, side: Side,
    excursion: FloatArray, h: int, *, track: bool,
) -> FloatArray:  # fmt: skip
    """Quantiles of one side over one horizon, shape (n,) -> (n, k)."""
    every_ns, horizon_ns = panel.spec.every_s * NS_PER_S, forecast.horizons_s[h] * NS_PER_S
    memory = Memory(forecast.origin_ns, horizon_ns, settings.tail_rows * every_ns, settings.least_rows)
    deviation = np.sqrt(forecast.variance[:, h])
    ratio = excursion / deviation
    lower, upper = bounds(forecast, side, h)
    quantiles = ratio_law(ratio, upper, None if shape is None else conditional_scale(shape, side, h), memory)
    if track:
        quantiles = tracked_excursions(ratio, quantiles, lower, forecast.origin_ns, horizon_ns, every_ns)
    # in log units once more: division and multiplication may have taken a last digit off the bound
    found = np.maximum(quantiles * deviation[:, None], end_losses(forecast, side, h))
    return np.maximum.accumulate(found, axis=1)
