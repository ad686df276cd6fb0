"""The loop that the methods share whose offsets move a step with each hit: tracker, integrator, ACI."""

from abc import ABC, abstractmethod
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

STEEPEST = 30.0  # argument of sinh: e^30 is further than any quantile is ever asked to go


@dataclass(frozen=True, slots=True)
class Steps(ABC):
    """A method whose offsets move by ``gains`` with each hit, and by an integrator's push if it has any."""

    @property
    @abstractmethod
    def axis(self) -> Axis:
        """What its offsets are added to."""

    @abstractmethod
    def gains(self, scale: Scale) -> FloatArray:
        """How far each offset moves for one hit, shape (q,)."""

    @property
    @abstractmethod
    def push(self) -> tuple[float, float]:
        """Height of the integrator's push, 0 for none, and the windows by which it is patient."""

    def begin(self, n_instruments: int, scale: Scale) -> dict[str, Any]:
        """Offsets and hits too few (c, q), and windows learned from (c,)."""
        shape = (n_instruments, len(scale.levels))
        return {"theta": np.zeros(shape), "excess": np.zeros(shape), "windows": np.zeros(n_instruments)}

    def faults(self, memory: dict[str, Any]) -> list[str]:
        """No more hits than windows."""
        most = memory["windows"][:, None] * (1 + 1e-9)
        return ["more hits than windows"] if (np.abs(memory["excess"]) > most).any() else []

    def stand(self, memory: dict[str, Any], i: int, log_sd: float) -> float:  # noqa: ARG002 - not asked
        """Not asked."""
        return 0.0

    def learn(
        self,
        memory: dict[str, Any],
        i: int,
        z: float,
        shape: FloatArray,  # noqa: ARG002 - only what was told counts
        answer: FloatArray,
        stand: float,  # noqa: ARG002 - the same however volatile
        scale: Scale,
    ) -> None:
        """Move each offset by its gain."""
        theta, excess = memory["theta"][i], memory["excess"][i]
        _learn(theta, excess, z, answer, scale.levels, self.gains(scale), scale.share)
        memory["windows"][i] += scale.share

    def offset(self, memory: dict[str, Any], i: int, scale: Scale) -> FloatArray:
        """Offset of instrument i, shape (q,)."""
        found = np.empty(len(scale.levels))
        _offset(memory["theta"][i], memory["excess"][i], memory["windows"][i], scale.levels, *self.push, found)
        return found

    def adopt(self, memory: dict[str, Any], i: int, offset: FloatArray) -> None:
        """Begin at another's offset."""
        memory["theta"][i] = offset

    def told(self, shape: FloatArray, offset: FloatArray, stand: float, scale: Scale) -> FloatArray:  # noqa: ARG002
        """Moved along the axis."""
        return moved(self.axis, shape, offset, scale)

    def walk(self, series: Series, scale: Scale, pool_windows: float) -> FloatArray:
        """Quantiles told, shape (T, c, q)."""
        told, memory = np.full(series.shape.shape, np.nan), self.begin(series.z.shape[1], scale)
        _walk(
            series.ts_ns, series.horizon_ns, series.z, np.ascontiguousarray(series.shape), series.present,
            scale.levels, scale.places, scale.share, self.gains(scale), *self.push, int(self.axis), pool_windows,
            memory["theta"], memory["excess"], memory["windows"], told,
        )  # fmt: skip
        return told


@compiled
def _learn(
    theta: FloatArray, excess: FloatArray, z: float, answer: FloatArray, levels: FloatArray, gains: FloatArray,
    share: float,
) -> None:  # fmt: skip
    """Move each offset by its gain; count the hits that came short of the expected ones."""
    for k in range(len(levels)):
        theta[k] += gains[k] * (levels[k] - (z <= answer[k]))
        excess[k] += share * (levels[k] - (z <= answer[k]))


@compiled
def _offset(
    theta: FloatArray, excess: FloatArray, windows: float, levels: FloatArray, push: float, patience: float,
    found: FloatArray,
) -> None:  # fmt: skip
    """``theta`` and the integrator's push, into ``found`` (q,)."""
    found[:] = theta
    if push > 0:
        for k in range(len(levels)):
            error = excess[k] / np.sqrt((windows + patience) * levels[k] * (1 - levels[k]))
            found[k] += push * np.sinh(min(max(error, -STEEPEST), STEEPEST))


@compiled
def _walk(
    ts_ns: Ints, horizon_ns: int, z: FloatArray, shape: FloatArray, present: Bools, levels: FloatArray,
    places: FloatArray, share: float, gains: FloatArray, push: float, patience: float, axis: int, pool_windows: float,
    theta: FloatArray, excess: FloatArray, windows: FloatArray, told: FloatArray,
) -> None:  # fmt: skip
    """Learn from the windows that have ended, then tell; ``ended`` counts the instants that have been learned from."""
    n, begun, ended = z.shape[1], np.zeros(z.shape[1], dtype=np.bool_), 0
    own, pooled = np.zeros((n, len(levels))), np.empty(len(levels))
    for t in range(len(ts_ns)):
        while ts_ns[ended] + horizon_ns <= ts_ns[t]:
            for i in np.flatnonzero(np.isfinite(z[ended])):
                _learn(theta[i], excess[i], z[ended, i], told[ended, i], levels, gains, share)
                windows[i] += share
            ended += 1
        for j in range(n):
            _offset(theta[j], excess[j], windows[j], levels, push, patience, own[j])
        for i in np.flatnonzero(present[t]):
            pool_offset(own, windows, i, pool_windows, pooled)
            if not begun[i]:
                theta[i], own[i], begun[i] = pooled, pooled, True
            move_outward(axis, shape[t, i], pooled, levels, places, told[t, i])
