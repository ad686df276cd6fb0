"""A training run in MLflow: its inputs, losses, skills, calibration and files; its model in the registry."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backtests.comparison_conditions import STORMS
from backtests.comparison_plots import model_figures
from backtests.comparison_tracking import LONGEST_PARAM, flat
from backtests.comparison_view import hours
from backtests.report import Section, write_report
from backtests.training_job import MODEL
from backtests.training_run import CARD, REPORT, SCORES, TrainingRun
from backtests.training_scores import NETWORK, TRACKED
from features.files import sha256_of
from training.tracking import CHALLENGER, CHAMPION, RunRecord, Tracking


def track(run: TrainingRun, tracking: Tracking, now_ms: int) -> tuple[int, str]:
    """Log the run, unless it is there, and register its model; answers the version and its alias.

    It is the champion where there is none or it is that already, else the challenger.
    """
    with TemporaryDirectory() as scratch:
        run_id = tracking.log(_record(run, Path(scratch), now_ms))
    holder = tracking.registry.holder(CHAMPION)
    alias = CHAMPION if holder is None or holder.run_id == run_id else CHALLENGER
    return tracking.registry.register(run_id, MODEL, alias), alias


def _record(run: TrainingRun, scratch: Path, now_ms: int) -> RunRecord:
    files = {
        "model": run.trained.folder,
        "scores": run.out / SCORES,
        "report": run.out / REPORT,
        "card": run.out / CARD,
    }
    own = [model for model in (NETWORK, TRACKED) if model in run.held_out.scores["models"]]
    for model in own:
        path = scratch / f"calibration-{model}.html"
        _write_page(run, model, path)
        files[f"calibration-{model}"] = path
    return RunRecord(
        key=sha256_of([run.key, run.trained.model_id]),
        name=f"train {', '.join(run.trained.card['provenance']['instruments'])}"[:250],
        params=_params(run),
        metrics=_metrics(run, own),
        series=_series(run),
        files=files,
        time_ms=now_ms,
    )


def _params(run: TrainingRun) -> dict[str, Any]:
    """The configuration by dotted keys, the period, and what everything was made of."""
    names = ("model_id", "spec_sha256", "data_sha256", "code_version", "code_sha256")
    told = _dotted("", run.about["config"]) | _dotted("period/", run.about["period"])
    told |= {name: run.about[name] for name in names}
    told |= {"config_sha256": sha256_of(run.about["config"])}
    return {name: str(value)[:LONGEST_PARAM] for name, value in told.items() if value not in (None, {}, [])}


def _dotted(prefix: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Values of nested tables by the path that leads to each.

    Examples
    --------
    >>> _dotted("", {"epochs": 3, "network": {"head": "pareto"}})
    {'epochs': 3, 'network.head': 'pareto'}
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= (
            _dotted(f"{prefix}{key}.", value) if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
        )
    return found


def _metrics(run: TrainingRun, own: list[str]) -> dict[str, float]:
    """Figures of the network, calibrated, by horizon: losses, hit rates by level and tercile, skill over each model."""
    found: dict[str, float] = {}
    for horizon_s, scored in run.held_out.scores["horizons"].items():
        place = hours(int(horizon_s)).replace(" ", "")
        for model in own:
            if scored.get("pooled"):
                found |= _figures(place if model == NETWORK else f"track/{place}", scored["pooled"][model])
    for horizon_s, by_model in run.held_out.skills.items():
        for other, figures in by_model.items():
            found |= dict(flat(f"{hours(int(horizon_s)).replace(' ', '')}/over_{other}", figures["detail"]["vs"]))
    costs = run.held_out.costs.get(NETWORK, {})
    return found | {f"cost/{name}": value for name, value in costs.items()}


def _figures(front: str, row: Mapping[str, Any]) -> dict[str, float]:
    """Figures of a row at one horizon, those of the terciles by their names."""
    rates = {
        f"{front}/tercile/{level}/{storm}": float(rate)
        for level, by_storm in row["tercile_trailing"].items()
        for storm, rate in zip(STORMS, by_storm, strict=True)
        if rate is not None
    }
    return rates | dict(flat(front, row))


def _series(run: TrainingRun) -> dict[str, list[float]]:
    """Figures of every epoch, by seed."""
    found: dict[str, list[float]] = {}
    for seed, history in zip(run.config.seeds, run.trained.histories, strict=True):
        for epoch in history:
            for name, value in epoch.items():
                found.setdefault(f"epoch/{name}/seed_{seed}", []).append(value)
    return found


def _write_page(run: TrainingRun, model: str, path: Path) -> None:
    """A row's pictures on a page that fetches nothing."""
    figures = model_figures(run.held_out.scores, model)
    sections = [Section(name.replace("_", " ").capitalize(), "", [figure]) for name, figure in figures.items()]
    period = run.period.told()
    lead = f"{period['test_from']} to {period['test_to']}, {', '.join(run.held_out.scores['instruments'])}"
    write_report(path, f"margincast: calibration of {model}", lead, [], sections, f"model {run.trained.model_id}")
