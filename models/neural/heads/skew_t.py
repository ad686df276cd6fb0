r"""Hansen's skewed Student t, its tail index and skew bent for each origin.

.. math:: z = m + s \, \frac{(1 \mp \lambda) \sqrt{1 - 2 \xi} \, t - a}{b}, \qquad
          a = 4 \lambda c \, \frac{1 - 2 \xi}{1 - \xi}, \qquad b^2 = 1 + 3 \lambda^2 - a^2

with t of :math:`1 / \xi` degrees of freedom, taken below zero with the chance :math:`(1 - \lambda) / 2`, and c the
density of :math:`\sqrt{1 - 2 \xi} \, t` at zero: of mean m and standard deviation s. Quantiles, shortfalls and density
are in closed form, given the quantile of t (:mod:`models.neural.heads.student`).

References
----------
Hansen (1994), "Autoregressive conditional density estimation", International Economic Review 35(3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from features.errors import SettingError, accepted
from models.base import LEVELS
from models.neural.heads.base import Head
from models.neural.heads.residuals import known_residuals
from models.neural.heads.student import (
    LEAST_INDEX,
    LEAST_LEVEL,
    MOST_INDEX,
    t_log_density,
    t_quantile,
    t_shortfall,
)
from models.tails.skew_t import skew_t_loss
from models.tails.student_t import likeliest

MOST_SKEW = LEVELS[0] / LEAST_LEVEL - 1  # so that a level over 1 + skew stays within the table
MOST_BASE_SKEW = 0.5


@dataclass(frozen=True, slots=True)
class SkewTConfig:
    """Largest corrections: ``shape_bound`` of the log scale, and twice that of the location; of the index; of skew."""

    shape_bound: float = 0.5
    index_bound: float = 0.1
    skew_bound: float = 0.2

    def __post_init__(self) -> None:
        """Refuse bounds that bound nothing."""
        if self.shape_bound <= 0 or not 0 <= self.index_bound < 0.5 or not 0 <= self.skew_bound < 1:
            raise SettingError(f"{self}; choose shape_bound above 0, index_bound below 0.5, skew_bound below 1")


class Standard(NamedTuple):
    """One law: mean, standard deviation, tail index and skew of z, each of one shape, with Hansen's a and b."""

    location: Tensor
    scale: Tensor
    tail: Tensor
    skew: Tensor
    shift: Tensor
    slope: Tensor

    @classmethod
    def of(cls, location: Tensor, scale: Tensor, tail: Tensor, skew: Tensor) -> Self:
        """Find a and b."""
        inner = 1 - 2 * tail
        density = t_log_density(torch.zeros_like(tail), tail).exp() / inner.sqrt()
        shift = 4 * skew * density * inner / (1 - tail)
        return cls(location, scale, tail, skew, shift, (1 + 3 * skew**2 - shift**2).sqrt())

    def along(self) -> "Standard":
        """The same with room for levels at the end."""
        return Standard(*(part[..., None] for part in self))


class SkewT(Head):
    """Per horizon: location, log scale, tail index 1/nu, skew."""

    base: Tensor
    levels: Tensor

    def __init__(self, options: Mapping[str, Any], n_horizons: int) -> None:
        super().__init__(options, n_horizons)
        self.config = accepted(SkewTConfig, options, "skew_t head")
        self.n_outputs = 4
        # each horizon's location, scale, index and skew
        self.register_buffer("base", torch.tensor([0.0, 1.0, 0.2, 0.0]).repeat(n_horizons, 1))
        self.register_buffer("levels", torch.tensor(LEVELS), persistent=False)

    def forward(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, horizon, 4) to quantiles and shortfalls (batch, horizon, level)."""
        law = self.law(out)
        wide = law.along()
        left = self.levels < (1 - wide.skew) / 2
        side = torch.where(left, wide.skew - 1, 1 + wide.skew)  # negative on the left: t's lower tail serves both
        level = torch.where(left, self.levels, 1 - self.levels) / side.abs()  # (batch, horizon, level), to one half
        t = t_quantile(level, law.tail)
        unit = (1 - 2 * wide.tail).sqrt()
        quantiles = (-side * unit * t - wide.shift) / wide.slope
        mean = (-side * unit * t_shortfall(level, law.tail) - wide.shift) / wide.slope
        # Where a tail reaches over to the other side, the mean of zero gives the rest.
        other = -mean * torch.where(left, self.levels / (1 - self.levels), (1 - self.levels) / self.levels)
        beyond = torch.where(left == (self.levels <= 0.5), mean, other)
        return wide.location + wide.scale * quantiles, wide.location + wide.scale * beyond

    def log_density(self, out: Tensor, z: Tensor) -> Tensor:
        """See :meth:`models.neural.heads.base.Head.log_density`."""
        law = self.law(out)
        inner = (1 - 2 * law.tail).sqrt()
        x = law.slope * (z - law.location) / law.scale + law.shift
        t = x / (torch.where(x < 0, 1 - law.skew, 1 + law.skew) * inner)
        return t_log_density(t, law.tail) + (law.slope / (law.scale * inner)).log()

    def law(self, out: Tensor) -> Standard:
        """Base law with bounded corrections, (batch, horizon) each."""
        c, out = self.config, torch.tanh(out)
        location = self.base[:, 0] + 0.5 * c.shape_bound * out[..., 0]
        scale = self.base[:, 1] * torch.exp(c.shape_bound * out[..., 1])
        index = (self.base[:, 2] + c.index_bound * out[..., 2]).clamp(LEAST_INDEX, MOST_INDEX)
        skew = (self.base[:, 3] + c.skew_bound * out[..., 3]).clamp(-MOST_SKEW, MOST_SKEW)
        return Standard.of(location, scale, index, skew)

    def measure(self, z: NDArray[np.float64]) -> None:
        """Maximum likelihood of all four parameters."""
        excess = np.log(1 / MOST_INDEX - 2), np.log(1 / LEAST_INDEX - 2)
        bounds = [(-1.0, 1.0), (-3.0, 3.0), excess, (-MOST_BASE_SKEW, MOST_BASE_SKEW)]
        for h in range(z.shape[1]):
            known = known_residuals(z, h)
            guess = np.array([np.clip(known.mean(), -0.9, 0.9), 0.0, np.log(3.0), 0.0])
            best = likeliest(lambda place, x: skew_t_loss(place[1:], x - place[0]), known, guess, bounds)
            self.base[h] = torch.tensor([best[0], np.exp(best[1]), 1 / (2 + np.exp(best[2])), best[3]])
