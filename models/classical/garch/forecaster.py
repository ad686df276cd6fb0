"""GARCH(1,1) with Student's t on hourly returns; the library arch estimates, the recursion is ours."""

from dataclasses import dataclass, field, replace

import numpy as np
from arch.univariate import GARCH, ConstantMean, Normal, StudentsT, ZeroMean
from numpy.typing import NDArray
from scipy.signal import lfilter

from features.clock import HOUR_NS, HOUR_S
from features.errors import ShortHistoryError
from features.families.variance import VARIANCE_FLOOR
from features.panel import Panel
from models.base import LEVELS, Forecast
from models.classical import law
from models.diurnal import Diurnal
from models.tails import student_t_quantiles, student_t_shortfall

FloatArray = NDArray[np.float64]
LEAST_HOURS = 500
LEAST_DEGREES = 2.1  # fewer have no variance, and a shape needs one


@dataclass(frozen=True, slots=True)
class GarchParameters:
    """``variance[t] = omega + alpha * residual[t-1]**2 + beta * variance[t-1]``; the units are the returns'."""

    mean: float
    omega: float
    alpha: float
    beta: float
    degrees: float  # of freedom; infinite for a normal law
    backcast: float
    log_likelihood: float


def estimate(returns: FloatArray, *, student_t: bool, with_mean: bool) -> GarchParameters:
    """Maximum likelihood by arch.

    Parameters
    ----------
    returns : array of shape (n,), of the order of 1 (percent, say).
    student_t : else normal.
    with_mean : estimate a constant mean, else it is zero.
    """
    mean_model = ConstantMean if with_mean else ZeroMean
    law = StudentsT() if student_t else Normal()
    model = mean_model(returns, volatility=GARCH(1, 0, 1), distribution=law, rescale=False)
    backcast = float(model.volatility.backcast(returns - (returns.mean() if with_mean else 0.0)))
    result = model.fit(disp="off", show_warning=False)
    value = result.params
    return GarchParameters(
        mean=float(value.get("mu", 0.0)),
        omega=float(value["omega"]),
        alpha=float(value["alpha[1]"]),
        beta=float(value["beta[1]"]),
        degrees=float(value.get("nu", np.inf)),
        backcast=backcast,
        log_likelihood=float(result.loglikelihood),
    )


def next_variance(returns: FloatArray, p: GarchParameters) -> FloatArray:
    """Variance of the return after each one, shape (n,) -> (n,)."""
    squares = np.square(returns - p.mean)
    first = p.omega + (p.alpha + p.beta) * p.backcast
    out, _ = lfilter([1.0], [1.0, -p.beta], p.omega + p.alpha * squares, zi=[p.beta * first])
    variance: FloatArray = out
    return variance


def variance_ahead(next_step: FloatArray, p: GarchParameters, steps: int) -> FloatArray:
    r"""Variance of each of the next returns, shape (n,) -> (n, steps).

    .. math:: \sigma^2_{t+j} = \varphi^{j-1} \sigma^2_{t+1} + \omega \sum_{i=0}^{j-2} \varphi^i, \qquad
              \varphi = \alpha + \beta

    which also holds where the process is integrated, as it nearly is on hourly returns.
    """
    fade = (p.alpha + p.beta) ** np.arange(steps)
    drift = p.omega * np.concatenate([[0.0], np.cumsum(fade[:-1])])
    ahead: FloatArray = next_step[:, None] * fade + drift
    return ahead


@dataclass(frozen=True)
class GarchT:
    """GARCH(1,1)-t on hourly returns without their clock, summed over the horizon; gaps are left out.

    References
    ----------
    Bollerslev (1987), "A conditionally heteroskedastic time series model for
    speculative prices and rates of return", Review of Economics and Statistics 69(3).
    """

    parameters: GarchParameters = field(
        default_factory=lambda: GarchParameters(0.0, 0.02, 0.05, 0.93, 5.0, 1.0, np.nan)
    )
    diurnal: Diurnal = field(default_factory=lambda: Diurnal(np.ones(168)))

    def fit(self, panel: Panel) -> "GarchT":
        """Estimate on every hour of the panel."""
        diurnal = Diurnal.fit(panel)
        returns = returns_percent(panel, diurnal)[shown(panel)]
        if len(returns) < LEAST_HOURS:
            raise ShortHistoryError(
                f"GARCH needs {LEAST_HOURS} hours with trades, the panel has {len(returns)}; give a longer history"
            )
        parameters = estimate(returns, student_t=True, with_mean=False)
        return replace(self, diurnal=diurnal, parameters=parameters)

    def forecast(self, panel: Panel) -> Forecast:
        """Student law with the summed variance."""
        next_step = self._next_step(panel)
        columns = [self._variance(panel, next_step, h // HOUR_S) for h in panel.spec.horizons_s]
        degrees = max(self.parameters.degrees, LEAST_DEGREES)
        shape = student_t_quantiles(LEVELS, degrees), student_t_shortfall(LEVELS, degrees)
        return law.scaled(panel, np.stack(columns, axis=1), *shape)

    def _next_step(self, panel: Panel) -> FloatArray:
        """Variance of the next hour without its clock; hours that showed nothing change nothing, shape (n,)."""
        seen = shown(panel)
        variance = next_variance(returns_percent(panel, self.diurnal)[seen], self.parameters)
        last_seen = np.cumsum(seen) - 1
        return np.where(last_seen >= 0, variance[np.maximum(last_seen, 0)], self.parameters.backcast)

    def _variance(self, panel: Panel, next_step: FloatArray, hours: int) -> FloatArray:
        steps = variance_ahead(next_step, self.parameters, hours)
        weights = [self.diurnal.ahead(panel.origin_ns + j * HOUR_NS, 1) for j in range(hours)]
        total: FloatArray = (steps * np.stack(weights, axis=1)).sum(axis=1) / 1e4
        return total


def shown(panel: Panel) -> NDArray[np.bool_]:
    """Hours in which the price moved, less the first after a hole: it carries the whole hole's move; shape (n,)."""
    moved: NDArray[np.bool_] = panel.column("log_rv_1h") > np.log(VARIANCE_FLOOR) + 1e-3
    moved[1:] &= moved[:-1].copy()
    return moved


def returns_percent(panel: Panel, diurnal: Diurnal) -> FloatArray:
    """Hourly log returns without their clock, in percent, shape (n,)."""
    return 100 * panel.column("log_return_1h") / np.sqrt(diurnal.behind(panel.origin_ns, 1))
