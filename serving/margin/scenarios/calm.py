"""Small moves of fixed size with volatility down: what bought options lose by, however wide the range."""

import numpy as np

from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.scenario_set import ScenarioSet, scenario_set
from serving.margin.scenarios.vol import vol_moves


def calm(ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    """The policy's small moves on both sides, none beyond the range.

    The steps of the grid widen with the range and may step over the strikes where a bought straddle loses most.
    """
    sizes = np.array([sign * move for move in policy.calm_moves for sign in (-1.0, 1.0)])
    move = np.clip(sizes[:, None], -ranges.down, ranges.up)
    names = [f"price {size:+.1%}, vol down" for size in sizes]
    return scenario_set(names, move, vol_moves(-np.ones(len(sizes)), ranges, policy))
