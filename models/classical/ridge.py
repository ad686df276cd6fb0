"""Ridge regression of log variance on any features, its penalty set by how many windows do not overlap."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from models.base import Forecast
from models.classical import law

FloatArray = NDArray[np.float64]
LEAST_ROWS = 10
BEYOND = 3.0  # standard deviations beyond the furthest that the past knew: a feature further out is read as this far


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted line: features of this centre and scale, read up to ``reach``.

    ``intercept`` has the log of the smearing factor in it.
    """

    centre: FloatArray
    scale: FloatArray
    reach: FloatArray
    slope: FloatArray
    intercept: float

    def at(self, x: FloatArray) -> FloatArray:
        """Log variance, shape (n, k) -> (n,)."""
        z = np.clip(standardised(x, self.centre, self.scale), -self.reach, self.reach)
        value: FloatArray = z @ self.slope + self.intercept
        return value


@dataclass(frozen=True)
class LogRidge:
    r"""Ridge regression of the log of realised variance, each horizon by itself, smeared back to levels.

    .. math:: \hat b = \arg\min_b \; w \sum_t (y_t - \bar y - x_t' b)^2 + \lambda \, b'b, \qquad
              w = \min(1, \Delta / h), \qquad \lambda = k \, \frac{1 - R^2}{R^2}

    with y the log of realised variance over h, x the k standardised features, and :math:`\Delta` the time between
    origins: windows that overlap count as many times as they fit into each other. The penalty is the one that
    normal slopes ask for if, before any data, the features together explain the share R² of y.

    Parameters
    ----------
    features : names, of the panel's spec; none: each ``log_rv`` that it has.
    prior_share : R², between 0 and 1.

    References
    ----------
    Hoerl & Kennard (1970), "Ridge regression: biased estimation for nonorthogonal problems", Technometrics 12(1);
    Duan (1983), "Smearing estimate", J. American Statistical Association 78.
    """

    features: tuple[str, ...] = ()
    prior_share: float = 0.3
    lines: tuple[Line, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not 0 < self.prior_share < 1:
            raise SettingError(f"prior_share={self.prior_share} is no share; choose one between 0 and 1")

    def fit(self, panel: Panel) -> "LogRidge":
        """Fit on every window that had ended.

        Raises
        ------
        ShortHistoryError
            If fewer than ten windows of a horizon had.
        """
        x = self._columns(panel)
        lines = []
        for h, horizon_s in enumerate(panel.spec.horizons_s):
            target = np.log(panel.targets.realised_variance[:, h])
            known = np.isfinite(target)
            if known.sum() < LEAST_ROWS:
                raise ShortHistoryError(
                    f"{panel.instrument}: a ridge regression needs {LEAST_ROWS} ended windows of {horizon_s} s, "
                    f"the panel has {known.sum()}; give a longer history"
                )
            weight = min(1.0, panel.spec.every_s / horizon_s)
            lines.append(fit_line(x[known], target[known], weight, self.prior_share))
        return LogRidge(self.features, self.prior_share, tuple(lines))

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the smeared variance."""
        x = self._columns(panel)
        return law.normal(panel, np.exp(np.stack([line.at(x) for line in self.lines], axis=1)))

    def _columns(self, panel: Panel) -> FloatArray:
        names = self.features or tuple(n for n in panel.spec.features if n.startswith("log_rv_"))
        if not names:
            raise SettingError("the feature spec has no log_rv; name the features of the regression")
        return np.stack([panel.column(name) for name in names], axis=1)


def fit_line(x: FloatArray, target: FloatArray, weight: float, prior_share: float) -> Line:
    """Fit one horizon.

    Parameters
    ----------
    x : array of shape (n, k), features; NaN is read as their mean.
    target : array of shape (n,), finite.
    weight : what one row counts, at most 1.
    prior_share : share of the target's variance that the features are expected to explain.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 201)[:, None]
    >>> line = fit_line(x, 3 + 2 * x[:, 0], 1.0, 0.5)  # penalty 1 beside 201 rows
    >>> (line.slope / line.scale).round(3), round(line.intercept, 3)
    (array([1.99]), 3.0)
    """
    centre = known_rows(np.mean, x)
    spread = known_rows(np.std, x)
    scale = np.where(spread > 1e-9 * np.maximum(1.0, np.abs(centre)), spread, np.inf)  # a constant tells nothing
    z = standardised(x, centre, scale)
    penalty = x.shape[1] * (1 - prior_share) / prior_share
    mean_z, mean_y = z.mean(axis=0), target.mean()
    moments = weight * (z - mean_z).T @ (z - mean_z) + penalty * np.eye(x.shape[1])
    slope = np.linalg.solve(moments, weight * (z - mean_z).T @ (target - mean_y))
    level = mean_y - mean_z @ slope
    smear = np.log(np.exp(target - level - z @ slope).mean())
    return Line(centre, scale, np.abs(z).max(axis=0) + BEYOND, slope, float(level + smear))


def known_rows(summary: Callable[..., np.floating], x: FloatArray) -> FloatArray:
    """Summary of the known values of each column, shape (n, k) -> (k,); 0 of a column without any.

    Examples
    --------
    >>> known_rows(np.mean, np.array([[1.0, np.nan], [3.0, np.nan]]))
    array([2., 0.])
    """
    columns = [column[np.isfinite(column)] for column in x.T]
    return np.array([float(summary(column)) if len(column) else 0.0 for column in columns])


def standardised(x: FloatArray, centre: FloatArray, scale: FloatArray) -> FloatArray:
    """Features in standard deviations from their mean; 0 where unknown."""
    return np.where(np.isfinite(x), (x - centre) / scale, 0.0)
