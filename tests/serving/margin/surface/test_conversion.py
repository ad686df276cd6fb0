"""Vogt's smile and its repairs: Gatheral & Jacquier (2014), examples 3.1 and 5.1, to the printed digits."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from features.errors import MarketError
from serving.margin.surface.arbitrage import butterfly
from serving.margin.surface.conversion import (
    JumpWings,
    NaturalSvi,
    from_jump_wings,
    from_natural,
    to_jump_wings,
    to_natural,
)
from serving.margin.surface.svi import RawSvi

VOGT = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)
PRINTED = (0.01742625, -0.1752111, 0.6997381, 1.316798, 0.0116249)


def test_jump_wings_of_vogt_are_the_printed_ones() -> None:
    wings = to_jump_wings(VOGT, years=1.0)
    found = (wings.variance, wings.skew, wings.put, wings.call, wings.least)
    np.testing.assert_allclose(found, PRINTED, rtol=5e-7, atol=5e-9)


@pytest.mark.parametrize(
    ("call", "least", "free"),
    [(1.316798, 0.0116249, False), (0.3493158, 0.01548182, True), (0.8564763, 0.0116249, True)],
)
def test_the_published_repairs_are_free_of_butterflies(call: float, least: float, free: bool) -> None:
    smile = from_jump_wings(JumpWings(PRINTED[0], PRINTED[1], PRINTED[2], call, least, years=1.0))
    assert butterfly(smile).free is free


smiles = st.builds(
    lambda lift, b, rho, m, sigma: RawSvi(lift - b * sigma * (1 - rho * rho) ** 0.5, b, rho, m, sigma),
    st.floats(1e-3, 0.5),
    st.floats(1e-2, 0.9),
    st.floats(-0.95, 0.95),
    st.floats(-0.5, 0.5),
    st.floats(0.02, 1.0),
)


@given(smiles)
def test_natural_says_the_same_smile_and_comes_back(smile: RawSvi) -> None:
    natural, k = to_natural(smile), np.linspace(-1, 1, 11)
    lean = natural.zeta * (k - natural.mu)
    root = np.sqrt((lean + natural.rho) ** 2 + 1 - natural.rho**2)
    w = natural.delta + natural.omega / 2 * (1 + natural.rho * lean + root)
    np.testing.assert_allclose(w, smile.total_variance(k), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(from_natural(natural).array, smile.array, rtol=1e-9, atol=1e-10)


@given(smiles, st.floats(0.01, 2.0))
def test_jump_wings_come_back(smile: RawSvi, years: float) -> None:
    lowest = smile.m - smile.rho * smile.sigma / (1 - smile.rho**2) ** 0.5
    assume(abs(lowest) > 0.02)  # at the money it would leave the curvature open
    back = from_jump_wings(to_jump_wings(smile, years))
    k = np.linspace(-1, 1, 11)
    np.testing.assert_allclose(back.total_variance(k), smile.total_variance(k), rtol=1e-6)


def test_skew_is_the_slope_of_volatility_at_the_money() -> None:
    step = 1e-5
    vols = VOGT.vol(np.array([-step, 0.0, step]), 1.0)
    assert to_jump_wings(VOGT, 1.0).skew == pytest.approx((vols[2] - vols[0]) / (2 * step), rel=1e-7)


@pytest.mark.parametrize(
    "wings",
    [
        JumpWings(0.0, 0.0, 1.0, 1.0, 0.0, 1.0),
        JumpWings(0.04, 0.0, -1.0, 1.0, 0.01, 1.0),
        JumpWings(0.04, 5.0, 1.0, 1.0, 0.01, 1.0),
        JumpWings(0.04, 0.0, 1.0, 1.0, 0.04, 1.0),
    ],
)
def test_wings_of_no_smile_are_refused(wings: JumpWings) -> None:
    with pytest.raises(MarketError):
        from_jump_wings(wings)


def test_a_natural_smile_without_scale_is_refused() -> None:
    with pytest.raises(MarketError, match="zeta"):
        from_natural(NaturalSvi(0.0, 0.0, 0.0, 0.1, 0.0))


def test_jump_wings_need_time() -> None:
    with pytest.raises(MarketError, match="time"):
        to_jump_wings(VOGT, 0.0)
