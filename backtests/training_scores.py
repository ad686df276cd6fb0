"""Rows of a training run's comparison: the network and classical models, and where their raw forecasts are."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from backtests.code import code_of
from backtests.config import ModelEntry, load_backtest
from backtests.folds import Fold
from backtests.walk import Bar
from backtests.walkforward import ENGINE, Job, run_jobs
from features.files import sha256_of
from models import FORECASTERS, POOLED
from models.calibration import OWN

NETWORK, TRACKED, UNSEEN = "network", "network+track", "network, unseen"
COMPARED = ("har_log", "har_rich_pool", "garch_t", "ewma_rv", "harq")  # rows of the packaged comparison
BASELINE = COMPARED[0]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the comparison and the folder of its raw forecasts."""

    entry: ModelEntry
    folder: Path


def network_rows(folder: Path, name: str = NETWORK) -> list[Row]:
    """The network with its own tails moved to where the past's residuals had them, and with tails that track."""
    tracked = f"{name}+track"
    # Validated, an entry names a forecaster of the tables; this one is trained already.
    return [
        Row(ModelEntry.model_construct(name=row, forecaster=NETWORK, tail=OWN, track=track, excursions="shape"), folder)
        for row, track in ((name, False), (tracked, True))
    ]


def classical_rows(fold: Fold, data: str, panels: Mapping[str, Path], out: Path, jobs: int, bar: Bar) -> list[Row]:
    """The classical models, as the packaged comparison has them, fitted once on the network's past.

    Parameters
    ----------
    fold : the network's.
    data : hash of the panels.
    panels : folder of each instrument's panel.
    out : folder of all folds.
    """
    entries = {entry.name: entry for entry in load_backtest("referee").models}
    rows = [Row(entries[name], _job(entries[name], fold, data, out).folder) for name in COMPARED]
    run_jobs([_job(row.entry, fold, data, out) for row in rows], panels, jobs, bar("fit classical models"))
    return rows


def _job(entry: ModelEntry, fold: Fold, data: str, out: Path) -> Job:
    name = str(entry.forecaster)
    key = sha256_of([name, entry.options, asdict(fold), data, code_of({**FORECASTERS, **POOLED}[name], *ENGINE)])
    return Job(name, entry.options, fold, out / name / f"{fold.name}-{key[:16]}")
