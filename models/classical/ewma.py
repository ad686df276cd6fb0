"""Exponentially weighted realised variance (RiskMetrics on hourly realised variance)."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from features.clock import HOUR_S
from features.errors import ShortHistoryError
from features.panel import Panel
from models.base import Forecast
from models.classical import law
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
        diurnal = Diurnal.fit(panel)
        averages = {half_life: average(panel, diurnal, half_life) for half_life in self.half_lives_h}
        chosen = []
        for h, horizon_s in enumerate(panel.spec.horizons_s):
            usual = usual_hours(panel, diurnal, horizon_s)
            realised = panel.targets.realised_variance[:, h]
            losses = {half_life: _unbiased_qlike(realised, a * usual) for half_life, a in averages.items()}
            chosen.append(min(losses, key=losses.__getitem__))
        return replace(self, diurnal=diurnal, chosen_h=tuple(chosen))

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the averaged variance."""
        columns = [
            average(panel, self.diurnal, half_life) * usual_hours(panel, self.diurnal, horizon_s)
            for half_life, horizon_s in zip(self.chosen_h, panel.spec.horizons_s, strict=True)
        ]
        return law.normal(panel, np.stack(columns, axis=1))


def average(panel: Panel, diurnal: Diurnal, half_life_h: float) -> FloatArray:
    """Exponential average of the hours' variance without their clock, shape (n,)."""
    hourly = np.exp(panel.column("log_rv_1h")) / diurnal.behind(panel.origin_ns, 1)
    start = np.exp(panel.column("log_rv_168h")[0])  # the week before the panel
    decay = 0.5 ** (1 / half_life_h)
    averaged, _ = lfilter([1 - decay], [1.0, -decay], hourly, zi=[decay * start])
    out: FloatArray = averaged
    return out


def usual_hours(panel: Panel, diurnal: Diurnal, horizon_s: int) -> FloatArray:
    """Hours of a horizon, each counted by its weight, shape (n,)."""
    hours = horizon_s // HOUR_S
    return hours * diurnal.ahead(panel.origin_ns, hours)


def _unbiased_qlike(realised: FloatArray, variance: FloatArray) -> float:
    """QLIKE over known windows of a forecast scaled to be unbiased."""
    known = np.isfinite(realised)
    if not known.any():
        raise ShortHistoryError(
            "EWMA needs an ended window of every horizon to choose its half-lives; give a longer history"
        )
    realised, variance = realised[known], variance[known]
    return float(qlike(realised, variance * np.mean(realised / variance)).mean())
