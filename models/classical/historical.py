"""Historical simulation: the past year's returns over the horizon, each counted alike or the newest most."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_NS
from features.compiled import compiled
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from models.base import LEVELS, Forecast
from models.classical.sides import LEAST_WINDOWS, Hours
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class HistoricalSimulation:
    r"""The law of the returns of the windows that ended in the last year, moved on at midnight UTC.

    .. math:: \hat F_t(y) = \sum_s w_s 1\{y_s \le y\}, \qquad
              w_s \propto \lambda^{(t - s)/\text{day}}, \qquad f_t = \sum_s w_s y_s^2

    with y the sums of the horizon's hourly returns, without the clock of the week where ``clock``: the law then is
    scaled by the hours meant. Quantiles are linear between the middles of the weights. The variance is the second
    moment of the same law. Before the panel stand the hours that the fit knew.

    Parameters
    ----------
    decay : :math:`\lambda` a day; 1: every return counts alike.
    days : memory.
    clock : whether returns are taken without their hour of the week.

    References
    ----------
    Boudoukh, Richardson & Whitelaw (1998), "The best of both worlds", Risk 11(5).
    """

    decay: float = 1.0
    days: int = 365
    clock: bool = True
    origin_ns: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # (k,) of the past at the fit
    past: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))  # (k, h) returns that ended then, NaN unknown
    diurnal: Diurnal = field(default_factory=Diurnal.flat)

    def __post_init__(self) -> None:
        """Refuse weights that are none."""
        if not 0.9 <= self.decay <= 1 or self.days < 1:
            raise SettingError(
                f"decay={self.decay} a day over {self.days} days; choose a decay of 0.9 to 1, and a day or more"
            )

    def fit(self, panel: Panel) -> "HistoricalSimulation":
        """Remember the last year.

        Raises
        ------
        ShortHistoryError, SettingError
            If it has too few returns; if origins are not hourly.
        """
        diurnal = Diurnal.fit(panel, whole_week=True) if self.clock else self.diurnal
        first = panel.first_row_from(int(panel.origin_ns[-1]) - self.days * DAY_NS)
        past = _ended(panel, diurnal)[first:]
        if np.isfinite(past).sum(axis=0).min() < LEAST_WINDOWS:
            raise ShortHistoryError(
                f"{panel.instrument}: historical simulation needs {LEAST_WINDOWS} past windows of each horizon; "
                "give a longer history"
            )
        return replace(self, diurnal=diurnal, origin_ns=np.array(panel.origin_ns[first:]), past=past)

    def forecast(self, panel: Panel) -> Forecast:
        """The weighted law of each midnight; a row with little past is forecast from all that the fit knew."""
        usual = Hours.of(panel, self.diurnal).usual
        before = self.origin_ns < panel.origin_ns[0]
        ends_ns = np.concatenate([self.origin_ns[before], panel.origin_ns])
        returns = np.concatenate([self.past[before], _ended(panel, self.diurnal)])
        midnights, law = np.unique(panel.origin_ns - panel.origin_ns % DAY_NS, return_inverse=True)
        laws = [self._laws(ends_ns, returns[:, h], self.past[:, h], midnights) for h in range(returns.shape[1])]
        shape, beyond, variance = (np.stack(part, axis=1)[law] for part in zip(*laws, strict=True))
        root = np.sqrt(usual)[..., None]
        return Forecast(
            origin_ns=np.asarray(panel.origin_ns),
            horizons_s=panel.spec.horizons_s,
            variance=variance * usual,
            levels=LEVELS,
            quantiles=shape * root,
            shortfall=beyond * root,
        )

    def _laws(
        self, ends_ns: Ints, returns: FloatArray, remembered: FloatArray, midnights: Ints
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Quantiles and shortfalls (m, q) and second moments (m,) of each midnight."""
        known = np.isfinite(returns)
        ends_ns, returns = ends_ns[known], returns[known]
        starts = np.searchsorted(ends_ns, midnights - self.days * DAY_NS, side="right")
        stops = np.searchsorted(ends_ns, midnights, side="right")
        whole = remembered[np.isfinite(remembered)]
        few = stops - starts < LEAST_WINDOWS
        found = np.empty((len(midnights), 2 * len(LEVELS) + 1))
        weight = self.decay ** ((midnights[-1] - ends_ns) / DAY_NS)  # relative to the others of a window
        found[~few] = weighted_laws(returns, weight, starts[~few], stops[~few])
        found[few] = weighted_laws(whole, np.ones(len(whole)), np.array([0]), np.array([len(whole)]))
        return found[:, : len(LEVELS)], found[:, len(LEVELS) : -1], found[:, -1]


def weighted_laws(value: FloatArray, weight: FloatArray, starts: Ints, stops: Ints) -> FloatArray:
    """Quantiles, means beyond them and the second moment of ``value[start:stop]`` by weight, shape (m, 2 q + 1)."""
    out = np.empty((len(starts), 2 * len(LEVELS) + 1))
    _weighted(value, weight, np.argsort(value, kind="stable"), starts, stops, np.array(LEVELS), out)
    return out


@compiled
def _weighted(
    value: FloatArray, weight: FloatArray, order: Ints, starts: Ints, stops: Ints, levels: FloatArray, out: FloatArray
) -> None:
    """Fill ``out``; ``order`` sorts the values."""
    n = len(levels)
    x, w = np.empty(len(value)), np.empty(len(value))
    for i in range(len(starts)):
        count, total, square = 0, 0.0, 0.0
        for s in order:
            if starts[i] <= s < stops[i]:
                x[count], w[count] = value[s], weight[s]
                total += weight[s]
                square += weight[s] * value[s] * value[s]
                count += 1
        out[i, 2 * n] = square / total
        for k in range(n):
            upper = levels[k] > 0.5
            q = _quantile(x[:count], w[:count], total, levels[k])
            out[i, k], out[i, n + k] = q, _mean_beyond(x[:count], w[:count], q, upper)


@compiled
def _quantile(x: FloatArray, w: FloatArray, total: float, level: float) -> float:
    """Quantile of sorted values, linear between the middles of their weights."""
    below, place, before = 0.0, 0.0, 0.0
    for i in range(len(x)):
        place = (below + w[i] / 2) / total
        if place >= level:
            return float(x[0] if i == 0 else x[i - 1] + (x[i] - x[i - 1]) * (level - before) / (place - before))
        below, before = below + w[i], place
    return float(x[len(x) - 1])


@compiled
def _mean_beyond(x: FloatArray, w: FloatArray, q: float, upper: bool) -> float:
    """Weighted mean of the sorted values from the end up to the quantile."""
    total, weight = 0.0, 0.0
    for j in range(len(x)):
        i = len(x) - 1 - j if upper else j
        if x[i] < q if upper else x[i] > q:
            break
        total += w[i] * x[i]
        weight += w[i]
    mean = total / weight
    return float(max(mean, q) if upper else min(mean, q))


def _ended(panel: Panel, diurnal: Diurnal) -> FloatArray:
    """Returns of the windows that ended at each origin, in usual hours, shape (n, h); NaN where not all were seen."""
    hours = Hours.of(panel, diurnal)
    parts = [hours.ended(rows) for rows in panel.spec.horizon_rows]
    return np.stack([np.where(known, value, np.nan) for value, known in parts], axis=1)


historical_weighted = partial(HistoricalSimulation, decay=0.99)  # what is 69 days old counts half
