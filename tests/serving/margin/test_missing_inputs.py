"""Missing, old, doubtful and expired inputs: each field of market and forecast in turn, never a smaller number."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Final

import pytest
from msgspec.structs import replace

from features.errors import DataError, MarketError
from serving.margin.objects import Collateral, ForecastSet, MarketSnapshot, Position, Tail
from serving.margin.policy import MarginPolicy
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

LEAST_MESSAGE: Final = 20
CONSERVATIVE: Final = MarginPolicy(missing="conservative")
HELD: Final = changed.everything(
    collateral=(
        Collateral(asset="USDC", quantity=Decimal(200_000)),
        Collateral(asset="BTC", quantity=Decimal(2)),
    )
)


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
        unpriced = any("charged at its worst" in note for note in after.notes)
        (changed.no_better if unpriced else changed.not_less)(after, before)
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
    changed.no_better(after, changed.quoted(HELD))
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
    changed.no_better(after, before)


def aged(market: MarketSnapshot) -> Iterator[tuple[str, Callable[[float | None], MarketSnapshot]]]:
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
        changed.not_less(older, younger)


def doubted(market: MarketSnapshot) -> Iterator[tuple[str, Callable[[float | None], MarketSnapshot]]]:
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
        changed.not_less(doubtful, surer)


@pytest.mark.parametrize("which", [*AGED, *DOUBTED])
def test_an_age_or_a_confidence_that_is_not_known_never_lowers(which: str) -> None:
    found = AGED[which](None) if which in AGED else DOUBTED[which](None)
    changed.not_less(changed.quoted(HELD, found), changed.quoted(HELD))


def test_a_doubtful_smile_costs_no_more_than_a_missing_one() -> None:
    smiles = changed.small_market().underlyings["BTC"].smiles
    doubtful = changed.with_underlying("BTC", smiles=tuple(replace(s, confidence=0.2) for s in smiles))
    changed.not_less(changed.quoted(HELD, changed.with_underlying("BTC", smiles=())), changed.quoted(HELD, doubtful))


@pytest.mark.parametrize("price", ["0.98", "0.9", "0.5", "0.1", "0.01"])
def test_a_falling_stablecoin_never_lowers(price: str) -> None:
    before = changed.quoted(HELD, changed.with_asset("USDC", price_usd=Decimal(1)))
    changed.not_less(changed.quoted(HELD, changed.with_asset("USDC", price_usd=Decimal(price))), before)


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
    changed.not_less(changed.quoted(short, changed.with_quote(symbol, mark=Decimal(0))), changed.quoted(short))


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
        changed.not_less(after, before)
        assert any("expired" in note for note in after.notes)
    none = changed.quoted(HELD, forecasts=[])
    changed.not_less(none, before)
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
    changed.not_less(changed.quoted(big, forecasts=[late]), changed.quoted(big, forecasts=[heavy]))


def test_a_missing_horizon_between_two_is_not_read_off_the_shorter_alone() -> None:
    heavy = changed.with_tails(lambda t: changed.times(t, 1.4) if t.horizon_s == 28_800 else t)
    without = replace(heavy, tails=tuple(t for t in heavy.tails if t.horizon_s != 28_800))
    one = changed.holding(("BTC-PERP", 1))
    after = changed.quoted(one, forecasts=[without])
    changed.not_less(after, changed.quoted(one, forecasts=[heavy]))
    assert any("no forecast over 28800 s" in note for note in after.notes)


def test_a_missing_quoted_volatility_is_said() -> None:
    short = changed.holding((changed.PUT, -1))
    found = changed.quoted(short, changed.with_quote(changed.PUT, vol=None))
    assert float(found.initial) == pytest.approx(float(changed.quoted(short).initial), rel=1e-3)  # the smile's is close
