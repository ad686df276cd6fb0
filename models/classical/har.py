"""HAR: variance on its own averages over an hour, hours, a day, a week, a month."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from features.panel import Panel
from models.base import Forecast
from models.classical.levels import Line, fit_level, fit_levels, level_forecast
from models.classical.lookbacks import check_spec, log_rates
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Har:
    r"""Heterogeneous autoregression in levels by ordinary least squares, each horizon by itself.

    .. math:: \frac{RV_{t,h}}{W_{t,h}} = c_h + \sum_k b_{h,k} \frac{RV^{(k)}_t}{W^{(k)}_t} + u

    with RV per hour over h ahead and over each look-back k behind, and W the hour-of-week weight of the hours meant.
    A forecast is kept within the outcomes of the past: :class:`models.classical.levels.LevelLine`.

    References
    ----------
    Corsi (2009), "A simple approximate long-memory model of realized volatility", J. Financial Econometrics 7(2).
    """

    lines: tuple[Line, ...] = ()
    diurnal: Diurnal = field(default_factory=Diurnal.flat)

    def fit(self, panel: Panel) -> "Har":
        """Least squares on every window that had ended."""
        check_spec(panel, "HAR")
        diurnal = Diurnal.fit(panel, whole_week=True)
        lines = fit_levels(panel, diurnal, averages(panel, diurnal), partial(fit_level, weighted=False), "HAR")
        return replace(self, lines=lines, diurnal=diurnal)

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the fitted variance."""
        return level_forecast(panel, self.diurnal, averages(panel, self.diurnal), self.lines)


def averages(panel: Panel, diurnal: Diurnal) -> FloatArray:
    """Past variance per hour over each look-back, without its clock, shape (n, k)."""
    return np.exp(log_rates(panel, diurnal))
