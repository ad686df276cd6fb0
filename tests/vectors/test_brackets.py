"""Published bracket tables: Hyperliquid's tiers and deductions, Binance's brackets of 907 contracts."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from serving.margin.brackets import from_leverages, grid
from serving.margin.rules.binance import table_of
from serving.margin.rules.tiers import brackets_of, jumping
from tests.vectors.reading import cases, document

CENT = Fraction(1, 100)


@pytest.mark.parametrize("tiers", cases("hyperliquid_tiers_derived", lambda d: d["tiers"].items()))
def test_hyperliquid_tiers(tiers: list[dict[str, Any]]) -> None:
    brackets = from_leverages([Decimal(str(t["lower"])) for t in tiers], [t["max_leverage"] for t in tiers])
    assert [float(rate) for rate in brackets.rates] == pytest.approx([t["mmr"] for t in tiers], rel=1e-15)
    assert [float(d) for d in brackets.deductions] == pytest.approx([t["deduction"] for t in tiers], rel=1e-12)
    assert brackets.jumps() == ()
    for tier, (edge, rate) in enumerate(zip(brackets.floors, brackets.rates, strict=True)):
        above = edge + Fraction(1, 10**12)
        assert brackets.tier(above) == tier
        assert brackets.margin(above) - brackets.margin(edge) == rate * Fraction(1, 10**12)


@pytest.mark.parametrize("tiers", cases("binance_leverage_tiers", lambda d: d.items()))
def test_binance_brackets(tiers: list[dict[str, Any]]) -> None:
    """A table loads, its brackets join, and nothing about it but its own deductions decides whether they do."""
    table = table_of(tiers)
    brackets = brackets_of(table)
    sizes = [Decimal(str(t["minNotional"])) for t in tiers]
    assert [t["maxNotional"] for t in tiers[:-1]] == [t["minNotional"] for t in tiers[1:]]
    jumps = dict(brackets.jumps())
    for before, after, edge in zip(tiers[:-1], tiers[1:], sizes[1:], strict=True):
        below, above = (
            edge * Decimal(str(t["maintenanceMarginRate"])) - Decimal(str(t["info"]["cum"])) for t in (before, after)
        )
        assert brackets.margin(edge) == Fraction(below)
        assert jumps.get(Fraction(edge), Fraction(0)) == Fraction(above - below)
    middles = np.array([(t["minNotional"] + t["maxNotional"]) / 2 for t in tiers])
    rates, cums = (np.array([t["info"][name] for t in tiers]) for name in ("maintMarginRatio", "cum"))
    found = grid([brackets]).margins(np.zeros(len(tiers), dtype=np.intp), middles)
    np.testing.assert_allclose(found, middles * rates - cums, rtol=1e-12)


@pytest.mark.parametrize("stem", cases("binance_leverage_tiers", lambda _: [("all tables", "binance_leverage_tiers")]))
def test_tables_that_do_not_join_are_found_and_named(stem: str, record_property: Callable[[str, object], None]) -> None:
    """Continuous within a cent, or named with its edges: found here by differences of the published margins."""
    tables = {name: table_of(tiers) for name, tiers in document(stem).items()}
    found = jumping(tables, CENT)
    record_property("tables", len(tables))
    record_property("tables that jump by more than a cent", ", ".join(sorted(found)) or "none")
    expected = set()
    for name, tiers in document(stem).items():
        for before, after in pairwise(tiers):
            steps = [t["maintenanceMarginRate"] * after["minNotional"] - t["info"]["cum"] for t in (before, after)]
            if abs(steps[1] - steps[0]) > 0.01 + 1e-6:
                expected.add(name)
    assert set(found) == expected
    assert all(abs(rise) > CENT for jumps in found.values() for _, rise in jumps)
