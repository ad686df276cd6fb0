"""Scores of files of forecasts by the scoring protocol: the same figures for every model, on the same windows."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backtests.forecast_rows import ForecastFiles
from backtests.scoring_attendance import Attendance, Market, take_attendance
from backtests.scoring_horizon import score_horizon
from backtests.scoring_losses import NUMBERS
from features.errors import SettingError, ShortHistoryError, UnknownInstrumentError
from features.pipeline import Progress, no_progress

LEAST_COVERAGE = 0.95


def score_file(
    paths: Path | Sequence[Path],
    outcomes: Market,
    *,
    baseline: str | None = None,
    least_coverage: float = LEAST_COVERAGE,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Score every model of some files on the windows that all of them forecast.

    A model that covers less than ``least_coverage`` of an instrument's scoreable origins at a horizon is not scored at
    all; ``not_scored`` says where. Defects are counted, never mended. Memory holds one model and instrument of the
    files, and one model's losses at one horizon.

    Parameters
    ----------
    paths : files of forecasts, or folders of them.
    outcomes : by instrument and horizon, all at the same origins, such as of
        :func:`backtests.outcomes.stored_outcomes`; rows of other instruments and origins are left out.
    baseline : model that the others are held against; none: they are not.

    Returns
    -------
    JSON values: ``models``, ``instruments``, ``not_scored``, ``defects``, ``horizons`` by horizon; what the scoring
    protocol does not have is below ``detail``. None where nothing can be said.

    Raises
    ------
    MissingFileError, FormatError, SchemaError
        If a file is not there or is no file of forecasts.
    UnknownInstrumentError, ShortHistoryError
        If the files have no forecast of an instrument, or none at the outcomes' origins that could be used.
    SettingError
        If the files have no such baseline.
    """
    files = ForecastFiles([paths] if isinstance(paths, Path) else paths)
    files.require(NUMBERS)
    market = dict(sorted(outcomes.items()))
    _check(files, market, baseline)
    steps = _Steps(progress, len(files.models), len(next(iter(market.values()))))
    attendance = take_attendance(files, market, least_coverage, steps.first)
    if not attendance.models and not attendance.not_scored:
        raise ShortHistoryError(f"{files.paths[0]}: no usable forecast at any origin of the test; choose other dates")
    base = baseline if baseline in attendance.models else None
    horizons: dict[int, Any] = {}
    for horizon_s in next(iter(market.values())):
        whole = {name: by_horizon[horizon_s] for name, by_horizon in market.items()}
        horizons[horizon_s] = score_horizon(files, attendance, whole, base, steps.tick)
    progress(steps.total, steps.total)
    found = {
        "models": attendance.models,
        "instruments": list(market),
        "baseline": baseline,
        "not_scored": attendance.not_scored,
        "horizons": horizons,
        "defects": _with_missing(attendance, horizons),
    }
    plain: dict[str, Any] = _plain(found)
    return plain


class _Steps:
    """Progress over the first pass and a model at each of the horizons."""

    def __init__(self, progress: Progress, n_models: int, n_horizons: int) -> None:
        self.progress, self.done = progress, 0
        self.total = n_models * (n_horizons + 1)
        self.n_models = n_models

    def first(self, done: int, total: int) -> None:
        self.done = done * self.n_models // total
        self.progress(self.done, self.total)

    def tick(self) -> None:
        self.done += 1
        self.progress(self.done, self.total)


def _check(files: ForecastFiles, market: Market, baseline: str | None) -> None:
    absent = [name for name in market if name not in files.instruments]
    if absent or not market:
        told = f"{', '.join(absent) or 'any instrument'}; they have {', '.join(files.instruments)}"
        raise UnknownInstrumentError(f"{files.paths[0]}: the files have no forecasts of {told}; give outcomes of those")
    if baseline is not None and baseline not in files.models:
        raise SettingError(f"no forecasts of the baseline {baseline!r}; the files have {', '.join(files.models)}")


def _with_missing(attendance: Attendance, horizons: Mapping[int, Any]) -> dict[str, dict[str, int]]:
    """Defects by model and, of those scored, how many scoreable origins have no forecast."""
    found = {model: dict(counts) for model, counts in attendance.defects.items()}
    for model in attendance.models:
        found[model]["missing_origins"] = sum(
            round((1 - scored["coverage"][model].get(name, 0)) * n)
            for scored in horizons.values()
            for name, n in scored["scoreable"].items()
        )
    return found


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same with None for what is not finite, as JSON has no word for it."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
