"""Bad input: a typed error that names the field and the remedy, under any policy."""

import math
from decimal import Decimal
from typing import Any, Final

import msgspec
import pytest
from msgspec.structs import replace

from features.errors import (
    AccountError,
    DataError,
    ExpiredError,
    ForecastError,
    MarketError,
    SettingError,
    UnknownInstrumentError,
)
from serving.margin.objects import (
    Account,
    AssetPrice,
    Collateral,
    Correlation,
    Debt,
    Forward,
    Instrument,
    Level,
    MarketSnapshot,
    OpenOrder,
    Position,
    Quote,
    Residuals,
    SettlementAverage,
    Smile,
    Svi,
    Underlying,
)
from serving.margin.policy import Hypothetical, MarginPolicy, PathPolicy, ScenarioPolicy, StaticPolicy
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

EXPIRY: Final = markets.AS_OF_NS + markets.EXPIRIES["27SEP24"]
NAN, INF = float("nan"), float("inf")
CONSERVATIVE: Final = MarginPolicy(missing="conservative")
HELD: Final = changed.everything(
    collateral=(
        Collateral(asset="USDC", quantity=Decimal(200_000)),
        Collateral(asset="BTC", quantity=Decimal(2)),
    )
)


NUMBERS: Final[dict[str, Any]] = {
    "quote": Quote(mark=Decimal(1), index=Decimal(1), vol=0.5, open_interest=Decimal(1), volume_24h_usd=Decimal(1)),
    "forward": Forward(expiry_ns=EXPIRY, price=Decimal(1)),
    "svi": Svi(a=0.1, b=0.1, rho=0.0, m=0.0, sigma=0.1),
    "smile": Smile(expiry_ns=EXPIRY, strikes=(1.0,), vols=(0.5,), half_spread_vol=0.01),
    "level": Level(price=Decimal(1), size=Decimal(1)),
    "settled": SettlementAverage(expiry_ns=EXPIRY, fixed_frac=0.5, average=Decimal(1)),
    "underlying": Underlying(
        spot=Decimal(1), open_interest_usd=Decimal(1), volume_24h_usd=Decimal(1), market_cap_usd=Decimal(1)
    ),
    "asset": AssetPrice(
        price_usd=Decimal(1), volume_24h_usd=Decimal(1), deposits_usd=Decimal(1), scale_start_usd=Decimal(1)
    ),
    "instrument": Instrument(
        symbol="X", kind="option", underlying="B", settlement="U", expiry_ns=EXPIRY, strike=Decimal(1), option="put"
    ),
    "position": Position(
        instrument="X", quantity=Decimal(1), entry_price=Decimal(1), mode="isolated", isolated_collateral=Decimal(1)
    ),
    "order": OpenOrder(instrument="X", side="buy", quantity=Decimal(1), price=Decimal(1)),
    "collateral": Collateral(asset="X", quantity=Decimal(1)),
    "debt": Debt(asset="X", quantity=Decimal(1)),
    "tail": replace(markets.forecasts().tails[0], published=0.1, published_ns=markets.AS_OF_NS),
}
FIELDS: Final = [
    (name, field.name)
    for name, sample in NUMBERS.items()
    for field in msgspec.structs.fields(sample)
    if isinstance(getattr(sample, field.name), float | Decimal)
]


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_no_number_of_any_object_is_nan_or_infinite(name: str, field: str) -> None:
    sample = NUMBERS[name]
    kind = type(getattr(sample, field))
    for bad in ("NaN", "Infinity", "-Infinity"):
        with pytest.raises(DataError, match="not a finite number; give a number"):
            replace(sample, **{field: kind(bad)})


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_no_number_of_any_object_is_absurd(name: str, field: str) -> None:
    sample = NUMBERS[name]
    kind = type(getattr(sample, field))
    totals = name in {"underlying", "asset"} and field.endswith("_usd") and field != "price_usd"  # of a whole market
    largest = "1e15" if totals else "1e12"
    with pytest.raises(DataError, match=r"slip of units|within|fraction|percent|give"):
        replace(sample, **{field: kind(f"1.0000001{largest[1:]}")})
    if totals:
        assert getattr(replace(sample, **{field: kind(largest)}), field) == Decimal(10**15)


@pytest.mark.parametrize("bad", [NAN, INF])
def test_no_number_within_a_table_is_nan_or_infinite(bad: float) -> None:
    tail = markets.forecasts().tails[0]
    with pytest.raises(ForecastError, match="not a finite number"):
        replace(tail, shortfall={"0.99": bad})
    with pytest.raises(ForecastError, match="not a finite number"):
        Residuals(names=("X",), rows=((bad,),))
    with pytest.raises(ForecastError, match="not a finite number"):
        Residuals(names=("X",), rows=((0.0,),), vol_moves=((bad,),))
    with pytest.raises(ForecastError, match="give a symmetric matrix"):
        Correlation(names=("X", "Y"), matrix=((1.0, bad), (bad, 1.0)))
    with pytest.raises(MarketError, match="not a finite number"):
        Smile(expiry_ns=EXPIRY, strikes=(1.0, 2.0), vols=(0.5, bad))


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("policy", [StaticPolicy, ScenarioPolicy, PathPolicy])
def test_no_number_of_a_policy_is_nan_or_infinite(policy: type, bad: float) -> None:
    for field in msgspec.structs.fields(policy):
        if isinstance(field.default, float):
            with pytest.raises(SettingError):
                policy(**{field.name: bad})


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_no_number_of_a_table_of_a_policy_is_nan_or_infinite(bad: float) -> None:
    with pytest.raises(SettingError):
        StaticPolicy(ranges={"BTC": bad})
    with pytest.raises(SettingError):
        ScenarioPolicy(tail_moves=(bad,))
    with pytest.raises(SettingError):
        Hypothetical(name="x", moves={"BTC": bad})
    with pytest.raises(SettingError):
        Hypothetical(name="x", moves={"BTC": -0.1}, vol=bad)


def test_an_unknown_instrument_is_refused_under_any_policy() -> None:
    for policy in (MarginPolicy(), CONSERVATIVE):
        with pytest.raises(UnknownInstrumentError, match=r"DOGE-PERP.*add its terms and quote"):
            changed.quoted(changed.holding(("DOGE-PERP", 1)), policy=policy)
        placed = (changed.order("DOGE-PERP", "buy", "1", "1"),)
        with pytest.raises(UnknownInstrumentError, match="DOGE-PERP"):
            changed.quoted(changed.holding(("BTC-PERP", 1), orders=placed), policy=policy)


@pytest.mark.parametrize("symbol", [changed.CALL, "BTC-27SEP24"])
def test_an_expired_instrument_is_refused_under_any_policy(symbol: str) -> None:
    late = replace(changed.small_market(), as_of_ns=EXPIRY)
    for policy in (MarginPolicy(), CONSERVATIVE):
        with pytest.raises(ExpiredError, match=rf"{symbol}: expired 0 s before.*settle it"):
            changed.quoted(changed.holding((symbol, 1)), late, policy, [])


def test_an_underlying_that_the_market_lacks_is_refused_under_any_policy() -> None:
    market = changed.small_market()
    without = replace(market, underlyings={k: v for k, v in market.underlyings.items() if k != "SOL"})
    for policy in (MarginPolicy(), CONSERVATIVE):
        with pytest.raises(MarketError, match=r"SOL-PERP.*no underlying SOL"):
            changed.quoted(changed.holding(("SOL-PERP", 1)), without, policy)
        with pytest.raises(MarketError, match="underlying"):
            changed.quoted(changed.holding(("SOL-PERP", 1)), replace(market, underlyings={}), policy)
    assert changed.quoted(changed.holding(("BTC-PERP", 1)), without).initial > 0


@pytest.mark.parametrize("quantity", [1, -1])
@pytest.mark.parametrize("symbol", [changed.CALL, changed.PUT])
def test_an_option_without_a_forward_is_refused_or_charged_at_its_worst(symbol: str, quantity: int) -> None:
    market, held = changed.with_underlying("BTC", forwards=()), changed.holding((symbol, quantity))
    with pytest.raises(MarketError, match=rf"{symbol}.*no forward of its expiry.*add it to forwards"):
        changed.quoted(held, market)
    after = changed.quoted(held, market, CONSERVATIVE)
    before = changed.quoted(held)
    changed.no_better(after, before)
    assert any(symbol in note and "worst" in note for note in after.notes)


def test_an_option_without_any_volatility_is_refused_or_charged_at_its_worst() -> None:
    bare = changed.with_underlying("BTC", smiles=())
    mark = Decimal("0.0001")  # below the intrinsic value: no volatility gives it
    for symbol in (changed.CALL, changed.PUT):
        quote_of = replace(bare.quotes[symbol], vol=None, mark=mark)
        market = replace(bare, quotes={**bare.quotes, symbol: quote_of})
        held = changed.holding((symbol, -1))
        forward = next(f for f in bare.underlyings["BTC"].forwards if f.expiry_ns == EXPIRY).price
        if (symbol == changed.CALL) == (forward > 58_000):
            with pytest.raises(MarketError, match=rf"{symbol}: no quoted vol, no smile.*add one"):
                changed.quoted(held, market)
            changed.no_better(changed.quoted(held, market, CONSERVATIVE), changed.quoted(held))


@pytest.mark.parametrize("quantity", [-1, 1])
def test_a_volatility_in_percent_is_refused(quantity: int) -> None:
    with pytest.raises(MarketError, match=r"vol is 80\.0.*fraction"):
        changed.quoted(changed.holding((changed.PUT, quantity)), changed.with_quote(changed.PUT, vol=80.0))
    with pytest.raises(MarketError, match="vol"):
        Smile(expiry_ns=EXPIRY, strikes=(1.0,), vols=(80.0,))


def test_a_smile_in_percent_is_refused() -> None:
    smiles = tuple(
        replace(s, svi=Svi(a=400.0, b=0.1, rho=0.0, m=0.0, sigma=0.1))
        for s in markets.market().underlyings["BTC"].smiles
    )
    market = changed.with_underlying("BTC", smiles=smiles)
    market = replace(market, quotes={**market.quotes, changed.PUT: replace(market.quotes[changed.PUT], vol=None)})
    with pytest.raises(MarketError, match="vol"):
        changed.quoted(changed.holding((changed.PUT, -1)), market)


def test_a_rate_in_percent_is_refused() -> None:
    with pytest.raises(MarketError, match=r"rate is 5.*fraction"):
        Forward(expiry_ns=EXPIRY, price=Decimal(1), rate=5.0)


def test_a_settlement_average_weeks_before_expiry_is_refused() -> None:
    settled = (SettlementAverage(expiry_ns=EXPIRY, fixed_frac=1.0, average=Decimal(58_000)),)
    with pytest.raises(MarketError, match="settlement"):
        changed.quoted(changed.holding(("BTC-27SEP24", 1)), changed.with_underlying("BTC", settled=settled))


def test_depth_that_crosses_or_is_not_sorted_is_refused() -> None:
    bid, ask = Level(price=Decimal(101), size=Decimal(1)), Level(price=Decimal(100), size=Decimal(1))
    with pytest.raises(MarketError, match=r"best bid 101 is not below best ask 100.*crossed.*new snapshot"):
        Underlying(spot=Decimal(100), bids=(bid,), asks=(ask,))
    with pytest.raises(MarketError, match="not below best ask"):
        Underlying(spot=Decimal(100), bids=(ask,), asks=(ask,))
    with pytest.raises(MarketError, match=r"bids must fall.*sort them"):
        Underlying(spot=Decimal(100), bids=(ask, bid))
    with pytest.raises(MarketError, match=r"asks must rise.*sort them"):
        Underlying(spot=Decimal(100), asks=(bid, ask))


def test_what_is_negative_is_refused() -> None:
    with pytest.raises(AccountError, match="collateral USDC: quantity is -5; give what is owed as a debt"):
        Collateral(asset="USDC", quantity=Decimal(-5))
    with pytest.raises(AccountError, match="debt USDC: quantity is -5; give what is held as collateral"):
        Debt(asset="USDC", quantity=Decimal(-5))
    with pytest.raises(AccountError, match=r"order in X: quantity is -1.*above 0"):
        OpenOrder(instrument="X", side="buy", quantity=Decimal(-1), price=Decimal(1))
    with pytest.raises(MarketError, match=r"quote: mark is -1.*negative"):
        Quote(mark=Decimal(-1))


def test_what_is_given_twice_is_refused() -> None:
    one = Position(instrument="BTC-PERP", quantity=Decimal(1))
    with pytest.raises(AccountError, match=r"position .*BTC-PERP.*twice.*net positions"):
        Account(account_id="a", positions=(one, one))
    with pytest.raises(AccountError, match="collateral USDC is given twice"):
        Account(account_id="a", collateral=(Collateral(asset="USDC", quantity=Decimal(1)),) * 2)
    market = changed.small_market()
    with pytest.raises(MarketError, match="instrument BTC-PERP is given twice"):
        replace(market, instruments=(*market.instruments, market.instruments[0]))
    tails = markets.forecasts().tails
    with pytest.raises(ForecastError, match="given twice"):
        replace(markets.forecasts(), tails=(*tails, tails[0]))
    with pytest.raises(ForecastError):
        replace(tails[0], shortfall={"0.99": 0.01, "0.990": 0.02})


@pytest.mark.parametrize("symbol", ["BTC-PERP", "BTC-USD", changed.PUT])
def test_an_absurd_size_is_refused(symbol: str) -> None:
    for quantity in ("2e10", "-2e10", "1e12"):
        with pytest.raises(AccountError, match=rf"{symbol}: .*largest_position_usd.*correct it or raise"):
            changed.quoted(changed.holding((symbol, quantity)))
    with pytest.raises(DataError, match=symbol):
        changed.quoted(changed.holding((symbol, "-1e12")), changed.without_quote(symbol), CONSERVATIVE)
    with pytest.raises(AccountError, match="slip of units"):
        changed.holding((symbol, "1e13"))


def test_a_forecast_of_another_instant_is_refused() -> None:
    young = replace(markets.forecasts(), as_of_ns=markets.AS_OF_NS + 5 * 10**9)
    with pytest.raises(ForecastError, match=r"5 s younger than the market.*as_of_ns.*at or after the forecast"):
        changed.quoted(HELD, forecasts=[young])
    with pytest.raises(ForecastError, match="expires_ns"):
        replace(markets.forecasts(), expires_ns=markets.forecasts().as_of_ns)


@pytest.mark.parametrize("as_of", [1_725_285_600, 1_725_285_600_000, 0, -1, 2**63])
def test_an_instant_in_another_unit_is_refused(as_of: int) -> None:
    with pytest.raises(MarketError, match=r"as_of_ns is .*multiply seconds by 10\^9"):
        replace(changed.small_market(), as_of_ns=as_of)


def test_a_policy_without_a_scenario_is_refused() -> None:
    with pytest.raises(SettingError, match="scenario"):
        changed.quoted(HELD, policy=MarginPolicy(scenarios=ScenarioPolicy(families=("hypothetical",))))
    with pytest.raises(SettingError, match="unknown scenario family 'grids'; known: calm, grid"):
        changed.quoted(HELD, policy=MarginPolicy(scenarios=ScenarioPolicy(families=("grids",))))


def test_an_empty_market_and_an_empty_account_need_nothing_or_are_refused() -> None:
    empty = changed.quoted(changed.holding())
    assert empty.initial == empty.maintenance == 0
    assert empty.levels.state == "free"
    nothing = MarketSnapshot(as_of_ns=markets.AS_OF_NS, instruments=(), quotes={}, underlyings={})
    with pytest.raises(MarketError, match="underlying"):
        changed.quoted(changed.holding(("BTC-PERP", 1)), nothing)


def test_every_answer_is_finite() -> None:
    found = changed.quoted(HELD)
    assert all(math.isfinite(c.initial) and math.isfinite(c.maintenance) for c in found.components)
