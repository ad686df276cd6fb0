"""From charges to cents: rounded up, added up, the floor of maintenance, isolated apart from cross."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from msgspec.structs import replace

from features.errors import ForecastError
from serving.margin.charge import Charge, allocated, total
from serving.margin.objects import Position
from serving.margin.quote import charges_of
from serving.margin.running import running
from serving.margin.statement import Row, Statement, statement
from tests.serving.margin import changed_markets as changed

CENT = Fraction(1, 100)
AMOUNTS = st.floats(-1e6, 1e9, allow_nan=False)


def rows(count: int) -> list[Row]:
    return [Row(f"X{i}", "cross", Decimal(1)) for i in range(count)]


def exact(amounts: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Fraction:
    return sum((Fraction(float(x)) for x in amounts), Fraction(0))


def checked(said: Statement) -> None:
    assert sum(c.initial for c in said.components) == said.initial == sum(p.initial for p in said.positions)
    assert sum(c.maintenance for c in said.components) == said.maintenance == sum(p.maintenance for p in said.positions)
    assert said.initial >= said.maintenance
    for c in said.components:
        assert sum((p.components.get(c.name, Decimal(0)) for p in said.positions), Decimal(0)) == c.initial
        assert c.initial == c.initial.quantize(Decimal("0.01"))


@settings(max_examples=200)
@given(st.data(), st.integers(1, 12), st.integers(1, 6))
def test_parts_add_to_the_cent_and_no_component_is_below_its_sum(data: st.DataObject, count: int, charges: int) -> None:
    given_out = [
        Charge(
            f"part {i}",
            data.draw(arrays(np.float64, count, elements=AMOUNTS)),
            data.draw(arrays(np.float64, count, elements=AMOUNTS)),
        )
        for i in range(charges)
    ]
    said = statement(given_out, rows(count))
    checked(said)
    for charge in given_out:
        initial = next((c.initial for c in said.components if c.name == charge.name), Decimal(0))
        size = max(float(np.abs(charge.initial).sum()), 1.0)
        slack = Fraction(size) / 10**14  # floats are read to fifteen digits of their sum
        assert exact(charge.initial) - slack <= Fraction(initial) <= exact(charge.initial) + CENT + slack


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_a_requirement_is_not_below_the_exact_sum_of_its_charges(seed: int) -> None:
    rng, ready = np.random.default_rng(seed), changed.prepared()
    listed = [i.symbol for i in changed.small_market().instruments]
    chosen = rng.choice(listed, 6, replace=False)
    account = changed.holding(*((str(s), round(float(rng.normal() * 5), 3)) for s in chosen))
    charges, _, _ = charges_of(ready, running(account, ready).book)
    found = changed.quoted(account)
    for margin in ("initial", "maintenance"):
        least = sum((exact(getattr(c, margin)) for c in charges), Fraction(0))
        assert least * (1 - Fraction(1, 10**14)) <= Fraction(getattr(found, margin))
        if margin == "maintenance":
            assert Fraction(found.maintenance) <= least + CENT * len(charges)


def test_maintenance_above_initial_raises_it_by_a_component_that_says_so() -> None:
    said = statement([Charge("scan", np.array([1.0, 2.0]), np.array([4.005, 2.0]))], rows(2))
    assert (said.initial, said.maintenance) == (Decimal("6.01"), Decimal("6.01"))
    assert [(c.name, str(c.initial)) for c in said.components] == [("scan", "3.00"), ("maintenance floor", "3.01")]
    checked(said)


def test_nothing_is_nothing() -> None:
    assert statement([], []) == Statement(Decimal("0.00"), Decimal("0.00"), (), ())
    said = statement([Charge("scan", np.zeros(2), np.zeros(2))], rows(2))
    assert said.components == ()
    assert [p.initial for p in said.positions] == [0, 0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_charge_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ForecastError, match="charge scan is not finite; no margin is made of it"):
        Charge("scan", np.array([bad]), np.zeros(1))
    with pytest.raises(ForecastError, match="differ in shape"):
        Charge("scan", np.zeros(1), np.zeros(2))
    with pytest.raises(ForecastError, match="no margin is made"):
        statement([Charge("scan", np.array([1e14]), np.zeros(1))], rows(1))


@given(st.floats(-1e9, 1e9), arrays(np.float64, 5, elements=st.just(0.0) | st.floats(1e-6, 1e6)))
def test_what_is_given_out_is_the_whole(amount: float, shares: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
    parts = allocated(amount, shares)
    assert float(parts.sum()) == pytest.approx(amount, rel=1e-9, abs=1e-9)
    assert total([Charge("one", parts, parts)])[0] == float(np.add.reduce(parts))


@pytest.mark.parametrize("sell", ["10.5", "10.999999999", "11", "11.000000001", "12"])
def test_a_book_of_orders_that_is_nearly_flat_gives_out_sensible_parts(sell: str) -> None:
    mark = str(changed.small_market().quotes["BTC-PERP"].mark)
    placed = (changed.order("BTC-PERP", "buy", "1", mark), changed.order("BTC-PERP", "sell", sell, mark))
    found = changed.quoted(changed.holding(("BTC-PERP", 10), orders=placed))
    assert all(abs(p.initial) <= 2 * found.initial for p in found.positions)
    assert [p.mode for p in found.positions] == ["cross", "order", "order"]


def test_isolated_positions_stand_apart() -> None:
    cross = changed.holding(("BTC-PERP", 1), (changed.CALL, -2))
    alone = Position(instrument="BTC-PERP", quantity=Decimal(-3), mode="isolated", isolated_collateral=Decimal(40_000))
    both = changed.quoted(replace(cross, positions=(*cross.positions, alone)))
    without = changed.quoted(cross)
    assert both.initial == without.initial
    assert both.levels == without.levels
    assert both.components == without.components
    (isolated,) = both.isolated
    assert isolated.initial == changed.quoted(changed.holding(("BTC-PERP", -3))).initial
    assert isolated.levels.equity == Decimal("40000.00")
    assert isolated.account_id == "test/BTC-PERP"
    bare = changed.quoted(replace(cross, positions=(replace(alone, isolated_collateral=Decimal(0)),)))
    assert bare.initial == 0
    assert bare.isolated[0].levels.state == "liquidation"


def test_a_long_name_does_not_stop_an_isolated_position() -> None:
    alone = Position(instrument="BTC-PERP", quantity=Decimal(1), mode="isolated")
    for name in ("a" * 63, "a" * 64, "b " * 31 + "bb", "c" * 62 + " c"):
        found = changed.quoted(replace(changed.holding(), account_id=name, positions=(alone,)))
        assert len(found.isolated) == 1


def test_orders_stay_out_of_isolated_positions() -> None:
    alone = Position(instrument="BTC-PERP", quantity=Decimal(1), mode="isolated")
    account = replace(changed.holding(), positions=(alone,), orders=(changed.order("BTC-PERP", "buy", "1", "58000"),))
    found = changed.quoted(account)
    assert [p.mode for p in found.positions] == ["order"]
    assert [p.mode for p in found.isolated[0].positions] == ["isolated"]
