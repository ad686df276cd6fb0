"""A whole training run, read top to bottom: train, keep, forecast what was held out, score, report."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from backtests.outcomes import stored_outcomes
from backtests.training_card import write_card
from backtests.training_compared import Compared
from backtests.training_importance import Weighed, weigh
from backtests.training_job import FORECASTS, MODEL, Asked, Job, data_of
from backtests.training_network import Trained
from backtests.training_period import Period, period_of
from backtests.training_report import write_training_report
from backtests.training_results import Results
from backtests.training_scores import network_rows
from backtests.walk import Bar
from features.errors import SettingError
from features.files import code_hash, locked, sha256_of, write_json
from features.pipeline import load_panel, panel_folders
from features.specs import find_spec
from training.config import TrainingConfig

SCORES, REPORT, CARD = "scores.json", "report.html", "model_card.md"


@dataclass(frozen=True)
class TrainingRun:
    """A finished run. ``key`` is the hash of everything that its figures depend on; all that it leaves carries it.

    ``unseen``: by symbol, what networks that were trained without it say of it.
    """

    key: str
    config: TrainingConfig
    out: Path
    trained: Trained
    period: Period
    held_out: Compared
    unseen: Mapping[str, Compared]
    about: Mapping[str, Any]
    weighed: Weighed

    def told(self) -> list[str]:
        """What a user should know beside the scores, a line each."""
        lines = [] if self.trained.seconds else ["re-used  the network of an earlier run with the same inputs"]
        if self.period.is_lead_short:
            lines.append(f"the lead of {self.period.lead_days:.0f} days is short: tails begin as the models' own")
        rows = self.trained.card["provenance"]["rows"]
        absent = [symbol for symbol in data_of(self.config).symbols if symbol not in rows]
        if absent:
            lines.append(f"not trained on  {', '.join(absent)}: no row before {data_of(self.config).fit_until}")
        lines += [f"missing  {m['model']} of {m['instrument']}: {m['reason']}" for m in self.held_out.missing]
        lines += [f"no importances by {failure}" for failure in self.weighed.failures]
        for model, shares in self.held_out.scores["not_scored"].items():
            where, share = min(shares.items(), key=lambda item: float(item[1]))
            lines.append(f"not scored  {model}: forecast only {share:.1%} of the origins of {where}")
        return lines


def run_training(config: TrainingConfig, store: Path, out: Path, bar: Bar, asked: Asked | None = None) -> TrainingRun:
    """Train on the past up to ``data.fit_until``, score on what came later; leaves a model and its report in ``out``.

    What is there of the same inputs is re-used: panels, finished epochs, the model, forecasts. What an earlier run left
    stays until this one is whole: one that is refused or killed changes none of it.

    Parameters
    ----------
    config : with a table ``data``.
    store : root of the store of bars or events.
    out : folder for ``model/``, ``forecasts.parquet``, ``scores.json``, ``report.html``, ``model_card.md``.
    bar : makes a progress bar for a named step.

    Raises
    ------
    DataError
        If the configuration and the store do not fit each other, or training fails; the message says what to do.
    """
    with locked(out / ".lock"):  # of two runs in one folder the second waits, and finds what the first made
        return _run(config, store, out, bar, asked or Asked())


def _run(config: TrainingConfig, store: Path, out: Path, bar: Bar, asked: Asked) -> TrainingRun:
    data = data_of(config)
    alone = [symbol for symbol in asked.unseen if data.symbols == (symbol,)]
    if alone:
        raise SettingError(f"--unseen {alone[0]}: it is the only symbol that is trained on; add others to data.symbols")
    spec = find_spec(data.spec)
    symbols = tuple(dict.fromkeys((*data.symbols, *asked.unseen)))
    folders = panel_folders(store, data.venue, symbols, spec, out / "cache", bar("compute features"))
    panels = {symbol: load_panel(folder) for symbol, folder in folders.items()}
    period = period_of(data, panels, spec, asked.test_from, asked.test_to)
    outcomes = stored_outcomes(  # before the work: what is wrong with the store is told at once
        store, symbols, period.from_ns, period.to_ns, spec.horizons_s, data.venue, spec.bar_s
    )
    results = Results(out)  # what is there of another run stays, until this one is whole
    job = Job(config, asked, results, bar, folders, panels, period, outcomes)

    trained = job.trained(data.symbols, MODEL)
    told = _about(config, period, job.data_sha256(symbols), trained)
    key = sha256_of([told, list(asked.unseen)])
    classical = job.classical(data.symbols)
    rows = [*network_rows(job.fold(trained, data.symbols)), *classical]
    held_out = job.compared(rows, data.symbols, FORECASTS, key)
    unseen = {symbol: job.unseen(trained, classical, symbol, key) for symbol in asked.unseen}

    known = {symbol: panels[symbol] for symbol in trained.card["provenance"]["instruments"]}
    weighed = weigh(trained, known, period, bar("weigh the inputs"))

    about = told | {"run": key, "forecasts_sha256": held_out.sha256, "missing": held_out.missing}
    run = TrainingRun(key, config, out, trained, period, held_out, unseen, about, weighed)
    write_json(results.fresh(SCORES), _json(run))
    write_training_report(results.fresh(REPORT), run)
    write_card(results.fresh(CARD), run)
    results.add(*map(results.fresh, (SCORES, REPORT, CARD)))
    results.publish()
    return replace(run, trained=replace(trained, folder=out / MODEL))


def _about(config: TrainingConfig, period: Period, data_sha256: str, trained: Trained) -> dict[str, Any]:
    """What is trained and scored, of which data and code: JSON values."""
    return {
        "config": config.model_dump(mode="json"),
        "period": period.told() | {"lead_days": period.lead_days},
        "model_id": trained.model_id,
        "spec_sha256": trained.forecaster.spec.hash,
        "data_sha256": data_sha256,
        "code_version": metadata.version("margincast"),
        "code_sha256": code_hash("features", "models", "training", "backtests"),
    }


def _json(run: TrainingRun) -> dict[str, Any]:
    """The scores, what they are of, and the skills over each classical model."""
    unseen = {symbol: {**found.scores, "skills": found.skills} for symbol, found in run.unseen.items()}
    return {"about": run.about, "skills": run.held_out.skills, "unseen": unseen, **run.held_out.scores}
