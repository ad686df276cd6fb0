"""A backtest as MLflow runs, one a model: its figures, its cost, its calibration on a page."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backtests.comparison import Comparison
from backtests.comparison_plots import model_figures
from backtests.comparison_view import hours
from backtests.config import ModelEntry
from backtests.report import Section, write_report
from features.files import sha256_of, write_json
from features.pipeline import Progress, no_progress
from training.tracking import RunRecord, Tracking

LONGEST_PARAM = 500  # characters that MLflow takes


def track(result: Comparison, tracking: Tracking, now_ms: int, progress: Progress = no_progress) -> None:
    """Log a run for each model that was scored; one with the same inputs is there already and stays."""
    entries = [entry for entry in result.config.models if entry.name in result.scores["models"]]
    for done, entry in enumerate(entries, 1):
        with TemporaryDirectory() as scratch:
            tracking.log(_record(result, entry, Path(scratch), now_ms))
        progress(done, len(entries))
    progress(1, 1)


def _record(result: Comparison, entry: ModelEntry, scratch: Path, now_ms: int) -> RunRecord:
    own = {h: scored["pooled"][entry.name] for h, scored in result.scores["horizons"].items() if scored.get("pooled")}
    write_json(scratch / "scores.json", own)
    _write_page(result, entry.name, scratch / "calibration.html")
    return RunRecord(
        key=sha256_of([result.key, entry.name]),
        name=f"backtest {entry.name}",
        params=_params(result, entry),
        metrics={
            name: value for h, scored in own.items() for name, value in flat(hours(int(h)).replace(" ", ""), scored)
        }
        | {f"cost/{name}": value for name, value in result.about["costs"][entry.name].items()},
        series={},
        files={"scores": scratch / "scores.json", "calibration": scratch / "calibration.html"},
        time_ms=now_ms,
    )


def _write_page(result: Comparison, model: str, path: Path) -> None:
    """The model's pictures on a page that fetches nothing."""
    figures = model_figures(result.scores, model)
    sections = [Section(name.replace("_", " ").capitalize(), "", [figure]) for name, figure in figures.items()]
    period = f"{result.config.test_from} to {result.config.test_to}, {', '.join(result.config.symbols)}"
    write_report(path, f"margincast: calibration of {model}", period, [], sections, f"comparison {result.key[:12]}")


def _params(result: Comparison, entry: ModelEntry) -> dict[str, Any]:
    schedule = result.config.schedule_of(entry).model_dump()
    params = {
        "model": entry.name, "forecaster": entry.forecaster or f"combination of {', '.join(entry.combine)}",
        "options": json.dumps(entry.options), "tail": entry.tail, "track": entry.track,
        "symbols": ",".join(result.config.symbols), "test_from": result.config.test_from,
        "test_to": result.config.test_to, **schedule,
        **{name: result.about[name] for name in ("spec_sha256", "data_sha256", "code_version")},
    }  # fmt: skip
    return {name: str(value)[:LONGEST_PARAM] for name, value in params.items()}


def flat(prefix: str, value: Any) -> list[tuple[str, float]]:  # noqa: ANN401 - any JSON value
    """Numbers of a JSON value, each under the path that leads to it.

    Examples
    --------
    >>> flat("1h", {"qlike": 0.4, "by_year": {"2021": {"n": 3}}, "models": ["a"]})
    [('1h/qlike', 0.4), ('1h/by_year/2021/n', 3.0)]
    """
    if isinstance(value, bool) or value is None or isinstance(value, str | list):
        return []
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in flat(f"{prefix}/{key}", part)]
    return [(prefix, float(value))]
