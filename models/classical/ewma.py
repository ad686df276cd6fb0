"""Exponentially weighted realised variance (RiskMetrics on hourly realised variance)."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from features.clock import HOUR_S
from features.pipeline import Panel
from models.base import LEVELS, Forecast
from models.classical.normal import normal_forecast
from models.diurnal import Diurnal
from models.scores import qlike

FloatArray = NDArray[np.float64]
HALF_LIVES_H = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


@dataclass(frozen=True)
class Ewma:
    r"""Variance over h hours from an exponential average of past hours.

    .. math:: f_{t,h} = s_t \sum_{j=1}^{h} w_{t+j}, \qquad
              s_t = \lambda s_{t-1} + (1-\lambda) \frac{RV_t}{w_t}

    with w the hour-of-week weight; the half-life of each horizon is the one of
    a short list with the least QLIKE on the past.

    References
    ----------
    J.P. Morgan/Reuters (1996), "RiskMetrics technical document", 4th edition.
    """

    half_lives_h: tuple[float, ...] = HALF_LIVES_H
    chosen_h: tuple[float, ...] = ()
    diurnal: Diurnal = field(default_factory=lambda: Diurnal(np.ones(168)))

    def fit(self, panel: Panel) -> "Ewma":
        """Choose half-lives on every window that had ended."""
        model = replace(self, diurnal=Diurnal.fit(panel))
        averages = {half_life: model._average(panel, half_life) for half_life in self.half_lives_h}
        chosen = []
        for h, horizon_s in enumerate(panel.spec.horizons_s):
            realised = panel.targets.realised_variance[:, h]
            known = np.isfinite(realised)

            def loss(half_life: float, realised: FloatArray = realised, known: NDArray[np.bool_] = known,
                     horizon_s: int = horizon_s) -> float:  # fmt: skip
                variance = model._variance(panel, averages[half_life], horizon_s)[known]
                unbiased = variance * np.mean(realised[known] / variance)
                return float(qlike(realised[known], unbiased).mean())

            chosen.append(min(self.half_lives_h, key=loss))
        return replace(model, chosen_h=tuple(chosen))

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the averaged variance."""
        columns = [
            self._variance(panel, self._average(panel, half_life), horizon_s)
            for half_life, horizon_s in zip(self.chosen_h, panel.spec.horizons_s, strict=True)
        ]
        return normal_forecast(panel, np.stack(columns, axis=1), LEVELS)

    def _average(self, panel: Panel, half_life_h: float) -> FloatArray:
        """Average of the hours' variance without their clock, shape (n,)."""
        hourly = np.exp(panel.column("log_rv_1h")) / self.diurnal.behind(panel.origin_ns, 1)
        start = np.exp(panel.column("log_rv_168h")[0])  # the week before the panel
        decay = 0.5 ** (1 / half_life_h)
        average, _ = lfilter([1 - decay], [1.0, -decay], hourly, zi=[decay * start])
        out: FloatArray = average
        return out

    def _variance(self, panel: Panel, average: FloatArray, horizon_s: int) -> FloatArray:
        hours = horizon_s // HOUR_S
        return average * hours * self.diurnal.ahead(panel.origin_ns, hours)
