"""The scan, its credit and the joint paths against loops in plain Python that share no code with the engine."""

import math
from dataclasses import dataclass
from fractions import Fraction

import pytest
from msgspec.structs import replace

from serving.margin.holdings import book_of
from serving.margin.objects import Account, ForecastSet, MarketSnapshot, Svi
from serving.margin.policy import MarginPolicy, PathPolicy, ScenarioPolicy
from serving.margin.prepared import prepare
from serving.margin.scan_charges import scanned
from serving.margin.scan_loss import ScanLoss
from serving.margin.scenarios.named import NAMED_DAYS
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

CLOSE = 1e-9
YEAR_NS = 365 * 86_400 * 10**9


@dataclass
class Move:
    """One scenario of one underlying: price, volatility at 30 days, tilt, wing, weight."""

    price: float
    vol: float = 0.0
    tilt: float = 0.0
    wing: float = 0.0
    weight: float = 1.0


def width_of(name: str, side: str, horizon_s: int, forecast: ForecastSet) -> float:
    """Range by the formula of the scan: a quarter of stress, a quarter of buffer up to the long run, a cost."""
    tail = next(t for t in forecast.tails if (t.underlying, t.side, t.horizon_s) == (name, side, horizon_s))
    assert tail.stress is not None
    assert tail.floor is not None
    assert tail.long_run is not None
    raw = max(tail.shortfall["0.99"], tail.loss_quantiles["0.995"])

    def blended(loss: float) -> float:
        assert tail.stress is not None
        assert tail.floor is not None
        return max(loss, 0.75 * loss + 0.25 * tail.stress, tail.floor)

    return max(blended(raw), 1.25 * blended(min(raw, tail.long_run))) + 0.001


RISE, FALL = 0.45, -0.25  # the forecast's rise of 0.3 is less than the policy's


def within_range(down: float, up: float) -> list[Move]:
    """The grid and SPAN's sixteen."""

    def at(fraction: float) -> float:
        return fraction * (down if fraction < 0 else up)

    steps = [Move(at(step / 4), vol) for step in range(-4, 5) for vol in (FALL, 0.0, RISE)]
    thirds = [Move(at(third / 3), vol) for third in (0, 1, -1, 2, -2, 3, -3) for vol in (RISE, FALL)]
    return [*steps, *thirds, *(Move(max(at(ranges), -1.0), weight=0.33) for ranges in (3.0, -3.0))]


def days_of(name: str, column: int) -> list[float]:
    """Falls and rises of the named days; of a coin that a day does not list, the worst of those it does."""
    tables = [table for day in NAMED_DAYS for table in (day.falls, day.rises)]
    return [
        table[name][column] if name in table else max((row[column] for row in table.values()), key=abs)
        for table in tables
    ]


SKEWS = [Move(0.0, 0.0, *shape) for shape in ((0.15, 0.0), (-0.15, 0.0), (0.0, 0.15), (0.0, -0.15))]


def moves_of(name: str, down: float, up: float, horizon_s: int) -> list[Move]:
    """All scenarios of the default policy."""
    far = [-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, *days_of(name, 0 if horizon_s <= 3600 else 1)]
    faded = [Move(price, RISE, weight=min(1.0, (down if price < 0 else up) / abs(price))) for price in far]
    return within_range(down, up) + faded + SKEWS


def black(forward: float, strike: float, vol: float, years: float, call: bool) -> float:
    """Undiscounted Black-76 by the error function."""
    if forward <= 0.0:
        return 0.0 if call else strike
    deviation = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + deviation / 2
    sign = 1 if call else -1

    def normal(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    return sign * (forward * normal(sign * d1) - strike * normal(sign * (d1 - deviation)))


def bent(svi: Svi, k: float, move: Move) -> float:
    """Factor of a volatility as the slice's rho or sigma moves and its volatility at the money stays."""

    def shape(rho: float, sigma: float, at: float) -> float:
        return svi.b * (rho * (at - svi.m) + math.hypot(at - svi.m, sigma))

    rho, sigma = svi.rho + 2 * move.tilt, svi.sigma / (1 + move.wing) ** 2
    before = svi.a + shape(svi.rho, svi.sigma, k)
    level = svi.a + shape(svi.rho, svi.sigma, 0.0) - shape(rho, sigma, 0.0)
    return math.sqrt((level + shape(rho, sigma, k)) / before)


def gain_of(symbol: str, move: Move, market: MarketSnapshot) -> float:
    """Profit of one long contract, USD."""
    terms = next(i for i in market.instruments if i.symbol == symbol)
    dollar = 1.0 if terms.settlement == "USD" else float(market.assets[terms.settlement].price_usd)
    if terms.contract == "inverse":
        return move.weight * float(terms.multiplier) * move.price
    if not terms.is_option:
        return move.weight * dollar * float(market.quotes[symbol].mark) * move.price
    assert terms.expiry_ns is not None
    assert terms.strike is not None
    forward = next(f for f in market.underlyings[terms.underlying].forwards if f.expiry_ns == terms.expiry_ns)
    years, price = (terms.expiry_ns - market.as_of_ns) / YEAR_NS, float(forward.price)
    vol = market.quotes[symbol].vol
    assert vol is not None
    strike, call = float(terms.strike), terms.option == "call"
    spread = min(max(math.log(strike / price) / (vol * math.sqrt(years)), -2.0), 2.0)
    days = max(365 * years, 1.0)
    change = move.vol * (30 / days) ** (0.30 if days < 30 else 0.13) + move.tilt * spread + move.wing * abs(spread)
    shocked = max(vol * (1 + change), min(vol, 0.10))
    if move.tilt or move.wing:
        svi = next(s.svi for s in market.underlyings[terms.underlying].smiles if s.expiry_ns == terms.expiry_ns)
        assert svi is not None
        own = vol * bent(svi, math.log(strike / price), move)
        shocked = own if abs(own - vol) > abs(shocked - vol) else shocked
    before, after = (
        black(price, strike, vol, years, call),
        black(price * (1 + move.price), strike, shocked, years, call),
    )
    return move.weight * dollar * math.exp(-forward.rate * years) * (after - before)


def sum_of(account: Account, coin: str, move: Move, market: MarketSnapshot) -> float:
    """Profit of all that an account holds on one coin."""
    return sum(
        float(p.quantity) * gain_of(p.instrument, move, market)
        for p in account.positions
        if p.instrument.startswith(coin)
    )


def shortfall(losses: list[float], level: Fraction) -> float:
    """Mean of the worst share, the last loss in part."""
    left, total = len(losses) * (1 - level), 0.0
    size = float(left)
    for loss in sorted(losses, reverse=True):
        part = min(left, Fraction(1))
        total += float(part) * loss
        left -= part
        if left == 0:
            break
    return total / size


def slow_scan(
    account: Account, market: MarketSnapshot, forecast: ForecastSet, horizon_s: int, level: Fraction, cap: float = 0.5
) -> tuple[list[float], float, float]:
    """Worst loss by coin, credit and what the joint paths add."""
    coins = list(market.underlyings)
    ranges = {c: (width_of(c, "down", horizon_s, forecast), width_of(c, "up", horizon_s, forecast)) for c in coins}
    worst = [
        max(0.0, *(-sum_of(account, c, move, market) for move in moves_of(c, *ranges[c], horizon_s))) for c in coins
    ]
    assert forecast.residuals is not None
    sigma = {
        c: max(math.sqrt(t.variance) for t in forecast.tails if t.underlying == c and t.horizon_s == horizon_s)
        for c in coins
    }
    prices = {c: [math.expm1(row[k] * sigma[c]) for row in forecast.residuals.rows] for k, c in enumerate(coins)}
    losses = {
        c: [
            -sum_of(account, c, Move(m, 0.3 * abs(row[k]) / 2.326), market)
            for m, row in zip(prices[c], forecast.residuals.rows, strict=True)
        ]
        for k, c in enumerate(coins)
    }
    count = len(forecast.residuals.rows)
    ranked = {c: [losses[c][k] for k in sorted(range(count), key=lambda k, c=c: prices[c][k])] for c in coins}  # type: ignore[misc]
    shifted = {c: [losses[c][(k + u * count // len(coins)) % count] for k in range(count)] for u, c in enumerate(coins)}
    joint = max(
        shortfall([sum(law[c][k] for c in coins) for k in range(count)], level) for law in (losses, ranked, shifted)
    )
    apart = sum(max(shortfall(losses[c], level), 0.0) for c in coins)
    credit = sum(worst) * min(cap, max(1 - joint / apart, 0.0)) if apart > 0 else 0.0
    return worst, credit, max(joint - (sum(worst) - credit), 0.0)


def fast_scan(account: Account, policy: MarginPolicy, forecast: ForecastSet) -> tuple[ScanLoss, ScanLoss]:
    """The engine's losses over both periods."""
    ready = prepare(changed.small_market(), policy, [forecast])
    book = book_of(account, account.positions, ready.market, policy)
    return scanned(ready.initial, book, policy.paths).loss, scanned(ready.maintenance, book, policy.paths).loss


ACCOUNTS = {
    "of everything": changed.everything(),
    "long perpetual, short options": changed.holding(("BTC-PERP", 2), (changed.CALL, -5), (changed.ETH_PUT, -20)),
    "linear and opposite": changed.holding(("BTC-PERP", 1), ("ETH-PERP", -20), ("SOL-PERP", 300)),
    "a butterfly": changed.holding((changed.CALL, -2), ("BTC-6SEP24-58000-C", 1), (changed.WING, 1)),
}


@pytest.mark.parametrize("account", ACCOUNTS.values(), ids=ACCOUNTS.keys())
def test_the_scan_the_credit_and_the_paths_are_those_of_a_slow_loop(account: Account) -> None:
    forecast = markets.forecasts(paths=300)
    policy = MarginPolicy(paths=PathPolicy(es_level=0.985))  # 4.5 of 300 paths: the last counts by half
    for found, horizon_s in zip(fast_scan(account, policy, forecast), (28_800, 3_600), strict=True):
        worst, credit, excess = slow_scan(account, changed.small_market(), forecast, horizon_s, Fraction("0.985"))
        assert found.losses.tolist() == pytest.approx(worst, rel=CLOSE)
        assert found.credit == pytest.approx(credit, rel=CLOSE, abs=CLOSE * sum(worst))
        assert found.excess == pytest.approx(excess, rel=CLOSE, abs=CLOSE * sum(worst))


def test_paths_fatter_than_the_forecast_add_what_the_slow_loop_adds() -> None:
    forecast = markets.forecasts(paths=300)
    assert forecast.residuals is not None
    rows = tuple(tuple(3 * x for x in row) for row in forecast.residuals.rows)
    fat = replace(forecast, residuals=replace(forecast.residuals, rows=rows))
    account = ACCOUNTS["linear and opposite"]
    worst, credit, excess = slow_scan(account, changed.small_market(), fat, 28_800, Fraction("0.985"))
    found, _ = fast_scan(account, MarginPolicy(paths=PathPolicy(es_level=0.985)), fat)
    assert excess > 0.1 * sum(worst)
    assert [found.credit, found.excess] == pytest.approx([credit, excess], rel=CLOSE)


def test_the_credit_is_capped() -> None:
    account, forecast = ACCOUNTS["linear and opposite"], markets.forecasts(paths=300)
    policy = MarginPolicy(paths=PathPolicy(es_level=0.985, credit_cap=0.05))
    found, _ = fast_scan(account, policy, forecast)
    worst, credit, _ = slow_scan(account, changed.small_market(), forecast, 28_800, Fraction("0.985"), cap=0.05)
    assert credit == pytest.approx(0.05 * sum(worst), rel=1e-12)
    assert found.credit == pytest.approx(credit, rel=CLOSE)


@pytest.mark.parametrize("sizes", [(9, -9), (-9, 9), (-5, -5), (5, 5)])
def test_smiles_that_change_their_shape_are_those_of_a_slow_loop(sizes: tuple[int, int]) -> None:
    account = changed.holding(("BTC-6SEP24-58000-P", 3), (changed.CALL, sizes[0]), (changed.WING, sizes[1]))
    policy = MarginPolicy(scenarios=ScenarioPolicy(families=("skew",)))
    found, _ = fast_scan(account, policy, markets.forecasts())
    by_hand = max(-sum_of(account, "BTC", move, changed.small_market()) for move in SKEWS)
    assert by_hand > 0
    assert found.losses[0] == pytest.approx(by_hand, rel=CLOSE)


def test_a_family_alone_asks_for_no_more_than_all_together() -> None:
    account = ACCOUNTS["of everything"]
    whole = MarginPolicy()
    families = [name for name in whole.scenarios.families if name != "hypothetical"]  # the default has no shocks
    alone = [
        fast_scan(account, MarginPolicy(scenarios=ScenarioPolicy(families=(name,))), markets.forecasts())[0].losses
        for name in families
    ]
    together = fast_scan(account, whole, markets.forecasts())[0].losses
    assert together.tolist() == [max(one[u] for one in alone) for u in range(3)]
