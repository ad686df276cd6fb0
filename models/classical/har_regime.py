"""Log-HAR that switches between regimes of variance."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from features.clock import HOUR_NS
from features.errors import SettingError
from features.panel import Panel
from models.base import Forecast
from models.classical import law
from models.classical.levels import scaled_least_squares
from models.classical.lookbacks import (
    LOOKBACKS_H,
    check_spec,
    frozen_hours,
    known_rows,
    log_rates,
    outcome_rates,
    usual_hours,
)
from models.classical.regimes import Regimes, estimate
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]
DAY = LOOKBACKS_H.index(24)


@dataclass(frozen=True)
class HarRegime:
    r"""Log-HAR whose coefficients follow a hidden Markov chain of regimes, each horizon by itself.

    .. math:: \ln \frac{RV_{t,1}}{W_{t,1}} = x_t' b_{s_{t+1}} + \sigma_{s_{t+1}} e_{t+1}, \qquad
              \ln \frac{RV_{t,h}}{W_{t,h}} = \sum_j \pi_{j,t} \, x_t' b_{h,j} + u, \qquad
              f_{t,h} = W_{t,h} \, e^{\sum_j \pi_{j,t} x_t' \hat b_{h,j}} \sum_j \pi_{j,t} S_{h,j}

    with x a constant and the logs of past variance without their clock, and π the probability of each regime in the
    next hour given the hours up to t (Hamilton's filter). The chain and the first equation are estimated by EM on the
    hourly series, the second by least squares; S is Duan's smearing factor of each regime. An hour in which the tape
    stood still tells nothing of the regime.

    Parameters
    ----------
    n_regimes : two or three.

    References
    ----------
    Raggi & Bordignon (2012), "Long memory and nonlinearities in realized volatility: a Markov switching approach",
    Computational Statistics & Data Analysis 56(11); Hamilton (1990), "Analysis of time series subject to changes in
    regime", J. Econometrics 45(1-2).
    """

    n_regimes: int = 2
    regimes: Regimes | None = None
    slope: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))  # (h, m * (k + 1))
    smear: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))  # (h, m)
    diurnal: Diurnal = field(default_factory=Diurnal.flat)

    def __post_init__(self) -> None:
        """Refuse a number of regimes that is none or that data do not tell apart."""
        if self.n_regimes not in (2, 3):
            raise SettingError(f"n_regimes={self.n_regimes}; choose 2 or 3")

    def fit(self, panel: Panel) -> "HarRegime":
        """EM on the hourly series, then least squares on every window that had ended.

        Raises
        ------
        ConvergenceError
            If EM finds no optimum with so many regimes.
        """
        check_spec(panel, "regime HAR")
        diurnal = Diurnal.fit(panel, whole_week=True)
        x = log_rates(panel, diurnal)
        past, hour = _steps(panel, x)
        known_rows(past, hour, panel, "regime HAR")
        regimes = estimate(past, hour, _first_guess(x[:, DAY], self.n_regimes))
        chance = regimes.filtered(past, hour) @ regimes.transition
        design, fits = _design(x, chance), []
        for outcome in outcome_rates(panel, diurnal).T:
            known = known_rows(design, outcome, panel, "regime HAR")
            fits.append(_smeared(design[known], np.log(outcome[known]), chance[known]))
        slope, smear = (np.array(part) for part in zip(*fits, strict=True))
        return replace(self, regimes=regimes, slope=slope, smear=smear, diurnal=diurnal)

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the smeared variance."""
        x, chance = log_rates(panel, self.diurnal), self.chance(panel)
        rates = np.exp(_design(x, chance) @ self.slope.T) * (chance @ self.smear.T)
        return law.normal(panel, rates * usual_hours(panel, self.diurnal))

    def chance(self, panel: Panel) -> FloatArray:
        """Probability of each regime in the hour after each origin, shape (n, m)."""
        if self.regimes is None:
            raise SettingError("this regime HAR was not fitted; call fit first")
        past, hour = _steps(panel, log_rates(panel, self.diurnal))
        return self.regimes.filtered(past, hour) @ self.regimes.transition


def _steps(panel: Panel, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Regressors known an hour before each origin, and the hour's log variance; NaN without the hour before."""
    past = np.full((len(x), x.shape[1] + 1), np.nan)
    past[1:, 0], past[1:, 1:] = 1.0, x[:-1]
    follows = np.concatenate([[False], np.diff(panel.origin_ns) == HOUR_NS])
    return past, np.where(follows & ~frozen_hours(panel), x[:, 0], np.nan)


def _first_guess(day: FloatArray, n_regimes: int) -> FloatArray:
    """Regimes by how high the variance of the last day is, shape (n, m), not quite certain."""
    bounds = np.quantile(day, np.arange(1, n_regimes) / n_regimes)
    return np.asarray(0.8 * np.eye(n_regimes)[np.searchsorted(bounds, day)] + 0.2 / n_regimes)


def _design(x: FloatArray, chance: FloatArray) -> FloatArray:
    """A constant and the regressors once for each regime, times its probability, shape (n, m * (k + 1))."""
    full = np.column_stack([np.ones(len(x)), x])
    return (chance[:, :, None] * full[:, None, :]).reshape(len(x), -1)


def _smeared(design: FloatArray, target: FloatArray, chance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slopes, and the smearing factor of each regime."""
    slope = scaled_least_squares(design, target)
    error = np.exp(target - design @ slope)
    return slope, (chance.T @ error) / chance.sum(axis=0)
