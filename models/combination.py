"""One forecast from several: a weighted mean of log variances and of shapes, its weights learned as outcomes come."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from features.clock import DAY_NS, NS_PER_S
from features.errors import ConvergenceError, ForecastError, SettingError, ShortHistoryError
from features.panel import Panel
from models.base import Forecast

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Weighing:
    """How weights are learned.

    ``memory_days``: of ended windows. ``shrinkage``: windows that do not overlap that "all models are equal" is worth;
    0 believes the past alone. ``least_windows``: fewer known ones leave the weights equal. ``sane_factor``: a variance
    further than this from the median of all models counts as this far: one that has gone mad cannot take the
    combination with it.
    """

    memory_days: int = 365
    shrinkage: float = 50.0
    least_windows: int = 24 * 30
    sane_factor: float = 4.0

    def __post_init__(self) -> None:
        """Refuse settings under which nothing is learned."""
        if self.memory_days < 1 or self.shrinkage < 0 or self.least_windows < 1 or not self.sane_factor > 1:
            raise SettingError(
                f"{self}: choose memory_days and least_windows of 1 at least, shrinkage from 0, sane_factor above 1"
            )


def best_weights(log_variances: FloatArray, realised: FloatArray, shrinkage: float) -> FloatArray:
    r"""Weights of the least QLIKE on the simplex, shrunk to equal ones, shape (k,).

    .. math:: \min_{w \ge 0, \, \sum w = 1} \; \frac1n \sum_t \Big( \frac{RV_t}{f_t} + \ln f_t \Big)
              + \lambda \, k \sum_k (w_k - 1/k)^2, \qquad \ln f_t = \sum_k w_k \ln f_{k,t}

    The objective is convex: there is one optimum, whatever the order of the models.

    Parameters
    ----------
    log_variances : array of shape (k, n).
    realised : array of shape (n,), positive.
    shrinkage : the penalty, per window.

    Raises
    ------
    ConvergenceError
        If the optimum is not found.

    References
    ----------
    Bates & Granger (1969), "The combination of forecasts", Operational Research Quarterly 20(4); Patton & Sheppard
    (2009), "Optimal combinations of realised volatility estimators", Int. J. Forecasting 25(2).

    Examples
    --------
    >>> log_variances = np.log([[1.0, 4.0, 2.0], [2.0, 1.0, 5.0]])
    >>> best_weights(log_variances, np.array([1.0, 4.0, 2.0]), 0.0).round(3)
    array([1., 0.])
    """
    k, n = log_variances.shape
    equal = np.full(k, 1 / k)
    centre = log_variances.mean(axis=0)
    gap, base = log_variances - centre, realised / np.exp(centre)

    def loss(weight: FloatArray) -> tuple[float, FloatArray]:
        step = weight @ gap
        ratio = base * np.exp(-step)
        penalty = shrinkage * k * np.square(weight - equal).sum()
        return float((ratio + step).mean() + penalty), gap @ (1 - ratio) / n + 2 * shrinkage * k * (weight - equal)

    found = minimize(
        loss,
        equal,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * k,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    if not found.success:
        raise ConvergenceError(f"weights of {k} models over {n} windows: {found.message}; raise shrinkage")
    weight: FloatArray = np.maximum(found.x, 0.0)
    weight /= weight.sum()
    return weight


def monthly_weights(
    variances: FloatArray, realised: FloatArray, origin_ns: Ints, horizons_s: Sequence[int], settings: Weighing
) -> tuple[Ints, FloatArray]:
    """Weights of each month, from the windows that had ended by its first instant.

    Parameters
    ----------
    variances : array of shape (k, n, h), forecasts of k models; NaN where one has none.
    realised : array of shape (n, h), NaN where unknown.
    origin_ns : array of shape (n,), increasing.
    horizons_s : h horizons in seconds.

    Returns
    -------
    month_ns : array of shape (m,), first instants of the months that the origins lie in.
    weights : array of shape (m, h, k), not negative, of sum 1.
    """
    k = len(variances)
    month_ns = np.unique(origin_ns.view("M8[ns]").astype("M8[M]")).astype("M8[ns]").astype(np.int64)
    weights = np.full((len(month_ns), len(horizons_s), k), 1 / k)
    step_ns = int(np.diff(origin_ns).min()) if len(origin_ns) > 1 else NS_PER_S
    for h, horizon_s in enumerate(horizons_s):
        known = np.isfinite(variances[:, :, h]).all(axis=0) & np.isfinite(realised[:, h])
        ends_ns = origin_ns + horizon_s * NS_PER_S
        lap = min(1.0, step_ns / (horizon_s * NS_PER_S))  # of a window that its neighbour does not share
        for m, now_ns in enumerate(month_ns):
            used = known & (ends_ns <= now_ns) & (ends_ns > now_ns - settings.memory_days * DAY_NS)
            if k > 1 and used.sum() >= settings.least_windows:
                penalty = settings.shrinkage / (used.sum() * lap)
                weights[m, h] = best_weights(np.log(variances[:, used, h]), realised[used, h], penalty)
    return month_ns, weights


def weights_at(
    variances: FloatArray, realised: FloatArray, origin_ns: Ints, horizons_s: Sequence[int], settings: Weighing
) -> FloatArray:
    """Weights of each origin's month, shared out among the models that have a forecast there, shape (k, n, h)."""
    month_ns, weights = monthly_weights(variances, realised, origin_ns, horizons_s, settings)
    month = np.searchsorted(month_ns, origin_ns, side="right") - 1
    present = np.where(np.isfinite(variances), np.moveaxis(weights[month], 2, 0), 0.0)
    total = present.sum(axis=0)
    some = np.isfinite(variances).sum(axis=0)
    # Where all that is there has no weight, those that are there count alike.
    alike = np.isfinite(variances) / np.maximum(some, 1)
    shared: FloatArray = np.where(total > 0, present / np.where(total > 0, total, 1.0), alike)
    return shared


def combine(
    variances: FloatArray,
    realised: FloatArray,
    origin_ns: Ints,
    horizons_s: Sequence[int],
    settings: Weighing = Weighing(),
) -> FloatArray:
    """Weighted geometric mean of the variances, causal, shape (k, n, h) -> (n, h); NaN where no model has one.

    Parameters are those of :func:`monthly_weights`.
    """
    weight = weights_at(variances, realised, origin_ns, horizons_s, settings)
    return _mean_in_logs(variances, weight)


def combine_laws(forecasts: Sequence[Forecast], weight: FloatArray) -> Forecast:
    """Law whose log variance and whose shape, quantiles and shortfalls over the deviation, are weighted means.

    Parameters
    ----------
    forecasts : k, of the same origins, horizons and levels.
    weight : array of shape (k, n, h), not negative, of sum 1.

    Raises
    ------
    ForecastError
        If the forecasts are of different origins, horizons or levels.
    """
    first = forecasts[0]
    for other in forecasts[1:]:
        same = np.array_equal(other.origin_ns, first.origin_ns)
        if not same or (other.horizons_s, other.levels) != (first.horizons_s, first.levels):
            raise ForecastError("forecasts to combine are of different origins, horizons or levels; align them")
    variance = _mean_in_logs(np.stack([f.variance for f in forecasts]), weight)
    deviation = np.sqrt(variance)[..., None]
    quantiles, shortfall = (deviation * _mean_shape(forecasts, weight, part) for part in ("quantiles", "shortfall"))
    return Forecast(first.origin_ns, first.horizons_s, variance, first.levels, quantiles, shortfall)


def combine_forecasts(
    forecasts: Sequence[Forecast],
    panel: Panel,
    settings: Weighing = Weighing(),
) -> Forecast:
    """Combination of one instrument's forecasts from the origins that all of them have.

    Parameters
    ----------
    forecasts : out-of-sample forecasts of k models; their past is what weights are learned from.
    panel : the instrument's outcomes; used only once their windows had ended.

    Raises
    ------
    SettingError, ShortHistoryError, ForecastError
        If there is no forecast; if no origin is common to all; if they or the panel do not fit together.
    """
    if not forecasts:
        raise SettingError("nothing to combine; give at least one forecast")
    common = reduce(np.intersect1d, [f.origin_ns for f in forecasts])
    if not len(common):
        raise ShortHistoryError(f"{panel.instrument}: the forecasts to combine have no origin in common")
    if not np.isin(common, panel.origin_ns).all():
        raise ForecastError(f"{panel.instrument}: forecasts to combine are from origins that the panel does not have")
    aligned = sane([_at(f, np.searchsorted(f.origin_ns, common)) for f in forecasts], settings.sane_factor)
    rows = np.searchsorted(panel.origin_ns, common)
    columns = [panel.horizon_index(horizon_s) for horizon_s in aligned[0].horizons_s]
    realised = panel.targets.realised_variance[rows][:, columns]
    variances = np.stack([f.variance for f in aligned])
    return combine_laws(aligned, weights_at(variances, realised, common, aligned[0].horizons_s, settings))


def sane(forecasts: Sequence[Forecast], factor: float) -> list[Forecast]:
    r"""Forecasts of the same origins, each variance no further than a factor from the median of all.

    .. math:: f'_k = \min(\max(f_k, m / c), \, c \, m), \qquad m = \exp \, \mathrm{median}_k \ln f_k

    Quantiles and shortfalls keep their shape. The combination, a geometric mean, is then within the factor c of the
    median, whatever one model says; two models have their geometric mean for a median.

    References
    ----------
    Swanson & White (1995), "A model-selection approach to assessing the information in the term structure using linear
    models and artificial neural networks", J. Business & Economic Statistics 13(3), for the insanity filter.
    """
    log_variance = np.log(np.stack([forecast.variance for forecast in forecasts]))
    middle, reach = np.median(log_variance, axis=0), np.log(factor)
    moves = np.exp(np.clip(log_variance, middle - reach, middle + reach) - log_variance)
    return [_scaled(forecast, move) for forecast, move in zip(forecasts, moves, strict=True)]


def _scaled(forecast: Forecast, factor: FloatArray) -> Forecast:
    """The same shape at another variance, factors of shape (n, h)."""
    deviation = np.sqrt(factor)[..., None]
    return replace(
        forecast,
        variance=forecast.variance * factor,
        quantiles=forecast.quantiles * deviation,
        shortfall=forecast.shortfall * deviation,
    )


def _mean_in_logs(variances: FloatArray, weight: FloatArray) -> FloatArray:
    known = np.isfinite(variances)
    total = np.sum(weight * np.log(np.where(known, variances, 1.0)), axis=0)
    mean: FloatArray = np.where(known.any(axis=0), np.exp(total), np.nan)
    return mean


def _mean_shape(forecasts: Sequence[Forecast], weight: FloatArray, part: str) -> FloatArray:
    """Weighted mean of quantiles or shortfalls in deviations, shape (n, h, q)."""
    shapes = [getattr(forecast, part) / np.sqrt(forecast.variance)[..., None] for forecast in forecasts]
    mean: FloatArray = np.sum(weight[..., None] * np.stack(shapes), axis=0)
    return mean


def _at(forecast: Forecast, rows: Ints) -> Forecast:
    """The forecasts of some rows."""
    parts = (part[rows] for part in (forecast.quantiles, forecast.shortfall))
    return Forecast(forecast.origin_ns[rows], forecast.horizons_s, forecast.variance[rows], forecast.levels, *parts)
