"""CAViaR: a quantile that is its own past and the size of the last move."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import ConvergenceError, SettingError
from features.panel import Panel
from models.base import Forecast
from models.classical.sides import Bools, Hours, SidedLaw, outcomes, sided_forecast
from models.classical.simplex import least
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]
MEMORIES = (0.9, 0.97, 0.99)  # of an hour: where the search looks first


@dataclass(frozen=True)
class Caviar:
    r"""Conditional autoregressive value at risk, for every horizon stepped from hour to hour.

    .. math:: Q_t = (1 - \beta) \omega + \beta Q_{t-1} + (1 - \beta) \left( a^+ r_t^+ + a^- r_t^- \right), \qquad
              -q_{\alpha,t} = \sqrt{W_{t,h}} \, Q_t

    with r the last hour's return and W the horizon's usual variance, both without or with the clock of the week;
    ``symmetric``: :math:`a^+ = a^-`. Positive parameters keep Q positive. They minimise the tick loss of the
    h-return at the level alpha, over all windows that had ended: an hourly recursion knows what a daily one would
    learn a day late. The upper quantile is the lower one of the mirrored returns. Other levels, shortfalls and the
    variance: :class:`models.classical.sides.SidedLaw`.

    References
    ----------
    Engle & Manganelli (2004), "CAViaR: conditional autoregressive value at risk by regression quantiles",
    J. Business & Economic Statistics 22(4).
    """

    symmetric: bool = True
    level: float = 0.025
    place: FloatArray = field(default_factory=lambda: np.zeros((0, 2, 4)))  # (h, 2, 4), see `quantile_path`
    laws: tuple[SidedLaw, ...] = ()
    diurnal: Diurnal = field(default_factory=Diurnal.flat)

    def __post_init__(self) -> None:
        """Refuse a level that is in no tail."""
        if not 0 < self.level < 0.5:
            raise SettingError(f"level={self.level} is in no lower tail; choose one between 0 and 0.5")

    def fit(self, panel: Panel) -> "Caviar":
        """Least tick loss on every window that had ended, each horizon and side by itself.

        Raises
        ------
        ConvergenceError, ShortHistoryError, SettingError
            If a search ends without an optimum; if windows are few; if origins are not hourly.
        """
        diurnal = Diurnal.fit(panel, whole_week=True)
        hours = Hours.of(panel, diurnal)
        y, realised = outcomes(panel, hours.usual)
        places, laws = [], []
        for h, horizon_s in enumerate(panel.spec.horizons_s):
            what = f"{panel.instrument}: CAViaR over {horizon_s} s"
            sides = [self._search(sign * y[:, h], sign, hours, h, what) for sign in (1, -1)]
            paths = [quantile_path(p, s * hours.log_return, hours.seen) for p, s in zip(sides, (1, -1), strict=True)]
            places.append(np.stack(sides))
            laws.append(SidedLaw.fit(y[:, h], realised[:, h], *paths))
        return replace(self, place=np.stack(places), laws=tuple(laws), diurnal=diurnal)

    def forecast(self, panel: Panel) -> Forecast:
        """The law of both quantiles' scales."""
        hours = Hours.of(panel, self.diurnal)
        scales = [
            [quantile_path(p, s * hours.log_return, hours.seen) for p, s in zip(sides, (1, -1), strict=True)]
            for sides in self.place
        ]
        return sided_forecast(panel, hours.usual, self.laws, np.array(scales))

    def _search(self, y: FloatArray, sign: int, hours: Hours, h: int, what: str) -> FloatArray:
        """Parameters of one side of one horizon."""
        quantile = np.quantile(y[np.isfinite(y)], self.level)
        if not quantile < 0:
            raise ConvergenceError(
                f"{what}: the {self.level:g} quantile of the past is not below zero, so it has no scale; "
                "choose another model"
            )
        returns, scale = sign * hours.log_return, -quantile
        size = np.abs(returns[hours.seen]).mean()
        starts = [
            np.array([np.log(0.2 * scale), np.log(b / (1 - b)), *[np.log(0.8 * scale / size)] * 2]) for b in MEMORIES
        ]
        if len(self.place):
            starts.append(self.place[h, 0 if sign > 0 else 1])
        width = 3 if self.symmetric else 4

        def loss(free: FloatArray) -> float:
            return float(tick_loss(quantile_path(_whole(free), returns, hours.seen), y, self.level))

        constant = tick_loss(np.full(len(y), scale), y, self.level)
        return _whole(least(loss, [start[:width] for start in starts], constant, what))


@compiled
def quantile_path(place: FloatArray, returns: FloatArray, seen: Bools) -> FloatArray:
    """Q after each hour, shape (n,), from (ln ω, logit β, ln a⁺, ln a⁻); an hour that was not seen changes nothing."""
    level, decay = np.exp(place[0]), 1 / (1 + np.exp(-place[1]))
    up, down = np.exp(place[2]), np.exp(place[3])
    value, count = level, 0
    path = np.empty(len(returns))
    for t in range(len(returns)):
        if seen[t]:
            size = up * returns[t] if returns[t] > 0 else -down * returns[t]
            count += 1  # the first hours are a plain mean, until there are as many as the recursion remembers
            value += max(1 - decay, 1 / count) * (level + size - value)
        path[t] = value
    return path


@compiled
def tick_loss(scale: FloatArray, y: FloatArray, level: float) -> float:
    """Mean quantile loss of the quantile ``-scale`` over known outcomes."""
    total, count = 0.0, 0
    for t in range(len(y)):
        if np.isfinite(y[t]):
            error = y[t] + scale[t]
            total += level * error if error > 0 else (level - 1) * error
            count += 1
    return total / count


def _whole(free: FloatArray) -> FloatArray:
    """All four parameters; of three, the last counts for both signs."""
    return np.append(free, free[2:])[:4]


caviar_asymmetric = partial(Caviar, symmetric=False)  # falls and rises count differently
