"""Moves beyond the scan range, dampened: they bind for what is convex, short options above all."""

import numpy as np

from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.scenario_set import ScenarioSet, dampened, scenario_set
from serving.margin.scenarios.vol import vol_moves


def tails(ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    """The policy's far moves, volatility up; a move within the range counts whole.

    Source: the extended table of Deribit's portfolio margin (-66 % to +500 %).
    """
    sizes = np.array(policy.tail_moves)
    move = np.repeat(sizes[:, None], len(ranges.underlyings), axis=1)
    weight = dampened(move, ranges.down, ranges.up, policy.tail_cover)
    return scenario_set(
        [f"price {size:+.0%}, dampened, vol up" for size in sizes],
        move,
        vol_moves(np.ones(len(sizes)), ranges, policy),
        weight,
    )
