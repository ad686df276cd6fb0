"""A whole backtest: walk forward, score, report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from backtests.comparison_report import write_comparison_report
from backtests.config import BacktestConfig
from backtests.outcomes import stored_outcomes
from backtests.scoring import score_file
from backtests.walk import Bar, Walk, walk
from features.files import code_hash, sha256_of, write_json

FORECASTS, SCORES, REPORT = "forecasts.parquet", "scores.json", "report.html"


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
        missing = self.about["missing"]
        if missing:
            first = missing[0]
            where = f"{first['model']}, {first['instrument']}, {first['first'][:10]}: {first['reason']}"
            lines.append(f"missing  {len(missing)} folds without a forecast, see the report; the first: {where}")
        for model, shares in self.scores["not_scored"].items():
            lowest = min(shares.items(), key=lambda share: float(share[1]))
            lines.append(f"not scored  {model}: forecast only {lowest[1]:.1%} of the origins of {lowest[0]}")
        return lines


def run_comparison(config: BacktestConfig, store: Path, out: Path, workers: int, bar: Bar) -> Comparison:
    """Walk forward, score, and write ``forecasts.parquet``, ``scores.json`` and ``report.html`` below ``out``.

    Raises
    ------
    DataError
        See :func:`backtests.walk.walk` and :func:`backtests.scoring.score_file`.
    """
    walked = walk(config, store, out, workers, bar)
    outcomes = stored_outcomes(
        store, config.symbols, config.test_from_ns, config.test_to_ns,
        walked.spec.horizons_s, config.venue, walked.spec.bar_s,
    )  # fmt: skip
    scores = score_file(out / FORECASTS, outcomes, baseline=config.baseline, progress=bar("score"))
    told = about(walked)
    write_json(out / SCORES, {"about": told, **scores})
    write_comparison_report(out / REPORT, scores, told)
    key = sha256_of([told[name] for name in ("config", "data_sha256", "code_sha256")])
    return Comparison(key, config, out, scores, told, walked.re_used)


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
