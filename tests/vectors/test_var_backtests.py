"""Published backtests: coverage, clusters, the Committee's traffic light, critical values of shortfall."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, chi2

from backtests.coverage import (
    christoffersen_lr,
    christoffersen_p,
    conditional_coverage_p,
    kupiec_lr,
)
from backtests.shortfall_nulls import independent_z2
from backtests.traffic_light import plus_factor, zone
from tests.vectors.reading import cases


def printed(value: float) -> Any:
    """Equal to five significant digits, as the pages print."""
    return pytest.approx(value, rel=0.5e-4, abs=0.5e-5)


def numbered(group: str) -> Any:
    return cases("var_backtests", lambda d: [(f"{group} {i}", case) for i, case in enumerate(d[group])])


@pytest.mark.parametrize("case", numbered("pof"))
def test_proportion_of_failures(case: dict[str, Any]) -> None:
    ratio = kupiec_lr(case["failures"], case["N"], case["p"])
    assert ratio == printed(case["LR"])
    assert chi2.sf(ratio, 1) == printed(case["pvalue"])


def sequence(n00: int, n01: int, n10: int, n11: int) -> NDArray[np.bool_]:
    """Hits with these numbers of steps from miss or hit (first digit) to miss or hit."""
    starts_hit = n10 > n01
    hit_runs, miss_runs = n01 + starts_hit, n10 + (not starts_hit)
    hits = [[True] * (1 + (n11 if i == 0 else 0)) for i in range(hit_runs)]
    misses = [[False] * (1 + (n00 if i == 0 else 0)) for i in range(miss_runs)]
    first, second = (hits, misses) if starts_hit else (misses, hits)
    runs = [run for i in range(max(len(first), len(second))) for run in (*first[i : i + 1], *second[i : i + 1])]
    return np.array([hit for run in runs for hit in run])


@pytest.mark.parametrize("case", numbered("christoffersen"))
def test_conditional_coverage(case: dict[str, Any]) -> None:
    hits = sequence(*(case[name] for name in ("N00", "N01", "N10", "N11")))
    pairs = {(bool(a), bool(b)): 0 for a in (0, 1) for b in (0, 1)}
    for a, b in pairwise(hits):
        pairs[bool(a), bool(b)] += 1
    assert [pairs[a, b] for a in (False, True) for b in (False, True)] == [
        case[name] for name in ("N00", "N01", "N10", "N11")
    ]
    assert christoffersen_lr(hits) == printed(case["LR_cci"])
    assert christoffersen_p(hits) == printed(case["pvalue_cci"])
    level = case.get("p", 0.05)
    assert kupiec_lr(int(hits.sum()), len(hits), level) == printed(case["LR_pof"])
    assert conditional_coverage_p(hits, level) == printed(case["pvalue_cc"])
    assert chi2.isf(conditional_coverage_p(hits, level), 2) == printed(case["LR_cc"])


@pytest.mark.parametrize("case", numbered("es_acerbi_szekely_z2"))
def test_critical_values_of_shortfall(case: dict[str, Any]) -> None:
    """The page interpolates a table of its own simulation: agreement is to 0.006, of probabilities to 0.0025."""
    for law, degrees in (("normal", None), ("t3", 3.0)):
        null = independent_z2(case["N"], case["var_level"], degrees, draws=50_000, seed=11)
        critical = np.quantile(null, 1 - case["test_level"])
        assert critical == pytest.approx(case[f"crit_{law}"], abs=0.006)
        assert np.mean(null < case["stat"]) == pytest.approx(case[f"p_{law}"], abs=0.0025)
        assert (case["stat"] < critical) == (case[f"p_{law}"] < 1 - case["test_level"])


@pytest.mark.parametrize("case", cases("var_backtests", lambda d: [("traffic light", d["basel_traffic_light"])]))
def test_traffic_light(case: dict[str, Any]) -> None:
    n_obs, level = case["N"], case["p"]
    for hits, percent in enumerate(case["cum_prob_pct"]):
        assert 100 * binom.cdf(hits, n_obs, level) == pytest.approx(percent, abs=0.0051)
    for name, (low, high) in case["zones"].items():
        ends = range(low, (n_obs if high is None else high) + 1)
        assert {zone(hits, n_obs, level) for hits in ends} == {name}
    for hits, factor in case["plus_factor"].items():
        assert plus_factor(int(hits.rstrip("+"))) == factor
    assert plus_factor(n_obs) == case["plus_factor"]["10+"]
