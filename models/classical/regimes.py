"""Regression whose coefficients and errors switch with a hidden Markov chain, estimated by EM."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.errors import ConvergenceError
from models.classical.hidden_chain import filter_forward, smooth_backward

FloatArray = NDArray[np.float64]
LEAST_SPREAD = 1e-6  # of the log of variance around a regime's line
LEAST_SHARE = 0.01  # of rows, that a regime must have
TOLERANCE = 1e-6  # of the mean log likelihood, between rounds
MOST_ROUNDS = 400


@dataclass(frozen=True, slots=True)
class Regimes:
    r"""Parameters of :math:`y_t = x_t' b_{s_t} + \sigma_{s_t} e_t` with m regimes.

    Parameters
    ----------
    coefficients : array of shape (m, k).
    spread : array of shape (m,), σ.
    transition : array of shape (m, m), from row to column.
    log_likelihood : float, of the data of the fit.
    """

    coefficients: FloatArray
    spread: FloatArray
    transition: FloatArray
    log_likelihood: float = -np.inf

    @property
    def stationary(self) -> FloatArray:
        """Share of time in each regime, shape (m,)."""
        m = len(self.spread)
        system = np.vstack([self.transition.T - np.eye(m), np.ones(m)])
        share: FloatArray = np.linalg.lstsq(system, np.append(np.zeros(m), 1.0), rcond=None)[0]
        share /= share.sum()
        return share

    def log_density(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Log of the normal density of y in each regime, shape (n, m); 0 where it is unknown."""
        z = (y[:, None] - x @ self.coefficients.T) / self.spread
        density = -0.5 * np.square(z) - np.log(self.spread) - 0.5 * np.log(2 * np.pi)
        unknown = ~(np.isfinite(y) & np.isfinite(x).all(axis=1))
        return np.where(unknown[:, None], 0.0, density)

    def filtered(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Probability of each regime at each row, from the rows up to it, shape (n, m)."""
        filtered, _ = filter_forward(self.log_density(x, y), self.transition, self.stationary)
        return filtered


def estimate(x: FloatArray, y: FloatArray, first: FloatArray) -> Regimes:
    """Maximum likelihood by EM.

    Parameters
    ----------
    x : array of shape (n, k), with a constant if one is wanted.
    y : array of shape (n,); rows with NaN here or in x tell nothing of their regime.
    first : array of shape (n, m), probabilities to begin with.

    Raises
    ------
    ConvergenceError
        If a regime empties or the likelihood still rises after ``MOST_ROUNDS``.

    References
    ----------
    Hamilton (1990), "Analysis of time series subject to changes in regime", J. Econometrics 45(1-2).
    """
    known = np.isfinite(y) & np.isfinite(x).all(axis=1)
    m = first.shape[1]
    regimes = replace(_regressions(x[known], y[known], first[known]), transition=np.full((m, m), 0.1 / m))
    regimes.transition[np.diag_indices(m)] += 0.9
    for _ in range(MOST_ROUNDS):
        filtered, likelihood = filter_forward(regimes.log_density(x, y), regimes.transition, regimes.stationary)
        if likelihood - regimes.log_likelihood < TOLERANCE * len(y):
            return replace(regimes, log_likelihood=likelihood)
        smoothed, steps = smooth_backward(filtered, regimes.transition)
        step = _regressions(x[known], y[known], smoothed[known])
        transition = steps / steps.sum(axis=1, keepdims=True)
        regimes = replace(step, transition=transition, log_likelihood=likelihood)
    raise ConvergenceError(f"EM of {m} regimes still rises after {MOST_ROUNDS} rounds; take fewer regimes")


def _regressions(x: FloatArray, y: FloatArray, weight: FloatArray) -> Regimes:
    """Weighted least squares of each regime, shapes (n, k), (n,), (n, m)."""
    coefficients, spread = [], []
    for share in weight.T:
        if share.mean() < LEAST_SHARE:
            raise ConvergenceError(f"EM left a regime with {share.mean():.2%} of the rows; take fewer regimes")
        weighted = x * share[:, None]
        slope = np.linalg.solve(weighted.T @ x, weighted.T @ y)
        coefficients.append(slope)
        spread.append(np.sqrt(share @ np.square(y - x @ slope) / share.sum()))
        if not spread[-1] > LEAST_SPREAD:
            raise ConvergenceError("EM shrank a regime to a point; take fewer regimes")
    m = len(spread)
    return Regimes(np.array(coefficients), np.array(spread), np.full((m, m), 1.0 / m))
