"""Quantile tracking whose offset depends on how volatile the market is for its own habits."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.compiled import compiled
from models.calibration.conformal.base import (
    Axis,
    Bools,
    FloatArray,
    Ints,
    Scale,
    Series,
    move_outward,
    moved,
    pool_offset,
)

FURTHEST = 3.0**0.5  # standard deviations at which a state ends: those of a uniform law
PRIOR_ROWS = 240.0  # windows by which a new instrument's habits are slow to form
PRIOR_SPREAD = 0.25  # variance of log standard deviations until then


@dataclass(frozen=True, slots=True)
class Conditional:
    r"""A tracker with a slope: calm and wild times have offsets of their own, on one straight line.

    .. math:: q'_{p,t} = q_{p,t} + \theta_{p} + \beta_{p} x_t, \qquad
              (\theta_p, \beta_p) \leftarrow (\theta_p, \beta_p)
              + \gamma \frac{\Delta}{h} \left( p - 1\{z_s \le q'_{p,s}\} \right) (1, x_s), \qquad
              x_t = \frac{\ln \sigma_t - m_t}{v_t}

    with :math:`\sigma` the forecast standard deviation, m and v exponentially weighted mean and standard deviation of
    its logarithm up to t, and x cut at :math:`\pm \sqrt 3`. It is online gradient descent of the quantile loss on
    the two coefficients. Standardised returns of calm times have the heavier tails: one offset for all
    times is then too small in calm and too large in wild ones.

    **Guarantee.** Where :math:`|z - q| \le B` and no quantiles cross, over T windows learned from
    (:math:`n = T \Delta / h` that do not overlap) the mean of :math:`p - 1\{z \le q'\}` and the mean of the same times
    x are both at most :math:`\sqrt{(2 B / \gamma + 12) / n}` in size, whatever the outcomes and the
    volatility: hits are calibrated on average and do not lean with volatility. (The squared length of the
    coefficients grows by at most :math:`2 \gamma (B + 6 \gamma) \Delta / h` a window, because one that is told further
    out than B pulls them back.)

    Parameters
    ----------
    step : :math:`\gamma`, as the tracker's.
    half_life_rows : of m and v, in windows told.

    References
    ----------
    Gibbs, Cherian & Candès (2025), "Conformal prediction with conditional guarantees", J. Royal Statistical Society B
    87(4); Angelopoulos, Jordan & Tibshirani (2025), "Gradient equilibrium in online learning", arXiv:2501.08330.
    """

    step: float = 0.02
    half_life_rows: int = 24 * 90

    def begin(self, n_instruments: int, scale: Scale) -> dict[str, Any]:
        """Offsets, then slopes (c, 2 q); windows learned from, habits of the log standard deviation, told (c,)."""
        memory = {name: np.zeros(n_instruments) for name in ("windows", "habit", "seen")}
        spread = np.full(n_instruments, PRIOR_SPREAD)
        return {"theta": np.zeros((n_instruments, 2 * len(scale.levels))), "spread": spread, **memory}

    def faults(self, memory: dict[str, Any]) -> list[str]:
        """A spread is positive."""
        return [] if (memory["spread"] > 0).all() and (memory["seen"] >= 0).all() else ["habits that are none"]

    def stand(self, memory: dict[str, Any], i: int, log_sd: float) -> float:
        """See :class:`models.calibration.conformal.base.Conformal`."""
        return float(_stand(log_sd, i, memory["habit"], memory["spread"], memory["seen"], self._rate))

    def learn(
        self,
        memory: dict[str, Any],
        i: int,
        z: float,
        shape: FloatArray,  # noqa: ARG002 - only what was told counts
        answer: FloatArray,
        stand: float,
        scale: Scale,
    ) -> None:
        """See :class:`models.calibration.conformal.base.Conformal`."""
        _learn(memory["theta"][i], z, answer, stand, scale.levels, self.step * scale.share)
        memory["windows"][i] += scale.share

    def offset(self, memory: dict[str, Any], i: int, scale: Scale) -> FloatArray:  # noqa: ARG002 - of any scale
        """Offsets, then slopes, shape (2 q,)."""
        found: FloatArray = memory["theta"][i].copy()
        return found

    def adopt(self, memory: dict[str, Any], i: int, offset: FloatArray) -> None:
        """Begin at another's offsets and slopes."""
        memory["theta"][i] = offset

    def told(self, shape: FloatArray, offset: FloatArray, stand: float, scale: Scale) -> FloatArray:
        """See :class:`models.calibration.conformal.base.Conformal`."""
        q = len(scale.levels)
        return moved(Axis.QUANTILE, shape, offset[:q] + offset[q:] * stand, scale)

    def walk(self, series: Series, scale: Scale, pool_windows: float) -> FloatArray:
        """See :class:`models.calibration.conformal.base.Conformal`."""
        told, memory = np.full(series.shape.shape, np.nan), self.begin(series.z.shape[1], scale)
        _walk(
            series.ts_ns, series.horizon_ns, series.z, np.ascontiguousarray(series.shape), series.present,
            series.log_sd, scale.levels, scale.places, scale.share, self.step * scale.share, self._rate, pool_windows,
            memory["theta"], memory["windows"], memory["habit"], memory["spread"], memory["seen"], told,
        )  # fmt: skip
        return told

    @property
    def _rate(self) -> float:
        """Weight of the newest window in the habits, when they are formed."""
        return float(1 - 0.5 ** (1 / self.half_life_rows))


@compiled
def _stand(
    log_sd: float, i: int | np.signedinteger[Any], habit: FloatArray, spread: FloatArray, seen: FloatArray, rate: float
) -> float:
    """Standardised log standard deviation of instrument i, whose habits take it in."""
    if seen[i] == 0:
        habit[i] = log_sd
    weight, error = max(1 / (seen[i] + PRIOR_ROWS), rate), log_sd - habit[i]
    habit[i] += weight * error
    spread[i] += weight * (error * (log_sd - habit[i]) - spread[i])
    seen[i] += 1
    return float(min(max((log_sd - habit[i]) / np.sqrt(spread[i]), -FURTHEST), FURTHEST))


@compiled
def _learn(theta: FloatArray, z: float, answer: FloatArray, stand: float, levels: FloatArray, gain: float) -> None:
    """One step of the offsets and of the slopes."""
    q = len(levels)
    for k in range(q):
        move = gain * (levels[k] - (z <= answer[k]))
        theta[k] += move
        theta[q + k] += move * stand


@compiled
def _walk(
    ts_ns: Ints, horizon_ns: int, z: FloatArray, shape: FloatArray, present: Bools, log_sd: FloatArray,
    levels: FloatArray, places: FloatArray, share: float, gain: float, rate: float, pool_windows: float,
    theta: FloatArray, windows: FloatArray, habit: FloatArray, spread: FloatArray, seen: FloatArray, told: FloatArray,
) -> None:  # fmt: skip
    """Learn from the windows that have ended, then tell; ``ended`` counts the instants that have been learned from."""
    n, q, ended = z.shape[1], len(levels), 0
    stand, pooled, own = np.zeros(z.shape), np.empty(2 * q), np.empty((n, 2 * q))
    for t in range(len(ts_ns)):
        while ts_ns[ended] + horizon_ns <= ts_ns[t]:
            for i in np.flatnonzero(np.isfinite(z[ended])):
                _learn(theta[i], z[ended, i], told[ended, i], stand[ended, i], levels, gain)
                windows[i] += share
            ended += 1
        own[:] = theta
        for i in np.flatnonzero(present[t]):
            pool_offset(own, windows, i, pool_windows, pooled)
            if seen[i] == 0:
                theta[i], own[i] = pooled, pooled
            stand[t, i] = _stand(log_sd[t, i], i, habit, spread, seen, rate)
            line = pooled[:q] + pooled[q:] * stand[t, i]
            move_outward(0, shape[t, i], line, levels, places, told[t, i])
