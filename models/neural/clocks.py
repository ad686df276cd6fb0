"""Windows of the past by stride: the same rows serve every origin, and no window reaches over a hole."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from features.clock import NS_PER_S
from features.errors import SettingError


@dataclass(frozen=True, slots=True)
class Clock:
    """How an encoder looks back: ``length`` rows, ``stride`` rows apart, the last of them the origin's own."""

    stride: int
    length: int

    def __post_init__(self) -> None:
        """Refuse a clock that does not tick."""
        if self.stride < 1 or self.length < 1:
            raise SettingError(f"{self}: choose a stride and a length of 1 at least")

    @property
    def reach(self) -> int:
        """Rows before the origin's own that the oldest one lies."""
        return self.stride * (self.length - 1)


def run_starts(origin_ns: NDArray[np.int64], every_s: int) -> NDArray[np.int64]:
    """First row of the unbroken run that each row belongs to, shape (n,).

    Examples
    --------
    >>> run_starts(np.array([0, 60, 120, 600, 660]) * 10**9, 60)
    array([0, 0, 0, 3, 3])
    """
    rows = np.arange(len(origin_ns))
    begins = np.diff(origin_ns, prepend=origin_ns[:1] - 1) != every_s * NS_PER_S
    starts: NDArray[np.int64] = np.maximum.accumulate(np.where(begins, rows, 0))
    return starts


def window(values: Tensor, rows: Tensor, starts: Tensor, clock: Clock) -> Tensor:
    """Windows that end at some rows; one that would begin before its run repeats the run's first row.

    Parameters
    ----------
    values : (n, f), one row an origin, oldest first.
    rows : (b,) int64, rows of ``values``.
    starts : (b,) int64, first row of the run of each.
    clock : what to look back at.

    Returns
    -------
    Tensor
        (b, length, f), oldest first.

    Examples
    --------
    >>> values = torch.arange(5.0)[:, None]
    >>> window(values, torch.tensor([1, 4]), torch.tensor([0, 0]), Clock(2, 3))[..., 0].tolist()
    [[0.0, 0.0, 1.0], [0.0, 2.0, 4.0]]
    """
    back = clock.stride * torch.arange(clock.length - 1, -1, -1, device=rows.device)
    index = torch.maximum(rows[:, None] - back, starts[:, None])  # (b, length)
    return values[index]
