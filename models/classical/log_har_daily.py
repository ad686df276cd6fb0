"""Log-HAR that is refitted each midnight, between its fits, by the day that came and the day that went."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_NS, HOUR_NS
from features.panel import Panel
from models.base import Forecast
from models.classical import law
from models.classical.log_har import LogHar
from models.classical.lookbacks import frozen_hours, log_rates, outcome_rates, usual_hours
from models.classical.moments import rolling_least_squares

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LogHarDaily:
    r"""The regression of :class:`models.classical.log_har.LogHar`, refitted each midnight UTC after its fit.

    .. math:: \hat b_d = \arg\min_b \sum_{s = d-h-w+1}^{d-h} (y_{s,h} - x_s' b)^2

    with w the rows of the training. After the fit no outcome is handed in and none is needed: the variance of a window
    that has ended is the sum of its hours', which the features hold (``log_rv_1h``). The clock stays that of the fit,
    so the moments of a window are those of the day before, updated: see :mod:`models.classical.moments`.

    References
    ----------
    Corsi (2009), "A simple approximate long-memory model of realized volatility", J. Financial Econometrics 7(2).
    """

    fitted: LogHar = field(default_factory=lambda: LogHar(whole_week=True))
    origin_ns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    regressors: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))  # (n, k) of the training
    outcomes: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))  # (n, h) log variance without its clock

    def fit(self, panel: Panel) -> "LogHarDaily":
        """Least squares on every window that had ended; its rows are kept for the days to come."""
        fitted = self.fitted.fit(panel)
        x, y = log_rates(panel, fitted.diurnal), np.log(outcome_rates(panel, fitted.diurnal))
        return replace(self, fitted=fitted, origin_ns=np.asarray(panel.origin_ns), regressors=x, outcomes=y)

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the variance of the last midnight's fit; of the fit itself before the first."""
        log_variance = self.fitted.log_variance(panel)
        new = panel.rows(panel.first_row_from(int(self.origin_ns[-1]) + 1), len(panel))
        midnights = np.flatnonzero(new.origin_ns % DAY_NS == 0)
        if len(midnights):
            log_variance[len(panel) - len(new) + midnights[0] :] = self._refitted(new, midnights)
        return law.normal(panel, np.exp(log_variance))

    def _refitted(self, new: Panel, midnights: NDArray[np.int64]) -> FloatArray:
        """Log variance of rows that came after the fit, from the first midnight on, shape (n, h)."""
        diurnal = self.fitted.diurnal
        x, usual = log_rates(new, diurnal), usual_hours(new, diurnal)
        design = np.vstack([self.regressors, x])
        day = np.searchsorted(midnights, np.arange(midnights[0], len(new)), side="right") - 1
        columns = []
        for h, purge in enumerate(new.spec.horizon_rows):
            y = np.concatenate([self.outcomes[:, h], np.log(summed_hours(new, purge) / usual[:, h])])
            lines = self._lines(design, y, len(self.regressors) + midnights, purge)[day]
            columns.append(lines[:, 0] + (x[midnights[0] :] * lines[:, 1:]).sum(axis=1))
        return np.stack(columns, axis=1) + np.log(usual[midnights[0] :])

    def _lines(self, design: FloatArray, y: FloatArray, refits: NDArray[np.int64], purge: int) -> FloatArray:
        """Intercept, smearing included, and slopes of each refit, shape (m, k + 1)."""
        rows = len(self.regressors)
        lines = rolling_least_squares(design, y, refits, window_rows=rows, purge_rows=purge)
        for line, refit in zip(lines, refits, strict=True):
            window = slice(max(0, refit - purge + 1 - rows), refit - purge + 1)
            error = y[window] - design[window] @ line[1:] - line[0]
            line[0] += np.log(np.exp(error[np.isfinite(error)]).mean())
        return lines


def summed_hours(panel: Panel, hours: int) -> FloatArray:
    """Realised variance of the hours after each origin, from later rows' features, shape (n,).

    NaN where the panel ends before, has a hole, or the tape stood still: known ``hours`` rows later, like an outcome.
    """
    hourly = np.where(frozen_hours(panel), np.nan, np.exp(panel.column("log_rv_1h")))
    whole = np.full(len(panel), np.nan)
    if len(panel) > hours:
        sums = np.lib.stride_tricks.sliding_window_view(hourly[1:], hours).sum(axis=1)
        unbroken = panel.origin_ns[hours:] - panel.origin_ns[:-hours] == hours * HOUR_NS
        whole[:-hours] = np.where(unbroken, sums, np.nan)
    return whole
