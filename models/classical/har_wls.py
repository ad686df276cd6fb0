"""HAR in levels by weighted least squares."""

from dataclasses import dataclass, field, replace
from functools import partial

from features.panel import Panel
from models.base import Forecast
from models.classical.har import averages
from models.classical.levels import Line, fit_level, fit_levels, level_forecast
from models.classical.lookbacks import check_spec
from models.diurnal import Diurnal


@dataclass(frozen=True)
class HarWls:
    r"""The regression of :class:`models.classical.har.Har` with weights from its own fitted variance.

    .. math:: \min_{c,b} \sum_t \hat f_t^{-2} \left(\frac{RV_{t,h}}{W_{t,h}} - c_h
              - \sum_k b_{h,k} \frac{RV^{(k)}_t}{W^{(k)}_t}\right)^2

    with the weights of ordinary least squares first, then of the weighted fit itself.

    References
    ----------
    Clements & Preve (2021), "A practical guide to harnessing the HAR volatility model", J. Banking & Finance 133.
    """

    lines: tuple[Line, ...] = ()
    diurnal: Diurnal = field(default_factory=Diurnal.flat)

    def fit(self, panel: Panel) -> "HarWls":
        """Weighted least squares on every window that had ended."""
        check_spec(panel, "HAR-WLS")
        diurnal = Diurnal.fit(panel, whole_week=True)
        lines = fit_levels(panel, diurnal, averages(panel, diurnal), partial(fit_level, weighted=True), "HAR-WLS")
        return replace(self, lines=lines, diurnal=diurnal)

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the fitted variance."""
        return level_forecast(panel, self.diurnal, averages(panel, self.diurnal), self.lines)
