r"""Eleven quantiles of their own, and means beyond them that some law could have.

Softplus steps outwards from the median give the quantiles. Beyond the outermost, the shortfall is one more such step
further out; further in, it adds what lies between two levels,

.. math:: p_2 e_2 = p_1 e_1 + (p_2 - p_1) \left( q_1 + w (q_2 - q_1) \right), \qquad 0 < w < 1

with the place w of the mean between two quantiles from the residuals: so shortfalls lie outside their quantiles and
do not cross either. No law is assumed anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from features.errors import SettingError, accepted
from models.base import LEVELS
from models.neural.heads.base import Head
from models.neural.heads.residuals import known_residuals

N_STEPS = len(LEVELS) - 1
MIDDLE = LEVELS.index(0.5)
LEAST_STEP = 1e-3  # of two quantiles of residuals: an outage's zeros may tie
LEAST_PLACE = 0.05  # of the mean between two quantiles, from either
ONE = 0.5413248546129181  # softplus of it is 1


@dataclass(frozen=True, slots=True)
class QuantilesConfig:
    """``shape_bound``: the farthest that an output moves the argument of a softplus, and twice the median."""

    shape_bound: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a bound that bounds nothing."""
        if not self.shape_bound > 0:
            raise SettingError(f"{self}; choose shape_bound above 0")


class Quantiles(Head):
    """Per horizon: median, ten steps between quantiles, one beyond each end."""

    base_median: Tensor
    base_steps: Tensor
    base_excess: Tensor
    base_places: Tensor

    def __init__(self, options: Mapping[str, Any], n_horizons: int) -> None:
        super().__init__(options, n_horizons)
        self.config = accepted(QuantilesConfig, options, "quantiles head")
        self.n_outputs = 1 + N_STEPS + 2
        h = n_horizons
        self.register_buffer("base_median", torch.zeros(h))
        self.register_buffer("base_steps", torch.full((h, N_STEPS), 0.4))
        self.register_buffer("base_excess", torch.full((h, 2), 0.5))  # (horizon, side); side 0 is the lower
        self.register_buffer("base_places", torch.full((h, N_STEPS), 0.5))

    def forward(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, horizon, 1 + 10 + 2) to quantiles and shortfalls (batch, horizon, level)."""
        moved = self.config.shape_bound * torch.tanh(out)
        median = self.base_median + 0.5 * moved[..., 0]
        steps = self.base_steps * softplus(ONE + moved[..., 1 : 1 + N_STEPS])
        excess = self.base_excess * softplus(ONE + moved[..., 1 + N_STEPS :])
        below = steps[..., :MIDDLE].flip(-1).cumsum(-1).flip(-1)
        above = steps[..., MIDDLE:].cumsum(-1)
        offsets = torch.cat([-below, torch.zeros_like(median)[..., None], above], dim=-1)
        quantiles = median[..., None] + offsets  # (batch, horizon, level)
        between = quantiles[..., :-1] + self.base_places * steps  # (batch, horizon, level - 1)
        lower = shortfall(quantiles[..., 0] - excess[..., 0], between[..., :MIDDLE])
        upper = shortfall(quantiles[..., -1] + excess[..., 1], between[..., MIDDLE + 1 :].flip(-1))
        return quantiles, torch.cat([lower, upper.flip(-1)], dim=-1)

    def measure(self, z: NDArray[np.float64]) -> None:
        """Quantiles of the residuals, their means beyond the ends and between each two."""
        for h in range(z.shape[1]):
            known = known_residuals(z, h)
            quantiles = np.quantile(known, LEVELS)
            steps = np.maximum(np.diff(quantiles), LEAST_STEP)
            beyond = [quantiles[0] - known[known <= quantiles[0]].mean(), known[known >= quantiles[-1]].mean()]
            beyond[1] -= quantiles[-1]
            self.base_median[h] = float(quantiles[MIDDLE])
            self.base_steps[h] = torch.from_numpy(steps)
            self.base_excess[h] = torch.from_numpy(np.maximum(beyond, LEAST_STEP))
            self.base_places[h] = torch.from_numpy(places(known, quantiles))


def shortfall(outermost: Tensor, between: Tensor) -> Tensor:
    """Means beyond each level from the mean beyond the first, and the means between neighbours, going inwards.

    Parameters
    ----------
    outermost : (batch, horizon), beyond the outermost of ``models.base.LEVELS``.
    between : (batch, horizon, k), from the outermost two levels inwards.

    Returns
    -------
    Tensor
        (batch, horizon, k + 1), outermost first.
    """
    levels = torch.tensor(LEVELS[: between.shape[-1] + 1], dtype=between.dtype, device=between.device)
    mass = torch.cat([levels[:1], levels.diff()])
    parts = torch.cat([outermost[..., None], between], dim=-1) * mass
    beyond: Tensor = parts.cumsum(-1) / levels
    return beyond


def places(known: NDArray[np.float64], quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where between each two quantiles the mean of what lies there is, from 0 to 1, shape (q - 1,).

    Examples
    --------
    >>> places(np.array([0.1, 0.5, 0.6, 1.2]), np.array([0.0, 1.0, 1.1, 2.0])).round(6)
    array([0.4     , 0.5     , 0.111111])
    """
    found = np.full(len(quantiles) - 1, 0.5)
    for i, (low, high) in enumerate(pairwise(quantiles)):
        inside = known[(known >= low) & (known <= high)]
        if len(inside) and high > low:
            found[i] = (inside.mean() - low) / (high - low)
    clipped: NDArray[np.float64] = np.clip(found, LEAST_PLACE, 1 - LEAST_PLACE)
    return clipped
