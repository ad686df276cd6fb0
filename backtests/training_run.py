"""A whole training run, read top to bottom: train, keep, forecast what was held out, score, report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from backtests.outcomes import stored_outcomes
from backtests.scoring_attendance import Market
from backtests.training_card import write_card
from backtests.training_importance import Weighed, weigh
from backtests.training_network import Trained, network_fold, trained_network
from backtests.training_period import Period, period_of
from backtests.training_report import write_training_report
from backtests.training_scores import UNSEEN, Compared, Row, classical_rows, compared, network_rows
from backtests.walk import Bar
from features.errors import SettingError
from features.files import code_hash, locked, sha256_of, write_json
from features.panel import Panel
from features.pipeline import load_panel, panel_folders
from features.specs import find_spec
from training.config import TrainingConfig
from training.settings import DataSettings

SCORES, REPORT, CARD, MODEL, FORECASTS = "scores.json", "report.html", "model_card.md", "model", "forecasts.parquet"


@dataclass(frozen=True)
class Asked:
    """What a run is asked for beside its configuration: the test's ends (UTC), and symbols to be scored unseen.

    ``with_onnx``: keep the networks in their exported form, too. ``jobs``: processes for the classical models.
    """

    test_from: str | None = None
    test_to: str | None = None
    unseen: tuple[str, ...] = ()
    with_onnx: bool = False
    jobs: int = 1


@dataclass(frozen=True)
class TrainingRun:
    """A finished run. ``key`` is the hash of everything that its figures depend on.

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
        absent = [symbol for symbol in _data(self.config).symbols if symbol not in rows]
        if absent:
            lines.append(f"not trained on  {', '.join(absent)}: no row before {_data(self.config).fit_until}")
        lines += [f"missing  {m['model']} of {m['instrument']}: {m['reason']}" for m in self.held_out.missing]
        lines += [f"no importances by {failure}" for failure in self.weighed.failures]
        for model, shares in self.held_out.scores["not_scored"].items():
            where, share = min(shares.items(), key=lambda item: float(item[1]))
            lines.append(f"not scored  {model}: forecast only {share:.1%} of the origins of {where}")
        return lines


def run_training(config: TrainingConfig, store: Path, out: Path, bar: Bar, asked: Asked | None = None) -> TrainingRun:
    """Train on the past up to ``data.fit_until``, score on what came later; leaves a model and its report in ``out``.

    What is there of the same inputs is re-used: panels, finished epochs, the model, forecasts.

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
    data = _data(config)
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
    job = _Job(config, asked, out, bar, folders, panels, period, outcomes)
    for name in (SCORES, REPORT, CARD):  # of another run, perhaps
        (out / name).unlink(missing_ok=True)

    trained = job.trained(data.symbols, out / MODEL)
    classical = job.classical(data.symbols)
    rows = [*network_rows(job.fold(trained, data.symbols)), *classical]
    held_out = job.compared(rows, data.symbols, out / FORECASTS)
    unseen = {symbol: _unseen(job, trained, classical, symbol) for symbol in asked.unseen}

    known = {symbol: panels[symbol] for symbol in trained.card["provenance"]["instruments"]}
    weighed = weigh(trained, known, period, bar("weigh the inputs"))

    told = _about(config, period, job.data_sha256(symbols), trained, held_out)
    key = sha256_of([told[name] for name in ("config", "period", "data_sha256", "code_sha256")] + [list(asked.unseen)])
    run = TrainingRun(key, config, out, trained, period, held_out, unseen, told, weighed)
    write_json(out / SCORES, _json(run))
    write_training_report(out / REPORT, run)
    write_card(out / CARD, run)
    return run


def _data(config: TrainingConfig) -> DataSettings:
    if config.data is None:
        raise SettingError(
            "the configuration has no table [data]: add symbols, spec and fit_until, in the file or with "
            "--set data.symbols=... --set data.spec=... --set data.fit_until=..."
        )
    return config.data


@dataclass(frozen=True)
class _Job:
    """What the steps share."""

    config: TrainingConfig
    asked: Asked
    out: Path
    bar: Bar
    folders: Mapping[str, Path]
    panels: Mapping[str, Panel]
    period: Period
    outcomes: Market

    def data_sha256(self, symbols: Sequence[str]) -> str:
        return sha256_of([self.folders[symbol].name for symbol in symbols])

    def trained(self, symbols: Sequence[str], folder: Path) -> Trained:
        past = {symbol: self.panels[symbol] for symbol in symbols}
        data, progress = self.data_sha256(symbols), self.bar(f"train {folder.relative_to(self.out)}")
        fold, with_onnx = self.period.fold, self.asked.with_onnx
        return trained_network(self.config, past, data, fold, folder, progress, with_onnx=with_onnx)

    def fold(self, trained: Trained, symbols: Sequence[str]) -> Path:
        asked = {symbol: self.panels[symbol] for symbol in symbols}
        folds = self.out / "folds" / "network"
        return network_fold(trained, self.period.fold, asked, self.data_sha256(symbols), folds, self.bar("forecast"))

    def classical(self, symbols: Sequence[str]) -> list[Row]:
        folders = {symbol: self.folders[symbol] for symbol in symbols}
        data = self.data_sha256(symbols)
        return classical_rows(self.period.fold, data, folders, self.out / "folds", self.asked.jobs, self.bar)

    def compared(self, rows: Sequence[Row], symbols: Sequence[str], path: Path) -> Compared:
        folders = {symbol: self.folders[symbol] for symbol in symbols}
        outcomes = {symbol: self.outcomes[symbol] for symbol in symbols}
        return compared(rows, folders, self.period, outcomes, path, self.asked.jobs, self.bar)


def _unseen(job: _Job, trained: Trained, classical: Sequence[Row], symbol: str) -> Compared:
    """One symbol as a network that was trained without it forecasts it, beside those that knew its past."""
    here, symbols = job.out / "unseen" / symbol, _data(job.config).symbols
    others = [name for name in symbols if name != symbol]
    is_seen = symbol in trained.card["provenance"]["instruments"]
    without = job.trained(others, here / MODEL) if is_seen else trained
    rows = network_rows(job.fold(without, [symbol]), UNSEEN)[:1]
    rows += network_rows(job.fold(trained, [symbol]))[:1] if is_seen else []
    rows += classical if symbol in symbols else job.classical([symbol])
    return job.compared(rows, [symbol], here / FORECASTS)


def _about(
    config: TrainingConfig, period: Period, data_sha256: str, trained: Trained, held_out: Compared
) -> dict[str, Any]:
    """What was trained and scored, of which data and code, what it cost and what is missing: JSON values."""
    return {
        "config": config.model_dump(mode="json"),
        "period": period.told() | {"lead_days": period.lead_days},
        "model_id": trained.model_id,
        "spec_sha256": trained.forecaster.spec.hash,
        "data_sha256": data_sha256,
        "code_version": metadata.version("margincast"),
        "code_sha256": code_hash("features", "models", "training", "backtests"),
        "costs": held_out.costs,
        "missing": held_out.missing,
    }


def _json(run: TrainingRun) -> dict[str, Any]:
    """The scores, what they are of, and the skills over each classical model."""
    unseen = {symbol: {**found.scores, "skills": found.skills} for symbol, found in run.unseen.items()}
    return {"about": run.about, "skills": run.held_out.skills, "unseen": unseen, **run.held_out.scores}
