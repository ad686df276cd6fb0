"""What one contract is worth and what moves it, by hand, for every kind of contract."""

import math
from decimal import Decimal

import numpy as np
import pytest
from msgspec.structs import replace

from features.errors import ExpiredError, MarketError, UnknownInstrumentError
from serving.margin.objects import AssetPrice, Instrument, MarketSnapshot, Quote, SettlementAverage, Smile
from serving.margin.policy import ScenarioPolicy
from serving.margin.priced_market import PricedMarket, price_market
from serving.margin.pricing.black import black_value
from serving.margin.scenarios.scenario_set import ScenarioSet, scenario_set
from serving.margin.unit_greeks import unit_greeks
from serving.margin.units import unit_pnl
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

EXPIRY = markets.AS_OF_NS + markets.EXPIRIES["27SEP24"]
YEARS = markets.EXPIRIES["27SEP24"] / (365 * markets.DAY_NS)


def priced(market: MarketSnapshot) -> PricedMarket:
    return price_market(market)


def moved(move: float, vol: float = 0.0) -> ScenarioSet:
    return scenario_set(["one"], np.full((1, 3), move), np.full((1, 3), vol))


def gain(market: MarketSnapshot, symbol: str, move: float) -> float:
    """Profit of one long contract as every price moves alike, volatility unmoved."""
    ready = price_market(market)
    return float(unit_pnl(ready, moved(move), ScenarioPolicy())[0, ready.row(symbol)])


def with_instrument(terms: Instrument, quote: Quote) -> MarketSnapshot:
    market = changed.small_market()
    return replace(market, instruments=(*market.instruments, terms), quotes={**market.quotes, terms.symbol: quote})


def test_a_linear_contract_gains_its_multiplier_in_its_coin() -> None:
    terms = Instrument(
        symbol="BTC-MILLI", kind="perpetual", underlying="BTC", settlement="USDC", multiplier=Decimal("0.001")
    )
    market = with_instrument(terms, Quote(mark=Decimal(58_000)))
    ready = priced(market)
    row = ready.row("BTC-MILLI")
    assert ready.mark_usd[row] == pytest.approx(58 * 1.0001)
    assert gain(market, "BTC-MILLI", 0.1) == pytest.approx(5.8 * 1.0001)


def test_an_inverse_contract_gains_dollars_linearly_when_its_coin_is_counted_at_the_new_price() -> None:
    # 10 USD x (1/P0 - 1/P1) coins at P1 dollars each are 10 x (P1/P0 - 1) dollars.
    for move in (-0.4, -0.1, 0.25, 2.0):
        start = 58_305.83
        end = start * (1 + move)
        coins = 10 * (1 / start - 1 / end)
        assert gain(changed.small_market(), "BTC-USD", move) == pytest.approx(coins * end, rel=1e-12)


def test_an_option_is_black_on_its_forward_discounted_in_its_coin() -> None:
    market = changed.small_market()
    ready = priced(market)
    row = ready.row(changed.PUT)
    forward = float(next(f.price for f in market.underlyings["BTC"].forwards if f.expiry_ns == EXPIRY))
    vol = market.quotes[changed.PUT].vol
    assert vol is not None
    options = ready.options
    assert (options.forward[row], options.strike[row], options.vol[row]) == (forward, 58_000.0, vol)
    assert options.years[row] == pytest.approx(YEARS, rel=1e-15)
    assert options.discount[row] == pytest.approx(math.exp(-0.05 * YEARS), rel=1e-15)

    def value(price: float) -> float:
        return 1.0001 * float(black_value(price, 58_000.0, vol, YEARS, False, math.exp(-0.05 * YEARS)))

    for move in (-0.3, -0.02, 0.1):
        assert gain(market, changed.PUT, move) == pytest.approx(value(forward * (1 + move)) - value(forward), rel=1e-9)


def test_an_option_settled_in_coin_is_worth_as_many_dollars() -> None:
    linear = next(i for i in changed.small_market().instruments if i.symbol == changed.PUT)
    coin = replace(linear, symbol="COIN-P", contract="inverse", settlement="BTC")
    mark = changed.small_market().quotes[changed.PUT]
    market = with_instrument(coin, replace(mark, mark=mark.mark / Decimal(58_300)))
    ready = priced(market)
    assert ready.mark_usd[ready.row("COIN-P")] == pytest.approx(float(mark.mark), rel=1e-12)
    assert gain(market, "COIN-P", -0.1) == pytest.approx(gain(market, changed.PUT, -0.1) / 1.0001, rel=1e-12)


def test_the_volatility_is_the_quotes_then_the_smiles_then_the_marks() -> None:
    market = changed.small_market()
    own = market.quotes[changed.PUT]
    row = priced(market).row(changed.PUT)

    def vol(quote: Quote, smiles: tuple[Smile, ...]) -> float:
        given = changed.with_underlying("BTC", smiles=smiles)
        return float(priced(replace(given, quotes={**given.quotes, changed.PUT: quote})).options.vol[row])

    flat = (Smile(expiry_ns=EXPIRY, strikes=(50_000.0, 70_000.0), vols=(0.4, 0.6)),)
    assert vol(replace(own, vol=0.77), flat) == 0.77
    share = math.log(58_000 / 50_000) / math.log(70_000 / 50_000)
    assert vol(replace(own, vol=None), flat) == pytest.approx(0.4 + 0.2 * share, rel=1e-12)
    assert own.vol is not None
    assert vol(replace(own, vol=None), ()) == pytest.approx(own.vol, rel=1e-5)  # the mark has four decimals
    assert vol(replace(own, vol=None), market.underlyings["BTC"].smiles) == pytest.approx(own.vol, abs=1e-4)


def test_a_running_settlement_average_leaves_the_rest_to_move() -> None:
    near = markets.AS_OF_NS + 900 * 10**9  # half of the last 1,800 s
    future = Instrument(symbol="NEAR", kind="future", underlying="BTC", settlement="USDC", expiry_ns=near)
    market = with_instrument(future, Quote(mark=Decimal(58_300)))
    settled = (SettlementAverage(expiry_ns=near, fixed_frac=0.5, average=Decimal(58_200)),)
    btc = replace(market.underlyings["BTC"], settled=settled)
    half = replace(market, underlyings={**market.underlyings, "BTC": btc})
    assert gain(half, "NEAR", -0.1) == pytest.approx(0.5 * gain(market, "NEAR", -0.1), rel=1e-12)


def test_faults_are_met_by_those_who_hold_them_alone() -> None:
    market = changed.small_market()
    broken = replace(
        market,
        quotes={**market.quotes, changed.PUT: replace(market.quotes[changed.PUT], mark=Decimal(0), vol=None)},
        assets={k: v for k, v in market.assets.items() if k != "BTC"},
        underlyings={**market.underlyings, "BTC": replace(market.underlyings["BTC"], smiles=())},
    )
    ready = priced(broken)
    assert ready.row("BTC-PERP") == market.instruments.index(
        next(i for i in market.instruments if i.symbol == "BTC-PERP")
    )
    with pytest.raises(MarketError, match=r"58000-P: no quoted vol, no smile of its expiry"):
        ready.row(changed.PUT)
    with pytest.raises(UnknownInstrumentError, match="X-PERP: the market snapshot has no such instrument"):
        ready.row("X-PERP")
    late = priced(replace(market, as_of_ns=EXPIRY + 10**9))
    with pytest.raises(ExpiredError, match="expired 1 s before the market was taken; settle it"):
        late.row(changed.CALL)
    assert late.row("BTC-PERP") >= 0


def test_an_asset_without_a_price_is_a_fault_of_what_settles_in_it() -> None:
    market = changed.small_market()
    ready = priced(replace(market, assets={}))
    with pytest.raises(MarketError, match="asset USDC: the market has no price of it; add it to assets"):
        ready.row("BTC-PERP")
    assert ready.row("BTC-USD") >= 0
    assert ready.asset_usd("USD") == 1.0
    with pytest.raises(MarketError, match="asset USDC"):
        ready.asset_usd("USDC")


def test_dollars_settle_at_one_and_a_stablecoin_at_no_less() -> None:
    terms = Instrument(symbol="BTC-DOLLAR", kind="perpetual", underlying="BTC", settlement="USD")
    market = with_instrument(terms, Quote(mark=Decimal(58_000)))
    for price, counted in (("1.02", 1.02), ("1", 1.0), ("0.9", 1.0)):
        usdc = AssetPrice(price_usd=Decimal(price), stable=True)
        ready = priced(replace(market, assets={**market.assets, "USDC": usdc}))
        assert ready.mark_usd[ready.row("BTC-DOLLAR")] == 58_000
        mark = float(market.quotes["BTC-PERP"].mark)
        assert ready.mark_usd[ready.row("BTC-PERP")] == pytest.approx(counted * mark)


@pytest.mark.parametrize("symbol", ["BTC-PERP", "BTC-USD", "BTC-27SEP24", changed.CALL, changed.PUT, changed.ETH_PUT])
def test_greeks_of_one_contract_are_differences_of_its_value(symbol: str) -> None:
    market = changed.small_market()
    ready = priced(market)
    greeks, row, step = unit_greeks(ready), ready.row(symbol), 1e-4
    slope = (gain(market, symbol, step) - gain(market, symbol, -step)) / (2 * step)
    assert greeks.delta_usd[row] == pytest.approx(slope, rel=1e-6)
    assert greeks.delta[row] == pytest.approx(slope / float(ready.spot[ready.underlying[row]]), rel=1e-6)
    flat = ScenarioPolicy(short_power=0.0, long_power=0.0)
    up, down = (float(unit_pnl(ready, moved(0.0, v), flat)[0, row]) for v in (step, -step))
    if ready.options.is_option[row]:
        vol = float(ready.options.vol[row])
        assert greeks.vega_usd[row] == pytest.approx((up - down) / (2 * step * vol), rel=1e-6)
    else:
        assert greeks.vega_usd[row] == up == down == 0.0


def test_no_shocked_volatility_is_below_the_floor_unless_it_was_before() -> None:
    market = changed.with_quote(changed.CALL, vol=0.12)
    ready = priced(market)
    row = ready.row(changed.CALL)
    policy = ScenarioPolicy(vol_floor=0.10)
    fallen = float(unit_pnl(ready, moved(0.0, -1.0), policy)[0, row])
    terms = ready.options

    def value(vol: float) -> float:
        return 1.0001 * float(
            black_value(terms.forward[row], terms.strike[row], vol, terms.years[row], True, terms.discount[row])
        )

    assert fallen == pytest.approx(value(0.10) - value(0.12), rel=1e-9)
