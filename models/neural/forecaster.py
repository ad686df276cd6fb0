"""Trained networks as a forecaster: panels in, forecasts out, torch kept inside."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from features.errors import SettingError
from features.panel import Panel
from features.spec import FeatureSpec
from models.base import LEVELS, Forecast, concatenate
from models.neural.inputs import Inputs, Reader
from models.neural.network import Network

FloatArray = NDArray[np.float64]
BATCH = 4_096


@dataclass(frozen=True)
class NeuralForecaster:
    """Networks of several seeds, what they read, and the features that all of it was fitted on.

    The log variances and the shapes, quantiles and shortfalls over the deviation, of the networks are averaged:
    a mean of laws that do not cross does not cross.
    """

    nets: tuple[Network, ...]
    reader: Reader
    spec: FeatureSpec

    def fit(self, panel: Panel) -> "NeuralForecaster":
        """Answer itself: a network is trained beforehand by ``training.fit`` and then frozen."""
        self._check(panel)
        return self

    def forecast(self, panel: Panel) -> Forecast:
        """Forecast from every origin; windows that begin before the panel repeat its first row.

        Raises
        ------
        SettingError
            If the panel was made from another feature spec.
        """
        self._check(panel)
        return _scaled(panel, *self.law(self.reader.read(panel)))

    def anchor_forecast(self, panel: Panel) -> Forecast:
        """Forecast as the networks did before they were trained: the anchor, and the law of its residuals.

        Raises
        ------
        SettingError
            If the panel was made from another feature spec.
        """
        self._check(panel)
        log_variance = self.reader.log_anchor(panel)
        quantiles, shortfall = (np.broadcast_to(part, (len(panel), *part.shape)) for part in self.base_law())
        return _scaled(panel, log_variance, quantiles, shortfall)

    def history(self, panel: Panel, trained_until_ns: int) -> Forecast:
        """Forecasts that a calibration may learn from: the anchor's up to the end of training, then the networks'.

        Give the instant to :func:`models.calibration.calibrate` as its ``handover_ns``.

        A network's residuals of what it was trained on are smaller than those of what is to come, and tails that
        learned from them would be too narrow; an anchor has too few parameters for that. An origin at or before
        ``trained_until_ns`` is the anchor's at every horizon, also where its window ended later; a window of any
        later origin, whatever its horizon, begins when every window of the training had ended.

        Parameters
        ----------
        panel : rows of the past.
        trained_until_ns : the last instant that the training knew.

        Raises
        ------
        SettingError
            If the panel was made from another feature spec.
        """
        first = panel.first_row_from(trained_until_ns + 1)
        if first == len(panel):
            return self.anchor_forecast(panel)
        self._check(panel)
        law = self.law(self.reader.read(panel), torch.arange(first, len(panel)))  # windows look back over the instant
        after = _scaled(panel.rows(first, len(panel)), *law)
        return concatenate([self.anchor_forecast(panel.rows(0, first)), after]) if first else after

    def law(self, inputs: Inputs, rows: Tensor | None = None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Means over the networks: log variance (n, h), z-quantiles and z-shortfalls (n, h, q).

        Parameters
        ----------
        inputs : of one instrument or, with :func:`models.neural.inputs.stacked`, of many.
        rows : (n,) int64, rows of ``inputs``; all where none are given.
        """
        chosen = torch.arange(len(inputs.last)) if rows is None else rows
        of_each = [self._law_of(net, inputs, chosen) for net in self.nets]
        log_variance, quantiles, shortfall = (np.mean(part, axis=0) for part in zip(*of_each, strict=True))
        return log_variance, quantiles, shortfall

    def base_law(self) -> tuple[FloatArray, FloatArray]:
        """z-quantiles and z-shortfalls (h, q) of outputs of zero, the law of the anchor's residuals in training."""
        with torch.inference_mode():
            laws = [net.law(torch.zeros(1, net.config.n_horizons, net.law.n_outputs)) for net in self.nets]
        quantiles, shortfall = (torch.cat(part).double().numpy().mean(axis=0) for part in zip(*laws, strict=True))
        return quantiles, shortfall

    def _law_of(self, net: Network, inputs: Inputs, rows: Tensor) -> tuple[FloatArray, ...]:
        """Evaluate in batches, in double precision: in single, how many rows are asked together shows in the digits."""
        exact = deepcopy(net).double()
        batches = torch.split(rows, BATCH)
        with torch.inference_mode():
            laws = [exact(*_doubled(inputs.at(some, exact.encoder.clocks))) for some in batches]
        return tuple(torch.cat(part).numpy() for part in zip(*laws, strict=True))

    def _check(self, panel: Panel) -> None:
        if panel.spec.hash != self.spec.hash:
            raise SettingError(
                f"the model was trained on feature spec {self.spec.hash[:12]}, the panel has {panel.spec.hash[:12]}; "
                "compute the panel with the model's spec or train again"
            )


@dataclass(frozen=True)
class Frozen:
    """Networks and the last instant that their training knew: a forecaster that may be calibrated on its own past."""

    network: NeuralForecaster
    trained_until_ns: int

    def fit(self, panel: Panel) -> "Frozen":
        """Answer itself, as :meth:`NeuralForecaster.fit`."""
        self.network.fit(panel)
        return self

    def forecast(self, panel: Panel) -> Forecast:
        """See :meth:`NeuralForecaster.history`."""
        return self.network.history(panel, self.trained_until_ns)


def _scaled(panel: Panel, log_variance: FloatArray, quantiles: FloatArray, shortfall: FloatArray) -> Forecast:
    """Forecast of every origin: (n, h), (n, h, q), (n, h, q)."""
    scale = np.exp(log_variance / 2)[..., None]
    return Forecast(
        origin_ns=np.asarray(panel.origin_ns),
        horizons_s=panel.spec.horizons_s,
        variance=np.exp(log_variance),
        levels=LEVELS,
        quantiles=quantiles * scale,
        shortfall=shortfall * scale,
    )


Arguments = tuple[Tensor, list[Tensor], Tensor, Tensor]


def _doubled(arguments: Arguments) -> Arguments:
    """Arguments of a network in double precision."""
    last, past, anchor, instrument = arguments
    return last.double(), [rows.double() for rows in past], anchor.double(), instrument
