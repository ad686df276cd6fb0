"""The rich log-HAR: ridge regression of log variance on everything that bars tell, of one instrument or pooled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_NS
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from models.base import Forecast
from models.classical import law, rich_features
from models.classical.ridge import BEYOND, standardised

FloatArray = NDArray[np.float64]
LEAST_ROWS = 500
CHUNK = 8_192  # rows standardised at a time: the design of four instruments and years stays in single precision


@dataclass(frozen=True, slots=True)
class Fit:
    """Lines of h horizons over k columns of this centre and scale, read up to ``reach``; smearing in ``intercept``."""

    names: tuple[str, ...]
    centre: FloatArray  # (k,)
    scale: FloatArray  # (k,)
    reach: FloatArray  # (k,)
    slope: FloatArray  # (k, h)
    intercept: FloatArray  # (h,)

    def at(self, names: tuple[str, ...], x: NDArray[np.float32]) -> FloatArray:
        """Log variance, shape (n, k) -> (n, h)."""
        if not set(names) <= set(self.names):
            raise SettingError("the panel's spec is not the one of the fit; fit on panels of this spec")
        place = [self.names.index(name) for name in names]  # the panel of a leader has itself not among the others
        value = [
            np.clip(standardised(part, self.centre[place], self.scale[place]), -self.reach[place], self.reach[place])
            @ self.slope[place]
            for (part,) in _chunks(x)
        ]
        return np.concatenate(value) + self.intercept if value else np.zeros((0, len(self.intercept)))


@dataclass(frozen=True)
class HarRichPool:
    r"""Ridge regression of log variance, one set of slopes for all instruments, recent rows weighing more.

    .. math:: \hat b_h = \arg\min_b \; \sum_{i,t} w_t (y_{i,t,h} - \bar y_h - z_{i,t}' b)^2 + \lambda W b'b, \qquad
              w_t = 2^{-(T - t) / H}, \quad W = \sum_{i,t} w_t

    .. math:: f_{i,t,h} = e^{\bar y_h + z_{i,t}' \hat b_h} \; \sum w_t e^{\hat u_{i,t,h}} / W

    with y the log of realised variance over the horizon h and z the standardised columns of
    :mod:`models.classical.rich_features`: log variances over every look-back as distances from the week's (and
    squares), bipower, ranges, semivariance, quarticity, volume, moves and their size, the excitement of other
    instruments, the same hours of the days before, the hours of the week of UTC and New York. NaN is read as the
    mean. One scale and one Gram matrix serve all horizons, so a row counts once all of its windows have ended.

    Parameters
    ----------
    shrinkage : penalty :math:`\lambda` as a share of the weight of all rows, positive.
    half_life_days : H, until a row counts half.

    References
    ----------
    Corsi (2009), "A simple approximate long-memory model of realized volatility", J. Financial Econometrics 7(2);
    Patton & Sheppard (2015), "Good volatility, bad volatility", Review of Economics and Statistics 97(3);
    Bollerslev, Hood, Huss & Pedersen (2018), "Risk everywhere: modeling and managing volatility", Review of
    Financial Studies 31(7), for pooling; Hoerl & Kennard (1970), Technometrics 12(1); Duan (1983), J. American
    Statistical Association 78.
    """

    shrinkage: float = 0.03
    half_life_days: float = 540.0
    fitted: Fit | None = None

    def __post_init__(self) -> None:
        """Refuse settings under which nothing is estimated."""
        if not (self.shrinkage > 0 and self.half_life_days > 0):
            raise SettingError(
                f"shrinkage={self.shrinkage}, half_life_days={self.half_life_days}; choose both above zero"
            )

    def fit(self, panels: Sequence[Panel]) -> "HarRichPool":
        """Fit on the rows of all panels whose windows had ended.

        Raises
        ------
        SettingError
            If there is no panel, panels have several specs, or the spec has no ``log_rv``.
        ShortHistoryError
            If fewer than 500 rows have ended at every horizon.
        """
        return replace(self, fitted=fit_lines(panels, self.shrinkage, self.half_life_days))

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the smeared variance."""
        if self.fitted is None:
            raise SettingError("the rich regression is not fitted; call fit with panels of the past first")
        return law.normal(panel, np.exp(self.fitted.at(*rich_features.columns(panel))))


@dataclass(frozen=True)
class HarRich(HarRichPool):
    """The regression of :class:`HarRichPool` on the past of one instrument alone."""

    def fit(self, panel: Panel | Sequence[Panel]) -> "HarRich":
        """Fit on every row whose windows had ended; see :meth:`HarRichPool.fit`."""
        panels = [panel] if isinstance(panel, Panel) else panel
        return replace(self, fitted=fit_lines(panels, self.shrinkage, self.half_life_days))


def fit_lines(panels: Sequence[Panel], shrinkage: float, half_life_days: float) -> Fit:
    """Weighted ridge of every horizon on the rows of all panels."""
    names, x, target, weight = _stacked(panels, half_life_days)
    centre, scale = _moments(x, weight)
    total, level = weight.sum(), weight @ target / weight.sum()
    gram, cross = shrinkage * total * np.eye(len(names)), np.zeros((len(names), target.shape[1]))
    reach = np.zeros(len(names))
    for part, y, w in _chunks(x, target - level, weight):
        z = standardised(part, centre, scale)
        root = (z * np.sqrt(w)[:, None]).astype(np.float32)  # sums of a few thousand: single precision is enough
        gram += root.T @ root
        cross += z.T @ (y * w[:, None])
        reach = np.maximum(reach, np.abs(z).max(axis=0))
    slope = np.linalg.solve(gram, cross)
    smear = np.zeros(target.shape[1])
    for part, y, w in _chunks(x, target - level, weight):
        smear += w @ np.exp(y - standardised(part, centre, scale) @ slope)
    return Fit(names, centre, scale, reach + BEYOND, slope, level + np.log(smear / total))


def _stacked(
    panels: Sequence[Panel], half_life_days: float
) -> tuple[tuple[str, ...], NDArray[np.float32], FloatArray, FloatArray]:
    """Names, design, log targets and weights of the rows of all panels whose windows had all ended."""
    if len({panel.spec for panel in panels}) != 1:
        raise SettingError(f"{len(panels)} panels of several specs or none; pool panels of one spec")
    now_ns = max((int(panel.origin_ns[-1]) for panel in panels if len(panel)), default=0)
    parts = [_ended(panel, now_ns, half_life_days) for panel in panels]
    names = tuple(dict.fromkeys(name for part in parts for name in part[0]))
    x = np.full((sum(len(part[3]) for part in parts), len(names)), np.nan, dtype=np.float32)
    first = 0
    for found, values, _, weight in parts:
        x[first : first + len(weight), [names.index(name) for name in found]] = values
        first += len(weight)
    if len(x) < LEAST_ROWS:
        raise ShortHistoryError(
            f"{', '.join(p.instrument for p in panels)}: the rich regression needs {LEAST_ROWS} rows whose windows "
            f"have all ended, the panels have {len(x)}; give a longer history"
        )
    return names, x, np.concatenate([part[2] for part in parts]), np.concatenate([part[3] for part in parts])


def _ended(
    panel: Panel, now_ns: int, half_life_days: float
) -> tuple[tuple[str, ...], NDArray[np.float32], FloatArray, FloatArray]:
    """Names, design, log targets and weights of one panel's rows whose windows had all ended."""
    names, x = rich_features.columns(panel)
    target = np.log(panel.targets.realised_variance)
    used = np.isfinite(target).all(axis=1)
    age_days = (now_ns - panel.origin_ns[used]) / DAY_NS
    return names, x[used], target[used], 0.5 ** (age_days / half_life_days)


def _moments(x: NDArray[np.float32], weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted mean and standard deviation of the known values of each column; infinite where nothing varies."""
    mass, first, second = np.zeros((3, x.shape[1]))
    about = np.nan_to_num(x[len(x) // 2].astype(np.float64))  # sums about a typical row lose no digits
    for part, w in _chunks(x, weight):
        known = np.isfinite(part)
        gap = np.where(known, part - about, 0.0)
        mass += w @ known
        first += w @ gap
        second += w @ gap**2
    mass = np.maximum(mass, np.finfo(float).tiny)
    spread = np.sqrt(np.maximum(second / mass - (first / mass) ** 2, 0.0))
    centre = about + first / mass
    return centre, np.where(spread > 1e-6 * np.maximum(1.0, np.abs(centre)), spread, np.inf)


def _chunks(*arrays: NDArray[Any]) -> Iterator[tuple[FloatArray, ...]]:
    """The same few rows of each array at a time, in double precision."""
    for first in range(0, len(arrays[0]), CHUNK):
        yield tuple(a[first : first + CHUNK].astype(np.float64) for a in arrays)
