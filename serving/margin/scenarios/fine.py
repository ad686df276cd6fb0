"""The grid and SPAN's extremes in many small steps and at every strike: for ranges that rest on a fallback.

What stands for a missing forecast makes the range wider than the forecast would have made it. A coarse grid on the
wider range may step over what the narrower one met with a node; this one hardly can. Far from expiry a profit bends
little between two steps; at expiry it is straight between two strikes.
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


def fine(ranges: Ranges, strikes: FloatArray, policy: ScenarioPolicy) -> list[ScenarioSet]:
    """Moves of the families that the policy has: within the range the grid's, to the extremes SPAN's at their cover.

    Parameters
    ----------
    strikes : array of shape (k, u), moves that bring a forward to a strike; 0 where an underlying has fewer.
    """
    steps = np.arange(-STEPS, STEPS + 1)[:, None] / STEPS

    def names(reach: float) -> list[str]:
        return [f"price {reach * step:+.1%} of range" for step in steps[:, 0]] + ["price at a strike"] * len(strikes)

    def moves(reach: float) -> FloatArray:
        down, up = np.minimum(ranges.down * reach, 1.0), ranges.up * reach
        return np.concatenate([np.where(steps < 0, down, up) * steps, np.clip(strikes, -down, up)])

    far = moves(policy.span_extreme)
    still, cover = vol_moves(np.zeros(len(far)), ranges, policy), np.full(far.shape, policy.span_cover)
    extremes = scenario_set(names(policy.span_extreme), far, still, cover)
    found = {"grid": _turned(names(1.0), moves(1.0), ranges, policy), "span": extremes}
    return [found[name] for name in policy.families if name in found]


def _turned(names: list[str], move: FloatArray, ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    """Every move with volatility down, same and up."""
    turns = np.tile(directions(), len(names))
    told = [f"{name}, vol {direction_name(turn)}" for name in names for turn in directions()]
    return scenario_set(told, np.repeat(move, len(directions()), axis=0), vol_moves(turns, ranges, policy))
