"""The scan, its credit and the joint paths against loops in plain Python that share no code with the engine."""

import math
from dataclasses import dataclass
from fractions import Fraction

import pytest
from msgspec.structs import replace

from serving.margin.holdings import book_of
from serving.margin.objects import Account, ForecastSet, MarketSnapshot, Residuals, Svi
from serving.margin.policy import MarginPolicy, PathPolicy, ScenarioPolicy
from serving.margin.prepared import Stress, prepare
from serving.margin.scan_charges import scanned
from serving.margin.scan_loss import ScanLoss
from serving.margin.scenarios.named import NAMED_DAYS
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

CLOSE = 1e-9
YEAR_NS = 365 * 86_400 * 10**9
HOURS_NS = 3_600 * 10**9


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
    """The grid, small moves and SPAN's sixteen."""

    def at(fraction: float) -> float:
        return fraction * (down if fraction < 0 else up)

    steps = [Move(at(step / 4), vol) for step in range(-4, 5) for vol in (FALL, 0.0, RISE)]
    calm = [Move(min(max(move, -down), up), FALL) for size in (0.01, 0.02, 0.04) for move in (-size, size)]
    thirds = [Move(at(third / 3), vol) for third in (0, 1, -1, 2, -2, 3, -3) for vol in (RISE, FALL)]
    return [*steps, *calm, *thirds, *(Move(max(at(ranges), -1.0), weight=0.33) for ranges in (3.0, -3.0))]


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


def by_law(losses: dict[str, list[float]], prices: dict[str, list[float]], stress: Stress) -> list[list[float]]:
    """Losses of the whole on each joint path, law by law; what independence puts together is the engine's choice."""
    coins, count = list(losses), len(next(iter(losses.values())))
    ranked = {c: sorted(range(count), key=lambda k, c=c: prices[c][k]) for c in coins}  # type: ignore[misc]
    assert stress.paths is not None
    drawn = [order for law, order in stress.paths.orders.items() if law.startswith("independent")]
    assert drawn
    rows = [{c: list(range(count)) for c in coins}, ranked]
    rows += [{c: order[:, stress.ranges.underlyings.index(c)].tolist() for c in coins} for order in drawn]
    return [[sum(losses[c][law[c][k]] for c in coins) for k in range(count)] for law in rows]


def path_losses(
    account: Account, market: MarketSnapshot, forecast: ForecastSet, horizon_s: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Loss and move of every coin that has residuals, one a row of them."""
    assert forecast.residuals is not None
    losses, prices = {}, {}
    for k, c in enumerate(forecast.residuals.names):
        tails = [t for t in forecast.tails if t.underlying == c and t.horizon_s == horizon_s]
        sigma = max(math.sqrt(t.variance) for t in tails)
        drawn = [row[k] for row in forecast.residuals.rows]
        prices[c] = [math.expm1(z * sigma) for z in drawn]
        losses[c] = [
            -sum_of(account, c, Move(m, 0.3 * abs(z) / 2.326), market) for m, z in zip(prices[c], drawn, strict=True)
        ]
    return losses, prices


def slow_scan(
    account: Account, forecast: ForecastSet, stress: Stress, level: Fraction, cap: float = 0.5
) -> tuple[list[float], float, float]:
    """Worst loss by coin, credit and what the joint paths add, with a quarter of what has no residuals."""
    market, horizon_s = changed.small_market(), stress.ranges.horizon_s
    worst = {}
    for c in market.underlyings:
        down, up = (width_of(c, side, horizon_s, forecast) for side in ("down", "up"))
        moves = moves_of(c, down, up, horizon_s)
        worst[c] = max(0.0, *(-sum_of(account, c, move, market) for move in moves))
    losses, prices = path_losses(account, market, forecast, horizon_s)
    joint = max(shortfall(law, level) for law in by_law(losses, prices, stress))
    apart = {c: max(shortfall(losses[c], level), 0.0) for c in losses}
    whole = sum(apart.values())
    share = min(cap, max(1 - joint / whole, 0.0)) if whole > 0 else 0.0
    credit = share * sum(min(worst[c], apart[c]) for c in losses)
    left = sum(worst[c] for c in losses) - credit
    unseen = sum(loss for c, loss in worst.items() if c not in losses)
    return list(worst.values()), credit, max(joint - left, 0.0) + 0.25 * unseen


def fast_scan(
    account: Account, policy: MarginPolicy, *forecasts: ForecastSet
) -> tuple[tuple[ScanLoss, Stress], tuple[ScanLoss, Stress]]:
    """The engine's losses over both periods, and what they were read from."""
    ready = prepare(changed.small_market(), policy, forecasts)
    book = book_of(account, account.positions, ready.market, policy)
    initial, maintenance = (scanned(s, book, policy.paths).loss for s in (ready.initial, ready.maintenance))
    return (initial, ready.initial), (maintenance, ready.maintenance)


ACCOUNTS = {
    "of everything": changed.everything(),
    "long perpetual, short options": changed.holding(("BTC-PERP", 2), (changed.CALL, -5), (changed.ETH_PUT, -20)),
    "linear and opposite": changed.holding(("BTC-PERP", 1), ("ETH-PERP", -20), ("SOL-PERP", 300)),
    "a butterfly": changed.holding((changed.CALL, -2), ("BTC-6SEP24-58000-C", 1), (changed.WING, 1)),
}


LEVEL = Fraction("0.985")  # 4.5 of 300 paths: the last counts by half
AT_LEVEL = MarginPolicy(paths=PathPolicy(es_level=0.985))


def agree(account: Account, forecast: ForecastSet, policy: MarginPolicy = AT_LEVEL, cap: float = 0.5) -> ScanLoss:
    """Both periods are those of the slow loop; the initial one."""
    both = fast_scan(account, policy, forecast)
    for found, stress in both:
        worst, credit, excess = slow_scan(account, forecast, stress, LEVEL, cap)
        assert found.losses.tolist() == pytest.approx(worst, rel=CLOSE)
        assert found.credit == pytest.approx(credit, rel=CLOSE, abs=CLOSE * sum(worst))
        assert found.excess == pytest.approx(excess, rel=CLOSE, abs=CLOSE * sum(worst))
    return both[0][0]


def with_residuals(factor: float, names: tuple[str, ...] = ("BTC", "ETH", "SOL")) -> ForecastSet:
    """The forecast with residuals that are a multiple, of some coins."""
    forecast = markets.forecasts(paths=300)
    assert forecast.residuals is not None
    columns = [forecast.residuals.names.index(name) for name in names]
    rows = tuple(tuple(factor * row[k] for k in columns) for row in forecast.residuals.rows)
    return replace(forecast, residuals=Residuals(names=names, rows=rows))


@pytest.mark.parametrize("account", ACCOUNTS.values(), ids=ACCOUNTS.keys())
def test_the_scan_the_credit_and_the_paths_are_those_of_a_slow_loop(account: Account) -> None:
    agree(account, with_residuals(1.0))


def test_paths_fatter_than_the_forecast_add_what_the_slow_loop_adds() -> None:
    found = agree(ACCOUNTS["linear and opposite"], with_residuals(3.0))
    assert found.excess > 0.1 * found.losses.sum()


def test_what_has_no_residuals_is_charged_a_share_and_gives_no_credit() -> None:
    account = ACCOUNTS["linear and opposite"]
    two = agree(account, with_residuals(1.0, ("ETH", "BTC")))
    three = agree(account, with_residuals(1.0))
    assert two.excess == pytest.approx(0.25 * two.losses[2], rel=CLOSE)
    assert three.excess == 0.0
    assert 0 < two.credit < three.credit


def test_the_credit_is_capped_in_dollars_that_the_paths_show() -> None:
    policy = MarginPolicy(paths=PathPolicy(es_level=0.985, credit_cap=0.05))
    found = agree(ACCOUNTS["linear and opposite"], with_residuals(1.0), policy, cap=0.05)
    assert 0 < found.credit < 0.05 * found.losses.sum()  # the ranges are wider than the paths


@pytest.mark.parametrize("missing", [0.25, 0.6, 0.0])
def test_without_any_paths_a_share_of_the_scan_stands_for_them(missing: float) -> None:
    bare = replace(markets.forecasts(), residuals=None)
    policy = MarginPolicy(paths=PathPolicy(missing_frac=missing))
    for found, stress in fast_scan(ACCOUNTS["of everything"], policy, bare):
        whole = found.losses.tolist()
        assert stress.paths is None
        assert (found.law, found.credit) == ("missing", 0.0)
        assert found.excess == pytest.approx(missing * sum(whole), rel=1e-15)
        assert found.total == pytest.approx((1 + missing) * sum(whole), rel=1e-15)


@pytest.mark.parametrize("factor", [1.0, 5.0])
def test_expired_residuals_hold_up_and_give_no_credit(factor: float) -> None:
    """Beside a fresh forecast without any: their paths at today's volatility, by the slow loop without its credit."""
    account, fat = ACCOUNTS["linear and opposite"], with_residuals(factor)
    fresh = replace(fat, residuals=None)
    for late in (replace(fat, expires_ns=markets.AS_OF_NS), replace(fat, as_of_ns=markets.AS_OF_NS - 7 * HOURS_NS)):
        for found, stress in fast_scan(account, AT_LEVEL, fresh, late):
            worst, _, excess = slow_scan(account, fat, stress, LEVEL, cap=0.0)
            assert stress.paths is not None
            assert not stress.paths.fresh
            assert found.credit == 0.0
            assert found.losses.tolist() == pytest.approx(worst, rel=CLOSE)
            assert found.excess == pytest.approx(excess, rel=CLOSE, abs=1e-9)
            assert (found.excess > 0) is (factor > 1)


@pytest.mark.parametrize("sizes", [(9, -9), (-9, 9), (-5, -5), (5, 5)])
def test_smiles_that_change_their_shape_are_those_of_a_slow_loop(sizes: tuple[int, int]) -> None:
    account = changed.holding(("BTC-6SEP24-58000-P", 3), (changed.CALL, sizes[0]), (changed.WING, sizes[1]))
    policy = MarginPolicy(scenarios=ScenarioPolicy(families=("skew",)))
    (found, _), _ = fast_scan(account, policy, markets.forecasts())
    by_hand = max(-sum_of(account, "BTC", move, changed.small_market()) for move in SKEWS)
    assert by_hand > 0
    assert found.losses[0] == pytest.approx(by_hand, rel=CLOSE)


def test_a_family_alone_asks_for_no_more_than_all_together() -> None:
    account = ACCOUNTS["of everything"]
    whole = MarginPolicy()
    families = [name for name in whole.scenarios.families if name != "hypothetical"]  # the default has no shocks
    alone = [
        fast_scan(account, MarginPolicy(scenarios=ScenarioPolicy(families=(name,))), markets.forecasts())[0][0].losses
        for name in families
    ]
    together = fast_scan(account, whole, markets.forecasts())[0][0].losses
    assert together.tolist() == [max(one[u] for one in alone) for u in range(3)]
