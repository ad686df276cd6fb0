"""Forecasts of what a training run held out: network and classical models side by side, calibrated and scored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backtests.calibrated import Calibrating, calibrate_entry
from backtests.code import code_of
from backtests.config import ModelEntry, load_backtest
from backtests.fold_files import read_outcomes
from backtests.folds import Fold
from backtests.forecast_file import ForecastWriter, excursion_columns
from backtests.forecast_rows import ForecastFiles
from backtests.scoring import score_file
from backtests.scoring_attendance import Market
from backtests.training_period import Period
from backtests.training_skill import skills_over
from backtests.walk import Bar, Cost, Missing
from backtests.walkforward import ENGINE, Job, run_jobs
from backtests.workers import in_parallel
from features.clock import format_utc
from features.errors import ForecastError
from features.files import code_hash, discard, is_sealed, seal, sha256_of, write_json
from features.pipeline import Progress
from models import FORECASTERS, POOLED
from models.calibration import OWN, PATIENT

NETWORK, TRACKED, UNSEEN = "network", "network+track", "network, unseen"
COMPARED = ("har_log", "har_rich_pool", "garch_t", "ewma_rv", "harq")  # rows of the packaged comparison
BASELINE = COMPARED[0]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the comparison and the folder of its raw forecasts."""

    entry: ModelEntry
    folder: Path


@dataclass(frozen=True)
class Compared:
    """What came of some rows: scores, skills of the first over the classical ones, seconds, what is missing."""

    scores: Mapping[str, Any]
    skills: Mapping[int, Mapping[str, Mapping[str, Any]]]
    costs: Mapping[str, Mapping[str, float]]
    missing: Sequence[Mapping[str, Any]]


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


def compared(
    rows: Sequence[Row], panels: Mapping[str, Path], period: Period, outcomes: Market, path: Path, jobs: int, bar: Bar
) -> Compared:
    """Calibrate every row on its own past forecasts, lead and all, write those of the test, and score them.

    What an earlier run found of the same rows, period and code is read again.

    Parameters
    ----------
    rows : the first is held against the classical ones among them.
    panels : folder of each instrument's panel.
    outcomes : of the test, by instrument and horizon.
    path : of the file of forecasts; what came of them is kept beside it.

    Raises
    ------
    ForecastError
        If the first row has no forecast of any instrument; the message says why.
    """
    key, kept = _key(rows, panels, period), path.with_suffix(".json")
    found = _kept(kept, key) if is_sealed(path) else None
    if found is None:
        discard(path)
        missing, costs = _write(rows, panels, period, path, jobs, bar("calibrate and write"))
        scores = _scored(path, rows, outcomes, bar("score"))
        there = {name: outcomes[name] for name in scores["instruments"]}
        others = [row.entry.name for row in rows if row.entry.name in COMPARED]
        skills = skills_over(path, there, rows[0].entry.name, others, bar("hold against each"))
        found = {"scores": scores, "skills": skills, "costs": costs, "missing": [asdict(one) for one in missing]}
        seal(path)
        write_json(kept, {"key": key, **found})
    return Compared(**found)


def _key(rows: Sequence[Row], panels: Mapping[str, Path], period: Period) -> str:
    made_of = [[row.entry.model_dump(mode="json"), row.folder.name] for row in rows]
    data = {symbol: folder.name for symbol, folder in panels.items()}
    return sha256_of([made_of, data, period.told(), code_hash("features", "models", "backtests")])


def _kept(path: Path, key: str) -> dict[str, Any] | None:
    """What an earlier run kept, if it was of the same; horizons are numbers again."""
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if found.pop("key", None) != key:
        return None
    scores = found["scores"] | {"horizons": {int(h): of for h, of in found["scores"]["horizons"].items()}}
    return found | {"scores": scores, "skills": {int(h): of for h, of in found["skills"].items()}}


def _write(
    rows: Sequence[Row], panels: Mapping[str, Path], period: Period, path: Path, jobs: int, progress: Progress
) -> tuple[list[Missing], dict[str, dict[str, float]]]:
    """Write the calibrated forecasts; answers what is missing and what each row cost."""
    missing, costs = [m for row in rows for m in _missing(row, period)], {}
    first = rows[0].entry.name
    tasks = [
        Calibrating(r.entry, {r.entry.name: r.entry}, {r.entry.name: (r.folder,)}, PATIENT, period.from_ns)
        for r in rows
    ]
    with ForecastWriter(path, has_excursions=True) as writer:
        made_of = zip(rows, in_parallel(calibrate_entry, tasks, panels, jobs), strict=True)
        for done, (row, made) in enumerate(made_of, 1):
            for symbol, forecast in made.forecasts.items():
                writer.write(made.name, symbol, forecast, excursion_columns(made.excursions[symbol]))
            missing += [_lacking(made.name, symbol, reason, period) for symbol, reason in made.failures.items()]
            if not made.forecasts and made.name == first:
                reasons = "; ".join(f"{one.instrument}: {one.reason}" for one in missing if one.model == first)
                raise ForecastError(f"the network forecast nothing of the test: {reasons or 'its data had ended'}")
            costs[made.name] = asdict(_cost(row, made.seconds))
            progress(done, len(tasks))
    return missing, costs


def _scored(path: Path, rows: Sequence[Row], outcomes: Market, progress: Progress) -> dict[str, Any]:
    """Scores of what was forecast; a row without any forecast is among those not scored."""
    files = ForecastFiles([path])
    there = {symbol: outcome for symbol, outcome in outcomes.items() if symbol in files.instruments}
    baseline = BASELINE if BASELINE in files.models else None
    scores = score_file(path, there, baseline=baseline, progress=progress)
    for row in rows:
        if row.entry.name not in files.models:
            scores["not_scored"][row.entry.name] = {f"{s}/{h}": 0.0 for s, of in outcomes.items() for h in of}
    return scores


def _cost(row: Row, calibrate_s: float) -> Cost:
    outcomes = read_outcomes(row.folder)
    return Cost(sum(o.fit_s for o in outcomes), sum(o.forecast_s for o in outcomes), calibrate_s)


def _missing(row: Row, period: Period) -> list[Missing]:
    failed = [outcome for outcome in read_outcomes(row.folder) if outcome.failure]
    return [_lacking(row.entry.name, outcome.instrument, outcome.failure, period) for outcome in failed]


def _lacking(model: str, instrument: str, reason: str, period: Period) -> Missing:
    return Missing(model, instrument, format_utc(period.from_ns), format_utc(period.to_ns), reason)
