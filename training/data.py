"""Panels to batches: tensors in memory, windows by stride, no worker processes."""

from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from features.errors import ShortHistoryError
from features.panel import Panel
from models.neural.forecaster import padded_windows


class Batch(NamedTuple):
    """One batch: windows (batch, time, feature); anchor, realised variance, return (batch, horizon); NaN: unknown."""

    windows: Tensor
    anchor: Tensor
    realised_variance: Tensor
    log_return: Tensor


class WindowDataset(Dataset[Batch]):
    """Windows that end at some rows of a panel, gathered a batch of rows at a time."""

    def __init__(self, panel: Panel, anchor: np.ndarray, window: int, rows: slice) -> None:
        self.windows = padded_windows(np.asarray(panel.values), window)[rows]
        self.rows = [
            torch.from_numpy(np.ascontiguousarray(a[rows], dtype=np.float32))
            for a in (anchor, panel.targets.realised_variance, panel.targets.log_return)
        ]

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: list[int]) -> Batch:
        """Gather one batch; the sampler gives lists of rows."""
        return Batch(torch.from_numpy(self.windows[index]), *(rows[index] for rows in self.rows))


class WindowData(lightning.LightningDataModule):
    """Training rows, then a purge of the longest horizon, then validation rows."""

    def __init__(
        self,
        panel: Panel,
        anchor: np.ndarray,
        window: int,
        batch_size: int,
        validation_rows: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.batch_size, self.seed = batch_size, seed
        stop = len(panel) - validation_rows
        self.train_rows = stop - (max(panel.spec.horizon_rows) if validation_rows else 0)
        if self.train_rows < batch_size:
            raise ShortHistoryError(
                f"{len(panel)} origins leave {self.train_rows} to train on, less than one batch of {batch_size}; "
                "give a longer history or a smaller batch_size"
            )
        self.train_set = WindowDataset(panel, anchor, window, slice(0, self.train_rows))
        self.validation_set = WindowDataset(panel, anchor, window, slice(stop, None))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches, the last short one left out."""
        order = RandomSampler(self.train_set, generator=torch.Generator().manual_seed(self.seed))
        return _loader(self.train_set, BatchSampler(order, self.batch_size, drop_last=True))

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation batches in order of time."""
        order = SequentialSampler(self.validation_set)
        return _loader(self.validation_set, BatchSampler(order, 4 * self.batch_size, drop_last=False))


def _loader(dataset: WindowDataset, batches: BatchSampler) -> DataLoader[Batch]:
    """Hand whole batches of rows to the dataset; nothing is collated."""
    return DataLoader(dataset, sampler=batches, batch_size=None, collate_fn=_as_is)


def _as_is(batch: Any) -> Any:  # noqa: ANN401 - torch's signature
    return batch
