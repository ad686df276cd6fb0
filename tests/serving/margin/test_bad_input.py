"""Bad input: a typed error that names the field and the remedy, or a fallback that says so; never a smaller number."""

import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
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
    ForecastSet,
    Forward,
    Instrument,
    Level,
    MarginResult,
    MarketSnapshot,
    OpenOrder,
    Position,
    Quote,
    Residuals,
    SettlementAverage,
    Smile,
    Svi,
    Tail,
    Underlying,
)
from serving.margin.policy import Hypothetical, MarginPolicy, PathPolicy, ScenarioPolicy, StaticPolicy
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

EXPIRY: Final = markets.AS_OF_NS + markets.EXPIRIES["27SEP24"]
LEAST_MESSAGE: Final = 20
NAN, INF = float("nan"), float("inf")
CONSERVATIVE: Final = MarginPolicy(missing="conservative")
HELD: Final = changed.everything(
    collateral=(
        Collateral(asset="USDC", quantity=Decimal(200_000)),
        Collateral(asset="BTC", quantity=Decimal(2)),
    )
)


def not_less(after: MarginResult, before: MarginResult) -> None:
    """Requirements not smaller, equity not larger."""
    assert after.initial >= before.initial
    assert after.maintenance >= before.maintenance
    assert after.levels.equity <= before.levels.equity


def no_better(after: MarginResult, before: MarginResult) -> None:
    """Not more left above either margin: an option without a price leaves the equity, and its loss the requirement."""
    assert after.levels.equity - after.initial <= before.levels.equity - before.initial
    assert after.levels.equity - after.maintenance <= before.levels.equity - before.maintenance


def whole_or_refused(
    market: MarketSnapshot | None = None, policy: MarginPolicy | None = None, forecasts: list[ForecastSet] | None = None
) -> None:
    """What is left margins not less than the whole, or is refused with a message of substance."""
    before = changed.quoted(HELD)
    try:
        after = changed.quoted(HELD, market, policy, forecasts)
    except DataError as refused:
        fault = str(refused)
    else:
        fault = ""
        (no_better if after.notes != before.notes and any("worst" in n for n in after.notes) else not_less)(
            after, before
        )
    assert not fault or len(fault) > LEAST_MESSAGE


def dropped(name: str, field: str, value: object = None) -> MarketSnapshot:
    return changed.with_underlying(name, **{field: value})


@pytest.mark.parametrize("policy", [MarginPolicy(), CONSERVATIVE], ids=["refuse", "conservative"])
@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL"])
@pytest.mark.parametrize(
    ("field", "nothing"),
    [
        ("open_interest_usd", None), ("volume_24h_usd", None), ("market_cap_usd", None), ("bids", ()), ("asks", ()),
        ("forwards", ()), ("smiles", ()), ("settled", ()),
    ],
)  # fmt: skip
def test_an_underlying_without_a_field_never_lowers(
    field: str, nothing: object, coin: str, policy: MarginPolicy
) -> None:
    whole_or_refused(dropped(coin, field, nothing), policy)


@pytest.mark.parametrize("policy", [MarginPolicy(), CONSERVATIVE], ids=["refuse", "conservative"])
@pytest.mark.parametrize("symbol", ["BTC-PERP", "BTC-USD", "BTC-27SEP24", changed.CALL, changed.PUT, changed.WING])
@pytest.mark.parametrize("field", ["index", "open_interest", "volume_24h_usd"])
def test_a_quote_without_a_field_never_lowers(field: str, symbol: str, policy: MarginPolicy) -> None:
    whole_or_refused(changed.with_quote(symbol, **{field: None}), policy)


@pytest.mark.parametrize("symbol", [i.symbol for i in changed.small_market().instruments])
def test_no_quote_at_all_is_refused_or_charged_at_its_worst(symbol: str) -> None:
    market = changed.without_quote(symbol)
    if symbol not in {p.instrument for p in HELD.positions}:
        assert changed.quoted(HELD, market, CONSERVATIVE).initial == changed.quoted(HELD).initial
        return
    with pytest.raises(MarketError, match=f"{symbol}: .*add its mark to quotes"):
        changed.quoted(HELD, market)
    after = changed.quoted(HELD, market, CONSERVATIVE)
    alone = changed.holding(*((p.instrument, str(p.quantity)) for p in HELD.positions if p.instrument == symbol))
    bare, priced = changed.quoted(alone, market, CONSERVATIVE), changed.quoted(alone)
    # A long option may cost more to margin than it is worth, by the cost of selling it: that goes with its value.
    assert bare.levels.equity - bare.initial <= priced.levels.equity - changed.component(priced, "scan")
    no_better(after, changed.quoted(HELD))
    assert any(symbol in note and "worst" in note for note in after.notes)


@pytest.mark.parametrize("entry", ["20000", "58000", "500000"])
@pytest.mark.parametrize("quantity", ["1", "-1"])
@pytest.mark.parametrize("symbol", ["BTC-PERP", "BTC-27SEP24", "BTC-USD"])
def test_a_loss_since_entry_is_not_forgotten_with_the_mark(symbol: str, quantity: str, entry: str) -> None:
    size = Decimal(quantity) * (6000 if symbol == "BTC-USD" else 1)
    held = replace(
        changed.holding(), positions=(Position(instrument=symbol, quantity=size, entry_price=Decimal(entry)),)
    )
    before = changed.quoted(held)
    after = changed.quoted(held, changed.without_quote(symbol), CONSERVATIVE)
    assert after.initial >= before.initial
    no_better(after, before)


def aged(market: MarketSnapshot) -> Iterator[tuple[str, Callable[[float], MarketSnapshot]]]:
    """Every age in a market."""
    for symbol in market.quotes:
        yield f"quote {symbol}", lambda age, symbol=symbol: changed.with_quote(symbol, age_s=age)  # type: ignore[misc]
    for name in market.underlyings:
        yield f"underlying {name}", lambda age, name=name: changed.with_underlying(name, age_s=age)  # type: ignore[misc]
    for name in market.assets:
        yield f"asset {name}", lambda age, name=name: changed.with_asset(name, age_s=age)  # type: ignore[misc]


AGED: Final = dict(aged(changed.small_market()))


@pytest.mark.parametrize("which", AGED)
def test_an_older_price_never_lowers(which: str) -> None:
    ages = [0.0, 60.0, 600.0, 86_400.0, 1e7]
    found = [changed.quoted(HELD, AGED[which](age)) for age in ages]
    for younger, older in pairwise(found):
        not_less(older, younger)


def doubted(market: MarketSnapshot) -> Iterator[tuple[str, Callable[[float], MarketSnapshot]]]:
    """Every confidence in a market."""
    for symbol in market.quotes:
        yield f"quote {symbol}", lambda c, symbol=symbol: changed.with_quote(symbol, confidence=c)  # type: ignore[misc]
    for name, terms in market.underlyings.items():
        yield f"underlying {name}", lambda c, name=name: changed.with_underlying(name, confidence=c)  # type: ignore[misc]
        yield (
            f"forwards of {name}",
            lambda c, name=name, terms=terms: changed.with_underlying(  # type: ignore[misc]
                name, forwards=tuple(replace(f, confidence=c) for f in terms.forwards)
            ),
        )
        yield (
            f"smiles of {name}",
            lambda c, name=name, terms=terms: changed.with_underlying(  # type: ignore[misc]
                name, smiles=tuple(replace(s, confidence=c) for s in terms.smiles)
            ),
        )
    for name in market.assets:
        yield f"asset {name}", lambda c, name=name: changed.with_asset(name, confidence=c)  # type: ignore[misc]


DOUBTED: Final = dict(doubted(changed.small_market()))


@pytest.mark.parametrize("which", DOUBTED)
def test_less_confidence_never_lowers(which: str) -> None:
    found = [changed.quoted(HELD, DOUBTED[which](confidence)) for confidence in (1.0, 0.6, 0.5, 0.25, 0.0)]
    for surer, doubtful in pairwise(found):
        not_less(doubtful, surer)


def test_a_doubtful_smile_costs_no_more_than_a_missing_one() -> None:
    smiles = changed.small_market().underlyings["BTC"].smiles
    doubtful = changed.with_underlying("BTC", smiles=tuple(replace(s, confidence=0.2) for s in smiles))
    not_less(changed.quoted(HELD, changed.with_underlying("BTC", smiles=())), changed.quoted(HELD, doubtful))


@pytest.mark.parametrize("price", ["0.98", "0.9", "0.5", "0.1", "0.01"])
def test_a_falling_stablecoin_never_lowers(price: str) -> None:
    before = changed.quoted(HELD, changed.with_asset("USDC", price_usd=Decimal(1)))
    not_less(changed.quoted(HELD, changed.with_asset("USDC", price_usd=Decimal(price))), before)


def test_a_profit_in_a_fallen_stablecoin_is_worth_what_the_coin_is() -> None:
    held = replace(
        changed.holding(),
        positions=(Position(instrument="BTC-PERP", quantity=Decimal(1), entry_price=Decimal(48_300)),),
        collateral=(),
    )
    par, half = (
        changed.quoted(held, changed.with_asset("USDC", price_usd=Decimal(p))).levels.equity for p in ("1", "0.5")
    )
    assert par > 10_000
    assert half <= par / 2


def test_a_price_of_zero_is_no_price() -> None:
    with pytest.raises(MarketError, match=r"USDC.*price"):
        changed.quoted(HELD, changed.with_asset("USDC", price_usd=Decimal(0)))
    with pytest.raises(MarketError, match=r"BTC-PERP: mark is 0.*above 0"):
        changed.quoted(HELD, changed.with_quote("BTC-PERP", mark=Decimal(0)))


@pytest.mark.parametrize("symbol", [changed.CALL, changed.PUT])
def test_an_option_owed_does_not_vanish_with_its_mark(symbol: str) -> None:
    short = changed.holding((symbol, -1))
    not_less(changed.quoted(short, changed.with_quote(symbol, mark=Decimal(0))), changed.quoted(short))


TAIL_FIELDS = ("stress", "floor", "long_run", "vol_move", "depth_frac")


@pytest.mark.parametrize("field", TAIL_FIELDS)
def test_a_forecast_without_a_field_never_lowers(field: str) -> None:
    whole_or_refused(forecasts=[changed.with_tails(lambda tail: replace(tail, **{field: None}))])


@pytest.mark.parametrize("level", ["0.99", "0.995"])
@pytest.mark.parametrize("field", ["loss_quantiles", "shortfall"])
def test_a_forecast_without_a_level_never_lowers(field: str, level: str) -> None:
    def bare(tail: Tail) -> Tail:
        return replace(tail, **{field: {k: v for k, v in getattr(tail, field).items() if k != level}})

    whole_or_refused(forecasts=[changed.with_tails(bare)])


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL"])
@pytest.mark.parametrize("side", ["down", "up"])
def test_a_forecast_of_one_side_alone_never_lowers(side: str, coin: str) -> None:
    found = markets.forecasts()
    kept = tuple(t for t in found.tails if (t.underlying, t.side) != (coin, side))
    whole_or_refused(forecasts=[replace(found, tails=kept)])


@pytest.mark.parametrize("hours", [(1,), (8,), (24,), (1, 8), (8, 24), (1, 24), (1, 8, 24)])
def test_a_forecast_without_a_horizon_never_lowers(hours: tuple[int, ...]) -> None:
    found = markets.forecasts()
    kept = tuple(t for t in found.tails if t.horizon_s // 3600 not in hours)
    whole_or_refused(forecasts=[replace(found, tails=kept)])


@pytest.mark.parametrize("field", ["correlation", "residuals"])
def test_a_forecast_without_its_joint_part_never_lowers(field: str) -> None:
    whole_or_refused(forecasts=[replace(markets.forecasts(), **{field: None})])


def test_no_joint_paths_are_said() -> None:
    found = changed.quoted(HELD, forecasts=[replace(markets.forecasts(), residuals=None)])
    assert any("paths" in note for note in found.notes)


def test_no_forecast_or_an_expired_one_never_lowers_and_is_said() -> None:
    before, good = changed.quoted(HELD), markets.forecasts()
    for late in (markets.AS_OF_NS, markets.AS_OF_NS - 1):
        after = changed.quoted(HELD, forecasts=[replace(good, expires_ns=late)])
        not_less(after, before)
        assert any("expired" in note for note in after.notes)
    none = changed.quoted(HELD, forecasts=[])
    not_less(none, before)
    assert any("no forecast" in note for note in none.notes)


def test_an_expired_forecast_still_holds_the_range_up() -> None:
    crisis = changed.with_tails(lambda tail: changed.times(tail, 6.0))
    fresh = changed.quoted(HELD, forecasts=[crisis, markets.forecasts()])
    late = changed.quoted(HELD, forecasts=[replace(crisis, expires_ns=markets.AS_OF_NS), markets.forecasts()])
    assert late.initial >= fresh.initial > changed.quoted(HELD).initial


def test_an_underlying_that_is_not_forecast_pays_no_less_for_its_size() -> None:
    big = changed.holding(("SOL-PERP", 2_000_000))
    found = markets.forecasts()
    others = replace(found, tails=tuple(t for t in found.tails if t.underlying != "SOL"))
    none, some = changed.quoted(big, forecasts=[]), changed.quoted(big, forecasts=[others])
    assert changed.component(some, "time to close") == changed.component(none, "time to close") > 0


def test_a_heavy_forecast_over_a_day_still_counts_for_size_after_it_expired() -> None:
    big = changed.holding(("BTC-PERP", 60_000))
    heavy = changed.with_tails(lambda t: changed.times(t, 9.0) if t.horizon_s == 86_400 else changed.times(t, 3.0))
    late = replace(heavy, expires_ns=markets.AS_OF_NS)
    not_less(changed.quoted(big, forecasts=[late]), changed.quoted(big, forecasts=[heavy]))


def test_a_missing_horizon_between_two_is_not_read_off_the_shorter_alone() -> None:
    heavy = changed.with_tails(lambda t: changed.times(t, 1.4) if t.horizon_s == 28_800 else t)
    without = replace(heavy, tails=tuple(t for t in heavy.tails if t.horizon_s != 28_800))
    one = changed.holding(("BTC-PERP", 1))
    after = changed.quoted(one, forecasts=[without])
    not_less(after, changed.quoted(one, forecasts=[heavy]))
    assert any("no forecast over 28800 s" in note for note in after.notes)


def test_a_missing_quoted_volatility_is_said() -> None:
    short = changed.holding((changed.PUT, -1))
    found = changed.quoted(short, changed.with_quote(changed.PUT, vol=None))
    assert float(found.initial) == pytest.approx(float(changed.quoted(short).initial), rel=1e-3)  # the smile's is close


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
    with pytest.raises(DataError, match=r"slip of units|within|fraction|percent|give"):
        replace(sample, **{field: kind("1e13")})


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
    no_better(after, before)
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
            no_better(changed.quoted(held, market, CONSERVATIVE), changed.quoted(held))


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
    with pytest.raises(SettingError, match="unknown scenario family 'grids'; known: grid"):
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
