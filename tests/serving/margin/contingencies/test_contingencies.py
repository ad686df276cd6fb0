"""Contingencies against published examples, slow loops and laws."""

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import MarketError, SettingError
from serving.margin.contingencies import (
    BasisPolicy,
    DepegPolicy,
    FeedPolicy,
    FundingPolicy,
    ShortOptionPolicy,
    basis,
    depeg,
    funding,
    low_confidence,
    short_option_minimum,
    stale_price,
)
from serving.margin.contingencies.inputs import refuse_unless_finite

FloatArray = NDArray[np.float64]
RNG = np.random.default_rng(3)


def test_net_short_options_of_deribits_example() -> None:
    # "call +10 and put -20, your net short position on strike X is -10, thus 10*0.01 BTC": in BTC, spot is 1.
    initial, maintenance = short_option_minimum(
        np.array([10.0, -20.0]), np.array([0, 0]), np.ones(2), ShortOptionPolicy()
    )
    assert initial.sum() == maintenance.sum() == pytest.approx(float(10 * Decimal("0.01")))


@pytest.mark.parametrize("seed", range(5))
def test_naked_shorts_are_those_of_derives_pairwise_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = [(k, kind, float(rng.integers(-5, 6))) for k in range(6) for kind in "cp" if rng.random() < 0.8]
    naked = 0.0  # one strike at a time: opposite signs cancel, two shorts add
    for k in range(6):
        held = {kind: q for at, kind, q in options if at == k}
        call, put = held.get("c", 0.0), held.get("p", 0.0)
        if call * put < 0:
            naked += abs(min(call, put)) - min(abs(call), abs(put))
        else:
            naked += max(-call, 0.0) + max(-put, 0.0)
    units, strikes = np.array([q for *_, q in options]), np.array([k for k, *_ in options])
    policy = ShortOptionPolicy(0.02, 0.005)
    initial, maintenance = short_option_minimum(units, strikes, np.full(len(units), 300.0), policy)
    assert initial.sum() == pytest.approx(0.02 * 300.0 * naked)
    np.testing.assert_allclose(maintenance, initial / 4)
    assert (initial >= 0).all()
    assert (initial[units >= 0] == 0).all()


def test_without_netting_every_short_option_pays() -> None:
    policy = ShortOptionPolicy(0.01, 0.01, "none")
    initial, _ = short_option_minimum(np.array([10.0, -4.0, -6.0]), np.zeros(3, np.int64), np.full(3, 50.0), policy)
    assert initial.tolist() == [0.0, 2.0, 3.0]
    strict = short_option_minimum(
        np.array([10.0, -4.0, -6.0]), np.zeros(3, np.int64), np.full(3, 50.0), ShortOptionPolicy()
    )
    assert strict[0].sum() == 0.0


def test_offsetting_futures_of_deribits_example() -> None:
    # "long 100 BTC in Future A, and short 100 BTC in Future B, then 1.00%*100 BTC will be added".
    policy = BasisPolicy(leg_frac=0.005, annual_frac=0.0)
    charge = basis(
        np.array([100.0, -100.0]), np.array([0, 0]), np.array([0, 1]), np.array([0.1, 0.5]), np.zeros(2), policy
    )
    assert charge.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_basis_is_that_of_the_slow_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 30
    owner_of = np.array([0, 0, 0, 1, 1, 2])  # the first expiry of each underlying is spot
    years_of, spot_of = np.array([0.0, 0.0, 0.7, 0.0, 4.0, 0.0]), np.array([1.0, 0, 0, 1, 0, 1])
    expiry, delta = rng.integers(0, 6, n), rng.normal(size=n) * 100
    policy = BasisPolicy()
    charge = basis(delta, owner_of[expiry], expiry, years_of[expiry], spot_of[expiry], policy)
    for u in range(3):
        nets = {e: delta[expiry == e].sum() for e in range(6) if owner_of[e] == u}
        matched = min(sum(max(x, 0) for x in nets.values()), sum(max(-x, 0) for x in nets.values()))
        expected = 0.0
        for e, net in nets.items():
            side = sum(abs(x) for x in nets.values() if x * net > 0)
            rate = 0.0 if spot_of[e] else min(0.005 + 0.05 * years_of[e], 0.15)
            expected += rate * abs(net) * matched / side if side else 0.0
        assert charge[owner_of[expiry] == u].sum() == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(
        basis(-7 * delta, owner_of[expiry], expiry, years_of[expiry], spot_of[expiry], policy), 7 * charge
    )


def test_basis_charges_nothing_without_offset_and_spot_pays_nothing() -> None:
    where = np.array([0, 0]), np.array([0, 1]), np.array([0.0, 1.0])
    assert basis(np.array([50.0, 80.0]), *where, np.zeros(2), BasisPolicy()).tolist() == [0.0, 0.0]
    cash_and_carry = basis(np.array([50.0, -80.0]), *where, np.array([1.0, 0.0]), BasisPolicy())
    assert cash_and_carry.tolist() == pytest.approx([0.0, 0.055 * 50.0])
    assert (
        basis(np.array([1.0, -1.0]), np.array([0, 1]), np.array([0, 1]), np.zeros(2), np.zeros(2), BasisPolicy()).sum()
        == 0
    )


@pytest.mark.parametrize(
    ("notional", "rate", "expected"),
    [
        ("1000000", "0.0003", "600"), ("-1000000", "0.0003", "100"), ("1000000", "-0.0003", "100"),
        ("-1000000", "-0.0007", "1400"), ("1000000", "0", "100"), ("0", "0.01", "0"),
    ],
)  # fmt: skip
def test_funding_by_hand(notional: str, rate: str, expected: str) -> None:
    against = Decimal(rate) * (1 if Decimal(notional) > 0 else -1)
    assert abs(Decimal(notional)) * max(2 * against, Decimal("0.0001")) == Decimal(expected)
    found = funding(np.array([float(notional)]), np.array([float(rate)]), FundingPolicy())
    assert found[0] == pytest.approx(float(expected))
    half = funding(np.array([float(notional)]), np.array([float(rate)]), FundingPolicy(horizon_s=14_400.0))
    assert half[0] == pytest.approx(float(expected) / 2)


@given(notional=st.floats(-1e9, 1e9), rate=st.floats(-0.03, 0.03), other=st.floats(-1e9, 1e9))
def test_funding_is_no_credit_and_not_lower_without_a_rate(notional: float, rate: float, other: float) -> None:
    both = funding(np.array([notional, other]), np.array([rate, rate]), FundingPolicy())
    assert (both >= 0).all()
    unknown = funding(np.array([notional, other]), np.full(2, math.nan), FundingPolicy(), np.array([True, True]))
    assert (unknown >= both).all()


def test_depeg_by_hand() -> None:
    # Derive's threshold 0.98 and factor 2: at 0.93 the gap of 0.05 costs a tenth of the notional.
    found = depeg(np.array([1000.0, -1000.0, 1000.0, 1000.0]), np.array([0.93, 0.93, 0.98, 1.2]), DepegPolicy())
    assert found.tolist() == pytest.approx([100.0, 100.0, 0.0, 0.0])
    assert depeg(np.array([1000.0]), np.zeros(1), DepegPolicy())[0] == pytest.approx(2 * 0.98 * 1000)


def test_confidence_by_hand() -> None:
    found = low_confidence(np.array([-1000.0, 1000.0, 1000.0]), np.array([0.35, 0.55, 1.0]), FeedPolicy())
    assert found.tolist() == pytest.approx([200.0, 0.0, 0.0])
    half = FeedPolicy(confidence_factor=0.5, confidence_threshold=0.8)
    assert low_confidence(np.array([1000.0]), np.array([0.6]), half)[0] == pytest.approx(100.0)


def test_a_stale_price_is_as_good_as_a_longer_horizon() -> None:
    one, loss = np.array([-1000.0]), np.array([0.08])
    # An hour over the limit beside a horizon of an hour: the loss of two hours, by the root of time.
    found = stale_price(one, loss, np.array([3660.0]), np.array([3600.0]), FeedPolicy())
    assert found[0] == pytest.approx(1000 * 0.08 * (math.sqrt(2) - 1))
    assert stale_price(one, loss, np.array([60.0]), np.array([3600.0]), FeedPolicy())[0] == 0.0


def at(value: float) -> FloatArray:
    return np.array([value])


@given(
    price=st.floats(0.0, 2.0), worse=st.floats(0.0, 1.0), confidence=st.floats(0.0, 1.0),
    age=st.floats(0.0, 86_400.0), older=st.floats(0.0, 1e6),
)  # fmt: skip
def test_worse_feeds_never_cost_less(price: float, worse: float, confidence: float, age: float, older: float) -> None:
    one, loss, horizon = np.array([1000.0]), np.array([0.1]), np.array([3600.0])
    assert depeg(one, at(price), DepegPolicy()) <= depeg(one, at(price * worse), DepegPolicy())
    assert depeg(one, at(price), DepegPolicy()) <= depeg(one, at(0.0), DepegPolicy())
    policy = FeedPolicy()
    charged = low_confidence(one, at(confidence), policy)
    assert charged <= low_confidence(one, at(confidence * worse), policy)
    assert charged <= low_confidence(one, at(0.0), policy)
    aged = stale_price(one, loss, at(age), horizon, policy)
    assert aged <= stale_price(one, loss, at(age + older), horizon, policy)
    assert aged <= stale_price(one, loss, at(policy.missing_age_s), horizon, policy)


NONE, ONE, ZERO = np.array([np.nan]), np.ones(1), np.zeros(1, np.int64)
REFUSED: list[Callable[[], object]] = [
    lambda: short_option_minimum(NONE, ZERO, ONE, ShortOptionPolicy()),
    lambda: short_option_minimum(ONE, ZERO, NONE, ShortOptionPolicy()),
    lambda: basis(NONE, ZERO, ZERO, ONE, ONE, BasisPolicy()),
    lambda: basis(ONE, ZERO, ZERO, NONE, ONE, BasisPolicy()),
    lambda: short_option_minimum(ONE, ZERO - 1, ONE, ShortOptionPolicy()),
    lambda: basis(ONE, ZERO, ZERO - 1, ONE, ONE, BasisPolicy()),
    lambda: basis(ONE, ZERO - 1, ZERO, ONE, ONE, BasisPolicy()),
    lambda: funding(NONE, ONE, FundingPolicy()),
    lambda: funding(ONE, NONE, FundingPolicy()),
    lambda: depeg(NONE, ONE, DepegPolicy()),
    lambda: depeg(ONE, NONE, DepegPolicy()),
    lambda: depeg(ONE, -ONE, DepegPolicy()),
    lambda: low_confidence(ONE, NONE, FeedPolicy()),
    lambda: low_confidence(ONE, 2 * ONE, FeedPolicy()),
    lambda: stale_price(ONE, ONE, NONE, ONE, FeedPolicy()),
    lambda: stale_price(ONE, ONE, -ONE, ONE, FeedPolicy()),
    lambda: stale_price(ONE, ONE, ONE, 0 * ONE, FeedPolicy()),
    lambda: stale_price(ONE, -ONE, ONE, ONE, FeedPolicy()),
    lambda: refuse_unless_finite("x", a=np.ones(1), b=np.ones(2)),
]


@pytest.mark.parametrize("call", REFUSED)
def test_numbers_that_are_none_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(MarketError):
        call()


@pytest.mark.parametrize("policy", [BasisPolicy, DepegPolicy, FeedPolicy, FundingPolicy, ShortOptionPolicy])
def test_policies_refuse_what_would_lower_a_margin(policy: type) -> None:
    for field in policy.__dataclass_fields__:  # type: ignore[attr-defined]
        for bad in ("off",) if field == "netting" else (-1.0, math.nan):
            with pytest.raises(SettingError):
                policy(**{field: bad})
