r"""The bounded residual: whatever an encoder sees, the forecast stays within a stated factor of its anchor's.

.. math:: \ln \sigma^2_h = \ln \sigma^2_{anchor,h} + c \tanh g_h(x)

The last layer starts at zero, so that training begins at the anchor, and no weight, no input and no fault of training
can move a variance by more than the factor :math:`e^{\pm c}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from features.errors import SettingError, lookup
from models.neural import ENCODERS, HEADS


@dataclass(frozen=True)
class NetworkConfig:
    """Size and bounds of a network.

    ``n_last``: columns of the origin's own row. ``n_sequence``: of the rows of the past. ``encoder``, ``head``: names
    of :mod:`models.neural`, with the options of each. ``hidden``: width of the layer before the outputs.
    ``dropout`` of it, ``input_dropout`` of what the encoder gives. ``variance_bound``: c, the largest log correction.
    ``n_instruments`` are known by name to an embedding of ``embedding`` numbers (0: none); in training a row forgets
    its name with the chance ``embedding_dropout``, so that a network can forecast an instrument without one.
    """

    n_last: int
    n_sequence: int
    n_horizons: int
    encoder: str = "pyramid"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    head: str = "pareto"
    head_options: Mapping[str, Any] = field(default_factory=dict)
    hidden: int = 48
    dropout: float = 0.3
    input_dropout: float = 0.3
    variance_bound: float = 1.0
    n_instruments: int = 0
    embedding: int = 0
    embedding_dropout: float = 0.3

    def __post_init__(self) -> None:
        """Refuse sizes and bounds that make no network."""
        lookup(ENCODERS, self.encoder, "encoder")
        lookup(HEADS, self.head, "head")
        if min(self.n_last, self.n_horizons, self.hidden) < 1 or min(self.n_sequence, self.embedding) < 0:
            raise SettingError(f"{self}: sizes below 1; choose hidden of 1 at least, embedding of 0 at least")
        if not self.variance_bound > 0:
            raise SettingError(f"variance_bound={self.variance_bound} bounds nothing; choose one above 0")


class Law(NamedTuple):
    """What a network says: log variance (batch, horizon); z-quantiles and z-shortfalls (batch, horizon, level)."""

    log_variance: Tensor
    quantiles: Tensor
    shortfall: Tensor


class Network(nn.Module):
    """An encoder, one layer, and a head; scaled inputs and an anchor's log variance to a :class:`Law`."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        encoder = lookup(ENCODERS, config.encoder, "encoder")
        self.encoder = encoder(config.encoder_options, config.n_last, config.n_sequence)
        self.law = lookup(HEADS, config.head, "head")(config.head_options, config.n_horizons)
        self.input_drop, self.drop = nn.Dropout(config.input_dropout), nn.Dropout(config.dropout)
        self.mix = nn.Linear(self.encoder.width, config.hidden)
        self.names = nn.Embedding(config.n_instruments + 1, config.embedding) if config.embedding else None
        if self.names is not None:
            nn.init.zeros_(self.names.weight)  # 0 is "an instrument without a name", and what all begin as
        self.out = nn.Linear(config.hidden + config.embedding, config.n_horizons * (1 + self.law.n_outputs))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, last: Tensor, past: list[Tensor], anchor: Tensor, instrument: Tensor) -> Law:
        """Law of each origin.

        Parameters
        ----------
        last : (batch, n_last), scaled.
        past : a window (batch, length, n_sequence), scaled, for each clock of the encoder.
        anchor : (batch, horizon), log variance.
        instrument : (batch,) int64, 0 for one without a name.
        """
        out = self.outputs(last, past, instrument)
        quantiles, shortfall = self.law(out[..., 1:])
        return Law(self.log_variance(out, anchor), quantiles, shortfall)

    def outputs(self, last: Tensor, past: list[Tensor], instrument: Tensor) -> Tensor:
        """Unbounded numbers (batch, horizon, 1 + n_outputs): of the variance, then of the law."""
        seen = self.input_drop(self.encoder(last, past))  # (batch, width)
        hidden = self.drop(nn.functional.silu(self.mix(seen)))  # (batch, hidden)
        if self.names is not None:
            hidden = torch.cat([hidden, self.names(self._some_unnamed(instrument))], dim=1)
        out: Tensor = self.out(hidden)
        return out.view(-1, self.config.n_horizons, 1 + self.law.n_outputs)  # (batch, horizon, 1 + n_outputs)

    def log_variance(self, out: Tensor, anchor: Tensor) -> Tensor:
        """Anchor and bounded correction, (batch, horizon)."""
        return anchor + self.config.variance_bound * torch.tanh(out[..., 0])

    def _some_unnamed(self, instrument: Tensor) -> Tensor:
        if not self.training:
            return instrument
        return instrument * (torch.rand_like(instrument, dtype=torch.float32) >= self.config.embedding_dropout)
