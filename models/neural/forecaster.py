"""A trained network as a forecaster: panels in, forecasts out, torch kept inside."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from features.errors import SettingError
from features.panel import Panel
from features.spec import FeatureSpec
from features.windows import windows
from models.base import LEVELS, Forecast
from models.classical.log_har import LogHar
from models.neural.residual import ResidualNet

BATCH = 4_096


@dataclass(frozen=True)
class NeuralForecaster:
    """A network, the log-HAR that it corrects, and the features that both were fitted on."""

    net: ResidualNet
    anchor: LogHar
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
        values = padded_windows(np.asarray(panel.values), self.net.config.window)
        anchor = self.anchor.log_variance(panel).astype(np.float32)
        laws = [
            self._law(values[first : first + BATCH], anchor[first : first + BATCH])
            for first in range(0, len(values), BATCH)
        ]
        log_variance, quantiles, shortfall = (np.concatenate(part) for part in zip(*laws, strict=True))
        scale = np.exp(log_variance / 2)[..., None]
        return Forecast(
            origin_ns=np.asarray(panel.origin_ns),
            horizons_s=panel.spec.horizons_s,
            variance=np.exp(log_variance),
            levels=LEVELS,
            quantiles=quantiles * scale,
            shortfall=shortfall * scale,
        )

    def _law(self, batch: NDArray[np.float32], anchor: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
        """Evaluate one batch in double precision of the outputs."""
        with torch.inference_mode():
            law = self.net(torch.from_numpy(np.ascontiguousarray(batch)), torch.from_numpy(anchor))
        return tuple(part.double().numpy() for part in law)

    def _check(self, panel: Panel) -> None:
        if panel.spec.hash != self.spec.hash:
            raise SettingError(
                f"the model was trained on feature spec {self.spec.hash[:12]}, the panel has {panel.spec.hash[:12]}; "
                "compute the panel with the model's spec or train again"
            )


def padded_windows(values: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """One window per row of a panel, shape (row, feature) -> (row, length, feature)."""
    start = np.repeat(values[:1], length - 1, axis=0)
    return windows(np.concatenate([start, values]), length)
