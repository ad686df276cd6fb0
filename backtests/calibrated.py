"""From raw forecasts of folds to the forecasts that are compared: debiased, with a tail, or combined of others."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backtests.config import ModelEntry
from backtests.fold_files import read_raw
from backtests.fold_run import MACHINE, reason_of
from features.panel import Panel
from models.base import Forecast
from models.calibration import Calibration, calibrate
from models.combination import combine_forecasts


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
    """Forecasts of one row by instrument, from the first test origin on; why others have none; seconds it took."""

    name: str
    forecasts: dict[str, Forecast]
    failures: dict[str, str]
    seconds: float


def calibrate_entry(task: Calibrating, panels: Mapping[str, Panel]) -> Calibrated:
    """Calibrate one row for every instrument that it forecast at all; one that fails leaves the others."""
    started = time.perf_counter()
    row = Calibrated(task.entry.name, {}, {}, 0.0)
    for symbol, panel in panels.items():
        try:
            found = _calibrated(task, task.entry, panel)
        except MACHINE:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a tail does, its row is reported and the others go on
            row.failures[symbol] = reason_of(error)
            continue
        if found is not None and found.origin_ns[-1] >= task.from_ns:
            row.forecasts[symbol] = found.rows(int(found.origin_ns.searchsorted(task.from_ns)))
    return replace(row, seconds=time.perf_counter() - started)


def _calibrated(task: Calibrating, entry: ModelEntry, panel: Panel) -> Forecast | None:
    """Calibrated forecasts over the lead and the test; None where the model never forecast the instrument."""
    raw = _combined(task, entry, panel) if entry.combine else _raw(task, entry, panel)
    if raw is None:
        return None
    return calibrate(raw, panel, task.settings, tail=entry.tail, track=entry.track)


def _raw(task: Calibrating, entry: ModelEntry, panel: Panel) -> Forecast | None:
    return read_raw(list(task.folds[entry.name]), panel.instrument, panel.spec.horizons_s)


def _combined(task: Calibrating, entry: ModelEntry, panel: Panel) -> Forecast | None:
    """Combination of the members' calibrated forecasts; None where one of them has none."""
    members = [_calibrated(task, task.rows[name], panel) for name in entry.combine]
    whole = [member for member in members if member is not None]
    return combine_forecasts(whole, panel) if len(whole) == len(members) else None
