"""Panels, folds, calibration: from a store and a configuration to the file of forecasts that is scored."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from backtests.calibrated import Calibrated, Calibrating, calibrate_entry
from backtests.config import BacktestConfig
from backtests.fold_files import Outcome, read_outcomes
from backtests.folds import Fold
from backtests.forecast_file import ForecastWriter, excursion_columns
from backtests.walkforward import Job, plan_jobs, run_jobs
from backtests.workers import in_parallel
from features.clock import NS_PER_S, format_utc, parse_utc
from features.errors import ForecastError, SettingError
from features.files import sha256_of
from features.pipeline import Progress, panel_folders
from features.spec import FeatureSpec
from features.specs import find_spec

FORECASTS = "forecasts.parquet"

Bar = Callable[[str], Progress]  # a progress bar for a named step


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one row of the comparison, over all folds and instruments."""

    fit_s: float
    forecast_s: float
    calibrate_s: float


@dataclass(frozen=True, slots=True)
class Missing:
    """A fold in which a row has no forecast of an instrument, and why; origins in ``[first, stop)``.

    ``in_lead``: before the test, where only the memory of the calibration suffers.
    """

    model: str
    instrument: str
    first: str
    stop: str
    reason: str
    in_lead: bool = False


@dataclass
class Walk:
    """What a walk-forward left behind."""

    config: BacktestConfig
    spec: FeatureSpec
    panels: dict[str, Path]
    data_sha256: str
    jobs: dict[str, list[Job]]
    re_used: int = 0
    costs: dict[str, Cost] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)


def walk(config: BacktestConfig, store: Path, out: Path, workers: int, bar: Bar) -> Walk:
    """Run the folds of every row and write their calibrated forecasts to ``out/forecasts.parquet``.

    Folds that an earlier run finished are re-used.

    Raises
    ------
    DataError
        If the store lacks an instrument, its panels do not reach the test, or no model forecast anything.
    """
    spec = find_spec(config.spec)
    _check_origins(config, spec)
    folders = panel_folders(store, config.venue, config.symbols, spec, out / "cache", bar("compute features"))
    data = sha256_of([folder.name for folder in folders.values()])
    plans = {e.name: plan_jobs(e, config, spec.purge_s, data, out / "folds") for e in config.models}
    walked = Walk(config, spec, folders, data, plans)
    jobs = [job for plan in plans.values() for job in plan]
    walked.re_used = run_jobs(jobs, folders, workers, bar("walk forward"))
    walked.missing = _all_missing(walked)
    _write(walked, out / FORECASTS, workers, bar("calibrate and write"))
    return walked


def _check_origins(config: BacktestConfig, spec: FeatureSpec) -> None:
    off = [text for text in (config.test_from, config.test_to) if parse_utc(text) % (spec.every_s * NS_PER_S)]
    if off:
        raise SettingError(f"{', '.join(off)}: no origin, they are {spec.every_s} s apart; choose another")


def _write(walked: Walk, path: Path, workers: int, progress: Progress) -> None:
    """Calibrate every row and write it, in the order of the configuration."""
    config = walked.config
    if not any(outcome.n_origins for plan in walked.jobs.values() for job in plan for outcome in _outcomes(job)):
        raise ForecastError(f"no model forecast anything; the first reason: {walked.missing[0].reason}")
    rows = {entry.name: entry for entry in config.models}
    folds = {name: tuple(job.folder for job in plan) for name, plan in walked.jobs.items()}
    tasks = [Calibrating(e, rows, folds, config.calibration, config.test_from_ns) for e in config.models]
    with ForecastWriter(path, has_excursions=True) as writer:
        for done, row in enumerate(in_parallel(calibrate_entry, tasks, walked.panels, workers), 1):
            for symbol, forecast in row.forecasts.items():
                writer.write(row.name, symbol, forecast, excursion_columns(row.excursions[symbol]))
            for symbol, reason in row.failures.items():
                walked.missing.append(Missing(row.name, symbol, config.test_from, config.test_to, reason))
            walked.costs[row.name] = _cost(walked.jobs[row.name], row)
            progress(done, len(tasks))


def _cost(plan: Iterable[Job], row: Calibrated) -> Cost:
    outcomes = [outcome for job in plan for outcome in _outcomes(job)]
    return Cost(sum(o.fit_s for o in outcomes), sum(o.forecast_s for o in outcomes), row.seconds)


def _outcomes(job: Job) -> list[Outcome]:
    return read_outcomes(job.folder)


def _all_missing(walked: Walk) -> list[Missing]:
    """Folds without a forecast, of every row; what a member of a combination lacks, the combination lacks."""
    missing = [m for name, plan in walked.jobs.items() for job in plan for m in _missing(name, job, walked.config)]
    for entry in walked.config.models:  # members stand above
        missing += [
            replace(lacks, model=entry.name, reason=f"its member {lacks.model}: {lacks.reason}")
            for lacks in list(missing)
            if lacks.model in entry.combine
        ]
    return missing


def _missing(model: str, job: Job, config: BacktestConfig) -> list[Missing]:
    """Instruments without a forecast in a fold."""
    fold: Fold = job.fold
    in_lead = fold.stop_ns <= config.test_from_ns
    first = fold.first_ns if in_lead else max(fold.first_ns, config.test_from_ns)
    span = format_utc(first), format_utc(fold.stop_ns)
    return [Missing(model, o.instrument, *span, o.failure, in_lead) for o in _outcomes(job) if o.failure]
