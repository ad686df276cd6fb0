"""All folds of all models, in parallel, each kept: a run that was killed goes on at the next fold."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backtests.code import code_of
from backtests.config import BacktestConfig, ModelEntry
from backtests.fold_files import is_finished, write_fold
from backtests.fold_run import run_fold
from backtests.folds import Fold, plan_folds
from backtests.forecasters import contents_of, maker_of
from backtests.workers import in_parallel
from features.files import sha256_of
from features.panel import Panel
from features.pipeline import Progress, no_progress

ENGINE = ("backtests.fold_run", "backtests.fold_files", "backtests.folds")


@dataclass(frozen=True, slots=True)
class Job:
    """One fold of one forecaster, and the folder where its result belongs."""

    forecaster: str
    options: dict[str, Any]
    fold: Fold
    folder: Path


def plan_jobs(entry: ModelEntry, config: BacktestConfig, purge_s: int, data: str, out: Path) -> list[Job]:
    """The folds of one row of the comparison; rows that differ in their tails alone share them.

    A folder's name holds the hash of everything that its content depends on.

    Parameters
    ----------
    purge_s : the longest horizon.
    data : hash of the panels.
    out : folder of all folds.
    """
    if entry.forecaster is None:
        return []
    code = code_of(maker_of(entry.forecaster), *ENGINE)
    contents = contents_of(entry.forecaster, entry.options)
    jobs = []
    for fold in plan_folds(config.lead_from_ns, config.test_to_ns, config.schedule_of(entry), purge_s):
        key = sha256_of([entry.forecaster, contents, asdict(fold), data, code])
        jobs.append(Job(entry.forecaster, entry.options, fold, out / entry.forecaster / f"{fold.name}-{key[:16]}"))
    return jobs


def run_jobs(jobs: Sequence[Job], panels: Mapping[str, Path], workers: int, progress: Progress = no_progress) -> int:
    """Run every job whose result is not there yet; answers how many were.

    Parameters
    ----------
    jobs : folds of models.
    panels : folder of each instrument's panel.
    workers : processes.
    """
    folders = {job.folder: job for job in jobs}
    waiting = [job for folder, job in folders.items() if not is_finished(folder)]
    done = len(folders) - len(waiting)
    progress(done, len(folders))
    for _ in in_parallel(_run, waiting, panels, workers):
        done += 1
        progress(done, len(folders))
    return len(folders) - len(waiting)


def _run(job: Job, panels: Mapping[str, Panel]) -> None:
    result = run_fold(job.forecaster, job.options, job.fold, panels)
    about = {"forecaster": job.forecaster, "options": job.options, "fold": asdict(job.fold)}
    write_fold(job.folder, about, result.outcomes, result.forecasts)
