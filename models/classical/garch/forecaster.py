"""GARCH, GJR and EGARCH on hourly returns without their clock."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from features.clock import HOUR_NS, HOUR_S
from features.errors import SettingError, ShortHistoryError
from features.families.variance import VARIANCE_FLOOR
from features.panel import Panel
from models.base import LEVELS, Forecast
from models.classical import law as laws
from models.classical.garch.ahead import egarch_ahead, log_moments, variance_ahead, variances
from models.classical.garch.estimate import Family, Law, estimate
from models.classical.garch.parameters import GarchParameters
from models.diurnal import Diurnal
from models.tails import student_t_quantiles, student_t_shortfall

FloatArray = NDArray[np.float64]
LEAST_HOURS = 500
LEAST_DEGREES = 2.1  # fewer have no variance, and a shape needs one
UNFITTED = GarchParameters(0.0, 0.02, 0.05, 0.93, 5.0, 1.0, np.nan)


@dataclass(frozen=True)
class Garch:
    r"""One of the GARCH family on hourly returns without their clock, summed over the horizon; gaps are left out.

    .. math:: r_t = \sqrt{w_t} \, \sigma_t z_t, \qquad f_{t,h} = \sum_{j=1}^{h} w_{t+j} \, \sigma^2_{t+j|t}

    with w the hour-of-week weight and the variance ahead in closed form: exact for ``garch`` and ``gjr``; for
    ``egarch`` with the exponential moments of its news taken from the fitted residuals, as Student's t has none.
    A model that is fitted again begins at its last optimum.

    Parameters
    ----------
    family : ``garch`` (1,1), ``gjr`` (1,1,1), ``egarch`` (1,1,1).
    law : ``student_t`` or ``normal``, of the estimation and of the answer before calibration.
    whole_week : see :meth:`models.diurnal.Diurnal.fit`.

    References
    ----------
    Bollerslev (1987), "A conditionally heteroskedastic time series model for
    speculative prices and rates of return", Review of Economics and Statistics 69(3); Glosten, Jagannathan & Runkle
    (1993), "On the relation between the expected value and the volatility of the nominal excess return on stocks",
    J. Finance 48(5); Nelson (1991), "Conditional heteroskedasticity in asset returns", Econometrica 59(2).
    """

    family: Family = "garch"
    law: Law = "student_t"
    whole_week: bool = False
    parameters: GarchParameters = UNFITTED
    diurnal: Diurnal = field(default_factory=Diurnal.flat)
    moments: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Refuse a law whose tails cannot be answered."""
        if self.law == "skew_t":
            raise SettingError("law='skew_t' can be estimated but not forecast yet; choose student_t or normal")

    def fit(self, panel: Panel) -> "Garch":
        """Estimate on every hour of the panel that showed a move.

        Raises
        ------
        SettingError
            If origins are not an hour apart.
        ShortHistoryError
            If fewer than 500 hours showed a move.
        ConvergenceError
            If the likelihood has no optimum.
        """
        need_hours(panel)
        diurnal = Diurnal.fit(panel, whole_week=self.whole_week)
        returns = returns_percent(panel, diurnal)[shown(panel)]
        if len(returns) < LEAST_HOURS:
            raise ShortHistoryError(
                f"GARCH needs {LEAST_HOURS} hours with trades, the panel has {len(returns)}; give a longer history"
            )
        start = self.parameters if np.isfinite(self.parameters.log_likelihood) else None
        p = estimate(returns, self.family, self.law, start=start)
        moments = np.zeros(0)
        if self.family == "egarch":
            residual = (returns - p.mean) / np.sqrt(variances(returns, p, egarch=True)[:-1])
            moments = log_moments(residual, p, max(panel.spec.horizons_s) // HOUR_S)
        return replace(self, diurnal=diurnal, parameters=p, moments=moments)

    def forecast(self, panel: Panel) -> Forecast:
        """Law of the estimation with the summed variance.

        Raises
        ------
        SettingError
            If origins are not an hour apart, or EGARCH was fitted for shorter horizons.
        """
        need_hours(panel)
        if not np.isfinite(self.parameters.log_likelihood):
            raise SettingError("this GARCH is not fitted; call fit with a panel of the past first")
        hours = [h // HOUR_S for h in panel.spec.horizons_s]
        variance = summed(panel, self.diurnal, self._ahead(panel, max(hours)), hours)
        if self.law == "normal":
            return laws.normal(panel, variance)
        degrees = max(self.parameters.degrees, LEAST_DEGREES)
        shape = student_t_quantiles(LEVELS, degrees), student_t_shortfall(LEVELS, degrees)
        return laws.scaled(panel, variance, *shape)

    def _ahead(self, panel: Panel, steps: int) -> FloatArray:
        """Variance of each of the next hours without its clock, shape (n, steps)."""
        p, egarch = self.parameters, self.family == "egarch"
        seen = shown(panel)
        known = variances(returns_percent(panel, self.diurnal)[seen], p, egarch=egarch)
        known[0] = p.backcast
        next_step = known[np.cumsum(seen)]  # hours that showed nothing change nothing
        return egarch_ahead(next_step, p, self.moments, steps) if egarch else variance_ahead(next_step, p, steps)


GarchT = Garch
GjrT = partial(Garch, family="gjr")
EgarchT = partial(Garch, family="egarch")


def need_hours(panel: Panel) -> None:
    """Refuse a panel whose origins are not an hour apart.

    Raises
    ------
    SettingError
        If they are not.
    """
    if panel.spec.every_s != HOUR_S:
        raise SettingError(
            f"GARCH models are of hourly returns, the panel has an origin every {panel.spec.every_s} s; "
            f"choose a spec with every_s = {HOUR_S}"
        )


def summed(panel: Panel, diurnal: Diurnal, steps: FloatArray, hours: list[int]) -> FloatArray:
    """Variance over each horizon from that of each hour without its clock in percent², shape (n, steps) -> (n, h)."""
    weights = [diurnal.ahead(panel.origin_ns + j * HOUR_NS, 1) for j in range(steps.shape[1])]
    total = np.cumsum(steps * np.stack(weights, axis=1), axis=1) / 1e4
    return total[:, [h - 1 for h in hours]]


def shown(panel: Panel) -> NDArray[np.bool_]:
    """Hours in which the price moved, less the first after a hole: it carries the whole hole's move; shape (n,)."""
    moved: NDArray[np.bool_] = panel.column("log_rv_1h") > np.log(VARIANCE_FLOOR) + 1e-3
    moved[1:] &= moved[:-1].copy()
    return moved


def returns_percent(panel: Panel, diurnal: Diurnal) -> FloatArray:
    """Hourly log returns without their clock, in percent, shape (n,)."""
    return 100 * panel.column("log_return_1h") / np.sqrt(diurnal.behind(panel.origin_ns, 1))
