r"""Non-crossing quantiles inside, generalised Pareto tails outside, expected shortfall in closed form.

Positive increments around a median give the quantiles from 2.5 % to 97.5 %, where a generalised Pareto law takes over
on either side. Every number is the base law's times, or plus, a bounded correction.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import genpareto
from torch import Tensor

from features.errors import SettingError, accepted
from models.neural.heads.base import Head
from models.neural.heads.gpd import TAIL, pareto_log_density, pareto_tail
from models.neural.heads.residuals import known_residuals

CENTRE = (0.05, 0.25, 0.5, 0.75, 0.95)
INNER = (TAIL, *CENTRE, 1 - TAIL)  # levels with increments of their own
N_STEPS = len(INNER) - 1
LEAST_INDEX, MOST_INDEX = 0.01, 0.6  # of the tail: its mean exists
HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
INNER_LEVELS = torch.tensor(INNER, dtype=torch.float64)
SCORES = torch.special.ndtri(INNER_LEVELS)
# Steps of the levels, of their normal scores and of the normal density there; here, for ONNX has no such operators.
LEVEL_STEPS, SCORE_STEPS = INNER_LEVELS.diff(), SCORES.diff()
DENSITY_STEPS = torch.exp(-0.5 * SCORES**2 - HALF_LOG_2_PI).diff()


@dataclass(frozen=True, slots=True)
class ParetoConfig:
    """``shape_bound``: largest log correction of spacings and scales. ``index_bound``: of the tail index."""

    shape_bound: float = 0.5
    index_bound: float = 0.1

    def __post_init__(self) -> None:
        """Refuse bounds that bound nothing."""
        if self.shape_bound <= 0 or not 0 <= self.index_bound < 0.5:
            raise SettingError(f"{self}; choose shape_bound above 0 and index_bound from 0 to 0.5")


class Pareto(Head):
    """Per horizon: median, six increments, scale and index of two tails."""

    base_median: Tensor
    base_steps: Tensor
    base_tails: Tensor

    def __init__(self, options: Mapping[str, Any], n_horizons: int) -> None:
        super().__init__(options, n_horizons)
        self.config = accepted(ParetoConfig, options, "pareto head")
        self.n_outputs = 1 + N_STEPS + 4
        h = n_horizons
        self.register_buffer("base_median", torch.zeros(h))
        self.register_buffer("base_steps", torch.full((h, N_STEPS), 0.6))
        # (horizon, side, [scale, index]) of the Pareto tails; side 0 is the lower
        self.register_buffer("base_tails", torch.tensor([0.5, 0.15]).expand(h, 2, 2).clone())

    def forward(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, horizon, 1 + 6 + 4) to quantiles and shortfalls (batch, horizon, level)."""
        inner, scale, index = self.parts(out)
        lower = pareto_tail(-inner, scale[..., 0], index[..., 0])
        upper = pareto_tail(inner.flip(-1), scale[..., 1], index[..., 1])
        quantiles = torch.cat([-lower[0], inner[..., 1:-1], upper[0].flip(-1)], dim=-1)
        lower_half = torch.cat([-lower[1], -inner_shortfall(-inner[..., : N_STEPS // 2 + 1], lower[1][..., -1])], -1)
        upper_part = inner_shortfall(inner.flip(-1)[..., : N_STEPS // 2], upper[1][..., -1]).flip(-1)
        return quantiles, torch.cat([lower_half, upper_part, upper[1].flip(-1)], dim=-1)

    def log_density(self, out: Tensor, z: Tensor) -> Tensor:
        """See :meth:`models.neural.heads.base.Head.log_density`."""
        inner, scale, index = self.parts(out)
        lower = pareto_log_density(inner[..., 0] - z, scale[..., 0], index[..., 0])
        upper = pareto_log_density(z - inner[..., -1], scale[..., 1], index[..., 1])
        middle = inner_log_density(inner, z)
        return torch.where(z < inner[..., 0], lower, torch.where(z > inner[..., -1], upper, middle))

    def parts(self, out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantiles (batch, horizon, inner level), scale and index of the tails (batch, horizon, side)."""
        c, out = self.config, torch.tanh(out)
        median = self.base_median + 0.5 * c.shape_bound * out[..., 0]
        steps = self.base_steps * torch.exp(c.shape_bound * out[..., 1 : 1 + N_STEPS])
        tails = out[..., 1 + N_STEPS :].reshape(*out.shape[:-1], 2, 2)
        scale = self.base_tails[..., 0] * torch.exp(c.shape_bound * tails[..., 0])
        index = (self.base_tails[..., 1] + c.index_bound * tails[..., 1]).clamp(LEAST_INDEX, MOST_INDEX)
        inner = torch.cumsum(torch.cat([torch.zeros_like(median)[..., None], steps], dim=-1), dim=-1)
        inner = inner - inner[..., N_STEPS // 2, None] + median[..., None]  # (batch, horizon, inner level)
        return inner, scale, index

    def measure(self, z: NDArray[np.float64]) -> None:
        """Quantiles of the residuals, and Pareto laws of maximum likelihood beyond 2.5 % and 97.5 %."""
        for h in range(z.shape[1]):
            known = known_residuals(z, h)
            inner = np.quantile(known, INNER)
            self.base_median[h] = float(inner[len(INNER) // 2])
            self.base_steps[h] = torch.from_numpy(np.diff(inner).astype(np.float32))
            for side, losses in enumerate((-known, known)):
                threshold = -inner[0] if side == 0 else inner[-1]
                index, _, scale = genpareto.fit(losses[losses > threshold] - threshold, floc=0)
                self.base_tails[h, side] = torch.tensor([scale, np.clip(index, 0.02, 0.4)])


def inner_shortfall(outward: Tensor, tail_shortfall: Tensor) -> Tensor:
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
    dp, dx, dd = (steps[: k - 1].to(outward) for steps in (LEVEL_STEPS, SCORE_STEPS, DENSITY_STEPS))
    slope = (outward[..., 1:] - outward[..., :-1]) / dx
    start = outward[..., :-1] - slope * SCORES[: k - 1].to(outward)
    pieces = start * dp - slope * dd
    beyond: Tensor = TAIL * tail_shortfall[..., None] + torch.cumsum(pieces, dim=-1)
    return beyond / INNER_LEVELS[1:k].to(outward)


def inner_log_density(inner: Tensor, z: Tensor) -> Tensor:
    r"""Log density between the outermost inner levels, where the quantile runs linearly in the normal score.

    .. math:: f(z) = \varphi(x) / m, \qquad x = (z - s) / m

    Parameters
    ----------
    inner : (batch, horizon, inner level), quantiles.
    z : (batch, horizon); one further out is read as the quantile there.
    """
    x = SCORES.to(inner)
    z = torch.clamp(z, inner[..., 0], inner[..., -1])[..., None]
    piece = (z > inner[..., 1:-1]).sum(-1, keepdim=True)  # (batch, horizon, 1)
    slope = (torch.diff(inner, dim=-1) / SCORE_STEPS.to(inner)).gather(-1, piece)
    score = x[piece] + (z - inner.gather(-1, piece)) / slope
    density: Tensor = -0.5 * score**2 - slope.log() - HALF_LOG_2_PI
    return density[..., 0]
