"""Two scales, one a side of zero, made into a whole law: what models of single quantiles have in common."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from features.clock import HOUR_NS, HOUR_S
from features.errors import SettingError, ShortHistoryError
from features.families.variance import VARIANCE_FLOOR
from features.panel import Panel
from models.base import LEVELS, Forecast, outward
from models.diurnal import Diurnal
from models.tails import TAILS

FloatArray = NDArray[np.float64]
Bools = NDArray[np.bool_]
LEAST_WINDOWS = 500
LOWER = outward(LEVELS) < 0


@dataclass(frozen=True, slots=True)
class SidedLaw:
    r"""A law whose lower half scales with L, its upper half with U, and its variance with both.

    .. math:: q_p = L c_p \; (p \le \tfrac12), \quad U c_p \; (p > \tfrac12), \qquad e_p = q_p \frac{d_p}{c_p}, \qquad
              f = m \left( \frac{L + U}{2} \right)^2

    with c and d the quantiles and the means beyond them of the past's returns over their scale: Taylor's constant
    ratio of shortfall to quantile, at every level. m makes f unbiased on the past: E[RV / f] = 1.

    References
    ----------
    Taylor (2019), "Forecasting value at risk and expected shortfall using a semiparametric approach based on the
    asymmetric Laplace distribution", J. Business & Economic Statistics 37(1).
    """

    shape: FloatArray  # (q,)
    beyond: FloatArray  # (q,)
    variance: float

    @classmethod
    def fit(cls, y: FloatArray, realised: FloatArray, lower: FloatArray, upper: FloatArray) -> Self:
        """Learn from returns, realised variances and scales, shape (n,) each; NaN where not known."""
        known = np.isfinite(y + realised)
        z = [y[known] / scale[known] for scale in (lower, upper)]
        laws = [TAILS["fhs"](x, np.array([0]), np.array([len(x)]), LEVELS) for x in z]
        shape, beyond = (np.where(LOWER, a[0], b[0]) for a, b in zip(*laws, strict=True))
        ratio = realised[known] / np.square((lower + upper)[known] / 2)
        return cls(shape, beyond, float(ratio.mean()))

    def at(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Variance (n,), quantiles and shortfalls (n, q) of scales of shape (n,)."""
        scale = np.where(LOWER, lower[:, None], upper[:, None])
        quantiles = np.maximum.accumulate(scale * self.shape, axis=1)
        # Where a half of zero is moved by the other one, its shortfall moves with it.
        shortfall = scale * self.beyond + (quantiles - scale * self.shape)
        return self.variance * np.square((lower + upper) / 2), quantiles, shortfall


@dataclass(frozen=True, slots=True)
class Hours:
    """Past hours of a panel without their clock.

    ``log_return`` (n,) of the hour that ended at each origin, 0 where not ``seen``: in a hole, in an hour without a
    trade or in the first after one. ``usual`` (n, h): variance of each horizon, in usual hours.
    """

    log_return: FloatArray
    seen: Bools
    usual: FloatArray

    @classmethod
    def of(cls, panel: Panel, diurnal: Diurnal) -> Self:
        """Read the features ``log_return_1h`` and ``log_rv_1h``.

        Raises
        ------
        SettingError
            If origins are not an hour apart, or a feature is missing.
        """
        if panel.spec.every_s != HOUR_S:
            raise SettingError(
                f"{panel.instrument}: this model steps from hour to hour, the spec's origins are "
                f"{panel.spec.every_s} s apart; choose every_s = {HOUR_S}"
            )
        log_return, log_rv = panel.column("log_return_1h"), panel.column("log_rv_1h")
        moved = log_rv > np.log(VARIANCE_FLOOR) + 1e-3  # False for NaN
        seen = moved & np.isfinite(log_return)
        seen[1:] &= moved[:-1] & (np.diff(panel.origin_ns) == HOUR_NS)
        hours = [h // HOUR_S for h in panel.spec.horizons_s]
        usual = np.stack([k * diurnal.ahead(panel.origin_ns, k) for k in hours], axis=1)
        shown = np.where(seen, log_return / np.sqrt(diurnal.behind(panel.origin_ns, 1)), 0.0)
        return cls(shown, seen, usual)

    def ended(self, rows: int) -> tuple[FloatArray, Bools]:
        """Return of the window of some hours that ended at each origin, in usual ones, and whether all were seen."""
        total = np.concatenate([[0.0], np.cumsum(self.log_return)])
        count = np.concatenate([[0], np.cumsum(self.seen)])
        start = np.maximum(np.arange(len(self.seen)) + 1 - rows, 0)
        summed = (total[1:] - total[start]) / np.sqrt(rows)
        return summed, count[1:] - count[start] == rows


def outcomes(panel: Panel, usual: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns and realised variances of the windows that had ended, without their clock, shape (n, h) each.

    Raises
    ------
    ShortHistoryError
        If a horizon has too few.
    """
    y, realised = panel.targets.log_return / np.sqrt(usual), panel.targets.realised_variance / usual
    count = int(np.isfinite(y).sum(axis=0).min())
    if count < LEAST_WINDOWS:
        raise ShortHistoryError(
            f"{panel.instrument}: a model of quantiles needs {LEAST_WINDOWS} ended windows of each horizon, "
            f"the panel has {count}; give a longer history"
        )
    return y, realised


def sided_forecast(panel: Panel, usual: FloatArray, laws: tuple[SidedLaw, ...], scales: FloatArray) -> Forecast:
    """Forecast from scales without the clock, shape (h, 2, n): lower and upper."""
    parts = [law.at(lower, upper) for law, (lower, upper) in zip(laws, scales, strict=True)]
    variance, quantiles, shortfall = (np.stack(part, axis=1) for part in zip(*parts, strict=True))
    root = np.sqrt(usual)[..., None]
    return Forecast(
        origin_ns=np.asarray(panel.origin_ns),
        horizons_s=panel.spec.horizons_s,
        variance=variance * usual,
        levels=LEVELS,
        quantiles=quantiles * root,
        shortfall=shortfall * root,
    )
