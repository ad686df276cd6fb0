r"""Dilated causal convolutions over two clocks, evaluated only where the last step looks.

A stack of causal convolutions of kernel 2 and dilations 1, 2, 4, ... sees :math:`2^d` rows. Of each layer the last
step needs every second output of the one below, and so on down: a pyramid of convolutions of stride 2 computes those
alone, :math:`2^d` instead of :math:`d 2^d` products, to the same number. A convolution of kernel 2 and stride 2 is one
matrix for each pair of rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from features.errors import SettingError, accepted
from models.neural.clocks import Clock
from models.neural.encoders.base import Encoder


@dataclass(frozen=True, slots=True)
class PyramidConfig:
    """``fast`` and ``slow``: rows of each clock, powers of two, 0 for none; ``slow_stride``: rows between slow ones."""

    fast: int = 64
    slow: int = 0
    slow_stride: int = 24
    channels: int = 16

    def __post_init__(self) -> None:
        """Refuse a window that halving would cut short."""
        for name in ("fast", "slow"):
            length = getattr(self, name)
            if length and (length < 2 or length & (length - 1)):
                raise SettingError(f"{name}={length} is no power of two; choose 16, 32, 64 or 128")
        if not self.fast and not self.slow:
            raise SettingError("a pyramid needs a fast or a slow clock; for the last row alone choose the mlp encoder")
        if self.channels < 1:
            raise SettingError(f"channels={self.channels}; choose 1 at least")


class Pyramid(Encoder):
    """The last row as it is, beside what each clock's pyramid makes of the past."""

    def __init__(self, options: Mapping[str, Any], n_last: int, n_sequence: int) -> None:
        super().__init__(options, n_last, n_sequence)
        c = self.config = accepted(PyramidConfig, options, "pyramid encoder")
        clocks = (Clock(1, c.fast or 1), Clock(c.slow_stride, c.slow or 1))
        self.clocks = tuple(clock for clock in clocks if clock.length > 1)
        self.pyramids = nn.ModuleList(pyramid(n_sequence, c.channels, clock.length) for clock in self.clocks)
        self.width = n_last + c.channels * len(self.clocks)

    def forward(self, last: Tensor, past: list[Tensor]) -> Tensor:
        """(batch, n_last) and windows (batch, length, n_sequence) to (batch, width)."""
        seen = [
            layers(rows)[:, 0]  # (batch, length, n_sequence) -> (batch, channels)
            for layers, rows in zip(self.pyramids, past, strict=True)
        ]
        return torch.cat([last, *seen], dim=1)


class Halve(nn.Module):
    """A convolution of kernel 2 and stride 2 over (batch, length, n_inputs), its weights (channels, 2 n_inputs)."""

    def __init__(self, n_inputs: int, channels: int) -> None:
        super().__init__()
        self.pair = nn.Linear(2 * n_inputs, channels)
        # torch's small first weights leave .3 % of the past after five layers, which learning must want back: weights
        # that keep its size were tried, and forecast worse.

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, length, n_inputs) to (batch, length / 2, channels)."""
        batch, length, n_inputs = rows.shape
        halved: Tensor = nn.functional.silu(self.pair(rows.reshape(batch, length // 2, 2 * n_inputs)))
        return halved


def pyramid(n_inputs: int, channels: int, length: int) -> nn.Sequential:
    """Halve ``length`` steps until one is left."""
    widths = [n_inputs] + [channels] * (length.bit_length() - 1)
    return nn.Sequential(*(Halve(a, b) for a, b in pairwise(widths)))
