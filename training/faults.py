"""A loss that is not finite: the batch is kept, the run ends."""

from pathlib import Path

import numpy as np

from features.clock import format_utc
from features.errors import ConvergenceError
from features.files import written_whole
from training.data import Batch, Table


class NotFiniteError(ArithmeticError):
    """A loss or a gradient that is not finite, before it reached the weights."""

    def __init__(self, batch: Batch, loss: float, norm: float, epoch: int, step: int) -> None:
        super().__init__(f"loss {loss:g}, gradient of norm {norm:g}")
        self.batch, self.epoch, self.step = batch, epoch, step


def kept(fault: NotFiniteError, table: Table, seed: int, folder: Path) -> ConvergenceError:
    """Save the batch of a fault; answers the error that tells of it.

    The file holds the arrays of :class:`training.data.Batch`, windows by clock as ``past_0``, ..., the anchor's log
    variance, and of each row its instrument and ``origin_ns``.
    """
    path = folder / f"fault-seed{seed}-step{fault.step}.npz"
    batch = fault.batch
    rows = batch.rows.cpu()
    arrays = {k: v.cpu().numpy() for k, v in batch._asdict().items() if k != "past"}
    arrays |= {f"past_{i}": window.cpu().numpy() for i, window in enumerate(batch.past)}
    arrays |= {"anchor": table.inputs.anchor[rows].numpy(), "origin_ns": table.origin_ns[rows.numpy()]}
    arrays["instrument"] = np.array(["", *table.instruments])[arrays["instrument"]]
    with written_whole(path) as scratch, scratch.open("wb") as handle:
        np.savez_compressed(handle, **arrays)
    first, last = (format_utc(int(f(arrays["origin_ns"]))) for f in (np.min, np.max))
    return ConvergenceError(
        f"seed {seed}, epoch {fault.epoch}, step {fault.step}: {fault}; the batch, {len(rows)} origins from {first} "
        f"to {last}, is in {path}; look for values out of range there, or lower optimiser.learning_rate"
    )
