"""Panels to batches: tensors in memory, windows by stride, no worker processes, nothing collated."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from features.clock import DAY_NS, NS_PER_S
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from models.neural.clocks import Clock
from models.neural.inputs import Inputs, Reader, stacked
from training.settings import LossSettings

Rows = NDArray[np.int64]
OUTCOMES = ("ratio", "log_ratio", "full_ratio", "z", "weight")
VALIDATION_ROWS = 4_096  # at a time
LEAST_RATIO = 0.02  # whose log is learned from: a tape that hardly moved says nothing of how calm it could have been


class Batch(NamedTuple):
    """Some rows: what a network takes, and what came after.

    ``last`` (batch, n_last), ``past`` one (batch, length, n_sequence) a clock, ``instrument`` (batch,). By horizon,
    (batch, horizon): ``ratio`` of the realised variance to the anchor's, capped; its log less the mean of all rows;
    ``full_ratio``; ``z``, the return over the anchor's deviation; ``weight``, 0 where the outcome is not known.
    ``rows`` (batch,) of the table.
    """

    rows: Tensor
    last: Tensor
    past: list[Tensor]
    instrument: Tensor
    ratio: Tensor
    log_ratio: Tensor
    full_ratio: Tensor
    z: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Table:
    """All rows of all panels, one after the other."""

    inputs: Inputs
    ratio: Tensor
    log_ratio: Tensor
    full_ratio: Tensor
    z: Tensor
    weight: Tensor
    origin_ns: Rows
    instruments: tuple[str, ...]  # by their number less 1

    @classmethod
    def of(cls, reader: Reader, panels: Sequence[Panel], settings: LossSettings) -> Self:
        """Read every panel; an unknown outcome becomes one that the anchor was right about, of no weight.

        A NaN would poison the gradient even where it is masked.
        """
        inputs = stacked([reader.read(panel) for panel in panels])
        realised = np.concatenate([panel.targets.realised_variance for panel in panels])
        returns = np.concatenate([panel.targets.log_return for panel in panels])
        known = np.isfinite(realised) & np.isfinite(returns)
        anchor = inputs.anchor.double().numpy()
        full = np.where(known, realised * np.exp(-anchor), 1.0)
        origin_ns = np.concatenate([panel.origin_ns for panel in panels])
        ratio = np.minimum(full, _caps(settings, panels[0].spec.horizons_s))
        z = np.where(known, returns * np.exp(-anchor / 2), 0.0)
        weight = known * _weights(origin_ns, panels[0].spec.horizons_s, settings)
        log_ratio = np.log(np.maximum(ratio, LEAST_RATIO))
        log_ratio -= np.sum(log_ratio * weight, axis=0) / np.maximum(weight.sum(axis=0), 1e-9)
        outcomes = _single(ratio), _single(log_ratio), _single(full), _single(z), _single(weight)
        return cls(inputs, *outcomes, origin_ns, reader.instruments)

    def to(self, device: torch.device) -> "Table":
        """The same on a device."""
        moved = {name: getattr(self, name).to(device) for name in OUTCOMES}
        return replace(self, inputs=Inputs(*(tensor.to(device) for tensor in self.inputs)), **moved)

    def batch(self, rows: Tensor, clocks: Sequence[Clock]) -> Batch:
        """Gather some rows."""
        last, past, _, instrument = self.inputs.at(rows, clocks)
        outcomes = {name: getattr(self, name).index_select(0, rows) for name in OUTCOMES}
        return Batch(rows, last, past, instrument, **outcomes)

    def residuals(self) -> NDArray[np.float64]:
        """Standardised returns, (n, h), NaN where not known: what a head measures."""
        return torch.where(self.weight > 0, self.z, torch.nan).double().numpy()


def _single(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _caps(settings: LossSettings, horizons_s: tuple[int, ...]) -> tuple[float, ...]:
    caps = settings.caps(len(horizons_s))
    if len(caps) != len(horizons_s):
        raise SettingError(f"loss.ratio_cap has {len(caps)} numbers, the spec {len(horizons_s)} horizons")
    return caps


def _weights(origin_ns: Rows, horizons_s: tuple[int, ...], settings: LossSettings) -> NDArray[np.float64]:
    """Weight of each row and horizon, (n, h), were its outcome known."""
    horizons = np.array(settings.horizon_weights or (1.0,) * len(horizons_s))
    if len(horizons) != len(horizons_s):
        raise SettingError(f"loss.horizon_weights has {len(horizons)} numbers, the spec {len(horizons_s)} horizons")
    if not settings.half_life_days:
        return np.broadcast_to(horizons, (len(origin_ns), len(horizons)))
    age_days = (origin_ns.max() - origin_ns) / DAY_NS
    weights: NDArray[np.float64] = 0.5 ** (age_days / settings.half_life_days)[:, None] * horizons
    return weights


def split(table: Table, longest_s: int, validation_days: int) -> tuple[Tensor, Tensor]:
    """Rows with an outcome: to train on, and those of the last days; between them a purge of the longest horizon."""
    known = (table.weight > 0).any(dim=1).numpy()
    stop_ns = int(table.origin_ns.max()) - validation_days * DAY_NS
    later = table.origin_ns > stop_ns
    if not validation_days:
        return torch.from_numpy(np.flatnonzero(known)), torch.zeros(0, dtype=torch.int64)
    before = table.origin_ns + longest_s * NS_PER_S <= stop_ns
    return torch.from_numpy(np.flatnonzero(known & before)), torch.from_numpy(np.flatnonzero(known & later))


class Batches:
    """Batches of some rows, in order of time or in one that a seed and an epoch give; of each its rank's share."""

    def __init__(
        self,
        gather: Callable[[Tensor], Batch],
        rows: Tensor,
        size: int,
        order: Callable[[], torch.Generator] | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.gather, self.rows, self.size, self.order, self.share = gather, rows, size, order, share

    def __len__(self) -> int:
        """Training leaves the last short batch out."""
        return len(self.rows) // self.size if self.order else -(-len(self.rows) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        """Gather one after the other."""
        rows = self.rows
        if self.order:
            rows = rows[torch.randperm(len(rows), generator=self.order()).to(rows.device)]
        rank, ranks = self.share
        for i in range(len(self)):
            yield self.gather(rows[i * self.size : (i + 1) * self.size][rank::ranks])


class WindowData(lightning.LightningDataModule):
    """Training rows, then a purge of the longest horizon, then validation rows."""

    def __init__(
        self, table: Table, rows: tuple[Tensor, Tensor], clocks: Sequence[Clock], size: int, seed: int
    ) -> None:
        super().__init__()
        self.table, self.rows, self.clocks, self.size, self.seed = table, rows, clocks, size, seed
        if len(rows[0]) < size:
            raise ShortHistoryError(
                f"{len(table.origin_ns)} origins leave {len(rows[0])} to train on, less than one batch of {size}; "
                "give a longer history, fewer validation_days or a smaller batch_size"
            )

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's signature
        """Move everything to the device once."""
        if self.trainer is not None:
            self.table = self.table.to(self.trainer.strategy.root_device)
            self.rows = self.rows[0].to(self.table.z.device), self.rows[1].to(self.table.z.device)

    def gather(self, rows: Tensor) -> Batch:
        """One batch."""
        return self.table.batch(rows, self.clocks)

    def train_dataloader(self) -> Batches:
        """Shuffled batches, in an order of the seed's and the epoch's."""
        share = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return Batches(self.gather, self.rows[0], self.size, self._order, share)

    def val_dataloader(self) -> Batches:
        """Validation batches in order of time; each rank sees all of them, so that all stop together."""
        return Batches(self.gather, self.rows[1], VALIDATION_ROWS)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Nothing to do: see :meth:`setup`."""
        return batch

    def _order(self) -> torch.Generator:
        epoch = self.trainer.current_epoch if self.trainer else 0
        return torch.Generator().manual_seed(stream(self.seed, epoch))


def stream(*key: int) -> int:
    """A seed of its own for each of what is random: a run that goes on draws what it would have drawn."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))
