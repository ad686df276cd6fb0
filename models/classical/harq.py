"""HARQ: a HAR that trusts a look-back less where it was measured badly."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from features.panel import Panel
from models.base import Forecast
from models.classical.har import averages
from models.classical.levels import Line, fit_guarded, fit_levels, level_forecast
from models.classical.lookbacks import LOOKBACKS_H, available, check_spec
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]
LONGEST_H = 24  # with an interaction: a week of five-minute returns is measured well, its product only adds noise
guarded = partial(fit_guarded, n_plain=len(LOOKBACKS_H))


@dataclass(frozen=True)
class Harq:
    r"""HAR whose slopes fall with the error of measurement of each look-back, by weighted least squares.

    .. math:: \frac{RV_{t,h}}{W_{t,h}} = c_h + \sum_k \left(b_{h,k} + q_{h,k}
              \frac{\sqrt{RQ^{(k)}_t}}{RV^{(k)}_t}\right) \frac{RV^{(k)}_t}{W^{(k)}_t} + u

    RQ is realised quarticity: the variance of RV's error is about 2 RQ / n. The source has the root of RQ itself in
    the slope. Here it is that root in units of RV: the variance of a coin spans decades, the product of two levels
    spans their squares and would be ruled by a few days. Weights are those of
    :class:`models.classical.har_wls.HarWls`, and a forecast stays within a factor of two of that model's, the insanity
    filter: :class:`models.classical.levels.GuardedLine`.

    Parameters
    ----------
    lookbacks_h : look-backs with an interaction (features ``rq_ratio``); none: those that the spec has, up to a day.

    References
    ----------
    Bollerslev, Patton & Quaedvlieg (2016), "Exploiting the errors: a simple approach for improved volatility
    forecasting", J. Econometrics 192(1), equation 14.
    """

    lookbacks_h: tuple[int, ...] = ()
    lines: tuple[Line, ...] = ()
    diurnal: Diurnal = field(default_factory=Diurnal.flat)

    def fit(self, panel: Panel) -> "Harq":
        """Weighted least squares on every window that had ended."""
        check_spec(panel, "HARQ", (f"rq_ratio_{k}h" for k in self.lookbacks_h))
        diurnal = Diurnal.fit(panel, whole_week=True)
        lines = fit_levels(panel, diurnal, self.regressors(panel, diurnal), guarded, "HARQ")
        return replace(self, lines=lines, diurnal=diurnal)

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the fitted variance."""
        return level_forecast(panel, self.diurnal, self.regressors(panel, self.diurnal), self.lines)

    def regressors(self, panel: Panel, diurnal: Diurnal) -> FloatArray:
        """Past variance, and its product with the relative error of its measurement, shape (n, k + q)."""
        rates = averages(panel, diurnal)
        chosen = self.lookbacks_h or available(panel, "rq_ratio", "HARQ", LONGEST_H)
        error = [np.exp(panel.column(f"rq_ratio_{k}h")) * rates[:, LOOKBACKS_H.index(k)] for k in chosen]
        return np.column_stack([rates, *error])
