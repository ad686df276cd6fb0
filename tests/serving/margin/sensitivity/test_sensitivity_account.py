"""An account's figure: by hand, by the other method, and kept while trades come in."""

import math
from decimal import Decimal
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ForecastError, MarketError, UnknownInstrumentError
from serving.margin.objects import Account, Position
from serving.margin.sensitivity.account import sensitivities_of, sensitivity_margin
from serving.margin.sensitivity.fast import fast_account
from tests.serving.margin import markets
from tests.serving.margin.sensitivity.sensitivity_markets import fast, of, whole

FEW = settings(max_examples=15, deadline=None)
SYMBOLS = [i.symbol for i in markets.market().instruments]


def _total(account: Account) -> float:
    return sensitivity_margin(account, whole()).amount


def _held(*positions: tuple[str, str]) -> Account:
    return Account(account_id="t", positions=tuple(Position(instrument=s, quantity=Decimal(q)) for s, q in positions))


def test_a_perpetual_pays_its_range() -> None:
    ranges, row = whole().calibration.ranges, whole().market.row("BTC-PERP")
    width = max(ranges.down[0], ranges.up[0])
    assert _total(markets.account(BTC_PERP="-2")) == pytest.approx(2 * width * float(whole().market.mark_usd[row]))


def test_two_coins_of_opposite_sign_are_offset_by_the_low_correlation() -> None:
    """Forecast correlation 0.8 of BTC and ETH: low is half way to 0."""
    one, other = _total(markets.account(BTC_PERP="1")), _total(markets.account(ETH_PERP="-20"))
    found = sensitivity_margin(markets.account(BTC_PERP="1", ETH_PERP="-20"), whole())
    assert found.amount == pytest.approx(math.sqrt(one**2 + other**2 - 2 * 0.4 * one * other))
    assert found.part("cross").parts[0].name == "low correlations"


def test_two_coins_of_one_sign_diversify_by_the_high_correlation() -> None:
    one, other = _total(markets.account(BTC_PERP="1")), _total(markets.account(ETH_PERP="20"))
    together = math.sqrt(one**2 + other**2 + 2 * 0.9 * one * other)
    assert _total(markets.account(BTC_PERP="1", ETH_PERP="20")) == pytest.approx(together)


def test_a_calendar_spread_pays_its_basis() -> None:
    """Deltas cancel; what is left is the rate by which they part, for the time between them."""
    row = whole().market.row("BTC-27SEP24")
    future = float(whole().market.mark_usd[row])
    ratio = str(Decimal(str(future)) / Decimal(str(float(whole().market.mark_usd[whole().market.row("BTC-PERP")]))))
    spread = _total(_held(("BTC-27SEP24", "1"), ("BTC-PERP", f"-{ratio}")))
    years = float(whole().market.options.years[row])
    assert spread == pytest.approx(0.10 * future * years, rel=1e-6)


def test_long_options_cost_their_value_at_most() -> None:
    account = markets.account(BTC_6SEP24_58000_C="3")
    value = 3 * float(whole().market.mark_usd[whole().market.row("BTC-6SEP24-58000-C")])
    found = sensitivity_margin(account, whole())
    assert found.amount == pytest.approx(value)
    assert found.part("cross", "value of long options").amount == pytest.approx(value)


def test_isolated_positions_offset_nothing() -> None:
    cross, isolated = (
        Position(instrument="BTC-PERP", quantity=Decimal(1)),
        Position(instrument="BTC-PERP", quantity=Decimal(-1), mode="isolated", isolated_collateral=Decimal(9000)),
    )
    apart = Account(account_id="t", positions=(cross, isolated))
    assert _total(apart) == pytest.approx(2 * _total(markets.account(BTC_PERP="1")))
    assert {part.name for part in sensitivity_margin(apart, whole()).parts} == {"cross", "isolated BTC-PERP"}


def test_an_empty_account_pays_nothing() -> None:
    assert _total(_held()) == fast_account(_held(), fast()).total == 0.0


@FEW
@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(0, 8))
def test_the_compiled_figure_is_that_of_the_tree(seed: int, options: int, perpetuals: int) -> None:
    account = markets.mixed(seed, options, perpetuals)
    assert fast_account(account, fast()).total == pytest.approx(_total(account), rel=1e-12, abs=1e-9)


@FEW
@given(st.integers(0, 10_000), st.sampled_from(SYMBOLS), st.floats(-5, 5).map(lambda q: round(q, 3)))
def test_a_trade_added_is_the_account_with_the_trade(seed: int, symbol: str, quantity: float) -> None:
    account = markets.mixed(seed, 12, 4)
    kept = fast_account(account, fast())
    held = {p.instrument: p.quantity for p in account.positions}
    held[symbol] = held.get(symbol, Decimal(0)) + Decimal(str(quantity))
    fresh = fast_account(_held(*((name, str(q)) for name, q in held.items())), fast()).total
    after, difference = kept.what_if(symbol, quantity)
    assert after == pytest.approx(fresh, rel=1e-10, abs=1e-6)
    assert difference == after - kept.total
    assert kept.total == fast_account(account, fast()).total  # asking changes nothing


@FEW
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_order_of_positions_changes_no_bit_of_the_tree(seed: int, shuffle: Random) -> None:
    account = markets.mixed(seed, 15, 5)
    positions = list(account.positions)
    shuffle.shuffle(positions)
    other = msgspec.structs.replace(account, positions=tuple(positions))
    assert _total(other) == _total(account)
    assert fast_account(other, fast()).total == pytest.approx(fast_account(account, fast()).total, rel=1e-12)


@FEW
@given(st.integers(0, 10_000), st.sampled_from(["0.125", "3", "40"]))
def test_homogeneous_of_degree_one(seed: int, scale: str) -> None:
    account = markets.mixed(seed, 10, 5)
    larger = _held(*((p.instrument, str(p.quantity * Decimal(scale))) for p in account.positions))
    assert _total(larger) == pytest.approx(float(scale) * _total(account), rel=1e-9)


@FEW
@given(st.integers(0, 10_000))
def test_perpetuals_are_sub_additive_and_symmetric(seed: int) -> None:
    """Deltas alone: each bucket is one coin, so that nothing is clamped; joint law of three coins."""
    rng = np.random.default_rng(seed)
    one, other = (rng.normal(size=3).round(3) for _ in range(2))
    names = ("BTC-PERP", "ETH-PERP", "SOL-PERP")

    def margin(quantities: np.ndarray) -> float:
        return _total(_held(*((n, str(q)) for n, q in zip(names, quantities, strict=True))))

    assert margin((one + other).round(3)) <= margin(one) + margin(other) + 1e-6
    assert margin(-one) == margin(one)


def test_unknown_and_unpriced_instruments_are_refused_only_where_held() -> None:
    snapshot = markets.market()
    quotes = {name: quote for name, quote in snapshot.quotes.items() if name != "ETH-PERP"}
    lacking = of(msgspec.structs.replace(snapshot, quotes=quotes))
    assert sensitivity_margin(markets.account(BTC_PERP="1"), lacking).amount > 0
    with pytest.raises(MarketError, match="ETH-PERP: the market has no quote"):
        sensitivity_margin(markets.account(ETH_PERP="1"), lacking)
    with pytest.raises(UnknownInstrumentError, match="DOGE-PERP"):
        sensitivities_of(markets.account(DOGE_PERP="1"), lacking)


@pytest.mark.parametrize("quantity", [math.nan, math.inf, -math.inf])
def test_a_trade_that_is_no_number_is_refused(quantity: float) -> None:
    kept = fast_account(markets.account(BTC_PERP="1"), fast())
    with pytest.raises(ForecastError, match="not a finite number"):
        kept.what_if("BTC-PERP", quantity)
    with pytest.raises(ForecastError, match="not a finite number"):
        whole().of("BTC-PERP", quantity)


def test_an_absurd_trade_is_refused_not_made_a_margin() -> None:
    with pytest.raises(ForecastError, match="not finite"), np.errstate(over="ignore", invalid="ignore"):
        fast_account(markets.account(BTC_PERP="1"), fast()).added("BTC-PERP", 1e300)
