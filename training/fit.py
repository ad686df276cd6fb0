"""One training run, read top to bottom."""

import logging
import signal
import threading
import warnings
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from numpy.typing import NDArray
from scipy.stats import genpareto

from features.clock import format_utc
from features.errors import SettingError
from features.files import code_hash
from features.panel import Panel
from features.pipeline import FEATURE_CODE, Progress, no_progress
from features.scaling import Scaling
from models import artefact
from models.classical.log_har import LogHar
from models.neural.forecaster import NeuralForecaster
from models.neural.residual import INNER, ResidualConfig, ResidualNet
from training.config import TrainingConfig
from training.data import WindowData
from training.module import ResidualModule

CODE = ("features", "models", "training")
HARMLESS = (
    r".*does not have many workers.*",  # windows are gathered in memory: workers would only copy them
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning's own use of torch
)


def train(
    panel: Panel,
    config: TrainingConfig,
    folder: Path,
    data_sha256: str,
    progress: Progress = no_progress,
) -> NeuralForecaster:
    """Fit log-HAR, measure scales and base shape, train the network, save the artefact.

    The figures of each epoch are kept in the artefact's provenance.

    Parameters
    ----------
    panel : the past, cut with :meth:`features.pipeline.Panel.until` at the end of training.
        Scales, base shape and log-HAR see all of it, validation days included.
    config : the run.
    folder : new folder for the artefact.
    data_sha256 : fingerprint of the data, kept in the artefact.
    progress : called with (steps done, steps in all).
    """
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    anchor = LogHar().fit(panel)
    log_variance = anchor.log_variance(panel)

    refuse_unknown(panel)
    network = config.network.model_dump()
    net = ResidualNet(ResidualConfig(len(panel.spec.features), len(panel.spec.horizons_s), **network))
    measure_features(net, panel.values)
    measure_shape(net, panel.targets.log_return * np.exp(-log_variance / 2))

    rows = 24 * config.validation_days
    data = WindowData(panel, log_variance, config.network.window, config.batch_size, rows, config.seed)
    module = ResidualModule(net, config)
    with warnings.catch_warnings():
        for message in HARMLESS:
            warnings.filterwarnings("ignore", message=message)
        _run(_trainer(config, progress), module, data)

    forecaster = NeuralForecaster(net.eval(), anchor, panel.spec)
    artefact.save(forecaster, folder, _provenance(panel, config, data_sha256) | {"history": module.history})
    return forecaster


def refuse_unknown(panel: Panel) -> None:
    """Refuse features that are not known everywhere, and rows with holes between them: the network has no mask."""
    if not panel.known.all():
        name = panel.spec.features[int(np.argmin(panel.known.all(axis=0)))]
        raise SettingError(f"{panel.instrument}: feature {name} is not known at every origin; leave it out of the spec")
    if not panel.unbroken(2)[1:].all():
        raise SettingError(f"{panel.instrument}: there are holes between the origins; train on one session")


def measure_features(net: ResidualNet, values: NDArray[np.float32]) -> None:
    """Set the network's centre and scale of each feature: train-only."""
    scaling = Scaling.fit(values)
    net.centre.copy_(torch.from_numpy(scaling.centre.astype(np.float32)))
    net.scale.copy_(torch.from_numpy(scaling.spread.astype(np.float32)))


def measure_shape(net: ResidualNet, z: NDArray[np.float64]) -> None:
    """Set the network's base shape to that of the anchor's residuals, shape (n, h), train-only."""
    for h in range(z.shape[1]):
        known = z[np.isfinite(z[:, h]), h]
        inner = np.quantile(known, INNER)
        net.base_median[h] = float(inner[len(INNER) // 2])
        net.base_steps[h] = torch.from_numpy(np.diff(inner).astype(np.float32))
        for side, losses in enumerate((-known, known)):
            threshold = -inner[0] if side == 0 else inner[-1]
            index, _, scale = genpareto.fit(losses[losses > threshold] - threshold, floc=0)
            net.base_tails[h, side] = torch.tensor([scale, np.clip(index, 0.02, 0.4)])


class _Report(Callback):
    """Tell a progress function how many steps are done."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:  # noqa: ANN401 - Lightning's signature
        self.progress(trainer.global_step, int(trainer.estimated_stepping_batches))


def _trainer(config: TrainingConfig, progress: Progress) -> lightning.Trainer:
    """Single process, deterministic, silent: progress and history are ours."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return lightning.Trainer(
        accelerator="cpu",  # the network is small: a transfer would cost more than it saves
        devices=1,
        max_epochs=config.epochs,
        gradient_clip_val=config.gradient_clip,
        deterministic=True,
        callbacks=[EMAWeightAveraging(decay=config.ema_decay), _Report(progress)],
        limit_val_batches=1.0 if config.validation_days else 0,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _run(trainer: lightning.Trainer, module: ResidualModule, data: WindowData) -> None:
    """Fit; an interrupt stays one (Lightning turns it into an exit and from then on ignores the signal)."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, datamodule=data)
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)


def _provenance(panel: Panel, config: TrainingConfig, data_sha256: str) -> dict[str, Any]:
    """What the numbers came from."""
    return {
        "instrument": panel.instrument,
        "trained_from": format_utc(int(panel.origin_ns[0])),
        "trained_until": format_utc(int(panel.origin_ns[-1])),
        "training": config.model_dump(),
        "data_sha256": data_sha256,
        "code_sha256": code_hash(*CODE),
        "feature_code_sha256": code_hash(*FEATURE_CODE),
    }
