"""What diversification may take off, and what stands in for missing joint paths: laws over whole accounts."""

import math
from decimal import Decimal
from functools import cache
from typing import Final

import numpy as np
import pytest
from msgspec.structs import replace

from serving.margin.objects import Account, ForecastSet, Residuals
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import Prepared, prepare
from serving.margin.running import running
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

SCAN: Final = ("scan", "inter-underlying credit", "joint paths")
CENT: Final = 0.01


def drawn(seed: int, coins: tuple[str, ...] = ("BTC", "ETH", "SOL"), largest: int = 6) -> Account:
    """A few positions in some coins, drawn at random in the small market."""
    rng = np.random.default_rng(seed)
    symbols = [i.symbol for i in changed.small_market().instruments if i.underlying in coins]
    chosen = rng.choice(symbols, min(int(rng.integers(2, largest + 1)), len(symbols)), replace=False)
    size = {"BTC-USD": 3000.0, "ETH-USD": 600.0, "SOL-PERP": 150.0, "SOL-27SEP24": 150.0}
    return changed.holding(*((str(s), round(float(rng.normal()) * size.get(str(s), 3.0), 3)) for s in chosen))


def figures(account: Account, ready: Prepared) -> tuple[float, float]:
    """Initial and maintenance margin, unrounded."""
    found = running(account, ready).figures()
    return found.initial, found.maintenance


def standalone_shortfall(symbol: str, quantity: float) -> float:
    """Mean of the worst 5 of 500 losses of a perpetual at today's volatility over 8 hours, by sorting."""
    forecast, coin = markets.forecasts(), symbol[:3]
    assert forecast.residuals is not None
    tails = [t for t in forecast.tails if t.underlying == coin and t.horizon_s == 28_800]
    sigma, k = max(math.sqrt(t.variance) for t in tails), forecast.residuals.names.index(coin)
    size = quantity * float(changed.small_market().quotes[symbol].mark) * 1.0001
    losses = sorted((-size * math.expm1(row[k] * sigma) for row in forecast.residuals.rows), reverse=True)
    return sum(losses[:5]) / 5


@pytest.mark.parametrize(
    "wing", ["BTC-6SEP24-70000-C", "BTC-6SEP24-64000-C", "BTC-6SEP24-50000-P", "BTC-6SEP24-52000-P"]
)
@pytest.mark.parametrize("scale", [1.0, 0.1, -1.0])
def test_a_pair_of_other_coins_takes_no_more_off_a_short_wing_than_its_own_shortfall(wing: str, scale: float) -> None:
    """What the paths do not see of a wing earns no credit, however well an unrelated pair is diversified."""
    ready = changed.whole_prepared()
    pair = ("ETH-PERP", 100 * scale), ("SOL-PERP", -1900 * scale)
    alone, together = (figures(changed.holding((wing, -100), *more), ready) for more in ((), pair))
    own = sum(standalone_shortfall(symbol, quantity) for symbol, quantity in pair)
    assert own > 0
    assert together[0] >= alone[0] - own


def test_a_wing_that_the_paths_do_not_see_earns_nothing() -> None:
    """All the credit beside it is at most half of the pair's own shortfalls and of the little that the wing adds."""
    wing, pair = ("BTC-6SEP24-70000-C", -100), (("ETH-PERP", 100), ("SOL-PERP", -1900))
    ready = changed.whole_prepared()
    credit = [-running(changed.holding(*held), ready).figures().components["inter-underlying credit"][0] for held in
              ((wing,), pair, (wing, *pair))]  # fmt: skip
    scan = running(changed.holding(wing), ready).figures().components["scan"][0]
    assert credit[0] == 0.0
    assert credit[2] < 0.05 * scan  # half the scan of the wing, 250,000 USD, would be the cap of a share
    assert credit[1] <= 0.5 * sum(standalone_shortfall(symbol, quantity) for symbol, quantity in pair)


@cache
def with_residuals_of(names: tuple[str, ...], late: str = "") -> Prepared:
    """The small market with residuals of some coins: fresh, or of a second forecast that has expired or is too old."""
    whole = markets.forecasts()
    assert whole.residuals is not None
    columns = [whole.residuals.names.index(name) for name in names]
    rows = tuple(tuple(row[k] for k in columns) for row in whole.residuals.rows)
    kept = replace(whole, residuals=Residuals(names=names, rows=rows) if names else None)
    forecasts: list[ForecastSet] = [kept]
    if late:
        hours_7 = {"as_of_ns": markets.AS_OF_NS - 7 * markets.HOUR_NS}
        old = replace(whole, **({"expires_ns": markets.AS_OF_NS} if late == "expired" else hours_7))
        forecasts = [kept, old] if names == () else [old]
    return prepare(changed.small_market(), MarginPolicy(), forecasts)


@pytest.mark.parametrize("seed", range(25))
def test_what_has_no_residuals_adds_to_what_has_and_costs_a_quarter_more(seed: int) -> None:
    """Covered and uncovered together need what they need apart: nothing nets across, and nothing is lost."""
    ready = with_residuals_of(("BTC", "ETH"))
    covered, bare = drawn(seed, ("BTC", "ETH")), drawn(seed + 1000, ("SOL",))
    both = replace(covered, positions=(*covered.positions, *bare.positions))
    parts = [running(account, ready).figures().components for account in (covered, bare, both)]
    one, other, joined = ([sum(found[name][m] for name in SCAN) for m in (0, 1)] for found in parts)
    assert joined == pytest.approx([a + b for a, b in zip(one, other, strict=True)], rel=1e-12)
    assert other == pytest.approx([1.25 * x for x in parts[1]["scan"]], rel=1e-12)
    apart = [figures(account, ready) for account in (covered, bare)]
    assert figures(both, ready)[0] >= apart[0][0] + apart[1][0] - CENT or apart[0][0] == apart[0][1]


def lowered(after: Prepared, accounts: list[Account]) -> list[str]:
    """Accounts that need less than under the whole forecast."""
    whole = with_residuals_of(("BTC", "ETH", "SOL"))
    return [
        str(account.positions)
        for account in accounts
        if any(b < a * (1 - 1e-9) for a, b in zip(figures(account, whole), figures(account, after), strict=True))
    ]


@pytest.mark.parametrize("late", ["", "expired", "old"])
def test_residuals_as_fat_as_the_forecast_may_go_without_lowering(late: str) -> None:
    assert lowered(with_residuals_of((), late), [drawn(seed) for seed in range(150)]) == []


@pytest.mark.parametrize("late", ["expired", "old"])
def test_a_whole_forecast_may_go_without_lowering(late: str) -> None:
    assert lowered(with_residuals_of(("BTC", "ETH", "SOL"), late), [drawn(seed) for seed in range(150)]) == []


@pytest.mark.parametrize("name", ["BTC", "ETH", "SOL"])
def test_the_residuals_of_one_coin_may_go_without_lowering(name: str) -> None:
    after = with_residuals_of(tuple(coin for coin in markets.coins() if coin != name))
    assert lowered(after, [drawn(seed) for seed in range(150)]) == []


@pytest.mark.parametrize("block", range(4))
def test_an_order_that_closes_a_hedge_needs_no_less_than_the_account_after_its_fill(block: int) -> None:
    """200 accounts: one position of each is closed, or halved, by an order at the mark or a hundredth worse."""
    ready, market = changed.prepared(), changed.small_market()
    lower = []
    for seed in range(50 * block, 50 * block + 50):
        account = drawn(seed)
        rng = np.random.default_rng(seed)
        held = account.positions[int(rng.integers(len(account.positions)))]
        if not held.quantity:
            continue
        quantity = abs(held.quantity) / int(rng.integers(1, 3))
        side = -1 if held.quantity > 0 else 1
        mark = market.quotes[held.instrument].mark
        price = mark * (1 + side * Decimal(int(rng.integers(2))) / 100)
        placed = changed.order(held.instrument, "buy" if side > 0 else "sell", str(quantity), str(price))
        left = replace(held, quantity=held.quantity + side * quantity)
        filled = replace(account, positions=tuple(left if p is held else p for p in account.positions))
        ordered = figures(replace(account, orders=(placed,)), ready)
        if any(x < y - CENT for x, y in zip(ordered, figures(filled, ready), strict=True)):
            lower.append((seed, held.instrument))
    assert lower == []
