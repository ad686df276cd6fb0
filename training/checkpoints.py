"""What a run that was ended has done: finished seeds, and the last whole epoch of the one it was at.

A run's folder is named by the hash of its configuration, its data, the code and the libraries: what was computed from
anything else is not found. Files hold tensors and plain values, and are there whole or not at all.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from features.files import code_hash, sha256_of, written_whole
from features.panel import Panel
from training.config import TrainingConfig

CODE = ("features", "models", "training")
LIBRARIES = ("lightgbm", "lightning", "numba", "numpy", "scikit-learn", "scipy", "torch")  # anchors' are among them

Done = tuple[dict[str, Tensor], list[dict[str, float]]]


@dataclass(frozen=True)
class Checkpoints:
    """A folder of one run."""

    folder: Path

    @classmethod
    def of(cls, root: Path, config: TrainingConfig, panels: Sequence[Panel]) -> Self:
        """The folder of a run below ``root``; seeds that it has not in common with another are of no matter."""
        settings = config.model_dump(exclude={"seeds", "data"})
        libraries = {name: version(name) for name in LIBRARIES}
        key = sha256_of([settings, [data_sha256(panel) for panel in panels], code_hash(*CODE), libraries])
        return cls(root / key[:16])

    def running(self, seed: int) -> Path:
        """Lightning's checkpoint of the last whole epoch."""
        return self.folder / f"seed-{seed}.ckpt"

    def finished(self, seed: int) -> Done | None:
        """Weights and history of a seed that was trained to its end."""
        path = self.folder / f"seed-{seed}.pt"
        if not path.is_file():
            return None
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return found["weights"], found["history"]

    def finish(self, seed: int, done: Done) -> None:
        """Keep a seed's weights and history; its epochs are of no more use."""
        with written_whole(self.folder / f"seed-{seed}.pt") as scratch:
            torch.save({"weights": done[0], "history": done[1]}, scratch)
        self.running(seed).unlink(missing_ok=True)


class EveryEpoch(Checkpoint):
    """Write a checkpoint at each epoch's end, after the module's own hook."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:  # noqa: ANN401 - Lightning's signature
        """Write beside, then rename; of several processes the first writes."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_name(f".{self.path.name}.part")
        trainer.save_checkpoint(scratch)
        if trainer.is_global_zero:
            os.replace(scratch, self.path)  # noqa: PTH105 - replaces atomically on POSIX and Windows


def data_sha256(panel: Panel) -> str:
    """Fingerprint of all that training reads of a panel."""
    digest = sha256(f"{panel.instrument} {panel.spec.hash}".encode())
    for values in (panel.origin_ns, panel.values, *panel.targets.arrays.values()):
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
