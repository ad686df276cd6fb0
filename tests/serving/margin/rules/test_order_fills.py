"""Open orders under rules on positions: against every single combination of fills, by brute force."""

from decimal import Decimal
from itertools import product
from typing import Literal

import msgspec
import numpy as np
import pytest

from serving.margin.charge import Charge, total
from serving.margin.objects import Account, Collateral, OpenOrder, Position
from serving.margin.quote import quote_rule
from serving.margin.rules import RULES
from serving.margin.rules.order_fills import EXACT, order_charge
from tests.serving.margin import changed_markets as changed

SCENARIO_RULES = [name for name, book in RULES.items() if not book.orders]
SIDES: tuple[Literal["buy"], Literal["sell"]] = ("buy", "sell")
HELD = (("BTC-PERP", 2), (changed.CALL, -3), ("ETH-PERP", -10))
ORDERS = (
    changed.order("BTC-PERP", "sell", "5", "58100"),
    changed.order("BTC-PERP", "sell", "2", "57000"),
    changed.order("BTC-PERP", "buy", "1", "59000"),
    changed.order(changed.PUT, "sell", "4", "1500"),
    changed.order(changed.WING, "buy", "3", "900"),
)


def gap(order: OpenOrder) -> Decimal:
    """Loss of a fill against the mark, of linear contracts settled in a coin of 1.0001 dollars."""
    mark = changed.small_market().quotes[order.instrument].mark
    lost = (order.price - mark) * (1 if order.side == "buy" else -1) * order.quantity * Decimal("1.0001")
    return max(lost, Decimal(0))


def filled(orders: tuple[OpenOrder, ...]) -> Account:
    sizes: dict[str, Decimal] = {symbol: Decimal(q) for symbol, q in HELD}
    for order in orders:
        sizes[order.instrument] = sizes.get(order.instrument, Decimal(0)) + order.quantity * (
            1 if order.side == "buy" else -1
        )
    return changed.holding(*((symbol, str(q)) for symbol, q in sizes.items()))


@pytest.mark.parametrize("rule", SCENARIO_RULES)
def test_the_worst_of_all_fills(rule: str) -> None:
    """Five orders are 32 combinations; the rule's figure is the dearest of them."""
    account = changed.holding(*HELD, orders=ORDERS)
    asked = quote_rule(account, changed.prepared(), rule)
    every = [tuple(o for o, fills in zip(ORDERS, taken, strict=True) if fills) for taken in product((0, 1), repeat=5)]
    costs = []
    for orders in every:
        found = quote_rule(filled(orders), changed.prepared(), rule)
        lost = sum((gap(order) for order in orders), Decimal(0))
        costs.append((found.initial + lost, found.maintenance + lost))
    assert float(asked.initial) == pytest.approx(float(max(c[0] for c in costs)), rel=1e-9, abs=0.05)
    assert float(asked.maintenance) == pytest.approx(float(max(c[1] for c in costs)), rel=1e-9, abs=0.05)


@pytest.mark.parametrize("rule", SCENARIO_RULES)
def test_what_orders_add_is_given_to_what_they_are_in(rule: str) -> None:
    asked = quote_rule(changed.holding(*HELD, orders=ORDERS), changed.prepared(), rule)
    parts = {p.instrument: p.components.get("open orders", Decimal(0)) for p in asked.positions}
    assert sum(parts.values()) == changed.component(asked, "open orders") > 0
    assert parts["ETH-PERP"] == parts[changed.CALL] == 0
    assert min(parts.values()) >= 0


@pytest.mark.parametrize("rule", SCENARIO_RULES)
def test_an_order_that_closes_lowers_nothing(rule: str) -> None:
    closing = changed.holding(("BTC-PERP", 2), orders=(changed.order("BTC-PERP", "sell", "2", "58300"),))
    held, placed = (quote_rule(a, changed.prepared(), rule) for a in (changed.holding(("BTC-PERP", 2)), closing))
    assert placed.initial >= held.initial
    assert placed.maintenance >= held.maintenance


def squares(account: Account) -> tuple[Charge, ...]:
    """A rule whose requirement is convex in the position: the sum of their squares and the square of their sum."""
    size = np.array([float(p.quantity) for p in account.positions])
    part = size**2 + size * size.sum()
    return (Charge("squares", part, 0.5 * part),)


def test_the_search_finds_the_worst_of_many_sides() -> None:
    """Ten instruments, 2^10 fills: what the search finds is what trying all of them finds."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        sizes = rng.integers(-9, 10, (2, 10))
        positions = tuple(Position(instrument=f"X{i}", quantity=Decimal(int(q))) for i, q in enumerate(sizes[0]))
        orders = tuple(
            changed.order(f"X{i}", "buy" if q > 0 else "sell", str(abs(q) + 1), "1") for i, q in enumerate(sizes[1])
        )
        account = Account(account_id="many", positions=positions, orders=orders)
        gaps = rng.uniform(0, 5, 10)
        charge, exact = order_charge(account, gaps, squares)
        assert not exact
        assert len(orders) > EXACT
        held = np.array([int(q) for q in sizes[0]], dtype=float)
        added = np.array([float(o.quantity) * (1 if o.side == "buy" else -1) for o in orders])
        every = np.array(list(product((0, 1), repeat=10)))
        after = held + every * added
        brute = (after**2).sum(axis=1) + after.sum(axis=1) ** 2 + every @ gaps
        none = total(squares(msgspec.structs.replace(account, orders=())))[0]
        assert charge.initial.sum() == pytest.approx(brute.max() - none, rel=1e-12)


def test_a_search_is_said() -> None:
    symbols = ("BTC-PERP", "ETH-PERP", "SOL-PERP", changed.CALL)
    bids, offers = (tuple(changed.order(s, side, "1", "1") for s in symbols) for side in SIDES)
    several = (*bids, *offers)
    few, many = changed.holding(*HELD, orders=several[:4]), changed.holding(*HELD, orders=several)
    notes = [quote_rule(account, changed.prepared(), "paradex").notes for account in (few, many)]
    assert not any("searched" in note for note in notes[0])
    assert any("worst fills were searched for" in note for note in notes[1])


@pytest.mark.parametrize("rule", SCENARIO_RULES)
def test_a_row_that_holds_nothing_counts_as_no_market(rule: str) -> None:
    """Collateral stands beside positions that it moves with, not beside a position of 0, nor beside an order."""
    posted = (Collateral(asset="BTC", quantity=Decimal(100)),)
    alone = quote_rule(changed.holding(("SOL-PERP", 1000), collateral=posted), changed.prepared(), rule)
    zero = changed.holding(("SOL-PERP", 1000), ("BTC-PERP", 0), collateral=posted)
    small = changed.order(changed.PUT, "buy", "0.001", "1800")
    ordered = changed.holding(("SOL-PERP", 1000), collateral=posted, orders=(small,))
    nothing, order = (quote_rule(account, changed.prepared(), rule) for account in (zero, ordered))
    assert (nothing.initial, nothing.maintenance) == (alone.initial, alone.maintenance)
    assert order.initial >= alone.initial
    assert order.maintenance >= alone.maintenance
    assert sum((p.initial for p in order.positions), Decimal(0)) == order.initial
