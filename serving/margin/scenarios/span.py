"""The sixteen scenarios of SPAN, in their order."""

from typing import Final

import numpy as np

from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.scenario_set import ScenarioSet, scenario_set
from serving.margin.scenarios.vol import vol_moves

# Price moves in thirds of the range, volatility up then down at each: CME's order.
THIRDS: Final = (0, 0, 1, 1, -1, -1, 2, 2, -2, -2, 3, 3, -3, -3)
TURNS: Final = (1, -1) * 7


def span(ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    """Fourteen moves within the range, then both extremes at ``span_extreme`` ranges, of which ``span_cover`` counts.

    Source: CME's SPAN; the order as in McMillan, "Options as a Strategic
    Investment", chapter 34; extremes of 3 ranges at 33 % cover: CME advisory Chadv08-303.
    """
    fractions = np.array([*THIRDS, 3 * policy.span_extreme, -3 * policy.span_extreme]) / 3
    turns = np.array([*TURNS, 0, 0], dtype=float)
    move = np.where(fractions[:, None] < 0, ranges.down, ranges.up) * fractions[:, None]
    weight = np.where(np.abs(fractions) > 1, policy.span_cover, 1.0)
    names = [f"SPAN {i + 1}: {f:+.2f} of range" for i, f in enumerate(fractions)]
    return scenario_set(
        names,
        np.maximum(move, -1.0),
        vol_moves(turns, ranges, policy),
        np.repeat(weight[:, None], len(ranges.underlyings), axis=1),
    )
