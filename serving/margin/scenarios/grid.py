"""Price x volatility grid: evenly spaced moves within the scan range, volatility down, same and up."""

import numpy as np

from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.scenario_set import ScenarioSet, scenario_set
from serving.margin.scenarios.vol import direction_name, directions, vol_moves


def grid(ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    """Moves of 0, 1/steps, ..., 1 of the range on both sides, each with three volatilities.

    Source: portfolio margin as Deribit publishes it (nine price moves, three volatilities).
    """
    steps = np.arange(-policy.steps, policy.steps + 1) / policy.steps
    fractions, turns = (axis.ravel() for axis in np.meshgrid(steps, directions(), indexing="ij"))
    move = np.where(fractions[:, None] < 0, ranges.down, ranges.up) * fractions[:, None]
    names = [f"price {f:+.0%} of range, vol {direction_name(t)}" for f, t in zip(fractions, turns, strict=True)]
    return scenario_set(names, move, vol_moves(turns, ranges, policy))
