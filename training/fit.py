"""One training run, read top to bottom."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from features.pipeline import Progress, no_progress
from models.neural.forecaster import NeuralForecaster
from models.neural.inputs import Reader
from models.neural.network import Network
from models.scores import qlike_floor
from training.checkpoints import CODE, Checkpoints, Done, EveryEpoch
from training.config import TrainingConfig
from training.data import Table, WindowData, split
from training.faults import NotFiniteError, kept
from training.machine import interruptible, is_helper, leave_if_helper, settled, trainer_of
from training.module import NetworkModule

__all__ = ["CODE", "Trained", "train"]

History = list[dict[str, float]]


@dataclass(frozen=True)
class Trained:
    """A forecaster, and the figures of each epoch for each of its networks.

    ``train_loss``: mean over the epoch's batches; ``validation_qlike_net``: where there is validation, QLIKE of the
    mean weights less its floor, mean over the horizons.
    """

    forecaster: NeuralForecaster
    histories: tuple[History, ...]


def train(
    panels: Sequence[Panel], config: TrainingConfig, progress: Progress = no_progress, checkpoints: Path | None = None
) -> Trained:
    """Fit the classical models, measure scales and base law, train a network for each seed.

    With ``strategy = "ddp"`` the program is started anew for each further device; in those, this never returns.

    Parameters
    ----------
    panels : the past of each instrument, cut with :meth:`features.panel.Panel.until` at the end of training. Classical
        models, scales and base law see all of it, validation days included.
    config : the run.
    progress : called with (steps done, steps in all), over all seeds.
    checkpoints : a folder where an ended run of the same configuration, data and code goes on; none: nothing is kept.

    Raises
    ------
    SettingError, ShortHistoryError
        If the configuration does not fit the machine or the panels.
    ConvergenceError
        If a loss is not finite; the batch is saved, in ``checkpoints`` or a new folder, and the message names it.
    """
    _check(panels)
    with settled(config.machine):
        reader = Reader.fit(config.inputs.plain(), panels)
        table = Table.of(reader, panels, config.loss)
        run = _Run(config, reader, table, panels[0], progress)
        store = Checkpoints.of(checkpoints, config, panels) if checkpoints else None
        done = [run.seed(i, seed, store) for i, seed in enumerate(config.seeds)]
        nets = tuple(run.network(weights) for weights, _ in done)
    leave_if_helper()
    return Trained(NeuralForecaster(nets, reader, panels[0].spec), tuple(history for _, history in done))


def _check(panels: Sequence[Panel]) -> None:
    """Refuse panels that are not of one spec, each of its own instrument."""
    if not panels or not all(map(len, panels)):
        raise ShortHistoryError("training needs panels with origins; give a longer history")
    if len({panel.spec.hash for panel in panels}) > 1:
        raise SettingError("the panels are of several feature specs; compute all of them with one")
    names = [panel.instrument for panel in panels]
    if len(set(names)) < len(names):
        raise SettingError(f"two panels of one instrument among {', '.join(names)}; give each once")


class _Run:
    """What all seeds share."""

    def __init__(self, config: TrainingConfig, reader: Reader, table: Table, panel: Panel, progress: Progress) -> None:
        self.config, self.table, self.progress = config, table, progress
        self.rows = split(table, max(panel.spec.horizons_s), config.validation_days)
        if config.validation_days and not len(self.rows[1]):  # no epoch could be told to be the best
            raise ShortHistoryError(
                f"none of the last {config.validation_days} days has an outcome to validate on; give panels that are "
                "known further, or more validation_days"
            )
        self.sizes = len(reader.names), reader.n_sequence, len(panel.spec.horizons_s), len(reader.instruments)
        self.floors = torch.tensor([qlike_floor(s // panel.spec.bar_s) for s in panel.spec.horizons_s])
        self.measured = self.network()
        self.measured.law.measure(table.residuals())

    def network(self, weights: dict[str, torch.Tensor] | None = None) -> Network:
        """A network as it begins, or with these weights, ready to forecast."""
        net = Network(self.config.network.sized(*self.sizes))
        if weights is None:
            return net
        net.load_state_dict(weights)
        return net.eval()

    def seed(self, number: int, seed: int, store: Checkpoints | None) -> Done:
        """Train one network, go on with it, or find it."""
        done = store.finished(seed) if store else None
        if done is None:
            done = self._trained(number, seed, store)
            if store and not is_helper():
                store.finish(seed, done)
        return done

    def _trained(self, number: int, seed: int, store: Checkpoints | None) -> Done:
        torch.manual_seed(seed)
        net = self.network()
        for own, base in zip(net.law.buffers(), self.measured.law.buffers(), strict=True):
            own.copy_(base)
        data = WindowData(self.table, self.rows, net.encoder.clocks, self.config.batch_size, seed)
        module = NetworkModule(net, self.config, seed, self.floors)
        callbacks: list[Callback] = [_Report(self.progress, number, len(self.config.seeds))]
        path = store.running(seed) if store else None
        callbacks += [EveryEpoch(path)] if path else []
        try:
            with interruptible():
                begun = path if path and path.exists() else None
                trainer_of(self.config, callbacks).fit(module, datamodule=data, ckpt_path=begun, weights_only=True)
        except NotFiniteError as fault:
            folder = store.folder if store else Path(tempfile.mkdtemp(prefix="margincast-"))
            raise kept(fault, self.table, seed, folder) from fault
        return module.kept, module.history


class _Report(Callback):
    """Tell a progress function how many steps are done."""

    def __init__(self, progress: Progress, number: int, seeds: int) -> None:
        self.progress, self.number, self.seeds = progress, number, seeds

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:  # noqa: ANN401 - Lightning's signature
        self._tell(trainer, trainer.global_step)

    def on_train_end(self, trainer: lightning.Trainer, *_: Any) -> None:  # noqa: ANN401 - Lightning's signature
        self._tell(trainer, int(trainer.estimated_stepping_batches))

    def _tell(self, trainer: lightning.Trainer, done: int) -> None:
        if trainer.is_global_zero:
            steps = int(trainer.estimated_stepping_batches)
            self.progress(self.number * steps + done, self.seeds * steps)
