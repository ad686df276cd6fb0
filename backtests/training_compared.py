"""Forecasts of what a training run held out: network and classical models side by side, calibrated and scored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backtests.calibrated import Calibrating, calibrate_entry
from backtests.fold_files import read_outcomes
from backtests.forecast_file import ForecastWriter, excursion_columns
from backtests.forecast_rows import ForecastFiles
from backtests.scoring import score_file
from backtests.scoring_attendance import Market
from backtests.training_period import Period
from backtests.training_scores import BASELINE, NETWORK, Row
from backtests.training_skill import skills_over
from backtests.walk import Bar, Cost, Missing
from backtests.workers import in_parallel
from features.clock import format_utc
from features.errors import ForecastError
from features.files import code_hash, discard, seal, sha256_of, sha256_of_file, write_json
from features.pipeline import Progress
from models.calibration import PATIENT


@dataclass(frozen=True)
class Compared:
    """What came of some rows: scores, skills of the first over the classical ones, seconds, what is missing.

    ``path``: of the forecasts that were scored; ``sha256``: hash of that file.
    """

    scores: Mapping[str, Any]
    skills: Mapping[int, Mapping[str, Mapping[str, Any]]]
    costs: Mapping[str, Mapping[str, float]]
    missing: Sequence[Mapping[str, Any]]
    path: Path
    sha256: str


def compared(
    rows: Sequence[Row],
    panels: Mapping[str, Path],
    period: Period,
    outcomes: Market,
    path: Path,
    jobs: int,
    bar: Bar,
    *,
    run: str,
    former: Path,
) -> Compared:
    """Calibrate every row on its own past forecasts, lead and all, write those of the test, and score them.

    What an earlier run found of the same rows, period and code is read again.

    Parameters
    ----------
    rows : the first is held against the classical ones among them.
    panels : folder of each instrument's panel.
    outcomes : of the test, by instrument and horizon.
    path : of the file of forecasts; what came of them is kept beside it.
    run : key of the run, which is kept with them.
    former : file of an earlier run, left as it is: taken, with a new key beside ``path``, if it is of the same.

    Raises
    ------
    ForecastError
        If the first row has no forecast of any instrument; the message says why.
    """
    key = _key(rows, panels, period)
    held = next((place for place in (former, path) if _is_kept(place, key)), None)
    if held is None:
        held = path
        _make(rows, panels, period, outcomes, path, jobs, bar, key)
    if held != path:
        discard(path)  # of a run that was killed
    found = json.loads(kept_beside(held).read_text(encoding="utf-8")) | {"run": run}
    write_json(kept_beside(path), found)
    return _read(found, rows, held)


def kept_beside(path: Path) -> Path:
    """What came of a file of forecasts: scores, of which rows and run."""
    return path.with_suffix(".json")


def _make(
    rows: Sequence[Row],
    panels: Mapping[str, Path],
    period: Period,
    outcomes: Market,
    path: Path,
    jobs: int,
    bar: Bar,
    key: str,
) -> None:
    """Write forecasts, and beside them what they are worth."""
    discard(path)
    missing, costs = _write(rows, panels, period, path, jobs, bar("calibrate and write"))
    scores = _scored(path, rows, outcomes, bar("score"))
    there = {name: outcomes[name] for name in scores["instruments"]}
    others = [row.entry.name for row in rows if row.entry.forecaster != NETWORK]
    skills = skills_over(path, there, rows[0].entry.name, others, bar("hold against each"))
    found = {"scores": scores, "skills": skills, "costs": costs, "missing": [asdict(one) for one in missing]}
    seal(path)
    write_json(kept_beside(path), {"key": key, "sha256": sha256_of_file(path), **found})


def _key(rows: Sequence[Row], panels: Mapping[str, Path], period: Period) -> str:
    made_of = [[row.entry.model_dump(mode="json"), row.folder.name] for row in rows]
    data = {symbol: folder.name for symbol, folder in panels.items()}
    return sha256_of([made_of, data, period.told(), code_hash("features", "models", "backtests")])


def _is_kept(path: Path, key: str) -> bool:
    """Whether there are whole forecasts of the same rows, period and code, and what came of them."""
    kept = kept_beside(path)
    if not (kept.is_file() and path.is_file()):
        return False
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        return bool(found["key"] == key and found["sha256"] == sha256_of_file(path))
    except (ValueError, KeyError, TypeError):  # damaged
        return False


def _read(found: Mapping[str, Any], rows: Sequence[Row], path: Path) -> Compared:
    """What was kept, as always in the order of the rows; horizons are numbers again."""
    names = [row.entry.name for row in rows]
    scores = found["scores"] | {"horizons": {int(h): of for h, of in found["scores"]["horizons"].items()}}
    skills = {int(h): {name: of[name] for name in names if name in of} for h, of in found["skills"].items()}
    costs = {name: found["costs"][name] for name in names if name in found["costs"]}
    by_horizon = dict(sorted(skills.items()))
    return Compared(scores, by_horizon, costs, found["missing"], path, found["sha256"])


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
