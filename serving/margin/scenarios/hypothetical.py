"""Shocks that the policy's authors thought of."""

import numpy as np

from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.scenario_set import ScenarioSet, dampened, scenario_set


def hypothetical(ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    """The policy's hypothetical shocks; an underlying that a shock does not name moves as its ``*``, or not at all."""
    shocks = policy.hypothetical
    move = np.array([[s.moves.get(u, s.moves.get("*", 0.0)) for u in ranges.underlyings] for s in shocks])
    move = move.reshape(len(shocks), len(ranges.underlyings))
    vol = np.repeat(np.array([s.vol for s in shocks]).reshape(-1, 1), len(ranges.underlyings), axis=1)
    weight = dampened(move, ranges.down, ranges.up, policy.hypothetical_cover)
    return scenario_set([s.name for s in shocks], move, vol, weight)
