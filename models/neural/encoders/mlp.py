"""The multi-scale features of the last row, through fully connected layers or as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from features.errors import SettingError, accepted
from models.neural.encoders.base import Encoder


@dataclass(frozen=True, slots=True)
class MlpConfig:
    """``layers``: widths of hidden layers before the network's own; ``dropout`` after each."""

    layers: tuple[int, ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an empty layer."""
        if any(width < 1 for width in self.layers):
            raise SettingError(f"layers={self.layers}; choose widths of 1 at least")


class Mlp(Encoder):
    """Features of several look-backs hold the past already: the last row is enough."""

    def __init__(self, options: Mapping[str, Any], n_last: int, n_sequence: int) -> None:
        super().__init__(options, n_last, n_sequence)
        self.config = accepted(MlpConfig, options, "mlp encoder")
        widths = (n_last, *self.config.layers)
        steps = [[nn.Linear(a, b), nn.SiLU(), nn.Dropout(self.config.dropout)] for a, b in pairwise(widths)]
        self.layers = nn.Sequential(*(layer for step in steps for layer in step))
        self.width = widths[-1]

    def forward(self, last: Tensor, past: list[Tensor]) -> Tensor:  # noqa: ARG002 - it has no clock
        """(batch, n_last) to (batch, width)."""
        hidden: Tensor = self.layers(last)
        return hidden
