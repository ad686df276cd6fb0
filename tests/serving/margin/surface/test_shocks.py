import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import MarketError
from serving.margin.surface.arbitrage import butterfly
from serving.margin.surface.shocks import Shock, shocked, shocked_params
from serving.margin.surface.svi import RawSvi

SMILE = RawSvi(a=0.01, b=0.1, rho=-0.3, m=0.03, sigma=0.2)
VOGT = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)
MONEY = np.array(0.0)
K = np.linspace(-0.5, 0.5, 11)


def test_a_level_shock_scales_total_variance_everywhere() -> None:
    moved = shocked(SMILE, Shock(level=1.44))
    np.testing.assert_allclose(moved.svi.vol(K, 1.0), 1.2 * SMILE.vol(K, 1.0), rtol=1e-12)
    assert (moved.share, moved.note) == (1.0, "")


def test_a_skew_shock_turns_the_smile_about_the_money() -> None:
    moved = shocked(SMILE, Shock(skew=-0.2)).svi
    assert moved.total_variance(MONEY) == pytest.approx(float(SMILE.total_variance(MONEY)), rel=1e-12)
    assert (moved.total_variance(K[:5]) > SMILE.total_variance(K[:5])).all()
    assert (moved.total_variance(K[6:]) < SMILE.total_variance(K[6:])).all()


def test_less_sigma_is_more_curvature_at_the_money() -> None:
    level = RawSvi(a=0.01, b=0.1, rho=0.0, m=0.0, sigma=0.2)
    moved = shocked(level, Shock(curvature=0.8)).svi
    assert moved.curvature(MONEY) == pytest.approx(float(level.curvature(MONEY)) / 0.8, rel=1e-12)
    assert (moved.total_variance(K) >= level.total_variance(K) - 1e-15).all()


def test_nothing_changes_nothing() -> None:
    np.testing.assert_allclose(shocked(SMILE, Shock()).svi.array, SMILE.array, rtol=1e-14)


@settings(max_examples=60)
@given(st.floats(0.2, 6.0), st.floats(-1.5, 1.5), st.floats(0.05, 8.0))
def test_a_shocked_smile_is_valid_free_and_the_most_that_is(level: float, skew: float, curvature: float) -> None:
    shock = Shock(level, skew, curvature)
    moved = shocked(SMILE, shock)
    assert butterfly(moved.svi).free
    done = shock.part(moved.share)
    at_money = float(moved.svi.total_variance(MONEY)) / float(SMILE.total_variance(MONEY))
    assert at_money == pytest.approx(done.level, rel=1e-9)
    assert moved.svi.rho == pytest.approx(SMILE.rho + done.skew, abs=1e-12)
    assert (moved.share == 1.0) == (moved.note == "")
    if moved.share < 1:
        further = shocked(SMILE, shock.part(min(1.0, moved.share * 1.001 + 1e-6)))
        assert further.share < 1
        assert f"{moved.share:.4f}" in moved.note


def test_a_smile_with_a_butterfly_gets_no_worse_one() -> None:
    moved = shocked(VOGT, Shock(curvature=0.5))
    assert moved.share < 1
    assert butterfly(moved.svi).worst_g >= butterfly(VOGT).worst_g - 1e-8


def test_every_expiry_is_shocked_and_says_how_much() -> None:
    params = np.array([SMILE.array, [0.04, 0.9, 0.9, 0.1, 0.3]])
    moved, share = shocked_params(params, Shock(skew=0.3))
    np.testing.assert_array_equal(moved[0], shocked(SMILE, Shock(skew=0.3)).svi.array)
    assert share[0] == 1.0
    assert share[1] < 0.4  # a rho of 0.9 has no room for 0.3


@pytest.mark.parametrize("fields", [{"level": 0.0}, {"curvature": -1.0}, {"skew": math.nan}, {"level": math.inf}])
def test_shocks_that_say_nothing_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(MarketError, match="Shock"):
        Shock(**fields)
