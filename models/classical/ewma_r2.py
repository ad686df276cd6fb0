"""RiskMetrics: an exponential average of squared hourly returns."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from features.panel import Panel
from models.base import Forecast
from models.classical.ewma import average_forecast, choose
from models.classical.lookbacks import check_spec, frozen_hours
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]
HALF_LIVES_H = (8.0, 16.0, 32.0, 64.0, 128.0, 256.0)  # one return says less of an hour than its realised variance


@dataclass(frozen=True)
class EwmaR2:
    r"""Variance over h hours from an exponential average of past hours' squared returns.

    .. math:: f_{t,h} = s_t \sum_{j=1}^{h} w_{t+j}, \qquad
              s_t = \lambda s_{t-1} + (1-\lambda) \frac{r_t^2}{w_t}

    Otherwise as :class:`models.classical.ewma.Ewma`: half-lives chosen on the past, s held through an outage.

    Parameters
    ----------
    half_lives_h : to choose from, in hours.

    References
    ----------
    J.P. Morgan/Reuters (1996), "RiskMetrics technical document", 4th edition, section 5.2.
    """

    half_lives_h: tuple[float, ...] = HALF_LIVES_H
    chosen_h: tuple[float, ...] = ()
    diurnal: Diurnal = field(default_factory=Diurnal.flat)

    def fit(self, panel: Panel) -> "EwmaR2":
        """Choose half-lives on every window that had ended."""
        check_spec(panel, "EWMA of squared returns", ("log_return_1h",))
        diurnal = Diurnal.fit(panel, whole_week=True)
        hourly = squared_returns(panel, diurnal)
        return replace(self, diurnal=diurnal, chosen_h=choose(panel, diurnal, hourly, self.half_lives_h))

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the averaged variance."""
        return average_forecast(panel, self.diurnal, squared_returns(panel, self.diurnal), self.chosen_h)


def squared_returns(panel: Panel, diurnal: Diurnal) -> FloatArray:
    """Squared return of each past hour without its clock, shape (n,); NaN where the tape stood still."""
    square = np.square(panel.column("log_return_1h")) / diurnal.behind(panel.origin_ns, 1)
    return np.where(frozen_hours(panel), np.nan, square)
