"""The smile changes its shape while the price stands still."""

import numpy as np

from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.scenario_set import ScenarioSet, scenario_set


def skew(ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    """Two tilts and two bends: one wing dearer and the other cheaper, or both dearer, or both cheaper."""
    still = np.zeros((4, len(ranges.underlyings)))
    tilt = policy.skew * np.array([1.0, -1.0, 0.0, 0.0])
    wing = policy.skew * np.array([0.0, 0.0, 1.0, -1.0])
    names = ["smile tilts to calls", "smile tilts to puts", "wings up", "wings down"]
    return scenario_set(names, still, still, tilt=tilt, wing=wing)
