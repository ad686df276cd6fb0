"""Trained networks as a forecaster: panels in, forecasts out, torch kept inside."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from features.errors import SettingError
from features.panel import Panel
from features.spec import FeatureSpec
from models.base import LEVELS, Forecast
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
        inputs = self.reader.read(panel)
        log_variance, quantiles, shortfall = self.law(inputs)
        scale = np.exp(log_variance / 2)[..., None]
        return Forecast(
            origin_ns=np.asarray(panel.origin_ns),
            horizons_s=panel.spec.horizons_s,
            variance=np.exp(log_variance),
            levels=LEVELS,
            quantiles=quantiles * scale,
            shortfall=shortfall * scale,
        )

    def law(self, inputs: Inputs) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log variance (n, h), z-quantiles and z-shortfalls (n, h, q): means over the networks."""
        of_each = [self._law_of(net, inputs) for net in self.nets]
        log_variance, quantiles, shortfall = (np.mean(part, axis=0) for part in zip(*of_each, strict=True))
        return log_variance, quantiles, shortfall

    def _law_of(self, net: Network, inputs: Inputs) -> tuple[FloatArray, ...]:
        """Evaluate in batches; outputs in double precision."""
        batches = torch.split(torch.arange(len(inputs.last)), BATCH)
        with torch.inference_mode():
            laws = [net(*inputs.at(rows, net.encoder.clocks)) for rows in batches]
        return tuple(torch.cat(part).double().numpy() for part in zip(*laws, strict=True))

    def _check(self, panel: Panel) -> None:
        if panel.spec.hash != self.spec.hash:
            raise SettingError(
                f"the model was trained on feature spec {self.spec.hash[:12]}, the panel has {panel.spec.hash[:12]}; "
                "compute the panel with the model's spec or train again"
            )
