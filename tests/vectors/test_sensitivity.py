"""The sensitivity margin against the published benchmark cases of AcadiaSoft simm-lib (MIT): every case, both horizons.

A case names its sensitivities; some of the published ones name a whole list
("All FX sensitivities"), which the file leaves empty and the case's own words resolve.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from serving.margin.sensitivity.margin import aggregate
from tests.vectors.benchmark_calibration import calibration
from tests.vectors.benchmark_records import addons, records
from tests.vectors.reading import cases, document

FILE = "isda_simm_v2_5_acadia"
LISTS = {  # published list: words of a case that mean it
    "IR": r"\bIR\b|Rates|Interest",
    "FX": r"\bFX\b",
    "CRQ": r"Credit Qualifying",
    "CRNQ": r"Non.Qualifying",
    "EQ": r"Equity",
    "CM": r"Commodit",
}
VEGA = {"IR": "IRV", "FX": "FXV", "CRQ": "CRV", "CRNQ": "CNV", "EQ": "EQV", "CM": "CMV"}
# Two cases whose list the file has as null, as the source lists them: the second is the
# representatives of its sister cases ("bkts 1-4, 5-8" and so on) together.
UNNAMED = {
    "FX Intercurrency Correlation (exceeds concentration threshold)": "FX 5 6 9 10 9 10 9 10 9 10 9 10 9 10 9 10 9 10",
    "CM Inter Bucket Correlation (all)": "CM 1 3 5 7 9 11 13 14 16 18 20 22 24 26 28 30 32",
}


def _named(parsed: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Cases with their horizon."""
    for horizon, own in parsed["cases"].items():
        for case in own:
            yield f"{horizon} {case['id']} {case['group']} {case['measure']}", (horizon, case)


def _sensitivities(case: dict[str, Any], known: dict[str, Any]) -> list[str]:
    """Names of a case's sensitivities, whole lists resolved."""
    words = case["element"]
    if case["sensitivities"] or case["group"] == "AddOn":
        return list(case["sensitivities"] or ())
    if words in UNNAMED:
        prefix, *numbers = UNNAMED[words].split()
        return [f"S_{prefix}_{number}" for number in numbers]
    meant = [name for name, pattern in LISTS.items() if re.search(pattern, words)] or list(LISTS)
    plain = meant if case["measure"] in ("Delta", "All") else []
    vols = [VEGA[name] for name in meant] if case["measure"] != "Delta" else []
    prefixes = {f"S_{name}" for name in (*plain, *vols)}
    return [name for name in known if name.rsplit("_", 1)[0] in prefixes]


def _addons(case: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Add-ons of a case and whether its products are multiplied, by its own words."""
    words = case["element"].lower()
    everything = {
        "factors": ["S_AN_1", "S_AN_2"], "notional": ["S_AN_3", "S_AN_4", "S_AN_5"], "fixed": ["S_AN_7", "S_AN_8"],
    }  # fmt: skip
    plain = case["group"] != "Global" or "no multiplier" in words or "w/o" in words
    all_in = words == "combination (all)"
    multiplied = not plain and (all_in or "multiplier" in words)
    noted = case["other"] or (everything if not plain and (all_in or "notional" in words) else {})
    return noted, multiplied


@pytest.mark.parametrize("case", cases(FILE, _named))
def test_total_of_every_published_case(case: tuple[str, dict[str, Any]]) -> None:
    horizon, one = case
    known = document(FILE)["sensitivities"]
    names = _sensitivities(one, known)
    assert names or one["other"]
    rows = [record for name in names for record in records(known[name], horizon)]
    margin = aggregate(rows, calibration(horizon), addons(*_addons(one)))
    assert margin.amount == pytest.approx(one["expected_total"], abs=1.5, rel=0)
