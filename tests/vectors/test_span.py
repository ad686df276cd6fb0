"""SPAN's sixteen scenarios: their order, the scan risk of published risk arrays, and arrays that add."""

from typing import Any

import numpy as np
import pytest

from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.rules.span import worst_loss
from serving.margin.scenarios.scenario_set import ScenarioSet
from serving.margin.scenarios.span import span
from tests.vectors.reading import cases, document

STEM = "span_risk_array_mcmillan"
ROUNDED_TO = 10  # the book's figures
RANGE = 0.125  # a binary fraction: thirds of it are exact to compare


def scenarios() -> ScenarioSet:
    """One underlying; the book's extremes are 14 points where the range is 20."""
    width, none = np.full(1, RANGE), np.zeros(1)
    ranges = Ranges(("X",), 0, width, width, none, none, ())
    return span(ranges, ScenarioPolicy(span_extreme=2.0, span_cover=0.35, vol_up=0.5, vol_down=0.5))


@pytest.mark.parametrize("case", cases(STEM, lambda d: [("order of the scenarios", d["scenarios"])]))
def test_the_order_is_the_published_one(case: list[dict[str, Any]]) -> None:
    found = scenarios()
    assert found.size == len(case) == 16
    for s, published in enumerate(case):
        fraction = published["price_fraction"]
        if isinstance(fraction, str):
            assert found.weight[s, 0] < 1
            assert np.sign(found.move[s, 0]) == {"extreme_up": 1, "extreme_down": -1}[fraction]
        else:
            assert (found.move[s, 0] / RANGE, found.weight[s, 0]) == (fraction, 1.0)
        assert np.sign(found.vol[s, 0]) == published["vol_dir"]


@pytest.mark.parametrize("case", cases(STEM, lambda d: [(name, name) for name in d["arrays"]]))
def test_the_scan_risk_is_the_published_one(case: str) -> None:
    published = document(STEM)
    expected = published["expected"][f"span_{case.removesuffix('_410')}"]
    assert worst_loss(np.array(published["arrays"][case], dtype=np.float64)) == expected


@pytest.mark.parametrize("case", cases(STEM, lambda d: [("a covered write is a future less a call", d["arrays"])]))
def test_arrays_add(case: dict[str, list[float]]) -> None:
    future, call = (np.array(case[name], dtype=np.float64) for name in ("long_future", "long_call_410"))
    assert (future - call).tolist() == case["covered_write"]
    assert worst_loss(future - call) <= worst_loss(future) + worst_loss(-call)


@pytest.mark.parametrize("case", cases(STEM, lambda d: [("array of the future", d["arrays"]["long_future"])]))
def test_the_array_of_a_future_is_the_published_one(case: list[float]) -> None:
    found = scenarios()
    gains = 10_000 * found.move[:, 0] / RANGE * found.weight[:, 0]
    assert (ROUNDED_TO * np.round(gains / ROUNDED_TO)).tolist() == case
