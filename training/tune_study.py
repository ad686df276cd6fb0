"""The study of a search: an SQLite file of trials, each drawn from those before it and from one seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from features.errors import FormatError, SettingError
from features.files import locked
from training.tune_config import TuneConfig

NAME, KEY, INSTEAD, REASON = "margincast", "inputs_sha256", "instead_of", "reason"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class Counts(NamedTuple):
    """Trials by how they ended; killed ones are tried again and not counted."""

    complete: int
    pruned: int
    failed: int

    @property
    def all(self) -> int:
        """Trials that ended."""
        return sum(self)


class Study:
    """Trials of one search. They are told one by one; what a kill left open is tried again with the same values."""

    def __init__(self, study: optuna.Study, config: TuneConfig) -> None:
        self._study, self._config = study, config
        self._revive()

    def ask(self) -> optuna.Trial:
        """The next trial: a killed one again, else drawn by a Parzen estimator of all trials that ended.

        Its random numbers depend on the seed and on how many trials ended before it: a search that was killed goes on
        as it would have gone without.
        """
        seed = int(np.random.SeedSequence([self._config.seed, self.counts().all]).generate_state(1)[0])
        startup = self._config.startup_trials
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
        return self._study.ask(self._config.distributions())

    def complete(self, trial: optuna.Trial, value: float) -> None:
        """A trial has gone through all folds."""
        self._study.tell(trial, value)

    def prune(self, trial: optuna.Trial) -> None:
        """A trial was stopped: after a fold it was worse than half of those before it."""
        self._study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: optuna.Trial, reason: str) -> None:
        """A trial could not be trained."""
        trial.set_user_attr(REASON, reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def counts(self) -> Counts:
        """How the trials ended."""
        ended = [trial.state for trial in self.trials()]
        return Counts(*(ended.count(state) for state in FINISHED))

    def trials(self) -> list[FrozenTrial]:
        """Every trial that ended, oldest first, without those that were killed."""
        killed = self._killed()
        return [trial for trial in self._study.get_trials(states=FINISHED) if trial.number not in killed]

    def best(self) -> FrozenTrial | None:
        """The trial with the smallest loss over all folds, if there is one."""
        whole = [t for t in self.trials() if t.state == TrialState.COMPLETE and t.value is not None]
        return min(whole, key=lambda trial: float(trial.value or 0.0), default=None)

    def _killed(self) -> set[int]:
        """Numbers of the trials that others stand in for."""
        found = (trial.user_attrs.get(INSTEAD) for trial in self._study.get_trials(deepcopy=False))
        return {int(number) for number in found if number is not None}

    def _revive(self) -> None:
        """Trials of a process that is gone count as killed, and are tried again; so are those that stood in for one."""
        killed = self._killed()
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            if trial.number not in killed:
                self._study.enqueue_trial(trial.params, user_attrs={INSTEAD: trial.number})
            self._study.tell(trial.number, state=TrialState.FAIL)


@contextmanager
def opened(path: Path, config: TuneConfig, key: str) -> Iterator[Study]:
    """Open a study or begin it; of several processes one at a time is inside.

    Parameters
    ----------
    path : of the SQLite file.
    config : the search.
    key : hash of all that a trial's loss depends on.

    Raises
    ------
    FormatError
        If the file is no study.
    SettingError
        If it is of another search: losses of other data, folds or code are not comparable.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with locked(path.with_name(f".{path.name}.lock")):
        storage = _storage(path)
        try:
            pruner = optuna.pruners.MedianPruner(n_startup_trials=config.startup_trials)
            study = optuna.create_study(
                storage=storage, study_name=NAME, load_if_exists=True, direction="minimize", pruner=pruner
            )
            _check(study, path, key)
            yield Study(study, config)
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _storage(path: Path) -> optuna.storages.RDBStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise FormatError(f"{path}: is no study ({reason}); move it away to begin a new one") from error


def _check(study: optuna.Study, path: Path, key: str) -> None:
    found = study.user_attrs.get(KEY)
    if found is None:
        study.set_user_attr(KEY, key)
    elif found != key:
        raise SettingError(
            f"{path}: is a study of another search, data or code ({str(found)[:12]}, this is {key[:12]}); its losses "
            "cannot be compared with new ones: name another file with --study"
        )
