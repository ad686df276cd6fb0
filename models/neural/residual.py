r"""The bounded-residual network: a causal pyramid of convolutions that corrects log-HAR and shapes the tails.

It starts at its anchor and cannot leave it far: the last layer starts at
zero, and every correction goes through ``bound * tanh``.

.. math:: \ln \sigma^2_h = \ln \sigma^2_{HAR,h} + c \tanh g_h(x)

The standardised return z = r / sigma has non-crossing quantiles (positive
increments around the median) and generalised Pareto tails glued at 2.5 % and
97.5 %, whose expected shortfall is in closed form.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from features.errors import SettingError
from models.base import LEVELS

TAIL = 0.025  # the Pareto tails begin here
CENTRE = (0.05, 0.25, 0.5, 0.75, 0.95)
INNER = (TAIL, *CENTRE, 1 - TAIL)  # levels with increments of their own
# Per horizon: variance, median, six increments, scale and index of two tails.
N_OUTPUTS = 1 + 1 + (len(INNER) - 1) + 4


@dataclass(frozen=True, slots=True)
class ResidualConfig:
    """Size and bounds of the network.

    ``window``: rows seen, a power of two. ``variance_bound``: largest log
    correction of the variance. ``shape_bound``: of the spacings. ``index_bound``: of the tail index.
    """

    n_features: int
    n_horizons: int
    window: int = 64
    channels: int = 16
    hidden: int = 48
    dropout: float = 0.3
    variance_bound: float = 1.0
    shape_bound: float = 0.5
    index_bound: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a window that halving would cut short."""
        if self.window < 2 or self.window & (self.window - 1):
            raise SettingError(f"network.window={self.window} is no power of two; choose 32, 64 or 128")


class Law(NamedTuple):
    """What the network says: log variance (batch, horizon); z-quantiles and z-shortfalls (batch, horizon, level)."""

    log_variance: Tensor
    quantiles: Tensor
    shortfall: Tensor


class ResidualNet(nn.Module):
    """Windows (batch, time, feature) and anchors (batch, horizon) to a :class:`Law`.

    The buffers hold what training measured and never changes: the centre and
    scale of each feature, and the base shape of the residuals.
    """

    centre: Tensor
    scale: Tensor
    base_median: Tensor
    base_steps: Tensor
    base_tails: Tensor

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.config = config
        h = config.n_horizons
        self.register_buffer("centre", torch.zeros(config.n_features))
        self.register_buffer("scale", torch.ones(config.n_features))
        self.register_buffer("base_median", torch.zeros(h))
        self.register_buffer("base_steps", torch.full((h, len(INNER) - 1), 0.6))
        # (horizon, side, [scale, index]) of the Pareto tails; side 0 is the lower
        self.register_buffer("base_tails", torch.tensor([0.5, 0.15]).expand(h, 2, 2).clone())
        widths = [config.n_features] + [config.channels] * (config.window.bit_length() - 1)
        # Kernel 2 with stride 2 is the dilated causal convolution evaluated only where the last step looks.
        self.pyramid = nn.ModuleList(nn.Conv1d(a, b, kernel_size=2, stride=2) for a, b in pairwise(widths))
        self.drop = nn.Dropout(config.dropout)
        self.mix = nn.Linear(config.n_features + config.channels, config.hidden)
        self.head = nn.Linear(config.hidden, h * N_OUTPUTS)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, windows: Tensor, anchor: Tensor) -> Law:
        """Answer the law of each window; ``anchor`` is log-HAR's log variance."""
        scaled = ((windows - self.centre) / self.scale).clamp(-5, 5)  # (batch, time, feature)
        past = scaled.transpose(1, 2)  # (batch, feature, time)
        for layer in self.pyramid:
            past = nn.functional.silu(layer(past))  # (batch, channel, time / 2)
        joined = torch.cat([scaled[:, -1], past[:, :, 0]], dim=1)  # (batch, feature + channel)
        hidden = self.drop(nn.functional.silu(self.mix(self.drop(joined))))  # (batch, hidden)
        out = torch.tanh(self.head(hidden)).view(len(hidden), -1, N_OUTPUTS)  # (batch, horizon, output)
        quantiles, shortfall = self._shape(out[..., 1:])
        return Law(anchor + self.config.variance_bound * out[..., 0], quantiles, shortfall)

    def _shape(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """Bounded outputs (batch, horizon, 1 + 6 + 4) to quantiles and shortfalls (batch, horizon, level)."""
        c = self.config
        n_steps = len(INNER) - 1
        median = self.base_median + 0.5 * c.shape_bound * out[..., 0]
        steps = self.base_steps * torch.exp(c.shape_bound * out[..., 1 : 1 + n_steps])
        tails = out[..., 1 + n_steps :].reshape(*out.shape[:-1], 2, 2)
        scale = self.base_tails[..., 0] * torch.exp(c.shape_bound * tails[..., 0])
        index = (self.base_tails[..., 1] + c.index_bound * tails[..., 1]).clamp(0.01, 0.6)
        inner = torch.cumsum(torch.cat([torch.zeros_like(median)[..., None], steps], dim=-1), dim=-1)
        inner = inner - inner[..., n_steps // 2, None] + median[..., None]  # (batch, horizon, inner level)
        lower = _tail(-inner, scale[..., 0], index[..., 0])
        upper = _tail(inner.flip(-1), scale[..., 1], index[..., 1])
        quantiles = torch.cat([-lower[0], inner[..., 1:-1], upper[0].flip(-1)], dim=-1)
        lower_half = torch.cat([-lower[1], -_inner_shortfall(-inner[..., : n_steps // 2 + 1], lower[1][..., -1])], -1)
        upper_part = _inner_shortfall(inner.flip(-1)[..., : n_steps // 2], upper[1][..., -1]).flip(-1)
        return quantiles, torch.cat([lower_half, upper_part, upper[1].flip(-1)], dim=-1)


def _tail(outward: Tensor, scale: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    r"""Quantiles and shortfalls of the tail levels, as positive losses, outermost first.

    .. math:: q_p = u + \frac{\beta}{\xi} \left( (p/p_u)^{-\xi} - 1 \right), \qquad
              e_p = \frac{q_p + \beta - \xi u}{1 - \xi}

    Parameters
    ----------
    outward : (batch, horizon, inner level); the first is u, the loss quantile at ``TAIL``.
    scale, index : (batch, horizon), beta and xi.

    References
    ----------
    McNeil & Frey (2000), "Estimation of tail-related risk measures for
    heteroscedastic financial time series", J. Empirical Finance 7, eqs. 13, 16.
    """
    threshold, beta, xi = outward[..., 0, None], scale[..., None], index[..., None]
    share = torch.tensor([p / TAIL for p in LEVELS if p <= TAIL], dtype=outward.dtype, device=outward.device)
    quantile = threshold + beta / xi * (share**-xi - 1)
    return quantile, (quantile + beta - xi * threshold) / (1 - xi)


def _inner_shortfall(outward: Tensor, tail_shortfall: Tensor) -> Tensor:
    r"""Shortfalls of the inner levels, as positive losses: tail first, then trapezia on the normal score.

    Between two levels the quantile runs linearly in the normal score x, so that

    .. math:: \int_a^b q \, dp = s (b - a) + m \, (\varphi(x_a) - \varphi(x_b))

    with q = s + m x: exact for a normal law.

    Parameters
    ----------
    outward : (batch, horizon, k), loss quantiles from ``TAIL`` inwards.
    tail_shortfall : (batch, horizon), mean loss beyond the first of them.

    Returns
    -------
    Tensor
        (batch, horizon, k - 1), at every level but the first.
    """
    k = outward.shape[-1]
    p = torch.tensor(INNER[:k], dtype=torch.float64)
    x = torch.special.ndtri(p)
    density = torch.exp(-0.5 * x**2) / (2 * torch.pi) ** 0.5
    dp, dx, dd = (torch.diff(v).to(outward) for v in (p, x, density))
    slope = torch.diff(outward, dim=-1) / dx
    start = outward[..., :-1] - slope * x[:-1].to(outward)
    pieces = start * dp - slope * dd
    beyond: Tensor = TAIL * tail_shortfall[..., None] + torch.cumsum(pieces, dim=-1)
    return beyond / p[1:].to(outward)
