"""A whole backtest: walk forward, score, report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from backtests.comparison_report import write_comparison_report
from backtests.config import BacktestConfig
from backtests.forecast_rows import ForecastFiles
from backtests.outcomes import stored_outcomes
from backtests.scoring import score_file
from backtests.scoring_attendance import Market
from backtests.walk import FORECASTS, Bar, Walk, walk
from features.clock import DAY_S, HOUR_S
from features.files import code_hash, locked, sha256_of, write_json
from features.pipeline import Progress
from features.specs import find_spec

SCORES, REPORT = "scores.json", "report.html"


@dataclass(frozen=True)
class Comparison:
    """A finished backtest. ``key`` is the hash of everything that its figures depend on."""

    key: str
    config: BacktestConfig
    out: Path
    scores: Mapping[str, Any]
    about: Mapping[str, Any]
    re_used: int

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.out / REPORT

    def told(self) -> list[str]:
        """What a user should know beside the scores, a line each."""
        lines = [f"re-used  {self.re_used} folds of an earlier run"] if self.re_used else []
        missing = [fold for fold in self.about["missing"] if not fold["in_lead"]]
        if missing:
            first = missing[0]
            where = f"{first['model']}, {first['instrument']}, {first['first'][:10]}: {first['reason']}"
            lines.append(
                f"missing  {len(missing)} times a model has no forecast of an instrument in a fold; the first: {where}"
            )
        for model, shares in self.scores["not_scored"].items():
            lowest = min(shares.items(), key=lambda share: float(share[1]))
            lines.append(f"not scored  {model}: forecast only {lowest[1]:.1%} of the origins of {lowest[0]}")
        silent = sorted(set(self.config.symbols) - set(self.scores["instruments"]))
        if silent:
            lines.append(f"not scored  {', '.join(silent)}: no model forecast it, see the reasons in the report")
        scoreable = [of["scoreable"] for of in self.scores["horizons"].values() if "scoreable" in of]
        empty = [s for s in self.scores["instruments"] if not any(of.get(s) for of in scoreable)]
        if empty:
            lines.append(f"nothing to score  {', '.join(empty)}: gaps, or a price that never moved")
        if self.config.schedule.lead_days * DAY_S < self.config.calibration.least_rows * HOUR_S:
            lines.append(
                f"the lead of {self.config.schedule.lead_days} days is too short: tails begin as the models' own"
            )
        if not self.scores["models"]:
            lines.append("no model covers 95 % of every instrument; leave one out with --symbols, or begin later")
        return lines


def run_comparison(config: BacktestConfig, store: Path, out: Path, workers: int, bar: Bar) -> Comparison:
    """Walk forward, score, and write ``forecasts.parquet``, ``scores.json`` and ``report.html`` below ``out``.

    Raises
    ------
    DataError
        See :func:`backtests.walk.walk` and :func:`backtests.scoring.score_file`.
    """
    with locked(out / ".lock"):  # of two comparisons in one folder the second waits, and finds its folds there
        return _run(config, store, out, workers, bar)


def _run(config: BacktestConfig, store: Path, out: Path, workers: int, bar: Bar) -> Comparison:
    spec = find_spec(config.spec)
    outcomes = stored_outcomes(  # first: what is wrong with the store is told before the work
        store, config.symbols, config.test_from_ns, config.test_to_ns, spec.horizons_s, config.venue, spec.bar_s
    )
    for name in (FORECASTS, SCORES, REPORT):  # of another comparison, perhaps
        (out / name).unlink(missing_ok=True)
    walked = walk(config, store, out, workers, bar)
    told = about(walked)
    scores = _scored(config, out / FORECASTS, outcomes, bar("score"))
    write_json(out / SCORES, {"about": told, **scores})
    write_comparison_report(out / REPORT, scores, told)
    key = sha256_of([told[name] for name in ("config", "data_sha256", "code_sha256")])
    return Comparison(key, config, out, scores, told, walked.re_used)


def _scored(config: BacktestConfig, path: Path, outcomes: Market, progress: Progress) -> dict[str, Any]:
    """Scores of what was forecast; a model or an instrument that nothing was forecast of is among the not scored."""
    files = ForecastFiles([path])
    there = {symbol: outcome for symbol, outcome in outcomes.items() if symbol in files.instruments}
    baseline = config.baseline if config.baseline in files.models else None
    scores = score_file(path, there, baseline=baseline, progress=progress)
    for entry in config.models:
        if entry.name not in files.models:
            scores["not_scored"][entry.name] = {f"{s}/{h}": 0.0 for s, of in outcomes.items() for h in of}
    return scores


def about(walked: Walk) -> dict[str, Any]:
    """What was compared, of which data and code, what it cost and what is missing: JSON values."""
    return {
        "config": walked.config.model_dump(mode="json"),
        "spec_sha256": walked.spec.hash,
        "data_sha256": walked.data_sha256,
        "code_version": metadata.version("margincast"),
        "code_sha256": code_hash("features", "models", "backtests"),
        "costs": {name: asdict(cost) for name, cost in walked.costs.items()},
        "missing": [asdict(missing) for missing in walked.missing],
    }
