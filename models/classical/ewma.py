"""Exponentially weighted realised variance (RiskMetrics on hourly realised variance)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from features.errors import ShortHistoryError
from features.panel import Panel
from models.base import Forecast
from models.classical import law
from models.classical.lookbacks import check_spec, frozen_hours, usual_hours
from models.diurnal import Diurnal
from models.scores import qlike

FloatArray = NDArray[np.float64]
HALF_LIVES_H = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


@dataclass(frozen=True)
class Ewma:
    r"""Variance over h hours from an exponential average of past hours' realised variance.

    .. math:: f_{t,h} = s_t \sum_{j=1}^{h} w_{t+j}, \qquad
              s_t = \lambda s_{t-1} + (1-\lambda) \frac{RV_t}{w_t}

    with w the hour-of-week weight; the half-life of each horizon is the one of
    a short list with the least QLIKE on the past. An hour in which the tape
    stood still changes nothing: s is held.

    Parameters
    ----------
    half_lives_h : to choose from, in hours.
    cap : an hour counts at most so many times the average before it: one crash hour is no regime.
    whole_week : give each hour of the week its own weight, not the product of its hour's and its day's.

    References
    ----------
    J.P. Morgan/Reuters (1996), "RiskMetrics technical document", 4th edition.
    """

    half_lives_h: tuple[float, ...] = HALF_LIVES_H
    chosen_h: tuple[float, ...] = ()
    diurnal: Diurnal = field(default_factory=Diurnal.flat)
    whole_week: bool = False
    cap: float = np.inf

    def fit(self, panel: Panel) -> "Ewma":
        """Choose half-lives on every window that had ended."""
        check_spec(panel, "EWMA")
        diurnal = Diurnal.fit(panel, whole_week=self.whole_week)
        hourly = hourly_variance(panel, diurnal)
        return replace(self, diurnal=diurnal, chosen_h=choose(panel, diurnal, hourly, self.half_lives_h, self.cap))

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the averaged variance."""
        return average_forecast(panel, self.diurnal, hourly_variance(panel, self.diurnal), self.chosen_h, self.cap)


def hourly_variance(panel: Panel, diurnal: Diurnal) -> FloatArray:
    """Realised variance of each past hour without its clock, shape (n,); NaN where the tape stood still."""
    variance = np.exp(panel.column("log_rv_1h")) / diurnal.behind(panel.origin_ns, 1)
    return np.where(frozen_hours(panel), np.nan, variance)


def average(panel: Panel, hourly: FloatArray, half_life_h: float, cap: float = np.inf) -> FloatArray:
    """Exponential average of the hours up to each, held over those that are NaN, shape (n,) -> (n,).

    With a cap, an hour above so many times the (uncapped) average before it is read as that.
    """
    if np.isfinite(cap):
        plain = average(panel, hourly, half_life_h)
        hourly = np.minimum(hourly, cap * np.concatenate([plain[:1], plain[:-1]]))
    start = np.exp(panel.column("log_rv_168h")[0])  # the week before the panel
    decay = 0.5 ** (1 / half_life_h)
    shown = np.isfinite(hourly)
    averaged, _ = lfilter([1 - decay], [1.0, -decay], hourly[shown], zi=[decay * start])
    held: FloatArray = np.concatenate([[start], averaged])[np.cumsum(shown)]
    return held


def choose(
    panel: Panel, diurnal: Diurnal, hourly: FloatArray, half_lives_h: Sequence[float], cap: float = np.inf
) -> tuple[float, ...]:
    """Half-life of each horizon with the least QLIKE on every window that had ended."""
    usual, realised = usual_hours(panel, diurnal), panel.targets.realised_variance
    averages = [average(panel, hourly, half_life, cap)[:, None] * usual for half_life in half_lives_h]
    losses = [[_unbiased_qlike(y, f) for y, f in zip(realised.T, a.T, strict=True)] for a in averages]
    return tuple(half_lives_h[int(best)] for best in np.argmin(losses, axis=0))


def average_forecast(
    panel: Panel, diurnal: Diurnal, hourly: FloatArray, half_lives_h: Sequence[float], cap: float = np.inf
) -> Forecast:
    """Normal law with the variance of each horizon averaged by its half-life."""
    averages = np.stack([average(panel, hourly, half_life, cap) for half_life in half_lives_h], axis=1)
    return law.normal(panel, averages * usual_hours(panel, diurnal))


def _unbiased_qlike(realised: FloatArray, variance: FloatArray) -> float:
    """QLIKE over known windows of a forecast scaled to be unbiased."""
    known = np.isfinite(realised)
    if not known.any():
        raise ShortHistoryError(
            "EWMA needs an ended window of every horizon to choose its half-lives; give a longer history"
        )
    realised, variance = realised[known], variance[known]
    return float(qlike(realised, variance * np.mean(realised / variance)).mean())
