"""A patch transformer: a window cut into short stretches, each of them one token.

Attention over patches instead of rows costs the square of a few tokens, and a patch says more than a row. The level of
a window is kept: it is not centred on itself as in the paper, for the level of variance is what is to be forecast; and
a token holds all columns of its rows, not one, for they are measures of one market.

References
----------
Nie, Nguyen, Sinthong & Kalagnanam (2023), "A time series is worth 64 words: long-term forecasting with transformers",
ICLR 2023; Xiong et al. (2020), "On layer normalization in the transformer architecture", ICML 2020 (pre-norm).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from features.errors import SettingError, accepted
from models.neural.clocks import Clock
from models.neural.encoders.base import Encoder

Pool = Literal["last", "mean"]
INNER = 2  # times the width: the layer between the two of each token


@dataclass(frozen=True, slots=True)
class PatchesConfig:
    """``rows`` of the window, ``stride`` rows apart, ``patch`` of them a token; ``pool``: what is read at the end."""

    rows: int = 96
    stride: int = 1
    patch: int = 12
    width: int = 32
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    pool: Pool = "last"

    def __post_init__(self) -> None:
        """Refuse what cannot be cut into equal parts."""
        if min(self.rows, self.patch, self.width, self.layers, self.heads) < 1:
            raise SettingError(f"{self}: choose rows, patch, width, layers and heads of 1 at least")
        if self.rows % self.patch or self.width % self.heads:
            raise SettingError(f"{self}: choose rows in whole patches, and a width that the heads divide")
        if self.pool not in get_args(Pool):
            raise SettingError(f"pool={self.pool!r}; choose one of {', '.join(get_args(Pool))}")


class Patches(Encoder):
    """The last row as it is, beside what attention makes of the patches of the past."""

    def __init__(self, options: Mapping[str, Any], n_last: int, n_sequence: int) -> None:
        super().__init__(options, n_last, n_sequence)
        c = self.config = accepted(PatchesConfig, options, "patches encoder")
        self.clocks = (Clock(c.stride, c.rows),)
        self.tokens = (c.rows // c.patch, c.patch * n_sequence)
        self.embed = nn.Linear(self.tokens[1], c.width)
        self.place = nn.Parameter(0.02 * torch.randn(self.tokens[0], c.width))
        self.drop = nn.Dropout(c.dropout)
        self.layers = nn.Sequential(*(Layer(c.width, c.heads, c.dropout) for _ in range(c.layers)))
        self.norm = nn.LayerNorm(c.width)
        self.width = n_last + c.width

    def forward(self, last: Tensor, past: list[Tensor]) -> Tensor:
        """(batch, n_last) and one window (batch, rows, n_sequence) to (batch, width)."""
        patches = past[0].reshape(-1, *self.tokens)  # (batch, token, patch * n_sequence)
        tokens = self.drop(self.embed(patches) + self.place)  # (batch, token, width)
        seen = self.norm(self.layers(tokens))
        pooled = seen[:, -1] if self.config.pool == "last" else seen.mean(dim=1)
        return torch.cat([last, pooled], dim=1)


class Layer(nn.Module):
    """Attention, then two layers for each token by itself; each normalised before, and added to what was there."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_before, self.norm_between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.each = nn.Sequential(nn.Linear(width, INNER * width), nn.SiLU(), nn.Linear(INNER * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, token, width) to the same."""
        tokens = tokens + self.drop(self.attend(self.norm_before(tokens)))
        added: Tensor = tokens + self.drop(self.each(self.norm_between(tokens)))
        return added

    def attend(self, tokens: Tensor) -> Tensor:
        r"""Every token's mean of all, weighted by :math:`softmax(q k' / \sqrt{d})`: (batch, token, width)."""
        split = self.ask(tokens).unflatten(-1, (3, self.heads, -1))  # (batch, token, 3, head, width / heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # (batch, head, token, width / heads)
        seen = scaled_dot_product_attention(query, key, value, dropout_p=self.dropout if self.training else 0.0)
        answer: Tensor = self.answer(seen.transpose(1, 2).flatten(2))
        return answer
