"""Derive's standard margin: worked examples, laws, and no fault that lowers a margin."""

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from features.errors import AccountError, MarketError, SettingError
from serving.margin.charge import total
from serving.margin.rules.derive_portfolio import Expiry, Options, Perpetual
from serving.margin.rules.derive_standard import (
    PUBLISHED,
    Market,
    StandardAccount,
    read_parameters,
    standard_margin,
)
from serving.margin.rules.derive_standard.options import greatest_loss, option_margin

DAY_S = 86_400.0
MONTH = Expiry(30 * DAY_S, 0.0, 102.0, 0.05, 1.0)
FAR = Expiry(90 * DAY_S, 0.0, 104.0, 0.05, 1.0)


def market(*rows: tuple[int, float, float, float, bool], **others: Any) -> Market:
    """Options as rows of expiry, strike, amount, vol, call, at spot 100."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    options = Options(table[:, 0].astype(np.int64), table[:, 1], table[:, 2], table[:, 3], table[:, 4] > 0)
    return Market(100.0, expiries=(MONTH, FAR), options=options, **others)


def value(strike: float, vol: float, *, is_call: bool, forward: float = 102.0, years: float = 30 / 365) -> float:
    """Undiscounted Black-76."""
    s = vol * math.sqrt(years)
    side = 1 if is_call else -1
    d1 = math.log(forward / strike) / s + s / 2
    return float(side * (forward * norm.cdf(side * d1) - strike * norm.cdf(side * (d1 - s))))


def net(one: Market, price: float = 1.0) -> tuple[float, float]:
    found = standard_margin(StandardAccount(0.0, price, (one,)), PUBLISHED)
    return found.net_initial, found.net_maintenance


def drawn(seed: int, size: int = 7) -> Market:
    rng = np.random.default_rng(seed)
    rows = [
        (
            int(rng.integers(2)),
            float(rng.choice([70, 90, 100, 115, 150])),
            float(rng.normal()),
            float(rng.uniform(0.2, 1.1)),
            bool(rng.random() < 0.5),
        )
        for _ in range(size)
    ]
    perpetual = Perpetual(float(rng.normal()), 100.2, float(rng.uniform(0.2, 1)), -3.0)
    return market(*rows, perpetuals=(perpetual,), base=1.5, spot_confidence=float(rng.uniform(0.3, 1)))


@pytest.mark.parametrize(("strike", "share"), [(90, 0.15), (100, 0.15), (103, 0.12), (105, 0.10), (140, 0.10)])
def test_a_call_sold_alone(strike: float, share: float) -> None:
    """Value, and 7.5 % of spot; initially 15 % less the distance out of the money, at least 10 %."""
    worth = value(strike, 0.6, is_call=True)
    assert net(market((0, strike, -2.0, 0.6, True))) == pytest.approx((-2 * (worth + share * 100), -2 * (worth + 7.5)))


@pytest.mark.parametrize(("strike", "share"), [(110, 0.15), (100, 0.15), (96, 0.11), (80, 0.10)])
def test_a_put_sold_alone(strike: float, share: float) -> None:
    worth = value(strike, 0.6, is_call=False)
    low = worth + max(7.5, 0.075 * worth)
    assert net(market((0, strike, -1.0, 0.6, False))) == pytest.approx((-max(worth + share * 100, 1.05 * low), -low))


def test_a_put_deep_in_the_money_needs_more_by_its_own_value() -> None:
    """Worth about 298: 7.5 % of that is more than of spot, and 1.05 times maintenance more than 15 % of spot."""
    worth = value(400, 0.6, is_call=False)
    assert net(market((0, 400, -1.0, 0.6, False))) == pytest.approx((-1.05 * 1.075 * worth, -1.075 * worth))


@pytest.mark.parametrize("is_call", [True, False])
def test_a_spread_needs_no_more_than_it_can_lose(is_call: bool) -> None:
    low, high = (-1.0, 1.0) if is_call else (1.0, -1.0)
    spread = market((0, 90, low, 0.6, is_call), (0, 95, high, 0.6, is_call))
    assert net(spread) == pytest.approx((-5.0, -5.0))


def test_what_is_held_counts_for_nothing_and_costs_nothing() -> None:
    assert net(market((0, 90, 1.0, 0.6, True), (1, 110, 2.0, 0.6, False))) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_calls_sold_beyond_those_held_are_unbounded() -> None:
    """One held at 60 against 1.1 sold at 130: bounded reading 0.1 x 102 x scale, less than on their own."""
    spread = market((0, 60, 1.0, 0.6, True), (0, 130, -1.1, 0.6, True))
    worth = value(130, 0.6, is_call=True)
    expected = (-min(0.1 * 102 * 1.2, 1.1 * (worth + 10)), -min(0.1 * 102 * 1.1, 1.1 * (worth + 7.5)))
    assert net(spread) == pytest.approx(expected)
    assert option_margin(spread, PUBLISHED, initial=True).bounded[0] == pytest.approx(-0.1 * 102 * 1.2)


@given(st.integers(0, 60))
def test_no_settlement_price_on_a_grid_loses_more_than_the_strikes_show(seed: int) -> None:
    """The payoff is piecewise linear, so its least value up to the highest strike lies at 0 or at a strike."""
    options = drawn(seed).options
    here = options.expiry == 0
    found = float(greatest_loss(options, here, 0.0).sum())
    grid = np.arange(0.0, options.strike[here].max(initial=0.0) + 0.25, 0.5)[:, None]  # every strike is on it
    moved = (grid - options.strike[here]) * np.where(options.is_call[here], 1, -1)
    payoff = (np.maximum(moved, 0) * options.amount[here]).sum(axis=1)
    assert found == pytest.approx(min(0.0, float(payoff.min())), abs=1e-9)


@given(st.integers(0, 60))
def test_the_better_reading_of_each_expiry_counts(seed: int) -> None:
    for initial in (True, False):
        found = option_margin(drawn(seed), PUBLISHED, initial=initial)
        assert float(found.net.sum()) == pytest.approx(float(np.maximum(found.isolated, found.bounded).sum()))


def test_perpetuals_and_spot() -> None:
    """2 perpetuals at 101, profit 4, and 3 of spot that count 80 %."""
    one = market(perpetuals=(Perpetual(-2.0, 101.0, 1.0, 4.0),), base=3.0)
    assert net(one) == pytest.approx((4 + 240 - 0.065 * 202, 4 + 240 - 0.05 * 202))
    assert net(replace(one, base_counts=False)) == pytest.approx((4 - 0.065 * 202, 4 - 0.05 * 202))


def test_spot_counts_for_less_initially_where_the_venue_says_so() -> None:
    rule = msgspec.structs.replace(PUBLISHED, base_initial=0.9)
    found = standard_margin(StandardAccount(0.0, 1.0, (market(base=3.0),)), rule)
    assert (found.net_initial, found.net_maintenance) == pytest.approx((216.0, 240.0))


@given(st.integers(0, 40), st.floats(0.1, 30))
def test_twice_the_account_needs_twice_the_margin(seed: int, scale: float) -> None:
    one = drawn(seed)
    many = replace(
        one,
        options=replace(one.options, amount=one.options.amount * scale),
        perpetuals=tuple(replace(p, amount=p.amount * scale, value=p.value * scale) for p in one.perpetuals),
        base=one.base * scale,
    )
    assert net(many) == pytest.approx(tuple(scale * level for level in net(one)), rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_charges_add_up_to_value_less_net_balance(seed: int) -> None:
    account = StandardAccount(50.0, 0.97, (drawn(seed), drawn(seed + 100)))
    found = standard_margin(account, PUBLISHED)
    sums = [total(one.charges) for one in found.markets]
    assert found.mark_to_market - found.net_initial == pytest.approx(sum(initial for initial, _ in sums))
    assert found.mark_to_market - found.net_maintenance == pytest.approx(sum(low for _, low in sums))


@given(st.integers(0, 40), st.sampled_from(["spot", "perpetual", "expiry", "base"]), st.floats(0, 1))
def test_less_confidence_only_raises_the_requirement(seed: int, feed: str, lower: float) -> None:
    one = drawn(seed)
    doubted = {
        "spot": lambda: replace(one, spot_confidence=one.spot_confidence * lower),
        "perpetual": lambda: replace(one, perpetuals=(replace(one.perpetuals[0], confidence=0.2 * lower),)),
        "expiry": lambda: replace(one, expiries=tuple(replace(e, confidence=lower) for e in one.expiries)),
        "base": lambda: replace(one, base_confidence=lower),
    }[feed]()
    assert net(doubted)[0] <= net(one)[0]
    assert net(doubted)[1] == net(one)[1]


def test_doubt_and_a_lost_peg_in_numbers() -> None:
    """1 call sold, confidence 0.3: 0.7 x 0.4 of spot; the cash asset at 0.9: 0.08 x 1.2 of spot."""
    one = market((0, 100, -1.0, 0.6, True))
    doubted = replace(one, expiries=(replace(MONTH, confidence=0.3), FAR))
    assert net(one)[0] - net(doubted)[0] == pytest.approx(28.0)
    assert net(one)[0] - net(one, 0.9)[0] == pytest.approx(9.6)
    assert net(one)[1] == net(doubted)[1] == net(one, 0.9)[1]
    at_threshold = replace(one, expiries=(replace(MONTH, confidence=0.4), FAR))
    assert net(at_threshold) == net(one)


def test_parameters_survive_a_plain_mapping_and_refuse_what_they_do_not_know() -> None:
    plain = msgspec.to_builtins(PUBLISHED)
    assert read_parameters(plain) == PUBLISHED
    with pytest.raises(SettingError, match="unknown field `spot`"):
        read_parameters(plain | {"spot": 1.0})
    del plain["offset"]
    with pytest.raises(SettingError, match="missing required field `offset`"):
        read_parameters(plain)


@pytest.mark.parametrize("field", PUBLISHED.__struct_fields__[1:])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.1])
def test_parameters_that_are_no_numbers_are_refused(field: str, wrong: float) -> None:
    with pytest.raises(SettingError, match=field):
        msgspec.structs.replace(PUBLISHED, **{field: wrong})


@pytest.mark.parametrize("place", ["spot", "spot_confidence", "base", "base_confidence"])
def test_feeds_that_are_no_numbers_are_refused(place: str) -> None:
    change: dict[str, Any] = {place: math.nan}
    with pytest.raises((MarketError, AccountError), match=place):
        replace(drawn(1), **change)


def test_missing_feeds_and_prices_are_refused() -> None:
    with pytest.raises(MarketError, match="no feeds of its expiry"):
        market((2, 100, 1.0, 0.6, True))
    with pytest.raises(MarketError, match="stable_price"):
        StandardAccount(0.0, 0.0)
    with pytest.raises(AccountError, match="cash"):
        StandardAccount(math.nan, 1.0)
