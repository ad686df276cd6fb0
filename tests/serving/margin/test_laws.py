"""Laws that every requirement obeys, and the counter-examples that say where a law ends."""

import math
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from itertools import pairwise
from random import Random
from typing import Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from serving.margin.liquidation_prices import liquidation_prices, policy_surplus, rule_surplus
from serving.margin.moved_market import moved_market
from serving.margin.objects import Account, Collateral, Debt, MarginResult, OpenOrder, Position
from serving.margin.policy import MarginPolicy, PathPolicy, ScenarioPolicy, StaticPolicy
from serving.margin.prepared import Prepared, prepare
from serving.margin.quote import charges_of, quote
from serving.margin.rules.fixed_rate import Parameters
from serving.margin.running import running
from serving.margin.scan_policy import ScanPolicy
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

CENT = Decimal("0.01")
# Of degree 1 in the quantity; what is not listed grows faster than the position.
LINEAR = (
    "scan", "inter-underlying credit", "joint paths", "no price", "basis", "short options", "funding", "stablecoin",
    "feed confidence", "old prices", "spread of options", "debts",
    "incomplete forecast",
)  # fmt: skip
FASTER = ("liquidity", "time to close", "concentration")
SEEDS = st.integers(0, 2**31)


@cache
def without_credit() -> Prepared:
    """No residuals: no joint paths and no credit."""
    return prepare(changed.small_market(), MarginPolicy(), [replace(markets.forecasts(), residuals=None)])


@cache
def doubtful() -> Prepared:
    """A market in which every contingency charges: fallen coin, old and doubtful prices, fat paths, no stressed day."""
    market = changed.with_asset("USDC", price_usd=Decimal("0.95"), age_s=600.0, confidence=0.5)
    forecast = changed.with_tails(lambda tail: replace(tail, stress=None))
    assert forecast.residuals is not None
    rows = tuple(tuple(3 * x for x in row) for row in forecast.residuals.rows)
    return prepare(market, MarginPolicy(), [replace(forecast, residuals=replace(forecast.residuals, rows=rows))])


def scaled(account: Account, factor: str) -> Account:
    positions, debts = (
        tuple(replace(held, quantity=held.quantity * Decimal(factor)) for held in every)
        for every in (account.positions, account.debts)
    )
    return replace(account, positions=positions, debts=debts)


def indebted() -> Account:
    """Everything, and two coins owed."""
    return changed.everything(debts=(Debt(asset="ETH", quantity=Decimal(2)),))


def drawn(seed: int, largest: int = 12) -> Account:
    """An account drawn at random in the small market."""
    rng = np.random.default_rng(seed)
    symbols = [i.symbol for i in changed.small_market().instruments]
    chosen = rng.choice(symbols, int(rng.integers(1, largest)), replace=False)
    size = {"BTC-USD": 1000.0, "SOL-PERP": 100.0}
    return changed.holding(*((str(s), round(float(rng.normal()) * size.get(str(s), 3.0), 3)) for s in chosen))


def both(one: Account, other: Account) -> Account:
    """Two accounts in one, positions of one instrument netted."""
    sums: dict[str, Decimal] = {}
    for position in (*one.positions, *other.positions):
        sums[position.instrument] = sums.get(position.instrument, Decimal(0)) + position.quantity
    return changed.holding(*((symbol, str(quantity)) for symbol, quantity in sums.items()))


@pytest.mark.parametrize("factor", ["0.25", "3", "40"])
@pytest.mark.parametrize("ready", [changed.prepared, doubtful])
def test_losses_and_contingencies_are_of_degree_one(ready: Callable[[], Prepared], factor: str) -> None:
    market = ready()
    one = running(indebted(), market).figures().components
    many = running(scaled(indebted(), factor), market).figures().components
    assert set(one) <= {*LINEAR, *FASTER}
    for name in set(one) & set(LINEAR):
        assert many[name] == pytest.approx([float(factor) * x for x in one[name]], rel=1e-12)


def test_every_component_appears_in_the_law_above() -> None:
    found = {name for ready in (changed.prepared, doubtful) for name in charged(ready())}
    assert found == {*LINEAR, *FASTER} - {"no price", "concentration"}


def charged(ready: Prepared) -> set[str]:
    figures = running(indebted(), ready).figures().components
    return {name for name, amounts in figures.items() if any(amounts)}


@pytest.mark.parametrize("name", FASTER)
@pytest.mark.parametrize("side", [1, -1])
def test_size_costs_more_than_in_proportion(name: str, side: int) -> None:
    # 5e9 of open interest at 58,300 is 85,763 coins; beyond the whole the share stays 1 and the charge is linear.
    grid = np.linspace(0.0, 84_000.0, 29)
    policy = MarginPolicy(largest_position_usd=Decimal("1e12"))
    ready = prepare(changed.small_market(), policy, [markets.forecasts()])
    costs = [
        running(changed.holding(("BTC-PERP", side * q)), ready).figures().components[name][0] for q in grid.tolist()
    ]
    steps = np.diff(costs)
    assert costs[0] == 0.0
    assert (steps >= 0).all()
    assert (np.diff(steps) >= -1e-9 * costs[-1]).all()
    assert costs[-1] > 2 * 28 * costs[1]


@pytest.mark.parametrize("factor", [1.0, 1.1, 1.7])
@pytest.mark.parametrize(
    "account",
    [
        changed.holding(("BTC-PERP", 1), ("ETH-PERP", 15), ("SOL-PERP", -100)),
        changed.holding(("BTC-USD", -3000)),
        changed.holding((changed.CALL, -4)),
        changed.holding((changed.PUT, -2), ("BTC-27SEP24", 3)),
    ],
    ids=["linear", "inverse", "short call", "short put, long future"],
)
def test_a_larger_forecast_loss_never_lowers(account: Account, factor: float) -> None:
    before = changed.quoted(account)
    after = changed.quoted(account, forecasts=[changed.with_tails(lambda tail: changed.times(tail, factor))])
    assert after.initial >= before.initial
    assert after.maintenance >= before.maintenance
    assert after.levels.equity <= before.levels.equity


def test_a_larger_static_range_never_lowers() -> None:
    account = changed.holding(("BTC-PERP", 1), ("ETH-PERP", 15), ("SOL-PERP", -100))
    found = [
        changed.quoted(account, policy=MarginPolicy(static=StaticPolicy(multiplier=m)), forecasts=[])
        for m in (1.0, 1.2, 1.5, 3.0)
    ]
    assert all(a.initial < b.initial and a.maintenance < b.maintenance for a, b in pairwise(found))


def test_a_higher_confidence_of_the_forecast_never_lowers() -> None:
    account = changed.holding(("BTC-PERP", 1), (changed.CALL, -4), ("ETH-PERP", 15), ("SOL-PERP", -100))
    levels = [(0.98, 0.98), (0.99, 0.99), (0.99, 0.995), (0.995, 0.995)]
    found = [
        changed.quoted(account, policy=MarginPolicy(scan=ScanPolicy(es_level=es, var_level=var))) for es, var in levels
    ]
    assert all(a.initial <= b.initial and a.maintenance <= b.maintenance for a, b in pairwise(found))
    assert found[0].initial < found[-1].initial


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("vol_up", (0.3, 0.45, 0.9)), ("vol_down", (0.0, 0.25, 0.5)), ("skew", (0.0, 0.15, 0.3)),
        ("tail_cover", (0.5, 1.0, 1.5)), ("named_cover", (0.5, 1.0, 2.0)), ("span_cover", (0.1, 0.33, 0.6)),
    ],
)  # fmt: skip
def test_a_wider_scenario_never_lowers(field: str, values: tuple[float, ...]) -> None:
    for account in (changed.holding((changed.CALL, -4)), changed.holding((changed.PUT, -4), (changed.WING, 9))):
        found = [
            changed.quoted(account, policy=MarginPolicy(scenarios=msgspec.convert({field: v}, ScenarioPolicy))).initial
            for v in values
        ]
        assert found == sorted(found)


def test_a_grid_sees_only_its_points() -> None:
    """A straddle loses most where the price comes to its strike: between two points, as the limit of any grid."""
    straddle = changed.holding(("BTC-6SEP24-58000-C", 3), ("BTC-6SEP24-58000-P", 3))
    found = [
        changed.component(
            changed.quoted(straddle, policy=MarginPolicy(scenarios=ScenarioPolicy(families=("grid",), steps=steps))),
            "scan",
        )
        for steps in (1, 4, 16, 64)
    ]
    assert found == sorted(found)  # each grid has the points of the one before
    assert found[0] < found[-1]
    assert found[-1] - found[-2] < Decimal("0.01") * found[-1]


@settings(max_examples=40, deadline=None)
@given(SEEDS, SEEDS)
def test_losses_of_two_accounts_together_are_no_more_than_apart(one: int, other: int) -> None:
    accounts = drawn(one), drawn(other)
    apart = [running(account, without_credit()).figures().components for account in accounts]
    joined = running(both(*accounts), without_credit()).figures().components
    for name in ("scan", "spread of options", "short options", "funding", "no price"):
        for margin in (0, 1):
            most = sum(found.get(name, (0.0, 0.0))[margin] for found in apart)
            assert joined.get(name, (0.0, 0.0))[margin] <= most + 1e-9 * (1 + most)


def test_what_netting_costs_is_not_subadditive() -> None:
    long, short = changed.holding(("BTC-PERP", 1)), changed.holding(("BTC-27SEP24", -1))
    assert changed.component(changed.quoted(long), "basis") == 0
    assert changed.component(changed.quoted(short), "basis") == 0
    together = changed.quoted(both(long, short))
    assert changed.component(together, "basis") > 0
    assert together.initial < changed.quoted(long).initial + changed.quoted(short).initial  # the hedge still saves


def test_size_is_not_subadditive() -> None:
    account = changed.holding(("BTC-PERP", 20_000))
    assert changed.quoted(both(account, account)).initial > 2 * changed.quoted(account).initial


def whole_scan(account: Account, ready: Prepared) -> float:
    """What the scan asks for, with its credit and the joint paths."""
    found = running(account, ready).figures().components
    return sum(found[name][0] for name in ("scan", "inter-underlying credit", "joint paths"))


def test_linear_positions_need_no_more_together_than_apart() -> None:
    """A credit of dollars that the paths show: what two accounts earned apart they keep together."""
    rng, ready = np.random.default_rng(8), changed.prepared()
    size = {"BTC-PERP": 1.0, "ETH-PERP": 20.0, "SOL-PERP": 400.0}
    for _ in range(300):
        pair = [changed.holding(*((s, round(float(rng.normal()) * q, 3)) for s, q in size.items())) for _ in range(2)]
        apart = sum(whole_scan(account, ready) for account in pair)
        assert whole_scan(both(pair[0], pair[1]), ready) <= apart * (1 + 1e-12)


def test_the_credit_of_options_is_not_subadditive() -> None:
    """Two accounts may lose part of their credit together, where the ranges ask for more than the paths show."""
    first = changed.holding((changed.WING, "-1.376"), ("BTC-27SEP24", "0.668"))
    second = changed.holding(
        (changed.PUT, "-0.964"), (changed.ETH_PUT, "-8.273"), ("SOL-27SEP24", "2.27"), ("BTC-6SEP24-58000-C", "-0.89")
    )

    def ratio(ready: Prepared) -> float:
        return whole_scan(both(first, second), ready) / (whole_scan(first, ready) + whole_scan(second, ready))

    assert 1.01 < ratio(changed.prepared()) < 1.06
    assert ratio(without_credit()) <= 1.0


def test_a_long_call_and_a_short_put_are_a_discounted_future() -> None:
    market = changed.small_market()
    future = market.quotes["BTC-27SEP24"].mark
    synthetic, outright = changed.holding((changed.CALL, 1), (changed.PUT, -1)), changed.holding(("BTC-27SEP24", 1))
    forward = next(f for f in market.underlyings["BTC"].forwards if f.price == future)
    discount = math.exp(-forward.rate * (forward.expiry_ns - market.as_of_ns) / (365 * markets.DAY_NS))
    pairs = [running(account, changed.prepared()).figures().components for account in (synthetic, outright)]
    for name in ("scan", "liquidity", "joint paths"):
        for margin in (0, 1):
            whole = pairs[1][name][margin]
            assert pairs[0][name][margin] == pytest.approx(discount * whole, rel=5e-3 if name == "liquidity" else 1e-9)
    assert pairs[0]["spread of options"] == pytest.approx((0.0, 0.0), abs=1e-9)
    assert "short options" not in pairs[0]  # the call covers the put at its strike
    ratio = changed.quoted(synthetic).initial / changed.quoted(outright).initial
    assert float(ratio) == pytest.approx(discount, rel=2e-3)


def test_hedged_parity_needs_nothing_but_its_basis() -> None:
    hedged = changed.holding((changed.CALL, 1), (changed.PUT, -1), ("BTC-27SEP24", "-0.99671785"))
    found = changed.quoted(hedged)
    assert changed.component(found, "scan") < Decimal("0.01") * changed.quoted(changed.holding(("BTC-PERP", 1))).initial


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_the_statement_adds_up_to_the_cent(seed: int) -> None:
    found = changed.quoted(drawn(seed))
    _adds_up(found)
    assert found.maintenance <= found.initial
    if found.initial:
        assert found.levels.maintenance < found.levels.call < found.levels.initial < found.levels.release


def _adds_up(found: MarginResult) -> None:
    assert sum((c.initial for c in found.components), Decimal(0)) == found.initial
    assert sum((c.maintenance for c in found.components), Decimal(0)) == found.maintenance
    assert sum((p.initial for p in found.positions), Decimal(0)) == found.initial
    assert sum((p.maintenance for p in found.positions), Decimal(0)) == found.maintenance
    for c in found.components:
        assert sum((p.components.get(c.name, Decimal(0)) for p in found.positions), Decimal(0)) == c.initial
    for p in found.positions:
        assert sum(p.components.values(), Decimal(0)) == p.initial


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_positions_matters_by_rounding_alone(seed: int, random: Random) -> None:
    account = drawn(seed)
    mixed: list[Position] = list(account.positions)
    random.shuffle(mixed)
    one, other = changed.quoted(account), changed.quoted(replace(account, positions=tuple(mixed)))
    slack = CENT * len(one.components)
    assert abs(one.initial - other.initial) <= slack
    assert abs(one.maintenance - other.maintenance) <= slack
    assert abs(one.levels.equity - other.levels.equity) <= CENT


@st.composite
def orders(draw: st.DrawFn) -> tuple[OpenOrder, ...]:
    """One to three orders of any instrument, within a tenth of its mark."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        symbol = draw(st.sampled_from([i.symbol for i in changed.small_market().instruments]))
        price = float(changed.small_market().quotes[symbol].mark) * draw(st.floats(0.9, 1.1))
        side: Literal["buy", "sell"] = "buy" if draw(st.booleans()) else "sell"
        found.append(changed.order(symbol, side, str(draw(st.sampled_from([0.01, 0.3, 3, 30]))), f"{price:.2f}"))
    return tuple(found)


@settings(max_examples=120, deadline=None)
@given(SEEDS, orders())
def test_an_order_never_lowers(seed: int, placed: tuple[OpenOrder, ...]) -> None:
    account = drawn(seed, 6)
    found = [
        running(replace(account, orders=placed[:count]), changed.prepared()).figures()
        for count in range(len(placed) + 1)
    ]
    for fewer, more in pairwise(found):
        assert more.initial >= fewer.initial * (1 - 1e-12)
        assert more.maintenance >= fewer.maintenance * (1 - 1e-12)


def test_an_order_that_would_hedge_is_free_and_leaves_the_equity() -> None:
    mark = str(changed.small_market().quotes["BTC-PERP"].mark)
    held = changed.holding(("BTC-PERP", 2))
    before = changed.quoted(held)
    after = changed.quoted(replace(held, orders=(changed.order("BTC-PERP", "sell", "1", mark),)))
    assert changed.component(after, "scan") == changed.component(before, "scan")
    assert after.levels.equity == before.levels.equity


@pytest.mark.parametrize(
    "pairs",
    [(("BTC-PERP", 10),), (("BTC-PERP", -10),), (("BTC-USD", 50_000),), (("BTC-PERP", 12), ("ETH-PERP", -100))],
    ids=["long", "short", "inverse", "two coins"],
)
def test_at_its_liquidation_price_an_account_has_its_maintenance_margin(pairs: tuple[tuple[str, float], ...]) -> None:
    market = changed.small_market()
    account = changed.holding(*pairs)
    entered = (replace(p, entry_price=market.quotes[p.instrument].mark) for p in account.positions)
    account = replace(account, positions=tuple(entered))
    found = liquidation_prices(account, market, policy_surplus(MarginPolicy(), [markets.forecasts()]))
    assert any(price for pair in found.values() for price in pair)
    for coin, (below, above) in found.items():
        for price, away in ((below, -1), (above, 1)):
            if price is None:
                continue
            digit = Decimal(1).scaleb(price.adjusted() - 7)
            assert price % digit == 0  # eight digits
            there, beyond = (
                changed.quoted(account, moved_market(market, coin, float(p / market.underlyings[coin].spot)))
                for p in (price, price + away * digit)
            )
            slack = CENT * (len(there.components) + 1)  # each of these is rounded up, and the equity down
            assert -slack <= there.levels.equity - there.maintenance < 2
            assert beyond.levels.equity <= beyond.maintenance
            assert beyond.levels.state == "liquidation"


@pytest.mark.parametrize("expires_ns", [markets.AS_OF_NS, markets.AS_OF_NS + markets.HOUR_NS])
@pytest.mark.parametrize(
    ("field", "worst", "other"), [("age_s", 432_000.0, "SOL-PERP"), ("funding_rate_8h", 0.08, "ETH-PERP")]
)
def test_a_liquidation_price_counts_what_stands_for_a_missing_number(
    field: str, worst: float, other: str, expires_ns: int
) -> None:
    """The worst age and funding of instruments that the account does not hold."""
    market = changed.small_market()
    quotes = market.quotes | {
        "BTC-PERP": replace(market.quotes["BTC-PERP"], **{field: None}),
        other: replace(market.quotes[other], **{field: worst}),
    }
    market, forecast = replace(market, quotes=quotes), replace(markets.forecasts(), expires_ns=expires_ns)
    account = changed.holding(("BTC-PERP", 1), collateral=(Collateral(asset="USDC", quantity=Decimal(40_000)),))
    entered = tuple(replace(p, entry_price=market.quotes["BTC-PERP"].mark) for p in account.positions)
    account = replace(account, positions=entered)
    below, _ = liquidation_prices(account, market, policy_surplus(MarginPolicy(), [forecast]))["BTC"]
    assert below is not None
    factor = float(below / market.underlyings["BTC"].spot)
    before, beyond = (
        changed.quoted(account, moved_market(market, "BTC", factor * by), forecasts=[forecast])
        for by in (1.0001, 0.9999)
    )
    assert before.levels.equity > before.maintenance
    assert beyond.levels.equity < beyond.maintenance


@pytest.mark.parametrize("quantity", [2, -2])
def test_a_liquidation_price_under_a_rate_is_that_of_the_formula(quantity: int) -> None:
    """W + q(P - P0) = r|q|P, in a coin of 1.0001 dollars that the rule counts notionals in."""
    market = changed.small_market()
    account = changed.holding(("BTC-PERP", quantity), collateral=(Collateral(asset="USD", quantity=Decimal(30_000)),))
    rate = Parameters(initial_rate=Decimal("0.1"), maintenance_rate=Decimal("0.05"))
    found = liquidation_prices(account, market, rule_surplus("fixed_rate", rate, MarginPolicy(), []))
    at_mark = float(market.quotes["BTC-PERP"].mark)
    price = (quantity * at_mark - 30_000 / 1.0001) / (quantity - 0.05 * abs(quantity))
    spot = price * markets.SPOT["BTC"] / at_mark
    below, above = found["BTC"]
    assert float((below if quantity > 0 else above) or 0) == pytest.approx(spot, rel=1e-6)
    assert (above if quantity > 0 else below) is None


def test_the_joint_law_is_the_worst_of_those_tried() -> None:
    """Long of all, what falls together is the worst; long and short, what does not is."""
    worst = set()
    for sol in (300, -60):
        account = changed.holding(("BTC-PERP", 1), ("ETH-PERP", "-1" if sol < 0 else "20"), ("SOL-PERP", sol))
        alone = {
            law: changed.quoted(account, policy=MarginPolicy(paths=PathPolicy(correlations=(law,)))).initial
            for law in ("history", "comonotone", "independent")
        }
        assert changed.quoted(account).initial == max(alone.values())
        assert min(alone.values()) < max(alone.values())
        worst.add(max(alone, key=lambda law, found=alone: found[law]))  # type: ignore[misc]
    assert len(worst) == 2


def test_the_paths_level_may_move_the_credit_either_way() -> None:
    """A higher level of the paths raises every shortfall, but the credit is a ratio of two of them."""
    account = changed.everything()
    found = [
        changed.quoted(account, policy=MarginPolicy(paths=PathPolicy(es_level=level))).initial
        for level in (0.9, 0.95, 0.975, 0.99)
    ]
    scans = [float(x) for x in found]
    assert max(scans) <= 1.1 * min(scans)


def test_no_requirement_is_negative_or_nan() -> None:
    ready = changed.prepared()
    for seed in range(30):
        account = drawn(seed)
        book_charges, _, _ = charges_of(ready, running(account, ready).book)
        assert all(np.isfinite(c.initial).all() and np.isfinite(c.maintenance).all() for c in book_charges)
        found = quote(account, ready)
        assert found.initial >= found.maintenance >= 0
