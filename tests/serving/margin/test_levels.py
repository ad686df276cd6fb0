"""Levels in exact arithmetic, and what topping up and withdrawing do."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import ForecastError, SettingError
from serving.margin.levels import (
    STATES,
    LevelPolicy,
    levels,
    levels_in_cents,
)

POLICY = LevelPolicy()
CENT = Decimal("0.01")
requirements = st.tuples(st.integers(0, 10**14), st.integers(0, 10**14)).map(sorted)
small = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(sorted)
equities = st.integers(-(10**14), 10**14)


@given(margins=requirements | small, call_bp=st.integers(1, 9_999), release_bp=st.integers(10_001, 100_000))
def test_levels_are_the_exact_shares_rounded_up_and_strict(margins: list[int], call_bp: int, release_bp: int) -> None:
    mm, im = margins
    found = levels(mm * CENT, im * CENT, Decimal(0), LevelPolicy(call_bp, release_bp))
    call = mm + math.ceil(Fraction(call_bp, 10_000) * (im - mm))
    release = math.ceil(Fraction(release_bp, 10_000) * im)
    if im - mm >= 3:  # far enough apart: the plain formula, moved only where rounding met the level above
        assert found.call == call * CENT
        assert found.initial in {im * CENT, (call + 1) * CENT}
        assert found.release >= release * CENT
    if im == 0:
        assert found.release == 0
    else:
        assert found.maintenance < found.call < found.initial < found.release
    assert found.initial >= im * CENT


@given(margins=requirements | small, equity=equities)
def test_topping_up_by_the_amount_brings_the_state_to_open_and_a_cent_less_does_not(
    margins: list[int], equity: int
) -> None:
    mm, im = (x * CENT for x in margins)
    before = levels(mm, im, equity * CENT, POLICY)
    if before.top_up:
        after = levels(mm, im, before.equity + before.top_up, POLICY)
        assert after.equity == after.initial
        assert after.state == ("open" if im else "free")
        assert after.top_up == 0
        short = levels(mm, im, before.equity + before.top_up - CENT, POLICY)
        assert short.state not in {"open", "free"}
        assert short.top_up == CENT


@given(margins=requirements | small, equity=equities)
def test_withdrawing_the_excess_leaves_the_account_free_and_a_cent_more_does_not(
    margins: list[int], equity: int
) -> None:
    mm, im = (x * CENT for x in margins)
    before = levels(mm, im, equity * CENT, POLICY)
    assert bool(before.excess) == (before.equity > before.release)
    if before.state == "free":
        after = levels(mm, im, before.equity - before.excess, POLICY)
        assert after.state == "free"
        assert after.excess == 0
        assert levels(mm, im, after.equity - CENT, POLICY).state != "free"


@given(margins=requirements, equity=equities, less=st.integers(1, 10**12))
def test_state_never_improves_as_equity_falls(margins: list[int], equity: int, less: int) -> None:
    mm, im = (x * CENT for x in margins)
    better, worse = (levels(mm, im, e * CENT, POLICY).state for e in (equity, equity - less))
    assert STATES.index(worse) <= STATES.index(better)


def test_each_state_by_hand() -> None:
    states = {
        "99.99": "liquidation", "100.00": "call", "149.99": "call", "150.00": "reduce-only",
        "199.99": "reduce-only", "200.00": "open", "219.99": "open", "220.00": "free",
    }  # fmt: skip
    for equity, state in states.items():
        assert levels(Decimal(100), Decimal(200), Decimal(equity), POLICY).state == state
    assert levels(Decimal(0), Decimal(0), Decimal("-0.01"), POLICY).state == "liquidation"
    assert levels(Decimal(0), Decimal(0), Decimal("7.00"), POLICY).excess == 7


def test_arrays_are_the_single_figures() -> None:
    mm, im, equity = np.array([0, 1, 10_000, 7]), np.array([0, 1, 20_001, 9]), np.array([5, 0, 20_001, -3])
    many = levels_in_cents(mm, im, equity, POLICY)
    for i, (a, b, c) in enumerate(zip(mm.tolist(), im.tolist(), equity.tolist(), strict=True)):
        one = levels(a * CENT, b * CENT, c * CENT, POLICY)
        for field in ("maintenance", "call", "initial", "release", "top_up", "excess"):
            assert getattr(many, field)[i] * CENT == getattr(one, field)
        assert STATES[many.state[i]] == one.state


# Binance, "Portfolio Margin Pro": above 1.5 free, to 1.2 reminder, to 1.05 reduce-only, to 1 liquidation, then a claim.


@pytest.mark.parametrize(
    "amounts",
    [
        ("2", "1", "0"),
        ("-1", "1", "0"),
        ("0.001", "1", "0"),
        ("0", "1", "NaN"),
        ("0", "Infinity", "0"),
        ("0", "1e16", "0"),
    ],
)
def test_amounts_that_are_none_are_refused(amounts: tuple[str, str, str]) -> None:
    maintenance, initial, equity = (Decimal(amount) for amount in amounts)
    with pytest.raises(ForecastError):
        levels(maintenance, initial, equity, POLICY)


def test_arrays_that_would_overflow_are_refused() -> None:
    with pytest.raises(ForecastError):
        levels_in_cents(np.array([0]), np.array([10**18]), np.array([0]), POLICY)


@pytest.mark.parametrize(("call_bp", "release_bp"), [(0, 11_000), (10_000, 11_000), (5_000, 10_000), (5_000, 100_001)])
def test_policy_out_of_order_is_refused(call_bp: int, release_bp: int) -> None:
    with pytest.raises(SettingError):
        LevelPolicy(call_bp, release_bp)
