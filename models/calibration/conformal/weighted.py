"""Weighted conformal prediction: quantiles of the past's scores, the recent ones weighing more."""

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
from models.calibration.conformal.levels import place_at


@dataclass(frozen=True, slots=True)
class Weighted:
    r"""Ask the forecast law for the level below which the share p of recent outcomes came, old ones forgotten.

    .. math:: q'_{p,t} = Q_t(G_t^{-1}(p)), \qquad
              G_t(u) = \frac{m u + \sum_s w_s 1\{F_s(z_s) \le u\}}{m + \sum_s w_s}, \qquad
              w_s = \frac{\Delta}{h} 2^{-k_s / H}

    with F the law that was forecast for window s, Q its quantile function, :math:`k_s` how many windows were learned
    from after it and m the weight of "the law is right". For a law that never changes this is the weighted quantile of
    the standardised returns themselves. A score that is further out than all the law's levels has its place on the
    law's last line continued (:mod:`models.calibration.conformal.levels`).

    **Guarantee.** With m = 0, the probability that the next outcome is at or below its quantile differs from p by at
    most :math:`\tilde w_0 + \sum_s \tilde w_s d_s`, where :math:`w_0 = \Delta / h` is the weight of the next score,
    :math:`\tilde w` are the weights with its own divided by their sum, and :math:`d_s` is the distance in total
    variation between the law of the scores and that with score s and the next one exchanged: 0 where scores are
    exchangeable. (m adds at most :math:`m / (m + \sum_s w_s)`.) Other than the trackers' it is a statement about
    probability, and none about sequences of an adversary.

    Parameters
    ----------
    half_life_rows : H, windows learned from after which one weighs half.
    memory_rows : windows remembered at most; the one of least weight goes.
    prior_windows : m, in windows that do not overlap.

    References
    ----------
    Barber, Candès, Ramdas & Tibshirani (2023), "Conformal prediction beyond exchangeability", Annals of Statistics
    51(2), theorem 2; Chernozhukov, Wüthrich & Zhu (2021), "Distributional conformal prediction", PNAS 118(48).
    """

    half_life_rows: int = 24 * 90
    memory_rows: int = 24 * 365
    prior_windows: float = 50.0

    @property
    def axis(self) -> Axis:
        """The log odds of the level."""
        return Axis.PLACE

    def begin(self, n_instruments: int, scale: Scale) -> dict[str, Any]:  # noqa: ARG002 - one score for all levels
        """Scores in increasing order and their weights (c, memory), how many, and windows learned from (c,)."""
        room = (n_instruments, self.memory_rows)
        size = np.zeros(n_instruments, dtype=np.int64)
        return {"score": np.zeros(room), "weight": np.zeros(room), "size": size, "windows": np.zeros(n_instruments)}

    def faults(self, memory: dict[str, Any]) -> list[str]:
        """Scores in order, no more of them than there is room, weights that are some."""
        found = []
        for score, weight, size in zip(memory["score"], memory["weight"], memory["size"], strict=True):
            if not 0 <= size <= self.memory_rows:
                found.append(f"{size} scores in room for {self.memory_rows}")
            elif (np.diff(score[:size]) < 0).any() or (weight[:size] < 0).any():
                found.append("scores out of order or of a negative weight")
        return found

    def stand(self, memory: dict[str, Any], i: int, log_sd: float) -> float:  # noqa: ARG002 - not asked
        """Not asked."""
        return 0.0

    def learn(
        self,
        memory: dict[str, Any],
        i: int,
        z: float,
        shape: FloatArray,
        answer: FloatArray,  # noqa: ARG002 - its place in the law counts, not what was told
        stand: float,  # noqa: ARG002 - the same however volatile
        scale: Scale,
    ) -> None:
        """Put its score among the others."""
        score, weight = memory["score"][i], memory["weight"][i]
        place = place_at(shape, scale.places, z)
        memory["size"][i] = _insert(score, weight, memory["size"][i], place, scale.share, self._kept)
        memory["windows"][i] += scale.share

    def offset(self, memory: dict[str, Any], i: int, scale: Scale) -> FloatArray:
        """Where the scores have each level, less where it would be; shape (q,)."""
        found, size = np.empty(len(scale.levels)), memory["size"][i]
        _offset(memory["score"][i], memory["weight"][i], size, scale.levels, scale.places, self.prior_windows, found)
        return found

    def adopt(self, memory: dict[str, Any], i: int, offset: FloatArray) -> None:
        """Nothing: its own scores count as they come."""

    def told(self, shape: FloatArray, offset: FloatArray, stand: float, scale: Scale) -> FloatArray:  # noqa: ARG002
        """Moved along the axis."""
        return moved(self.axis, shape, offset, scale)

    def walk(self, series: Series, scale: Scale, pool_windows: float) -> FloatArray:
        """Quantiles told, shape (T, c, q)."""
        told, memory = np.full(series.shape.shape, np.nan), self.begin(series.z.shape[1], scale)
        _walk(
            series.ts_ns, series.horizon_ns, series.z, np.ascontiguousarray(series.shape), series.present,
            scale.levels, scale.places, scale.share, self._kept, self.prior_windows, pool_windows,
            memory["score"], memory["weight"], memory["size"], memory["windows"], told,
        )  # fmt: skip
        return told

    @property
    def _kept(self) -> float:
        """Share of its weight that a score keeps from one window to the next."""
        return float(0.5 ** (1 / self.half_life_rows))


@compiled
def _insert(score: FloatArray, weight: FloatArray, size: int, place: float, share: float, kept: float) -> int:
    """Number of scores after one more, in order; all others fade, the least of them goes where there is no room."""
    weight[:size] *= kept
    if size == len(score):
        gone = np.argmin(weight)
        score[gone : size - 1], weight[gone : size - 1] = score[gone + 1 : size].copy(), weight[gone + 1 : size].copy()
        size -= 1
    k = np.searchsorted(score[:size], place, side="right")
    score[k + 1 : size + 1], weight[k + 1 : size + 1] = score[k:size].copy(), weight[k:size].copy()
    score[k], weight[k] = place, share
    return int(size + 1)


@compiled
def _offset(
    score: FloatArray, weight: FloatArray, size: int, levels: FloatArray, places: FloatArray, prior: float,
    found: FloatArray,
) -> None:  # fmt: skip
    """Quantiles of the weighted scores mixed with ``prior`` windows of the logistic law, less ``places``."""
    below = np.cumsum(weight[:size])
    total = below[-1] if size else 0.0
    for k in range(len(levels)):
        found[k] = 0.0
        if total + prior > 0:
            found[k] = _mixed_quantile(score[:size], below, levels[k] * (total + prior), prior) - places[k]


@compiled
def _mixed_quantile(score: FloatArray, below: FloatArray, mass: float, prior: float) -> float:
    """Least u with ``below(u) + prior / (1 + exp(-u)) >= mass``; ``below`` holds the weight up to each score."""
    low, high = 0, len(score)
    while low < high:
        middle = (low + high) // 2
        if below[middle] + prior / (1 + np.exp(-score[middle])) >= mass:
            high = middle
        else:
            low = middle + 1
    missing = mass - (below[low - 1] if low > 0 else 0.0)
    if low == len(score) and (prior == 0 or missing >= prior):
        return float(score[low - 1])
    if low < len(score) and missing >= prior:
        return float(score[low])
    place = -np.inf if missing <= 0 else np.log(missing / (prior - missing))
    if low > 0:
        place = max(place, score[low - 1])
    return float(min(place, score[low]) if low < len(score) else place)


@compiled
def _walk(
    ts_ns: Ints, horizon_ns: int, z: FloatArray, shape: FloatArray, present: Bools, levels: FloatArray,
    places: FloatArray, share: float, kept: float, prior: float, pool_windows: float, score: FloatArray,
    weight: FloatArray, size: Ints, windows: FloatArray, told: FloatArray,
) -> None:  # fmt: skip
    """Learn from the windows that have ended, then tell; ``ended`` counts the instants that have been learned from."""
    n, ended = z.shape[1], 0
    own, pooled = np.zeros((n, len(levels))), np.empty(len(levels))
    for t in range(len(ts_ns)):
        while ts_ns[ended] + horizon_ns <= ts_ns[t]:
            for i in np.flatnonzero(np.isfinite(z[ended])):
                place = place_at(shape[ended, i], places, z[ended, i])
                size[i] = _insert(score[i], weight[i], size[i], place, share, kept)
                windows[i] += share
            ended += 1
        for j in range(n):
            _offset(score[j], weight[j], size[j], levels, places, prior, own[j])
        for i in np.flatnonzero(present[t]):
            pool_offset(own, windows, i, pool_windows, pooled)
            move_outward(2, shape[t, i], pooled, levels, places, told[t, i])
