r"""Integrated gradients: how far each input moves the log variance from the anchor's.

.. math::

    A_j = (x_j - m_j) \int_0^1 \frac{\partial f}{\partial x_j}(m + a (x - m)) \, da, \qquad \sum_j A_j = f(x) - f(m)

along the straight path from m, the middle of training, where all scaled inputs but the hours of clocks are 0, to what
was seen. f is the bounded correction of the anchor's log variance, the mean over the networks; the integral is Gauss
and Legendre's sum.
"""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from features.errors import ConvergenceError, SettingError
from models.neural.forecaster import NeuralForecaster
from models.neural.importance.parts import Part, middle_of
from models.neural.inputs import Inputs
from models.neural.network import Network

FloatArray = NDArray[np.float64]
LARGEST_GAP = 1e-3  # log units: a tenth of a percent of the variance


@dataclass(frozen=True)
class Attributed:
    """Attributions of some forecasts.

    ``last`` (batch, n_last, horizon); ``past`` (batch, n_sequence, horizon), summed over the rows of all clocks;
    ``base`` (batch, horizon), f(m).
    """

    last: FloatArray
    past: FloatArray
    base: FloatArray

    def of(self, part: Part) -> FloatArray:
        """Attributions of one part, (batch, horizon)."""
        last, past = self.last[:, list(part.last)], self.past[:, list(part.past)]
        total: FloatArray = last.sum(axis=1) + past.sum(axis=1)
        return total


@dataclass(frozen=True)
class Path:
    """Networks in double precision, the points and weights of the path from 0 to 1, and where it begins."""

    nets: tuple[Network, ...]
    middle: Tensor  # (n_last,)
    points: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, forecaster: NeuralForecaster, steps: int) -> "Path":
        """Copy the networks: their own stay as they are."""
        if steps < 1:
            raise SettingError(f"a path of {steps} steps leads nowhere; choose 1 at least")
        nodes, weights = np.polynomial.legendre.leggauss(steps)  # on -1 to 1
        nets = tuple(deepcopy(net).double().eval().requires_grad_(requires_grad=False) for net in forecaster.nets)
        return cls(nets, torch.from_numpy(middle_of(forecaster.reader)), (nodes + 1) / 2, weights / 2)

    def attributed(self, inputs: Inputs, rows: Tensor) -> Attributed:
        """Attributions of some rows: means over the networks.

        Raises
        ------
        ConvergenceError
            If they do not add up.
        """
        of_each = [self._of_one(net, inputs, rows) for net in self.nets]
        last, past, base, top = (np.mean(part, axis=0) for part in zip(*of_each, strict=True))
        gap = float(np.abs(last.sum(axis=1) + past.sum(axis=1) - (top - base)).max())
        if not gap <= LARGEST_GAP:
            raise ConvergenceError(
                f"integrated gradients of {len(self.points)} steps miss what they should add up to by {gap:.2g}; "
                "take more steps"
            )
        return Attributed(last, past, base)

    def _of_one(self, net: Network, inputs: Inputs, rows: Tensor) -> tuple[FloatArray, ...]:
        """``last``, ``past``, f(m) and f(x) of one network."""
        last, past, _, instrument = inputs.at(rows, net.encoder.clocks)
        seen = [last.double(), *(window.double() for window in past)]
        begin = [self.middle.expand_as(seen[0]), *(torch.zeros_like(window) for window in seen[1:])]
        slopes = self._mean_slopes(net, begin, seen, instrument)
        moved = [slope * (x - m)[..., None] for slope, m, x in zip(slopes, begin, seen, strict=True)]
        of_past = torch.zeros(len(rows), inputs.sequence.shape[1], moved[0].shape[-1], dtype=torch.float64)
        for of_clock in moved[1:]:  # (batch, length, n_sequence, horizon)
            of_past = of_past + of_clock.sum(dim=1)
        with torch.no_grad():
            base, top = correction(net, begin, instrument), correction(net, seen, instrument)
        return tuple(value.numpy() for value in (moved[0], of_past, base, top))

    def _mean_slopes(self, net: Network, begin: list[Tensor], seen: list[Tensor], instrument: Tensor) -> list[Tensor]:
        """Mean over the path of the derivative of each horizon's correction by each input, (..., horizon)."""
        n_horizons = net.config.n_horizons
        total = [torch.zeros(*x.shape, n_horizons, dtype=torch.float64) for x in seen]
        for point, weight in zip(self.points, self.weights, strict=True):
            at = [torch.lerp(m, x, float(point)).requires_grad_() for m, x in zip(begin, seen, strict=True)]
            found = correction(net, at, instrument).sum(dim=0)  # rows do not depend on each other
            for h in range(n_horizons):
                slopes = torch.autograd.grad(found[h], at, retain_graph=h + 1 < n_horizons, materialize_grads=True)
                for sum_h, slope in zip(total, slopes, strict=True):
                    sum_h[..., h] += float(weight) * slope
        return total


def correction(net: Network, seen: list[Tensor], instrument: Tensor) -> Tensor:
    """What a network adds to the anchor's log variance, (batch, horizon)."""
    out = net.outputs(seen[0], seen[1:], instrument)
    return net.log_variance(out, torch.zeros_like(out[..., 0]))
