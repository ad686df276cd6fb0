"""The grid and SPAN's extremes in many small steps: for ranges that rest on a fallback.

What stands for a missing forecast makes the range wider than the forecast would have made it. A coarse grid on the
wider range may step over what the narrower one met with a node; this one hardly can.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.scenario_set import ScenarioSet, scenario_set
from serving.margin.scenarios.vol import direction_name, directions, vol_moves

FloatArray = NDArray[np.float64]
STEPS: Final = 48


def fine(ranges: Ranges, policy: ScenarioPolicy) -> list[ScenarioSet]:
    """Steps of a 48th, of the families that the policy has: the grid, and SPAN up to its extremes at their cover."""
    steps = np.arange(-STEPS, STEPS + 1) / STEPS
    within, turns = (axis.ravel() for axis in np.meshgrid(steps, directions(), indexing="ij"))
    found = {
        "grid": _set(within, turns, 1.0, ranges, policy),
        "span": _set(steps * policy.span_extreme, np.zeros(len(steps)), policy.span_cover, ranges, policy),
    }
    return [found[name] for name in policy.families if name in found]


def _set(fractions: FloatArray, turns: FloatArray, cover: float, ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    move = np.maximum(np.where(fractions[:, None] < 0, ranges.down, ranges.up) * fractions[:, None], -1.0)
    pairs = zip(fractions, turns, strict=True)
    names = [f"price {f:+.1%} of range, vol {direction_name(t)}" for f, t in pairs]
    return scenario_set(names, move, vol_moves(turns, ranges, policy), np.full(move.shape, cover))
