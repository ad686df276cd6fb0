"""The three models that half an hour of one book is forecast with, all seen as forecasters of a panel."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from backtests.book_plan import BookPlan
from features.clock import HOUR_S
from features.errors import ShortHistoryError
from features.panel import Panel
from models.base import Forecast, Forecaster
from models.classical import law
from models.classical.ridge import LogRidge
from models.scores import qlike

FloatArray = NDArray[np.float64]
HALF_LIVES_S = (15.0, 30.0, 60.0, 120.0, 240.0, 480.0)


@dataclass(frozen=True)
class StepEwma:
    r"""Variance over a horizon from an exponential average of the squared returns of the rows before.

    .. math:: f_{t,h} = \frac{h}{\Delta} s_t, \qquad s_t = \lambda s_{t-1} + (1 - \lambda) RV_{t-\Delta, t}

    with :math:`\Delta` the time between origins; each horizon has the half-life of a short list whose forecasts,
    scaled to be unbiased, have the least QLIKE on the past.

    Parameters
    ----------
    recent : feature that holds the log variance per hour of the last step between origins.
    start : the same of the longest look-back, where the average begins.

    References
    ----------
    J.P. Morgan/Reuters (1996), "RiskMetrics technical document", 4th edition.
    """

    recent: str
    start: str
    half_lives_s: tuple[float, ...] = HALF_LIVES_S
    chosen_s: tuple[float, ...] = ()

    def fit(self, panel: Panel) -> "StepEwma":
        """Choose half-lives on every window that had ended."""
        averages = {half_life: self._rate(panel, half_life) for half_life in self.half_lives_s}
        chosen = []
        for h in range(len(panel.spec.horizons_s)):
            realised = panel.targets.realised_variance[:, h]
            losses = {half_life: _unbiased_qlike(realised, rate) for half_life, rate in averages.items()}
            chosen.append(min(losses, key=losses.__getitem__))
        return replace(self, chosen_s=tuple(chosen))

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the averaged variance."""
        horizons = zip(self.chosen_s, panel.spec.horizons_s, strict=True)
        columns = [self._rate(panel, half_life) * horizon_s / HOUR_S for half_life, horizon_s in horizons]
        return law.normal(panel, np.stack(columns, axis=1))

    def _rate(self, panel: Panel, half_life_s: float) -> FloatArray:
        """Exponential average of the variance per hour, shape (n,)."""
        decay = 0.5 ** (panel.spec.every_s / half_life_s)
        first = np.exp(panel.column(self.start)[0])
        rate: FloatArray = lfilter([1 - decay], [1.0, -decay], np.exp(panel.column(self.recent)), zi=[decay * first])[0]
        return rate


def _unbiased_qlike(realised: FloatArray, variance: FloatArray) -> float:
    """QLIKE over known windows of a forecast scaled to be unbiased."""
    known = np.isfinite(realised)
    if not known.any():
        raise ShortHistoryError("an average needs an ended window of every horizon to choose its half-lives")
    realised, variance = realised[known], variance[known]
    return float(qlike(realised, variance * np.mean(realised / variance)).mean())


def models_of(plan: BookPlan) -> dict[str, Callable[[], Forecaster]]:
    """Makers of the models, the one that margins rest on first."""
    return {
        "har_book": lambda: LogRidge(plan.variance_features + plan.book_features),
        "har": lambda: LogRidge(plan.variance_features),
        "ewma": lambda: StepEwma(plan.step_feature, plan.variance_features[-1]),
    }
