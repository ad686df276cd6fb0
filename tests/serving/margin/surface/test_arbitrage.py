import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serving.margin.surface.arbitrage import butterfly, calendar, check_surface, stays_above
from serving.margin.surface.svi import RawSvi

VOGT = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)
CALM = RawSvi(a=0.02, b=0.1, rho=-0.3, m=0.0, sigma=0.2)

smiles = st.builds(
    lambda lift, b, rho, m, sigma: RawSvi(lift - b * sigma * (1 - rho * rho) ** 0.5, b, rho, m, sigma),
    st.floats(1e-4, 0.5),
    st.floats(1e-3, 0.9),
    st.floats(-0.95, 0.95),
    st.floats(-0.5, 0.5),
    st.floats(0.01, 1.0),
)


def test_the_worst_strike_of_vogt_is_that_of_a_million_points() -> None:
    k = np.linspace(-3, 3, 1_000_001)
    g, found = VOGT.density_factor(k), butterfly(VOGT)
    assert found.worst_k == pytest.approx(k[g.argmin()], abs=1e-5)
    assert found.worst_g == pytest.approx(g.min(), abs=1e-10)
    assert not found.free


def test_a_butterfly_of_prices_is_worth_less_than_nothing_there() -> None:
    def call(strike: float) -> float:
        w = float(VOGT.total_variance(np.array(math.log(strike))))
        d1 = (-math.log(strike) + w / 2) / math.sqrt(w)
        normal = [0.5 * math.erfc(-d / math.sqrt(2)) for d in (d1, d1 - math.sqrt(w))]
        return normal[0] - strike * normal[1]

    middle, step = math.exp(butterfly(VOGT).worst_k), 0.01
    assert call(middle - step) - 2 * call(middle) + call(middle + step) < -1e-9


@given(smiles)
def test_no_strike_is_worse_than_the_worst(smile: RawSvi) -> None:
    found = butterfly(smile)
    if smile.b * (1 + abs(smile.rho)) > 2:
        assert math.isinf(found.worst_k)
        assert not found.free
        return
    scale = np.array([smile.sigma, 1.0, math.sqrt(smile.least_variance)])[:, None]
    k = (smile.m + scale * np.sinh(np.linspace(-7, 7, 3001))).ravel()
    low, high = found.searched
    inside = smile.density_factor(np.clip(k, low, high))
    assert inside.min() >= found.worst_g - 2e-4 * (1 + abs(found.worst_g))
    beyond = np.concatenate([low - np.geomspace(1e-6, 1e6, 200), high + np.geomspace(1e-6, 1e6, 200)])
    assert (smile.density_factor(beyond) > 0).all()


def test_a_wing_beyond_lee_is_named() -> None:
    steep = RawSvi(a=0.5, b=1.5, rho=-0.5, m=0.0, sigma=0.5)
    found = butterfly(steep)
    assert (found.free, found.worst_k) == (False, -math.inf)
    assert found.worst_g == pytest.approx(steep.density_factor(np.array(-1e12)), rel=1e-6)


def test_a_flat_smile_is_free() -> None:
    assert butterfly(RawSvi(0.04, 0.0, 0.0, 0.0, 0.1)).worst_g == 1.0


def test_no_variance_at_some_strike_is_arbitrage() -> None:
    assert not butterfly(RawSvi(-0.1 * 0.2, 0.1, 0.0, 0.1, 0.2)).free


def test_crossings_are_where_algebra_puts_them() -> None:
    """Without correlation both roots are one r: it is (a1 - a2)/(b2 - b1), and k = m ± sqrt(r² - sigma²)."""
    near, far = RawSvi(0.05, 0.1, 0.0, 0.1, 0.3), RawSvi(0.01, 0.2, 0.0, 0.1, 0.3)
    away = math.sqrt(0.4**2 - 0.3**2)
    found = calendar(near, far)
    np.testing.assert_allclose(found.crossings, [0.1 - away, 0.1 + away], atol=1e-9)
    assert not found.free
    assert found.worst_k == pytest.approx(0.1, abs=1e-4)
    assert found.worst_gap == pytest.approx(0.1 * 0.3 - 0.04, abs=1e-9)
    assert calendar(near, far, (0.5, 1.0)).free
    assert calendar(near, far, (0.5, 1.0)).crossings == ()
    assert calendar(near, far, (-1.0, 0.2)).crossings == pytest.approx([0.1 - away])


@example(
    RawSvi(0.2172077794526514, 0.489829659849486, 0.05, 0.37592, 0.57805), RawSvi(-0.205562, 0.75, 0, -0.15547, 0.94075)
)
@given(smiles, smiles)
def test_the_gap_changes_sign_at_crossings_only(near: RawSvi, far: RawSvi) -> None:
    k = np.unique(np.concatenate([s.m + s.sigma * np.sinh(np.linspace(-5, 5, 2001)) for s in (near, far)]))
    gap = far.total_variance(k) - near.total_variance(k)
    found = calendar(near, far, (float(k[0]), float(k[-1])))
    turns = np.flatnonzero((gap[1:] * gap[:-1] < 0) & (np.minimum(np.abs(gap[1:]), np.abs(gap[:-1])) > 1e-7))
    for turn in turns:
        assert any(k[turn] - 1e-6 <= c <= k[turn + 1] + 1e-6 for c in found.crossings)
    assert found.worst_gap <= gap.min() + 1e-9
    assert found.free == (found.worst_gap >= -1e-10)


def test_a_steeper_wing_crosses_somewhere() -> None:
    flatter = RawSvi(0.06, 0.05, -0.3, 0.0, 0.2)
    found = calendar(CALM, flatter)
    assert (found.free, found.worst_gap) == (False, -math.inf)
    assert calendar(CALM, flatter, (-0.1, 0.1)).free
    assert not stays_above(CALM, flatter)
    assert stays_above(CALM, RawSvi(0.021, 0.1, -0.3, 0.0, 0.2))


def test_a_surface_is_free_when_all_of_it_is() -> None:
    later = RawSvi(0.03, 0.11, -0.3, 0.0, 0.2)
    assert check_surface([CALM, later]).free
    assert not check_surface([later, CALM]).free
    assert not check_surface([CALM, VOGT]).free
