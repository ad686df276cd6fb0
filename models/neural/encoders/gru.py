"""A recurrent network over one clock: the challenger that reads its rows one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from features.errors import SettingError, accepted, lookup
from models.neural.clocks import Clock
from models.neural.encoders.base import Encoder

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


@dataclass(frozen=True, slots=True)
class GruConfig:
    """``rows`` of the window, ``stride`` rows apart; ``width`` of the state; ``cell``: gru or lstm."""

    rows: int = 48
    stride: int = 1
    width: int = 32
    cell: str = "gru"

    def __post_init__(self) -> None:
        """Refuse a cell that does not exist and an empty state."""
        lookup(CELLS, self.cell, "cell")
        if min(self.rows, self.width) < 1:
            raise SettingError(f"{self}: choose rows and a width of 1 at least")


class Gru(Encoder):
    r"""The last row as it is, beside the state that the past has led to.

    .. math:: s_t = (1 - u_t) \odot \tilde s_t + u_t \odot s_{t-1}

    with the gate u and the proposal from the row and the state before it.

    References
    ----------
    Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
    EMNLP 2014; Hochreiter & Schmidhuber (1997), "Long short-term memory", Neural Computation 9(8).
    """

    def __init__(self, options: Mapping[str, Any], n_last: int, n_sequence: int) -> None:
        super().__init__(options, n_last, n_sequence)
        c = self.config = accepted(GruConfig, options, "gru encoder")
        self.clocks = (Clock(c.stride, c.rows),)
        self.cell = CELLS[c.cell](n_sequence, c.width, batch_first=True)
        self.width = n_last + c.width

    def forward(self, last: Tensor, past: list[Tensor]) -> Tensor:
        """(batch, n_last) and one window (batch, rows, n_sequence) to (batch, width)."""
        states, _ = self.cell(past[0])  # (batch, rows, state)
        return torch.cat([last, states[:, -1]], dim=1)
