"""Drift: figures of the programme's own tests, and the formulas in real numbers."""

from decimal import Decimal
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import SettingError
from serving.margin.charge import total
from serving.margin.rules import drift
from serving.margin.rules.published import preset
from tests.serving.margin.markets import account, market

MARKET = market()
THOUSAND = 1_000 * drift.SIZE
FACTORS, SIZES = st.integers(0, 100_000), st.integers(0, 10**18)


# drift-labs/protocol-v2, math/margin/tests.rs, spot_market_asset_weight (Apache-2.0).
@pytest.mark.parametrize(
    ("weigh", "size", "factor", "weight", "expected"),
    [
        (drift.asset_weight, THOUSAND, 0, 9_000, 9_000),
        (drift.asset_weight, THOUSAND, 10, 9_000, 9_000),
        (drift.asset_weight, 10**6 * THOUSAND, 10, 9_000, 8_357),
        (drift.asset_weight, THOUSAND, 10_000, 9_000, 8_357),
        (drift.asset_weight, THOUSAND, 100_000, 9_000, 2_642),
        (drift.asset_weight, 100 * THOUSAND, 100_000, 1_500, 337),
        (drift.liability_weight, THOUSAND, 10, 11_000, 11_000),
        (drift.liability_weight, THOUSAND, 10_000, 11_000, 11_962),
        (drift.liability_weight, THOUSAND, 100_000, 11_000, 40_422),
        (drift.liability_weight, THOUSAND, 100_000, 0, 31_622),
    ],
)
def test_weights_of_the_programme(weigh: object, size: int, factor: int, weight: int, expected: int) -> None:
    assert callable(weigh)
    assert weigh(size, factor, weight) == expected


def test_perpetual_margins_of_the_programme() -> None:
    """calculate_user_equity_value_tests: half of 12.295081967 units at 22,050 and 21,050."""
    perp = drift.PerpMarket(margin_ratio_initial=1_000, margin_ratio_maintenance=500, imf_factor=1_000)
    size = 12_295_081_967 // 2
    found = [drift.perp_margin(size, price * drift.MONEY, perp)[0] for price in (22_050, 21_050)]
    assert found == [13_555_327_867, 12_940_573_769]


@pytest.mark.parametrize(("deposits", "expected"), [(1, 9_000), (20_000, 9_000), (40_000, 4_500), (60_000, 3_000)])
def test_initial_weight_falls_as_deposits_grow(deposits: int, expected: int) -> None:
    terms = Decimal(500_000), Decimal(25), Decimal(deposits)
    assert drift.scaled_initial_weight(9_000, *terms) == expected
    assert drift.scaled_initial_weight(9_000, Decimal(0), *terms[1:]) == 9_000


@given(SIZES, FACTORS, st.integers(0, 20_000))
def test_integers_follow_the_formulas(size: int, factor: int, weight: int) -> None:
    root = factor / drift.IMF * sqrt(size / drift.SIZE)
    up, down = drift.liability_weight(size, factor, weight), drift.asset_weight(size, factor, weight)
    premium, discount = 0.8 * weight + 1e4 * root, 1.1e4 / (1 + root)
    assert up == pytest.approx(max(weight, premium if factor else 0), rel=1e-4, abs=2)
    assert down == pytest.approx(min(weight, discount if factor else weight), rel=1e-4, abs=2)
    assert down <= weight <= up


@given(SIZES, SIZES, FACTORS)
def test_margin_rises_with_size(a: int, b: int, factor: int) -> None:
    perp = drift.PerpMarket(margin_ratio_initial=1_000, margin_ratio_maintenance=500, imf_factor=factor)
    low, high = (drift.perp_margin(size, 50 * drift.MONEY, perp) for size in sorted((a, b)))
    assert low[0] <= high[0]
    assert low[1] <= high[1]


def test_requirement_of_a_large_short_position() -> None:
    parameters = preset("drift", drift.Parameters)
    index = MARKET.quotes["SOL-PERP"].index
    assert index is not None
    usd = float(90_000 * index * MARKET.assets["USDC"].price_usd)
    initial, maintenance = total(drift.charges(account(SOL_PERP="-90000"), MARKET, parameters))
    ratios = [0.8 * base + 0.001 * 300 for base in (0.1, 0.05)]  # both beyond the flat ratio
    assert (initial, maintenance) == pytest.approx([ratio * usd for ratio in ratios], rel=1e-3)


def test_ratios_that_contradict_themselves_are_refused() -> None:
    for ratios in ((500, 1_000, 0), (10_001, 1, 0), (1_000, 500, -1)):
        with pytest.raises(SettingError, match="margin ratios"):
            drift.PerpMarket(margin_ratio_initial=ratios[0], margin_ratio_maintenance=ratios[1], imf_factor=ratios[2])
