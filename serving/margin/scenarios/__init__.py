"""Scenario families by the name that a policy uses: one file and one line each."""

from collections.abc import Callable
from typing import Final

from features.errors import SettingError, lookup
from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.calm import calm
from serving.margin.scenarios.grid import grid
from serving.margin.scenarios.hypothetical import hypothetical
from serving.margin.scenarios.named import named
from serving.margin.scenarios.scenario_set import ScenarioSet, joined
from serving.margin.scenarios.skew import skew
from serving.margin.scenarios.span import span
from serving.margin.scenarios.tails import tails

Family = Callable[[Ranges, ScenarioPolicy], ScenarioSet]
SCENARIOS: Final[dict[str, Family]] = {
    "grid": grid,
    "calm": calm,
    "tails": tails,
    "skew": skew,
    "span": span,
    "named": named,
    "hypothetical": hypothetical,
}


def scenarios_of(ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    """All scenarios of a policy's families, in the policy's order.

    Raises
    ------
    SettingError
        If a family is unknown, or all together give no scenario.
    """
    found = joined([lookup(SCENARIOS, name, "scenario family")(ranges, policy) for name in policy.families])
    if not found.size:
        raise SettingError(f"policy: {', '.join(policy.families)} give no scenario; add shocks or a family")
    return found
