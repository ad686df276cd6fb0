"""Log-HAR: the logarithm of variance on its own averages over an hour, hours, a day, a week, a month."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from features.clock import HOUR_S
from features.errors import ShortHistoryError
from features.panel import Panel
from models.base import Forecast
from models.classical import law
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]
LOOKBACKS_H = (1, 4, 24, 168, 720)


@dataclass(frozen=True)
class LogHar:
    r"""Heterogeneous autoregression in logs, each horizon by itself, smeared back to levels.

    .. math:: \ln \frac{RV_{t,h}}{W_{t,h}} = c_h + \sum_k b_{h,k} \ln \frac{RV^{(k)}_t}{W^{(k)}_t} + u, \qquad
              f_{t,h} = W_{t,h} \, e^{\hat x' b} \, \overline{e^{\hat u}}

    with W the hour-of-week weight of the hours meant. The last factor, Duan's
    smearing, makes the forecast unbiased without assuming normal residuals.

    References
    ----------
    Corsi (2009), "A simple approximate long-memory model of realized
    volatility", J. Financial Econometrics 7(2); Duan (1983), "Smearing
    estimate", J. American Statistical Association 78.
    """

    intercept: FloatArray = field(default_factory=lambda: np.zeros(0))  # (h,), smearing included
    slope: FloatArray = field(default_factory=lambda: np.zeros((0, len(LOOKBACKS_H))))  # (h, k)
    diurnal: Diurnal = field(default_factory=lambda: Diurnal(np.ones(168)))

    def fit(self, panel: Panel) -> "LogHar":
        """Least squares on every window that had ended."""
        diurnal = Diurnal.fit(panel)
        x = regressors(panel, diurnal)
        fits = []
        for h, horizon_s in enumerate(panel.spec.horizons_s):
            hours = horizon_s // HOUR_S
            usual = hours * diurnal.ahead(panel.origin_ns, hours)
            target = np.log(panel.targets.realised_variance[:, h] / usual)
            fits.append(_smeared_least_squares(x, target))
        intercept, slope = (np.array(part) for part in zip(*fits, strict=True))
        return LogHar(intercept, slope, diurnal)

    def log_variance(self, panel: Panel) -> FloatArray:
        """Log of the forecast variance over each horizon, shape (n, h)."""
        level = regressors(panel, self.diurnal) @ self.slope.T + self.intercept
        hours = [h // HOUR_S for h in panel.spec.horizons_s]
        usual = np.stack([k * self.diurnal.ahead(panel.origin_ns, k) for k in hours], axis=1)
        return level + np.log(usual)

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the smeared variance."""
        return law.normal(panel, np.exp(self.log_variance(panel)))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers for an artefact."""
        return {
            "intercept": self.intercept.tolist(),
            "slope": self.slope.tolist(),
            "diurnal": self.diurnal.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "LogHar":
        """Read back :meth:`to_json`."""
        return cls(
            np.array(value["intercept"]),
            np.array(value["slope"]),
            Diurnal.from_json(value["diurnal"]),
        )


def regressors(panel: Panel, diurnal: Diurnal) -> FloatArray:
    """Logs of past hourly variance without their clock, shape (n, k)."""
    columns = [panel.column(f"log_rv_{k}h") - np.log(diurnal.behind(panel.origin_ns, k)) for k in LOOKBACKS_H]
    return np.stack(columns, axis=1)


def _smeared_least_squares(x: FloatArray, target: FloatArray) -> tuple[float, FloatArray]:
    """Intercept with the log of the smearing factor, and slopes; rows with NaN are left out."""
    known = np.isfinite(target)
    if known.sum() <= 10 * x.shape[1]:
        raise ShortHistoryError(
            f"log-HAR needs more than {10 * x.shape[1]} ended windows, the panel has {known.sum()}; "
            "give a longer history"
        )
    line = LinearRegression().fit(x[known], target[known])
    residual = target[known] - line.predict(x[known])
    return float(line.intercept_ + np.log(np.exp(residual).mean())), line.coef_
