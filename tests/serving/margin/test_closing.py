"""What closing costs: sizes by hand, both legs of a spread, time and concentration by their formulas."""

import math
from decimal import Decimal
from typing import Final

import numpy as np
import pytest
from msgspec.structs import replace

from serving.margin.closing_costs import Sizes, closing_cost, sizes
from serving.margin.holdings import book_of
from serving.margin.liquidity import liquidation_cost
from serving.margin.objects import Account, MarginResult
from serving.margin.policy import MarginPolicy
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

BTC: Final = 0
FUTURE: Final = "BTC-27SEP24"


def sized(account: Account) -> Sizes:
    ready = changed.prepared()
    book = book_of(account, account.positions, ready.market, ready.policy)
    return sizes(ready.closing, book.rows, len(book.positions.quantity), 3)


def deltas(*symbols: str) -> list[float]:
    """Units of bitcoin that one contract gains as: of a linear one its mark in USD over the spot."""
    ready = changed.prepared()
    found = [float(ready.closing.greeks.delta[ready.market.row(symbol)]) for symbol in symbols]
    for symbol, delta in zip(symbols, found, strict=True):
        if symbol in ("BTC-PERP", FUTURE):
            mark = float(changed.small_market().quotes[symbol].mark)
            assert delta == pytest.approx(mark * 1.0001 / markets.SPOT["BTC"], rel=1e-12)
    return found


def of(found: Sizes, coin: int = BTC) -> tuple[float, float, float]:
    return float(found.sells[coin]), float(found.buys[coin]), float(found.gross[coin])


def test_legs_of_two_expiries_are_not_closed_by_one_another() -> None:
    perp, future = deltas("BTC-PERP", FUTURE)
    found = sized(changed.holding(("BTC-PERP", 5), (FUTURE, -4), ("ETH-PERP", -7)))
    assert of(found) == pytest.approx((5 * perp, 4 * future, 5 * perp))
    eth = 7 * float(changed.small_market().quotes["ETH-PERP"].mark) * 1.0001 / markets.SPOT["ETH"]
    assert of(found, 1) == pytest.approx((0.0, eth, eth))
    assert of(found, 2) == (0.0, 0.0, 0.0)


def test_legs_of_one_expiry_net_for_the_book_and_not_for_the_size() -> None:
    call, put, future = deltas(changed.CALL, changed.PUT, FUTURE)
    assert put < 0 < call
    found = sized(changed.holding((FUTURE, 1), (changed.PUT, 5), (changed.CALL, -3)))
    net = future + 5 * put - 3 * call
    assert net < 0
    assert of(found) == pytest.approx((0.0, -net, max(future, -5 * put + 3 * call)))


def test_orders_count_on_their_own_side() -> None:
    perp, future = deltas("BTC-PERP", FUTURE)
    placed = (
        changed.order("BTC-PERP", "sell", "9", "58000"),
        changed.order("BTC-PERP", "buy", "2", "58000"),
        changed.order(FUTURE, "buy", "1", "58000"),
    )
    found = sized(changed.holding(("BTC-PERP", 5), (FUTURE, -4), orders=placed))
    assert of(found) == pytest.approx((7 * perp, 4 * perp + 4 * future, max(7 * perp + future, 9 * perp + 4 * future)))


def test_a_calendar_spread_pays_for_closing_both_legs_and_for_its_share_of_the_market() -> None:
    """20,000 coins against as many: liquidity is the sum of both legs', time and share those of the larger one."""
    spread, long, short = (
        changed.quoted(changed.holding(*held))
        for held in ((("BTC-PERP", 20_000), (FUTURE, -20_000)), (("BTC-PERP", 20_000),), ((FUTURE, -20_000),))
    )
    legs = [changed.component(found, "liquidity") for found in (long, short)]
    assert min(legs) > 50_000_000
    assert abs(changed.component(spread, "liquidity") - sum(legs)) <= Decimal("0.02")
    larger = max((long, short), key=lambda found: changed.component(found, "concentration"))
    assert ratio(larger, "concentration") > 1
    for name in ("time to close", "concentration"):
        assert ratio(spread, name) == pytest.approx(max(ratio(long, name), ratio(short, name)), rel=1e-6)


def ratio(found: MarginResult, name: str) -> float:
    """A charge relative to the scan."""
    return float(changed.component(found, name) / changed.component(found, "scan"))


def test_what_closing_costs_by_the_formulas() -> None:
    """Liquidity of both sides; growth of the wider range by the root of time; share of the market by its knots."""
    ready, units = changed.prepared(), 30_000.0
    size = Sizes(*(np.array([x, 0.0, 0.0]) for x in (units, 1_000.0, units)))
    found = closing_cost(ready.closing, ready.market, BTC, size, ready.policy)
    selling, buying = ready.closing.sides[BTC]
    assert found.liquidity == liquidation_cost(selling, units).total + liquidation_cost(buying, 1_000.0).total
    seconds = units * markets.SPOT["BTC"] / 1e10 / 0.10 * 86_400  # a tenth of 10 billion USD a day
    share = units * markets.SPOT["BTC"] / 5e9
    for at, base in enumerate((28_800, 3_600)):
        grown = max(wide(side, base + seconds) / wide(side, base) for side in (0, 1))
        assert found.growth[at] == pytest.approx(grown, rel=1e-9)
    assert found.multiplier - 1 == pytest.approx(4.5 * (share - 0.05) / 0.95, rel=1e-9)


def wide(side: int, seconds: float) -> float:
    """Range of bitcoin down or up: between 1, 8 and 24 hours log-linear in time, beyond by its root."""
    closing = changed.prepared().closing
    assert [int(h) for h in closing.horizons_s] == [3_600, 28_800, 86_400]
    known = closing.widths[side, BTC]
    if seconds > 86_400:
        return float(known[2]) * math.sqrt(seconds / 86_400)
    return math.exp(float(np.interp(math.log(seconds), np.log([3_600, 28_800, 86_400]), np.log(known))))


def test_growth_is_that_of_the_side_that_grows_more() -> None:
    """A forecast whose rises grow faster with time than its falls charges a long position for them too."""
    fast = changed.with_tails(lambda t: changed.times(t, 2.0) if (t.side, t.horizon_s) == ("up", 86_400) else t)
    big = changed.holding(("BTC-PERP", 20_000))
    before, after = changed.quoted(big), changed.quoted(big, forecasts=[fast])
    assert changed.component(after, "scan") == changed.component(before, "scan")
    assert changed.component(after, "time to close") > changed.component(before, "time to close")


def test_liquidity_is_given_out_by_the_size_of_each_delta() -> None:
    perp, future = deltas("BTC-PERP", FUTURE)
    found = changed.quoted(changed.holding(("BTC-PERP", 500), (FUTURE, -300)))
    whole = changed.component(found, "liquidity")
    parts = [p.components["liquidity"] for p in found.positions]
    assert sum(parts) == whole
    assert float(parts[0] / whole) == pytest.approx(500 * perp / (500 * perp + 300 * future), rel=1e-6)
    assert min(parts) > 0


def test_what_does_not_trade_closes_as_if_a_dollar_a_day_did() -> None:
    one = changed.holding(("SOL-PERP", 10))
    none, dollar, unknown = (
        changed.quoted(one, changed.with_underlying("SOL", volume_24h_usd=volume), policy=MarginPolicy())
        for volume in (Decimal(0), Decimal(1), None)
    )
    assert none.initial == dollar.initial
    assert none.initial > unknown.initial
    assert any("a volume of 0 USD; taken as 1" in note for note in none.notes)
    assert replace(none, notes=()) == replace(dollar, notes=())
