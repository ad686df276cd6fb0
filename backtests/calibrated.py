"""From raw forecasts of folds to the forecasts that are compared: debiased, with a tail, or combined of others."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backtests.config import MEMBERS, ModelEntry
from backtests.fold_files import read_raw
from backtests.fold_run import MACHINE, reason_of
from features.panel import Panel
from models.base import Forecast
from models.calibration import OWN, Calibration, calibrate
from models.combination import combine_forecasts
from models.excursions import Excursions, forecast_excursions

# A combination of calibrated members is not calibrated again: "no bias" outweighs every outcome, no tail is learned.
KEPT = Calibration(prior_rows=10**12, least_rows=10**9)


@dataclass(frozen=True)
class Calibrating:
    """One row of the comparison to be calibrated: where the folds of each row are, and the first origin to answer."""

    entry: ModelEntry
    rows: Mapping[str, ModelEntry]
    folds: Mapping[str, tuple[Path, ...]]
    settings: Calibration
    from_ns: int


@dataclass(frozen=True)
class Calibrated:
    """Forecasts of one row by instrument, from the first test origin on; why others have none; seconds it took.

    ``excursions``: of the same origins.
    """

    name: str
    forecasts: dict[str, Forecast]
    excursions: dict[str, Excursions]
    failures: dict[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Made:
    """A calibrated forecast, and where it is asked for, its variance with the tails that the model itself gives it."""

    forecast: Forecast
    shape: Forecast | None


def calibrate_entry(task: Calibrating, panels: Mapping[str, Panel]) -> Calibrated:
    """Calibrate one row for every instrument that it forecast at all; one that fails leaves the others."""
    started = time.perf_counter()
    row = Calibrated(task.entry.name, {}, {}, {}, 0.0)
    for symbol, panel in panels.items():
        try:
            made = _made(task, task.entry, panel)
            if made is not None and made.forecast.origin_ns[-1] >= task.from_ns:
                excursions = _excursions(task, made, panel)
                first = int(made.forecast.origin_ns.searchsorted(task.from_ns))
                row.forecasts[symbol], row.excursions[symbol] = made.forecast.rows(first), excursions.rows(first)
        except MACHINE:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a tail does, its row is reported and the others go on
            row.failures[symbol] = reason_of(error)
    return replace(row, seconds=time.perf_counter() - started)


def _excursions(task: Calibrating, made: Made, panel: Panel) -> Excursions:
    return forecast_excursions(made.forecast, panel, task.settings, shape=made.shape, track=bool(task.entry.track))


def _made(task: Calibrating, entry: ModelEntry, panel: Panel) -> Made | None:
    """Calibrated forecasts over the lead and the test; None where the model never forecast the instrument."""
    parts = _combined(task, entry, panel) if entry.combine else _raw(task, entry, panel)
    if parts is None:
        return None
    raw, shape = parts
    settings, tail = (KEPT, OWN) if entry.tail == MEMBERS else (task.settings, entry.tail)
    found = calibrate(raw, panel, settings, tail=tail, recalibrate=entry.recalibrate, track=entry.track)
    return Made(found, None if shape is None else _with_tails_of(shape, found))


def _raw(task: Calibrating, entry: ModelEntry, panel: Panel) -> tuple[Forecast, Forecast | None] | None:
    raw = read_raw(list(task.folds[entry.name]), panel.instrument, panel.spec.horizons_s)
    return None if raw is None else (raw, raw if _is_shaped(task) else None)


def _combined(task: Calibrating, entry: ModelEntry, panel: Panel) -> tuple[Forecast, Forecast | None] | None:
    """Combination of the members' calibrated forecasts, and of their own tails; None where one of them has none."""
    members = [_made(task, task.rows[name], panel) for name in entry.combine]
    whole = [member for member in members if member is not None]
    if len(whole) < len(members):
        return None
    combined = combine_forecasts([member.forecast for member in whole], panel)
    shapes = [member.shape for member in whole if member.shape is not None]
    # the variances are the same, and so are the weights
    return combined, combine_forecasts(shapes, panel) if _is_shaped(task) else None


def _is_shaped(task: Calibrating) -> bool:
    return task.entry.excursions == "shape"


def _with_tails_of(raw: Forecast, calibrated: Forecast) -> Forecast:
    """The calibrated variance with the raw forecast's tails, as multiples of the deviation."""
    factor = np.sqrt(calibrated.variance / raw.variance)[..., None]
    return replace(calibrated, quantiles=raw.quantiles * factor, shortfall=raw.shortfall * factor)
