"""A search for a training configuration, read top to bottom: draw, train on every fold, score, keep the best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from features.clock import HOUR_S, parse_utc
from features.errors import ConvergenceError, DataError
from features.files import code_hash, sha256_of, write_text
from features.panel import Panel
from features.pipeline import Progress, no_progress
from training.checkpoints import CODE
from training.config import TrainingConfig
from training.fit import Trained, train
from training.toml_text import toml_text
from training.tracking import Run, RunRecord, Tracking
from training.tune_config import FoldSettings, TuneConfig
from training.tune_reach import check_reach
from training.tune_score import validation_loss
from training.tune_study import Counts, Study, opened

FloatArray = NDArray[np.float64]
LOSS = "validation_qlike_net"
Train = Callable[[Sequence[Panel], TrainingConfig], Trained]


@dataclass(frozen=True)
class Search:
    """What is searched and where it is kept.

    ``panels``: of all instruments, whole. ``data_sha256``: hash of them. ``study``: SQLite file of the trials.
    ``out``: TOML file of the best configuration. ``trained``: what trains; another one in tests.
    ``code_sha256``: of the code as it was when the search began.
    """

    config: TuneConfig
    panels: Sequence[Panel]
    data_sha256: str
    study: Path
    out: Path
    trained: Train = train
    code_sha256: str = field(default_factory=lambda: code_hash(*CODE))

    @property
    def key(self) -> str:
        """Hash of all that a trial's loss depends on; how many trials there are is none of it."""
        told = self.config.model_dump(mode="json", exclude={"trials"})
        base = self.config.training().model_dump(mode="json")
        return sha256_of([told, base, self.data_sha256, self.code_sha256])


@dataclass(frozen=True)
class Found:
    """What a search found. ``loss`` is the mean over horizons and folds; ``key`` names the search."""

    number: int
    loss: float
    values: Mapping[str, Any]
    counts: Counts
    config: TrainingConfig
    key: str


@dataclass
class Told:
    """What a trial left behind: losses (h,) by fold, figures by epoch, how it ended and why."""

    ended: str = "complete"
    reason: str = ""
    losses: list[FloatArray] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Mean over the folds so far and over the horizons."""
        return float(np.mean(self.losses))


def tune(
    search: Search,
    tracking: Tracking,
    time_ms: int,
    progress: Progress = no_progress,
    tell: Callable[[str], None] = lambda _line: None,
) -> Found:
    """Run the trials that the study still lacks; write the best configuration, log every trial below the study's run.

    Parameters
    ----------
    search : what, and where it is kept; a study that is there is gone on with.
    tracking : store of the runs.
    time_ms : now.
    progress : called with (folds done, folds in all) of the trials.
    tell : called with a line for each trial that has ended.

    Raises
    ------
    ConvergenceError
        If no trial of the study went through all folds.
    ShortHistoryError
        If the data end before a fold, or before the training that the best configuration is for.
    FormatError, SettingError
        See :func:`training.tune_study.opened` and :meth:`training.tune_config.TuneConfig.training`.
    """
    base, key, n_folds = search.config.training(), search.key, len(search.config.folds)
    check_reach(search.config, base, search.panels)
    with (
        opened(search.study, search.config, key) as study,
        tracking.begin(f"tune {search.config.base}", key) as run,
    ):
        run.params(_flat(search.config.model_dump(mode="json", exclude={"trials"})) | {"data": search.data_sha256})
        while (done := study.counts().all) < search.config.trials:
            trial = study.ask()
            told = _tried(
                search, base, trial, study, partial(_tick, progress, done * n_folds, search.config.trials * n_folds)
            )
            _log(tracking, run, trial, told, search, time_ms)
            tell(_line(trial.number, told, study))
        progress(search.config.trials * n_folds, search.config.trials * n_folds)
        found = _found(study, base, key)
        _keep(search, found, run, time_ms)
    return found


def _tick(progress: Progress, done: int, total: int, folds: int) -> None:
    progress(done + folds, total)


def _tried(
    search: Search, base: TrainingConfig, trial: optuna.Trial, study: Study, tick: Callable[[int], None]
) -> Told:
    """Train and score one configuration fold by fold, until it is worse than half of the others were there."""
    told = Told()
    try:
        config = base.changed(trial.params)
        for number, fold in enumerate(search.config.folds):
            tick(number)
            _one_fold(search, config, fold, number, told)
            trial.report(told.loss, number)
            if number + 1 < len(search.config.folds) and trial.should_prune():
                told.ended = "pruned"
                study.prune(trial)
                return told
    except DataError as error:  # a configuration that cannot be trained is a finding, too
        told.ended, told.reason = "failed", str(error)
        study.fail(trial, told.reason)
        return told
    study.complete(trial, told.loss)
    return told


def _one_fold(search: Search, config: TrainingConfig, fold: FoldSettings, number: int, told: Told) -> None:
    """Train on what was known, score what came after; refuse a loss that is no number."""
    past = [cut for panel in search.panels if len(cut := _past(panel, config, fold))]
    made = search.trained(past, config)
    losses = validation_loss(made.forecaster, search.panels, fold.from_ns, fold.until_ns)
    if not np.isfinite(losses).all():
        raise ConvergenceError(f"fold {number}: losses of {losses}; narrow the space")
    told.losses.append(losses)
    for i, history in enumerate(made.histories):
        for name in sorted({name for epoch in history for name in epoch}):
            told.series[f"fold_{number}/network_{i}/{name}"] = [epoch[name] for epoch in history if name in epoch]


def _past(panel: Panel, config: TrainingConfig, fold: FoldSettings) -> Panel:
    """Rows from the configuration's first on, as they were known when the fold begins."""
    known = panel.until(fold.from_ns)
    first = config.data.fit_from if config.data else None
    return known.rows(known.first_row_from(parse_utc(first)) if first else 0, len(known))


def _log(tracking: Tracking, run: Run, trial: optuna.Trial, told: Told, search: Search, time_ms: int) -> None:
    """One trial as a child of the study's run."""
    hours = [f"{horizon_s / HOUR_S:g}h" for horizon_s in search.panels[0].spec.horizons_s]
    metrics = {
        f"fold_{k}/{LOSS}_{hour}": float(value)
        for k, losses in enumerate(told.losses)
        for hour, value in zip(hours, losses, strict=True)
    }
    if told.losses:
        metrics[LOSS] = told.loss
        run.metrics({LOSS: told.loss}, time_ms, trial.number)
        run.flush()
    record = RunRecord(
        key=sha256_of([search.key, trial.number]),
        name=f"trial {trial.number}",
        params=dict(trial.params),
        metrics=metrics,
        series=told.series,
        files={},
        time_ms=time_ms,
        tags={"ended": told.ended} | ({"reason": told.reason[:500]} if told.reason else {}),
        parent=run.id,
        status="FAILED" if told.ended == "failed" else "FINISHED",
    )
    tracking.log(record)


def _line(number: int, told: Told, study: Study) -> str:
    """What a trial came to, in words."""
    best = study.best()
    against = f", best {best.value:.5f} of trial {best.number}" if best is not None else ""
    if told.ended == "failed":
        return f"trial {number}  failed: {told.reason}{against}"
    return f"trial {number}  {told.ended} after {len(told.losses)} folds, {LOSS} {told.loss:.5f}{against}"


def _found(study: Study, base: TrainingConfig, key: str) -> Found:
    best = study.best()
    if best is None or best.value is None:
        reasons = [str(trial.user_attrs.get("reason", "")) for trial in study.trials()]
        raise ConvergenceError(
            f"none of {len(reasons)} trials could be trained on all folds; the last: {reasons[-1]}; change the space"
        )
    return Found(best.number, best.value, best.params, study.counts(), base.changed(best.params), key)


def _keep(search: Search, found: Found, run: Run, time_ms: int) -> None:
    """The best configuration as a file that a training takes, and with the run."""
    changed = ", ".join(f"{name} = {value}" for name, value in found.values.items())
    head = f"# Trial {found.number} of {found.counts.all}: {LOSS} {found.loss:.6f}, mean over horizons and folds.\n"
    head += f"# Search {found.key[:12]} from {search.config.base!r}; chosen: {changed}\n"
    write_text(search.out, head + toml_text(found.config.model_dump(mode="json")))
    run.attach("best", search.out)
    run.metrics({"best": found.loss, **found.counts._asdict()}, time_ms, found.counts.all)
    run.tags({"best_trial": str(found.number)})


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return flat
