"""HAR of the variances of falls and of rises."""

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
guarded = partial(fit_guarded, n_plain=len(LOOKBACKS_H))


@dataclass(frozen=True)
class HarSemivariance:
    r"""HAR in which a look-back's falls and rises count apart, by weighted least squares.

    .. math:: \frac{RV_{t,h}}{W_{t,h}} = c_h + \sum_k \frac{b^-_{h,k} RS^{-(k)}_t + b^+_{h,k} RS^{+(k)}_t}{W^{(k)}_t}
              + u, \qquad RS^\mp = \sum_{r \lessgtr 0} r^2

    A look-back whose ``downside`` share the spec has not stays whole. The slope of falls is estimated as what they
    have beyond rises. Weights are those of :class:`models.classical.har_wls.HarWls` (the source weights as well), and
    a forecast stays within a factor of two of that model's: :class:`models.classical.levels.GuardedLine`.

    Parameters
    ----------
    lookbacks_h : look-backs to split (features ``downside``); none: those that the spec has.

    References
    ----------
    Patton & Sheppard (2015), "Good volatility, bad volatility: signed jumps and the persistence of volatility",
    Review of Economics and Statistics 97(3), equation 11.
    """

    lookbacks_h: tuple[int, ...] = ()
    lines: tuple[Line, ...] = ()
    diurnal: Diurnal = field(default_factory=Diurnal.flat)

    def fit(self, panel: Panel) -> "HarSemivariance":
        """Weighted least squares on every window that had ended."""
        check_spec(panel, "semivariance HAR", (f"downside_{k}h" for k in self.lookbacks_h))
        diurnal = Diurnal.fit(panel, whole_week=True)
        lines = fit_levels(panel, diurnal, self.regressors(panel, diurnal), guarded, "semivariance HAR")
        return replace(self, lines=lines, diurnal=diurnal)

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the fitted variance."""
        return level_forecast(panel, self.diurnal, self.regressors(panel, self.diurnal), self.lines)

    def regressors(self, panel: Panel, diurnal: Diurnal) -> FloatArray:
        """Past variance, and the part of it that falls made, shape (n, k + q)."""
        rates = averages(panel, diurnal)
        chosen = self.lookbacks_h or available(panel, "downside", "semivariance HAR")
        falls = [panel.column(f"downside_{k}h") * rates[:, LOOKBACKS_H.index(k)] for k in chosen]
        return np.column_stack([rates, *falls])
