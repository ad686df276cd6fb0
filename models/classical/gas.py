"""GAS on the FZ0 loss: quantile and shortfall share one factor, which their own joint loss drives."""

from dataclasses import dataclass, field, replace

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
MOST_FACTOR = 3.0  # the factor is a logarithm: no scale is further than this from the usual one


@dataclass(frozen=True)
class GasFz:
    r"""One-factor model of quantile and shortfall, for every horizon stepped from hour to hour.

    .. math:: v_t = a e^{\kappa_t}, \quad e_t = b e^{\kappa_t}, \quad b < a < 0, \qquad
              \kappa_t = \beta \kappa_{t-1} + \gamma \left( \frac{1\{y \le v_s\}}{\alpha} \frac{y}{e_s} - 1 \right)

    with y the h-return that ended at t, and s = t - h when it was forecast; without the clock of the week. For h of
    one hour it is the published model; longer windows end every hour, so the factor steps every hour as well. The
    four parameters minimise the FZ0 loss over all windows that had ended. The upper side is the lower one of the
    mirrored returns. Other levels and the variance: :class:`models.classical.sides.SidedLaw`.

    References
    ----------
    Patton, Ziegel & Chen (2019), "Dynamic semiparametric models for expected shortfall (and value-at-risk)",
    J. Econometrics 211(2), section 2.3.
    """

    level: float = 0.025
    place: FloatArray = field(default_factory=lambda: np.zeros((0, 2, 4)))  # (h, 2, 4), see `factor_path`
    laws: tuple[SidedLaw, ...] = ()
    diurnal: Diurnal = field(default_factory=Diurnal.flat)

    def __post_init__(self) -> None:
        """Refuse a level that is in no tail."""
        if not 0 < self.level < 0.5:
            raise SettingError(f"level={self.level} is in no lower tail; choose one between 0 and 0.5")

    def fit(self, panel: Panel) -> "GasFz":
        """Least FZ0 loss on every window that had ended, each horizon and side by itself.

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
            ended, known = hours.ended(panel.spec.horizon_rows[h])
            what = f"{panel.instrument}: GAS-FZ over {horizon_s} s"
            rows = panel.spec.horizon_rows[h]
            sides = [
                self._search(s * y[:, h], s * ended, known, rows, self.place[h : h + 1, k], what)
                for k, s in enumerate((1, -1))
            ]
            places.append(np.stack(sides))
            laws.append(SidedLaw.fit(y[:, h], realised[:, h], *self._scales(places[-1], ended, known, h, panel)))
        return replace(self, place=np.stack(places), laws=tuple(laws), diurnal=diurnal)

    def forecast(self, panel: Panel) -> Forecast:
        """The law of both factors."""
        hours = Hours.of(panel, self.diurnal)
        scales = [
            self._scales(sides, *hours.ended(panel.spec.horizon_rows[h]), h, panel)
            for h, sides in enumerate(self.place)
        ]
        return sided_forecast(panel, hours.usual, self.laws, np.array(scales))

    def _scales(self, sides: FloatArray, ended: FloatArray, known: Bools, h: int, panel: Panel) -> list[FloatArray]:
        rows = panel.spec.horizon_rows[h]
        return [np.exp(factor_path(p, s * ended, known, rows, self.level)) for p, s in zip(sides, (1, -1), strict=True)]

    def _search(
        self, y: FloatArray, ended: FloatArray, known: Bools, rows: int, before: FloatArray, what: str
    ) -> FloatArray:
        """Parameters of one side of one horizon."""
        finite = y[np.isfinite(y)]
        quantile = np.quantile(finite, self.level)
        if not quantile < 0:
            raise ConvergenceError(
                f"{what}: the {self.level:g} quantile of the past is not below zero, so it has no scale; "
                "choose another model"
            )
        mean = finite[finite <= quantile].mean()
        constant = np.array([np.log(-quantile), np.log(mean / quantile - 1)])
        starts = [np.append(constant, [fade, np.log(gain)]) for fade in (3.5, 5.0) for gain in (0.003, 0.01)]
        starts.extend(before)  # where an earlier fit ended
        ceiling = fz0_loss(np.append(constant, [0.0, -np.inf]), np.zeros(len(y)), y, self.level)

        def loss(place: FloatArray) -> float:
            return float(fz0_loss(place, factor_path(place, ended, known, rows, self.level), y, self.level))

        return least(loss, starts, ceiling, what)


@compiled
def factor_path(place: FloatArray, ended: FloatArray, known: Bools, rows: int, level: float) -> FloatArray:
    """The factor after each hour, shape (n,), from (ln -a, ln(b/a - 1), logit β, ln γ).

    ``ended`` (n,) are the returns of the windows that ended at each origin, ``rows`` long; those not ``known`` let the
    factor fade.
    """
    quantile = -np.exp(place[0])
    mean = quantile * (1 + np.exp(place[1]))
    fade, gain = 1 / (1 + np.exp(-place[2])), np.exp(place[3])
    path, factor = np.empty(len(ended)), 0.0
    for t in range(len(ended)):
        factor *= fade
        if t >= rows and known[t]:
            scale = np.exp(path[t - rows])
            hit = ended[t] / (level * mean * scale) if ended[t] <= quantile * scale else 0.0
            factor += gain * (hit - 1)
        factor = min(max(factor, -MOST_FACTOR), MOST_FACTOR)
        path[t] = factor
    return path


@compiled
def fz0_loss(place: FloatArray, path: FloatArray, y: FloatArray, level: float) -> float:
    """Mean FZ0 loss over known outcomes."""
    total, count = 0.0, 0
    quantile = -np.exp(place[0])
    mean = quantile * (1 + np.exp(place[1]))
    for t in range(len(y)):
        if np.isfinite(y[t]):
            scale = np.exp(path[t])
            v, e = quantile * scale, mean * scale
            total += v / e + np.log(-e) - 1 - ((v - y[t]) / (level * e) if y[t] <= v else 0.0)
            count += 1
    return total / count
