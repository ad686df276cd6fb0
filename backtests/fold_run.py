"""One model, one fold: fitted on the past, asked about the fold, watched for a look ahead."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtests.fold_files import Outcome
from backtests.folds import Fold
from backtests.forecasters import pooled_maker_of
from features.clock import NS_PER_S, format_utc
from features.errors import DataError, ForecastError, ShortHistoryError
from features.panel import Panel
from models import FORECASTERS
from models.base import Forecast, Forecaster, PooledForecaster

MACHINE = (MemoryError, OSError)  # no fault of a model: the run stops and can go on, nothing is kept of the fold
LEAST, MOST = 1e-30, 1e30  # of a variance: what single precision holds of it and of its square root's multiples
# Of a forecast that is computed from more rows than it may use: sums of other lengths round otherwise, and what a
# network reads is rounded to single precision. A look ahead that mattered would be larger.
TOLERANCE = 1e-7

Fitted = Forecaster | PooledForecaster


@dataclass(frozen=True)
class FoldResult:
    """Forecasts by instrument, and how each instrument fared."""

    outcomes: list[Outcome]
    forecasts: dict[str, Forecast]


def run_fold(forecaster: str, options: Mapping[str, Any], fold: Fold, panels: Mapping[str, Panel]) -> FoldResult:
    """Fit and forecast every instrument; one that fails is reported with the reason and leaves no forecast."""
    pooled = pooled_maker_of(forecaster)
    if pooled is not None:
        return _run_pooled(lambda: pooled(**options), fold, panels)
    return _run_each(lambda: FORECASTERS[forecaster](**options), fold, panels)


def _run_each(make: Callable[[], Forecaster], fold: Fold, panels: Mapping[str, Panel]) -> FoldResult:
    result = FoldResult([], {})
    for symbol, panel in panels.items():
        started = time.perf_counter()
        try:
            fitted = make().fit(_training(fold, panel))
        except MACHINE:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model does, its fold is reported and the others go on
            result.outcomes.append(_failed(symbol, error))
            continue
        _forecast(result, fitted, fold, panel, time.perf_counter() - started)
    return result


def _run_pooled(make: Callable[[], PooledForecaster], fold: Fold, panels: Mapping[str, Panel]) -> FoldResult:
    result = FoldResult([], {})
    started = time.perf_counter()
    try:
        past = [cut for panel in panels.values() if len(cut := fold.training(panel))]
        if not past:
            raise ShortHistoryError(f"no instrument has features before {format_utc(fold.known_ns)}")
        fitted = make().fit(past)
    except MACHINE:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        result.outcomes.extend(_failed(symbol, error) for symbol in panels)
        return result
    fit_s = (time.perf_counter() - started) / len(panels)
    for panel in panels.values():
        _forecast(result, fitted, fold, panel, fit_s)
    return result


def _training(fold: Fold, panel: Panel) -> Panel:
    past = fold.training(panel)
    if not len(past):
        raise ShortHistoryError(
            f"{panel.instrument}: features begin at {format_utc(int(panel.origin_ns[0]))}, "
            f"nothing to fit on before {format_utc(fold.known_ns)}"
        )
    return past


def _forecast(result: FoldResult, fitted: Fitted, fold: Fold, panel: Panel, fit_s: float) -> None:
    """Add an instrument's forecasts to the result, or the reason why there are none."""
    started = time.perf_counter()
    try:
        forecast = forecast_fold(fitted, fold, panel)
    except MACHINE:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        result.outcomes.append(_failed(panel.instrument, error, fit_s))
        return
    forecast_s = time.perf_counter() - started
    result.forecasts[panel.instrument] = forecast
    result.outcomes.append(Outcome(panel.instrument, len(forecast.origin_ns), fit_s, forecast_s))


def _failed(symbol: str, error: Exception, fit_s: float = 0.0) -> Outcome:
    return Outcome(symbol, 0, fit_s, 0.0, failure=reason_of(error))


def reason_of(error: Exception) -> str:
    """Why something failed, in words: a fault of ours says it, another is named.

    Examples
    --------
    >>> reason_of(ForecastError("the model looks ahead")), reason_of(ZeroDivisionError("division by zero"))
    ('the model looks ahead', 'ZeroDivisionError: division by zero')
    """
    return str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"


def forecast_fold(fitted: Fitted, fold: Fold, panel: Panel) -> Forecast:
    """Forecasts of a fold's origins, made three times: whole, and with the fold cut short at two origins.

    A forecast that changes when what came after it is taken away has seen it. The cuts are drawn anew for each fold,
    one in either half, the same in every run.

    Raises
    ------
    ForecastError
        If one does, or if the answer is not of the origins that were asked about.
    ShortHistoryError
        If the instrument has no origin in the fold.
    """
    asked = fold.asked(panel)
    first = asked.first_row_from(fold.first_ns)
    if first == len(asked):
        raise ShortHistoryError(f"{panel.instrument}: no origin from {format_utc(fold.first_ns)} on in this fold")
    forecast = fitted.forecast(asked)
    if not np.array_equal(forecast.origin_ns, asked.origin_ns) or forecast.horizons_s != asked.spec.horizons_s:
        raise ForecastError(f"{panel.instrument}: the model answered other origins or horizons than it was asked about")
    if not ((forecast.variance > LEAST) & (forecast.variance < MOST)).all():
        extremes = f"{forecast.variance.min():.3g} to {forecast.variance.max():.3g}"
        raise ForecastError(
            f"{panel.instrument}: variances of {extremes} are of no market; bound what the model answers"
        )
    for last in _cuts(fold, first, len(asked)):
        _check_blind_to_the_future(forecast, fitted.forecast(asked.rows(0, last + 1)), first, last)
    return forecast.rows(first)


def _cuts(fold: Fold, first: int, stop: int) -> list[int]:
    """Two rows in ``[first, stop - 1)``, one in either half of the fold; fewer of a short one."""
    rng = np.random.default_rng(fold.first_ns // NS_PER_S)
    middle = (first + stop) // 2
    return [int(rng.integers(a, b)) for a, b in ((first, middle), (middle, stop - 1)) if a < b]


def _check_blind_to_the_future(whole: Forecast, cut: Forecast, first: int, last: int) -> None:
    """Compare forecasts of rows ``first`` to ``last`` made with and without the rows after ``last``."""
    for name in ("variance", "quantiles", "shortfall"):
        with_future, without = (getattr(f, name)[first : last + 1] for f in (whole, cut))
        scale = np.sqrt(cut.variance[first : last + 1])
        unit = scale**2 if name == "variance" else scale[..., None]
        off = np.abs(with_future - without) > TOLERANCE * unit
        if off.any():
            row = int(np.argmax(off.reshape(len(off), -1).any(axis=1))) + first
            raise ForecastError(
                f"the {name} forecast at {format_utc(int(whole.origin_ns[row]))} changes with what came after it: "
                "the model looks ahead; use rows up to each origin only"
            )
