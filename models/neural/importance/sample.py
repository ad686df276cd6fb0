"""Forecasts that importances are measured on: rows of several panels, their outcomes and days."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from features.clock import DAY_NS
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from models.neural.forecaster import NeuralForecaster
from models.neural.inputs import Inputs, stacked

FloatArray = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """Rows of the stacked inputs of several panels.

    ``rows`` (n,), of :attr:`inputs`; ``realised`` (n, h), NaN where not known; ``day`` (n,), counted from 0 without
    those that have no row; ``lengths``: rows of each panel, one panel after the other.
    """

    inputs: Inputs
    rows: Rows
    realised: FloatArray
    day: Rows
    lengths: tuple[int, ...]
    about: str

    @classmethod
    def of(cls, forecaster: NeuralForecaster, panels: Sequence[Panel], from_ns: int, *, with_outcome: bool) -> Self:
        """Every origin from an instant on; earlier ones are read as the past."""
        if not panels or any(panel.spec.hash != forecaster.spec.hash for panel in panels):
            raise SettingError("importances need panels of the feature spec that the network was trained on")
        realised = np.concatenate([panel.targets.realised_variance for panel in panels])
        origin_ns = np.concatenate([panel.origin_ns for panel in panels])
        of_panel = np.repeat(np.arange(len(panels)), [len(panel) for panel in panels])
        wanted = origin_ns >= from_ns
        if with_outcome:
            wanted &= np.isfinite(realised).any(axis=1)
        if not wanted.any():
            raise ShortHistoryError(
                "no origin is left to measure importances on; give longer panels or an earlier start"
            )
        rows = np.flatnonzero(wanted)
        _, day = np.unique(origin_ns[rows] // DAY_NS, return_inverse=True)
        lengths = tuple(int(count) for count in np.bincount(of_panel[rows], minlength=len(panels)))
        named = ", ".join(panel.instrument for panel, length in zip(panels, lengths, strict=True) if length)
        about = f"Measured on {len(rows):,} forecasts of {named} on {day.max() + 1} days."
        inputs = stacked([forecaster.reader.read(panel) for panel in panels])
        return cls(inputs, rows, realised[rows], day.astype(np.int64), lengths, about)

    def batches(self, size: int) -> list[slice]:
        """Cuts of the rows."""
        return [slice(first, first + size) for first in range(0, len(self.rows), size)]

    def per_day(self, values: FloatArray, cut: slice = slice(None)) -> FloatArray:
        """Sums of values (n, ...) of some rows over each day, (D, ...); NaN counts for nothing."""
        sums = np.zeros((int(self.day.max()) + 1, *values.shape[1:]))
        np.add.at(sums, self.day[cut], np.nan_to_num(values, nan=0.0))
        return sums

    def tensor(self, rows: Rows) -> torch.Tensor:
        """Rows as the inputs are asked for them."""
        return torch.from_numpy(rows)
