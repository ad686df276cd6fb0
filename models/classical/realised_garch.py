"""Realised GARCH: hourly realised variance drives the variance of returns, and is explained by it."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from features.clock import HOUR_S
from features.compiled import compiled
from features.errors import ConvergenceError, SettingError, ShortHistoryError
from features.panel import Panel
from models.base import Forecast
from models.classical import law
from models.classical.garch.forecaster import need_hours, returns_percent, shown, summed
from models.classical.lookbacks import frozen_hours
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]
LEAST_HOURS = 500
STARTS = ((0.7, 0.28), (0.5, 0.4), (0.85, 0.13))  # beta, gamma
MOST_PERSISTENCE = 1.0


@dataclass(frozen=True, slots=True)
class RealisedParameters:
    """Of :class:`RealisedGarch`, in percent² without the clock; ``noise`` is the variance of u."""

    omega: float
    beta: float
    gamma: float
    xi: float
    phi: float
    tau1: float
    tau2: float
    noise: float
    first: float
    log_likelihood: float

    @property
    def persistence(self) -> float:
        """What is left of a shock to the log variance after one hour."""
        return self.beta + self.phi * self.gamma


@compiled
def filter_log_variance(omega: float, beta: float, gamma: float, log_rv: FloatArray, out: FloatArray) -> None:
    """Fill the log variance of each hour and of the one after the last; ``out[0]`` is given."""
    for t in range(len(log_rv)):
        out[t + 1] = (omega + gamma * log_rv[t]) + beta * out[t]


@compiled
def backward(beta: float, by_log: FloatArray, log_rv: FloatArray, log_variance: FloatArray, slope: FloatArray) -> None:
    """Fill the gradient in omega, beta and gamma from the slopes in each hour's log variance."""
    adjoint = 0.0
    slope[:] = 0.0
    for t in range(len(by_log) - 1, 0, -1):
        adjoint = by_log[t] + beta * adjoint
        slope[0] += adjoint
        slope[1] += adjoint * log_variance[t - 1]
        slope[2] += adjoint * log_rv[t - 1]


def log_likelihood(
    point: FloatArray, returns: FloatArray, log_rv: FloatArray, first: float
) -> tuple[float, FloatArray, RealisedParameters]:
    r"""Joint normal log likelihood of returns and realised variances, its gradient in omega, beta, gamma.

    Given the path of the variance, the measurement equation is a regression: its parameters are at their best values
    at any point, so their slopes are zero there and the gradient is that of the other three alone.

    Parameters
    ----------
    point : omega, beta, gamma.
    returns, log_rv : arrays of shape (n,), of the same hours.
    first : log variance of the first hour.
    """
    omega, beta, gamma = (float(v) for v in point)
    log_variance = np.empty(len(returns) + 1)
    log_variance[0] = first
    filter_log_variance(omega, beta, gamma, log_rv, log_variance)
    h = np.clip(log_variance[:-1], -50.0, 50.0)
    z = returns * np.exp(-0.5 * h)
    x = np.stack([np.ones_like(h), h, z, z * z - 1], axis=1)
    fitted = np.linalg.solve(x.T @ x, x.T @ log_rv)
    u = log_rv - x @ fitted
    noise = float(u @ u) / len(u)
    value = -0.5 * float(h.sum() + z @ z) - 0.5 * len(h) * (2 * np.log(2 * np.pi) + np.log(noise) + 1)
    xi, phi, tau1, tau2 = (float(v) for v in fitted)
    by_log = 0.5 * (z * z - 1) + u / noise * (phi - 0.5 * tau1 * z - tau2 * z * z)
    slope = np.empty(3)
    backward(beta, by_log, log_rv, h, slope)
    return value, slope, RealisedParameters(omega, beta, gamma, xi, phi, tau1, tau2, noise, first, value)


def estimate_realised(
    returns: FloatArray, log_rv: FloatArray, start: RealisedParameters | None = None
) -> RealisedParameters:
    """Quasi maximum likelihood with the analytic gradient, from a warm start and then from cold ones.

    Parameters
    ----------
    returns, log_rv : arrays of shape (n,): returns, logs of realised variance in their square unit.
    start : an earlier optimum.

    Raises
    ------
    ConvergenceError
        If no start leads to an optimum.
    """
    first = float(log_rv[:75].mean() + np.log(np.mean(returns**2)) - log_rv.mean())
    level, width = float(np.log(np.mean(returns**2))), float(log_rv.mean())
    points = [] if start is None else [np.array([start.omega, start.beta, start.gamma])]
    points += [np.array([(1 - b) * level - g * width, b, g]) for b, g in STARTS]

    def loss(point: FloatArray) -> tuple[float, FloatArray]:
        value, slope, _ = log_likelihood(point, returns, log_rv, first)
        return -value / len(returns), -slope / len(returns)

    message = ""
    for point in points:
        found = minimize(
            loss, point, jac=True, method="L-BFGS-B", bounds=[(-10, 10), (0, 0.9999), (0, 2)],
            options={"ftol": 1e-14, "gtol": 1e-8, "maxiter": 500},
        )  # fmt: skip
        p = log_likelihood(found.x, returns, log_rv, first)[2]
        if np.isfinite(found.fun) and p.persistence <= MOST_PERSISTENCE and np.abs(found.jac).max() < 1e-4:
            return p
        message = str(found.message)
    raise ConvergenceError(f"realised GARCH found no optimum in {len(returns)} hours: {message}; give a longer history")


@dataclass(frozen=True)
class RealisedGarch:
    r"""Log-linear realised GARCH(1,1) on hourly returns and realised variances without their clock.

    .. math:: r_t = \sqrt{h_t} \, z_t, \qquad \ln h_t = \omega + \beta \ln h_{t-1} + \gamma \ln x_{t-1}, \qquad
              \ln x_t = \xi + \varphi \ln h_t + \tau_1 z_t + \tau_2 (z_t^2 - 1) + u_t

    The log of h is an autoregression with persistence :math:`\pi = \beta + \varphi \gamma` and the news
    :math:`v_t = \tau_1 z_t + \tau_2 (z_t^2 - 1) + u_t`, so that ahead, in closed form,

    .. math:: E_t h_{t+j} = \exp\Big(\pi^{j-1} \ln h_{t+1} + \sum_{i=0}^{j-2} \big(\pi^i (\omega + \gamma \xi) +
              \ln \overline{e^{\gamma \pi^i \hat v}}\big)\Big)

    with the mean over fitted news: its tails are fatter than the quasi likelihood's. Hours without a move are left out.

    References
    ----------
    Hansen, Huang & Shek (2012), "Realized GARCH: a joint model for returns and realized measures of volatility",
    J. Applied Econometrics 27(6).
    """

    parameters: RealisedParameters | None = None
    moments: FloatArray = field(default_factory=lambda: np.zeros(0))
    diurnal: Diurnal = field(default_factory=Diurnal.flat)

    def fit(self, panel: Panel) -> "RealisedGarch":
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
        diurnal = Diurnal.fit(panel, whole_week=True)
        seen = shown(panel) & ~frozen_hours(panel)
        if seen.sum() < LEAST_HOURS:
            raise ShortHistoryError(
                f"realised GARCH needs {LEAST_HOURS} hours with trades, the panel has {seen.sum()}; "
                "give a longer history"
            )
        returns, log_rv = returns_percent(panel, diurnal)[seen], log_rv_percent(panel, diurnal)[seen]
        p = estimate_realised(returns, log_rv, self.parameters)
        moments = news_moments(returns, log_rv, p, max(panel.spec.horizons_s) // HOUR_S)
        return replace(self, parameters=p, moments=moments, diurnal=diurnal)

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the summed variance."""
        need_hours(panel)
        p = self.parameters
        if p is None:
            raise ShortHistoryError("realised GARCH has seen no history; fit it before it forecasts")
        seen = shown(panel) & ~frozen_hours(panel)
        log_variance = np.empty(int(seen.sum()) + 1)
        log_variance[0] = p.first
        filter_log_variance(p.omega, p.beta, p.gamma, log_rv_percent(panel, self.diurnal)[seen], log_variance)
        next_step = log_variance[np.cumsum(seen)]  # hours that showed nothing change nothing
        hours = [h // HOUR_S for h in panel.spec.horizons_s]
        if len(self.moments) < max(hours) - 1:
            raise SettingError(
                f"realised GARCH was fitted for {len(self.moments) + 1} hours ahead, not {max(hours)}; "
                "fit it on a panel with that horizon"
            )
        steps = variance_ahead(next_step, p, self.moments[: max(hours) - 1])
        return law.normal(panel, summed(panel, self.diurnal, steps, hours))


def log_rv_percent(panel: Panel, diurnal: Diurnal) -> FloatArray:
    """Log of hourly realised variance without its clock, in percent², shape (n,)."""
    log_rv: FloatArray = panel.column("log_rv_1h") - np.log(diurnal.behind(panel.origin_ns, 1)) + np.log(1e4)
    return log_rv


def news_moments(returns: FloatArray, log_rv: FloatArray, p: RealisedParameters, steps: int) -> FloatArray:
    """Logs of the means of exponentials of the fitted news, faded i = 0 ... steps - 2 times, shape (steps - 1,)."""
    log_variance = np.empty(len(returns) + 1)
    log_variance[0] = p.first
    filter_log_variance(p.omega, p.beta, p.gamma, log_rv, log_variance)
    news = log_rv - p.xi - p.phi * log_variance[:-1]
    return np.array([np.log(np.exp(p.gamma * p.persistence**i * news).mean()) for i in range(steps - 1)])


def variance_ahead(log_next: FloatArray, p: RealisedParameters, moments: FloatArray) -> FloatArray:
    """Mean variance of each of the next hours, shape (n,) -> (n, k + 1) for k moments."""
    fade = p.persistence ** np.arange(len(moments) + 1)
    drift = np.concatenate([[0.0], np.cumsum((p.omega + p.gamma * p.xi) * fade[:-1] + moments)])
    ahead: FloatArray = np.exp(log_next[:, None] * fade + drift)
    return ahead
