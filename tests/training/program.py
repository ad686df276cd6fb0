"""A training run as a process of its own: trained here, or killed at a step. Prints a hash of the weights."""

import os
import signal
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import torch

from models.neural.network import Network
from tests.training.panels import read_panel
from training.config import load_config
from training.fit import train

BRIEF = (
    "epochs=3", "batch_size=64", "validation_days=10", "machine.threads=1", "network.hidden=8",
    "network.encoder_options={fast=8, channels=4}",
)  # fmt: skip


def hash_of(nets: Sequence[Network]) -> str:
    """Hash of all weights of some networks."""
    digest = sha256()
    for net in nets:
        for value in net.state_dict().values():
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def main(folder: Path, kill_at: int, overrides: Sequence[str]) -> None:
    """Train on ``folder/panel.npz``; checkpoints and weights go to ``folder``."""

    def progress(done: int, _total: int) -> None:
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    config = load_config("demo", (*BRIEF, *overrides))
    trained = train([read_panel(folder / "panel.npz")], config, progress, folder / "checkpoints")
    torch.save([net.state_dict() for net in trained.forecaster.nets], folder / "weights.pt")
    sys.stdout.write(hash_of(trained.forecaster.nets))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
