"""Concentration by hand, against a slow loop, and its laws."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import AccountError, MarketError, SettingError
from serving.margin.concentration import ConcentrationPolicy, Knots, concentration, concentrations

POLICY = ConcentrationPolicy()
KNOTS = ConcentrationPolicy(((0.1, 1.0), (0.2, 1.5), (0.6, 4.0)), ((0.2, 1.0), (0.4, 3.0)))


def line(share: Fraction, knots: Knots) -> Fraction:
    """Piecewise linear, slowly and exactly."""
    at = [(Fraction(str(x)), Fraction(str(y))) for x, y in knots]
    if share <= at[0][0]:
        return at[0][1]
    for (x0, y0), (x1, y1) in pairwise(at):
        if share <= x1:
            return y0 + (y1 - y0) * (share - x0) / (x1 - x0)
    return at[-1][1]


@pytest.mark.parametrize("policy", [POLICY, KNOTS])
@pytest.mark.parametrize("notional", [0, 1, 50, 100, 149, 333, 600, 999, 1000, 5000])
@pytest.mark.parametrize("cap", [1500, 3333, 20_000])
def test_product_of_two_piecewise_lines(policy: ConcentrationPolicy, notional: int, cap: int) -> None:
    share = min(Fraction(notional, 1000), Fraction(1))
    expected = line(share, policy.share_knots) * line(Fraction(1000, cap), policy.cap_knots) if notional else 1
    for sign in (1, -1):
        found = concentration(sign * notional, 1000.0, cap, policy)
        assert found.multiplier == pytest.approx(float(expected), rel=1e-14)
        assert found.share == float(share)
    assert concentrations(np.array([float(notional)]), 1000.0, cap, policy)[0] == found.multiplier


def test_whole_open_interest_costs_root_of_the_days() -> None:
    # 10 days of liquidation are 30 periods of 8 hours: the documented reason of the last knot.
    assert concentration(1e6, 1e6, 1e9, POLICY).multiplier == pytest.approx(math.sqrt(10 * 24 / 8), rel=0.005)


@given(
    notional=st.floats(-1e9, 1e9), more=st.floats(1.0, 100.0),
    open_interest=st.floats(1.0, 1e9), market_cap=st.floats(1.0, 1e12),
)  # fmt: skip
def test_rises_with_size_and_missing_figures_never_lower(
    notional: float, more: float, open_interest: float, market_cap: float
) -> None:
    known = concentration(notional, open_interest, market_cap, POLICY).multiplier
    assert 1.0 <= known <= concentration(notional * more, open_interest, market_cap, POLICY).multiplier * (1 + 1e-12)
    assert known <= concentration(notional, open_interest, market_cap / more, POLICY).multiplier * (1 + 1e-12)
    for missing in ((None, market_cap), (open_interest, None), (None, None), (0.0, market_cap), (open_interest, 0.0)):
        found = concentration(notional, missing[0], missing[1], POLICY)
        assert found.multiplier >= known * (1 - 1e-12)
        assert found.notes


@given(share=st.floats(0.0, 1.2))
def test_is_continuous(share: float) -> None:
    near = concentrations(np.array([share, share + 1e-9]), 1.0, 1e9, KNOTS)
    assert near[1] - near[0] <= 6.25 * 1.01e-9 + 1e-15  # the steepest slope of the knots


def test_requirement_times_multiplier_is_convex_in_size() -> None:
    size = np.linspace(0.0, 1000.0, 401)
    charge = size * concentrations(size, 1000.0, 1e9, POLICY)
    assert (np.diff(charge, 2) >= -1e-9).all()


def test_position_beyond_the_open_interest_is_noted() -> None:
    found = concentration(2000.0, 1000.0, 1e9, POLICY)
    assert found.share == 1.0
    assert any("out of date" in note for note in found.notes)
    beyond = ConcentrationPolicy(share_knots=((0.5, 1.0), (2.5, 5.0)))
    assert concentration(2000.0, 1000.0, 1e9, beyond).multiplier == 2.0  # as the whole, not as twice of it


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(AccountError):
        concentration(math.nan, 1.0, 1.0, POLICY)
    for bad in (math.nan, -1.0, math.inf):
        with pytest.raises(MarketError, match="open_interest_usd"):
            concentration(1.0, bad, 1.0, POLICY)
        with pytest.raises(MarketError, match="market_cap_usd"):
            concentration(1.0, 1.0, bad, POLICY)


@pytest.mark.parametrize(
    "knots",
    [(), ((0.1, 0.9), (0.2, 2.0)), ((0.1, 1.0), (0.1, 2.0)), ((0.1, 1.0), (0.3, 0.5)), ((0.1, 1.0), (math.nan, 2.0))],
)
def test_knots_that_would_lower_a_requirement_are_refused(knots: Knots) -> None:
    with pytest.raises(SettingError, match="share_knots"):
        ConcentrationPolicy(share_knots=knots)
    with pytest.raises(SettingError, match="cap_knots"):
        ConcentrationPolicy(cap_knots=knots)
