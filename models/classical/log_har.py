"""Log-HAR: the logarithm of variance on its own averages over an hour, hours, a day, a week, a month."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from features.panel import Panel
from models.base import Forecast
from models.classical import law
from models.classical.lookbacks import LOOKBACKS_H, check_spec, known_rows, log_rates, outcome_rates, usual_hours
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LogHar:
    r"""Heterogeneous autoregression in logs, each horizon by itself, smeared back to levels.

    .. math:: \ln \frac{RV_{t,h}}{W_{t,h}} = c_h + \sum_k b_{h,k} \ln \frac{RV^{(k)}_t}{W^{(k)}_t} + u, \qquad
              f_{t,h} = W_{t,h} \, e^{\hat x' b} \, \overline{e^{\hat u}}

    with W the hour-of-week weight of the hours meant. The last factor, Duan's
    smearing, makes the forecast unbiased without assuming normal residuals.

    Parameters
    ----------
    whole_week : give each hour of the week its own weight, not the product of its hour's and its day's.

    References
    ----------
    Corsi (2009), "A simple approximate long-memory model of realized
    volatility", J. Financial Econometrics 7(2); Duan (1983), "Smearing
    estimate", J. American Statistical Association 78.
    """

    intercept: FloatArray = field(default_factory=lambda: np.zeros(0))  # (h,), smearing included
    slope: FloatArray = field(default_factory=lambda: np.zeros((0, len(LOOKBACKS_H))))  # (h, k)
    diurnal: Diurnal = field(default_factory=Diurnal.flat)
    whole_week: bool = False

    def fit(self, panel: Panel) -> "LogHar":
        """Least squares on every window that had ended."""
        check_spec(panel, "log-HAR")
        diurnal = Diurnal.fit(panel, whole_week=self.whole_week)
        x, outcomes = log_rates(panel, diurnal), outcome_rates(panel, diurnal)
        fits = []
        for outcome in outcomes.T:
            known = known_rows(x, outcome, panel, "log-HAR")
            fits.append(smeared_least_squares(x[known], np.log(outcome[known])))
        intercept, slope = (np.array(part) for part in zip(*fits, strict=True))
        return replace(self, intercept=intercept, slope=slope, diurnal=diurnal)

    def log_variance(self, panel: Panel) -> FloatArray:
        """Log of the forecast variance over each horizon, shape (n, h)."""
        level: FloatArray = log_rates(panel, self.diurnal) @ self.slope.T + self.intercept
        return level + np.log(usual_hours(panel, self.diurnal))

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the smeared variance."""
        return law.normal(panel, np.exp(self.log_variance(panel)))


def smeared_least_squares(x: FloatArray, target: FloatArray) -> tuple[float, FloatArray]:
    """Intercept with the log of the smearing factor, and slopes, shape (n, k), (n,) -> (k,)."""
    line = LinearRegression().fit(x, target)
    residual = target - line.predict(x)
    return float(line.intercept_ + np.log(np.exp(residual).mean())), line.coef_
