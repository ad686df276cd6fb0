"""Regressions of variance in levels: their weights, and the range that keeps them positive and sane."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.panel import Panel
from models.base import Forecast
from models.classical import law
from models.classical.lookbacks import known_rows, outcome_rates, usual_hours
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]
LEAST_SHARE = 0.001  # of outcomes: a forecast below their quantile here is read as that quantile
ROUNDS = 2  # of weights, each from the fit before
GUARD = 2.0  # factor by which a value may fall below its least regressor; and a richer line differ from the plain one


class Line(Protocol):
    """A fitted line of positive values."""

    def at(self, x: FloatArray) -> FloatArray:
        """Values, shape (n, k) -> (n,)."""
        ...


Fit = Callable[[FloatArray, FloatArray], Line]


@dataclass(frozen=True, slots=True)
class LevelLine:
    """A line of past variances, its values kept within the outcomes of its fit: the insanity filter.

    A value is also no less than the least of its regressors over ``GUARD``: after a crash a slope below zero would
    else answer the least variance ever seen.

    Parameters
    ----------
    coefficients : array of shape (k + 1,), intercept first.
    least, most : range of its values, positive.

    References
    ----------
    Swanson & White (1997), "Forecasting economic time series using flexible versus fixed specification and linear
    versus nonlinear econometric models", Int. J. Forecasting 13(4); Bollerslev, Patton & Quaedvlieg (2016),
    "Exploiting the errors", J. Econometrics 192(1), section 3.2, which puts the mean in place of the nearer bound.
    """

    coefficients: FloatArray
    least: float
    most: float

    def at(self, x: FloatArray) -> FloatArray:
        """Values within the range, shape (n, k) -> (n,)."""
        inside = np.clip(x @ self.coefficients[1:] + self.coefficients[0], self.least, self.most)
        value: FloatArray = np.maximum(inside, x.min(axis=1) / GUARD)
        return value


def fit_level(x: FloatArray, target: FloatArray, *, weighted: bool) -> LevelLine:
    r"""Least squares, ordinary or with weights 1/f² of the fit before.

    .. math:: \min_b \sum_t w_t (y_t - x_t' b)^2, \qquad w_t = 1 \text{ or } 1 / \hat f_t^2

    The error of a variance forecast grows with the variance: its relative error is what has one size.

    Parameters
    ----------
    x : array of shape (n, k), finite. A constant is added.
    target : array of shape (n,), finite, positive.

    References
    ----------
    Clements & Preve (2021), "A practical guide to harnessing the HAR volatility model", J. Banking & Finance 133.

    Examples
    --------
    >>> x = np.linspace(1, 2, 50)
    >>> fit_level(x[:, None], 1 + 2 * x, weighted=True).coefficients.round(6)
    array([1., 2.])
    """
    design = np.column_stack([np.ones(len(x)), x])
    least, most = float(np.quantile(target, LEAST_SHARE)), float(target.max())
    line = LevelLine(scaled_least_squares(design, target), least, most)
    for _ in range(ROUNDS if weighted else 0):
        fitted = line.at(x)
        line = LevelLine(scaled_least_squares(design / fitted[:, None], target / fitted), least, most)
    return line


def scaled_least_squares(design: FloatArray, target: FloatArray) -> FloatArray:
    """Least squares of columns brought to one size, shape (n, k), (n,) -> (k,); the least of many solutions."""
    size = np.sqrt(np.square(design).mean(axis=0))
    size[size == 0] = 1.0
    solution: FloatArray = np.linalg.lstsq(design / size, target, rcond=None)[0] / size
    return solution


@dataclass(frozen=True, slots=True)
class GuardedLine:
    """A line with more regressors, kept within a factor of the plain line of the first of them.

    A product of regressors may go anywhere, below zero too, in an hour unlike those of the past; the plain line does
    not. Without the guard a few such hours decide the mean loss.
    """

    plain: LevelLine
    coefficients: FloatArray

    def at(self, x: FloatArray) -> FloatArray:
        """Values within ``GUARD`` of the plain line's, shape (n, k) -> (n,)."""
        plain = self.plain.at(x[:, : len(self.plain.coefficients) - 1])
        value: FloatArray = np.clip(x @ self.coefficients[1:] + self.coefficients[0], plain / GUARD, plain * GUARD)
        return value


def fit_guarded(x: FloatArray, target: FloatArray, n_plain: int) -> GuardedLine:
    """Weighted least squares, the weights from the plain line of the first ``n_plain`` regressors: see fit_level."""
    plain = fit_level(x[:, :n_plain], target, weighted=True)
    fitted = plain.at(x[:, :n_plain])
    design = np.column_stack([np.ones(len(x)), x])
    return GuardedLine(plain, scaled_least_squares(design / fitted[:, None], target / fitted))


def fit_levels(panel: Panel, diurnal: Diurnal, x: FloatArray, fit: Fit, model: str) -> tuple[Line, ...]:
    """Fit each horizon by itself on every window that had ended; variance is per hour and without its clock."""
    lines = []
    for outcome in outcome_rates(panel, diurnal).T:
        known = known_rows(x, outcome, panel, model)
        lines.append(fit(x[known], outcome[known]))
    return tuple(lines)


def level_forecast(panel: Panel, diurnal: Diurnal, x: FloatArray, lines: Sequence[Line]) -> Forecast:
    """Normal law with the variance of each horizon's line, its clock put back."""
    rates = np.stack([line.at(x) for line in lines], axis=1)
    return law.normal(panel, rates * usual_hours(panel, diurnal))
