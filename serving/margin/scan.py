r"""From forecast loss to published rate, for one side and one liquidation time.

The published rate is a sum of parts, none negative, that a trader can read:

.. math::

   raw &= \max(ES, VaR), \text{ held at its last good value after a gap of the feed} \\
   blended(x) &= \max(x, (1 - w)\, x + w \cdot stress, floor) \\
   target &= \max(blended(raw), (1 + b) \, blended(\min(raw, long\,run))) \\
   published_t &= \max_{0 \le k \le K} target_{t-k} \, (1 - d)^{k / 24}
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import ForecastError
from serving.margin.scan_policy import ScanPolicy

FloatArray = NDArray[np.float64]
PARTS = ("forecast", "gap_hold", "stress", "floor", "buffer", "limiter")


@dataclass(frozen=True, slots=True)
class History:
    """What the past says of one side and liquidation time, fractions of notional, shape (n,) each.

    ``stress``: mean of the worst losses on stressed days. ``floor``: a high
    quantile of all losses. ``long_run``: mean of the worst losses of all days.
    """

    stress: FloatArray
    floor: FloatArray
    long_run: FloatArray


@dataclass(frozen=True, slots=True)
class Scan:
    """Parts of the published rate, fractions of notional, shape (n,) each; they add up to ``published``."""

    forecast: FloatArray
    gap_hold: FloatArray
    stress: FloatArray
    floor: FloatArray
    buffer: FloatArray
    limiter: FloatArray

    @property
    def published(self) -> FloatArray:
        """The rate that is charged."""
        return self.forecast + self.gap_hold + self.stress + self.floor + self.buffer + self.limiter


def summarise(losses: FloatArray, stressed: NDArray[np.bool_], policy: ScanPolicy) -> tuple[float, float, float]:
    """Stress, floor and long-run loss of a history.

    Parameters
    ----------
    losses : array of shape (m,), losses over the liquidation time, fractions, no NaN.
    stressed : array of shape (m,), which of them began on a stressed day.
    policy : levels.

    Returns
    -------
    stress, floor, long_run : floats, none negative; the stress is at least the long run.
    """
    long_run = _shortfall(losses, policy.es_level)
    stress = _shortfall(losses[stressed], policy.es_level) if stressed.any() else long_run
    floor = max(0.0, float(np.quantile(losses, policy.floor_level)))
    return max(stress, long_run), floor, long_run


def _shortfall(losses: FloatArray, level: float) -> float:
    """Mean of the losses at or beyond a quantile, at least 0."""
    return max(0.0, float(losses[losses >= np.quantile(losses, level)].mean()))


def scan(raw: FloatArray, blind: NDArray[np.bool_], history: History, policy: ScanPolicy) -> Scan:
    """Hold, blend, buffer and limit forecast losses.

    Parameters
    ----------
    raw : array of shape (n,), forecast losses at consecutive hours, oldest first.
    blind : array of shape (n,), hours whose forecast rests on a gap of the feed.
    history : what the past said at each hour.
    policy : the rules.

    Raises
    ------
    ForecastError
        If a forecast or a history is not finite: there is no margin without a forecast.

    Examples
    --------
    >>> calm = History(np.array([0.2]), np.array([0.03]), np.array([0.08]))
    >>> parts = scan(np.array([0.04]), np.array([False]), calm, ScanPolicy())
    >>> [float(getattr(parts, name)[0].round(4)) for name in PARTS], float(parts.published[0].round(4))
    ([0.04, 0.0, 0.04, 0.0, 0.02, 0.0], 0.1)
    """
    if not all(np.isfinite(a).all() for a in (raw, history.stress, history.floor, history.long_run)):
        raise ForecastError("a margin needs finite forecasts and history; a missing one must stop it, not lower it")
    raw = np.maximum(raw, 0.0)
    held = held_through(raw, blind, history.stress)
    weighted = weighed(held, history, policy)
    blended = np.maximum(weighted, history.floor)
    target = buffered(blended, held, history, policy)
    published = limited(target, policy)
    return Scan(raw, held - raw, weighted - held, blended - weighted, target - blended, published - target)


def held_through(raw: FloatArray, blind: NDArray[np.bool_], start: FloatArray) -> FloatArray:
    """Keep blind hours from falling below the last hour that was not; before any such, below ``start``.

    Examples
    --------
    >>> held_through(np.array([0.05, 0.01, 0.07, 0.02]), np.array([False, True, True, False]), np.full(4, 0.2))
    array([0.05, 0.05, 0.07, 0.02])
    """
    last_seen = np.maximum.accumulate(np.where(blind, -1, np.arange(len(raw))))
    kept = np.where(last_seen >= 0, raw[np.maximum(last_seen, 0)], start)
    return np.where(blind, np.maximum(raw, kept), raw)


def buffered(blended: FloatArray, raw: FloatArray, history: History, policy: ScanPolicy) -> FloatArray:
    """Add the whole buffer up to the long-run level; above it the buffer is what is left of that.

    The result never falls as the forecast rises: the rate stays flat until the
    buffer is used up, and then follows the forecast.

    Examples
    --------
    >>> flat = History(np.zeros(3), np.zeros(3), np.full(3, 0.1))
    >>> raw = np.array([0.08, 0.12, 0.2])
    >>> buffered(raw, raw, flat, ScanPolicy(stress_weight=0.0)).round(3)
    array([0.1  , 0.125, 0.2  ])
    """
    usual = np.minimum(raw, history.long_run)
    return np.maximum(blended, (1 + policy.buffer) * np.maximum(weighed(usual, history, policy), history.floor))


def weighed(raw: FloatArray, history: History, policy: ScanPolicy) -> FloatArray:
    """Weigh a forecast with the stress; never below the forecast."""
    return np.maximum(raw, (1 - policy.stress_weight) * raw + policy.stress_weight * history.stress)


def limited(target: FloatArray, policy: ScanPolicy) -> FloatArray:
    """Let the rate rise at once and fall slowly: the highest of the past targets, each faded by its age.

    Parameters
    ----------
    target : array of shape (n,), consecutive hours, oldest first.

    Examples
    --------
    >>> limited(np.array([0.2] + [0.1] * 24), ScanPolicy())[[0, 1, 24]].round(3)
    array([0.2  , 0.199, 0.18 ])
    """
    keep = (1 - policy.daily_fall_frac) ** (1 / 24)
    out = target.copy()
    for age in range(1, min(24 * policy.memory_days, len(target) - 1) + 1):
        np.maximum(out[age:], target[:-age] * keep**age, out=out[age:])
    return out
