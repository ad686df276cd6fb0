"""Vega: factors against an integral, margins and levels by their formulas, orders covered by a position."""

from decimal import Decimal
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from features.errors import SettingError
from serving.margin.charge import total
from serving.margin.rules import lognormal, vega
from serving.margin.rules.published import preset
from tests.serving.margin.markets import account, market

MARKET = market()
SCALING = vega.Scaling(search=Decimal("1.1"), initial=Decimal("1.5"), release=Decimal("1.7"))
FACTORS = Decimal("0.1"), Decimal("0.2")
SIZES = st.decimals("0", "1000", places=2)
BUYS = [(Decimal(10), Decimal(50)), (Decimal(20), Decimal(40)), (Decimal(30), Decimal(20))]


@pytest.mark.parametrize("probability", [0.05, 1e-4, 1e-6])
def test_shortfall_is_the_mean_of_the_tail(probability: float) -> None:
    """By quadrature over the normal density beyond the quantile, and the quantile by its probability."""
    mu, sigma = -0.02, 0.3
    low, high = lognormal.lognormal_tail(mu, sigma, probability), lognormal.short_lognormal_tail(mu, sigma, probability)
    z = stats.norm.isf(probability)
    for (quantile, shortfall), side in ((low, -1), (high, 1)):
        ends = sorted((side * z, side * (z + 12)))
        mean = quad(lambda x: exp(mu + sigma * x) * stats.norm.pdf(x), *ends, epsabs=0)[0] / probability
        assert shortfall == pytest.approx(side * mean, rel=1e-10)
        assert quantile == pytest.approx(side * exp(mu + sigma * side * z), rel=1e-14)


@given(st.floats(1e-6, 0.1), st.floats(1e-6, 0.01), st.floats(0.1, 3.0))
def test_factors_lie_where_a_price_can_go(probability: float, tau: float, sigma: float) -> None:
    long, short = lognormal.risk_factors(probability, tau, 0.0, sigma)
    assert 0 < long < 1
    assert long < short  # a price can rise further than it can fall
    worse = lognormal.risk_factors(probability / 2, tau, 0.0, sigma)
    assert worse[0] > long
    assert worse[1] > short


@given(SIZES, SIZES, SIZES, st.sampled_from([-1, 1]))
def test_maintenance_is_the_worse_of_the_two_sides(size: Decimal, buys: Decimal, sells: Decimal, side: int) -> None:
    mark, slippage, position = Decimal(100), Decimal("0.01"), side * size
    found = vega.maintenance_margin(position, mark, FACTORS, slippage, buys=buys, sells=sells)
    nought = Decimal(0)
    long = max(position, nought) * Decimal("0.11") + buys * FACTORS[0] if position + buys > 0 else nought
    short = max(-position, nought) * Decimal("0.21") + sells * FACTORS[1] if position - sells < 0 else nought
    assert found == 100 * max(long, short)


def test_what_the_book_asks_for_an_exit_counts_where_it_is_less_than_the_cap() -> None:
    terms = Decimal(10), Decimal(100), FACTORS, Decimal("0.05")
    for exit_slippage, slippage in ((None, 50), (Decimal(2), 20), (Decimal(9), 50), (Decimal(-3), 0)):
        assert vega.maintenance_margin(*terms, exit_slippage=exit_slippage) == 100 + slippage


# vegaprotocol/vega, core/risk/isolated_margin_test.go: auctions at 42, on both sides.
@pytest.mark.parametrize(
    ("side", "position", "auction", "expected"),
    [
        ("buy", 20, None, 95),
        ("buy", 0, 42, 130),
        ("buy", -4, 42, 120),
        ("buy", -20, 42, 84),
        ("buy", -60, 42, 0),
        ("sell", -20, None, 125),
        ("sell", 20, None, 95),
        ("sell", 0, 42, 138),
        ("sell", 4, 42, 129),
        ("sell", 20, 42, 96),
    ],
)
def test_orders_of_the_venues_own_tests(side: str, position: int, auction: int | None, expected: int) -> None:
    sells = [(size, Decimal(70) - price if price != 40 else price) for size, price in BUYS]
    found = vega.isolated_order_margin(
        "buy" if side == "buy" else "sell",
        Decimal(position),
        BUYS if side == "buy" else sells,
        Decimal("0.5"),
        Decimal(10),
        None if auction is None else Decimal(auction),
    )
    assert found == expected


@given(st.decimals("0", "1e12", places=4))
def test_levels_round_maintenance_up_and_multiples_down(maintenance: Decimal) -> None:
    levels = vega.margin_levels(maintenance, SCALING)
    assert 0 <= levels.maintenance - maintenance < 1
    for level, multiple in ((levels.search, "1.1"), (levels.initial, "1.5"), (levels.release, "1.7")):
        assert 0 <= Decimal(multiple) * levels.maintenance - level < 1


def test_requirement_of_an_account() -> None:
    """Maximum leverage near 100 and initial near 50, as the proposal of the preset's parameters intends."""
    parameters = preset("vega", vega.Parameters)
    usd = float(MARKET.quotes["BTC-PERP"].mark * MARKET.assets["USDC"].price_usd)
    for quantity in ("2", "-2"):
        initial, maintenance = total(vega.charges(account(BTC_PERP=quantity), MARKET, parameters))
        assert initial == pytest.approx(2 * maintenance, rel=1e-8)
        assert 80 < 2 * usd / maintenance < 110
    long, short = lognormal.risk_factors(1e-6, 0.000003995, 0.0, 1.0)
    assert long == pytest.approx(1 - exp(-short), rel=0.02)
    assert maintenance == pytest.approx(2 * usd * (short + 0.001), rel=1e-8)


def test_settings_that_contradict_themselves_are_refused() -> None:
    one = Decimal(1)
    with pytest.raises(SettingError, match="scaling must rise"):
        vega.Scaling(search=Decimal(2), initial=one, release=Decimal(3))
    for sigma, aversion, says in ((0.0, 0.01, "sigma is 0"), (1.0, 0.9, "risk_aversion is 0.9")):
        with pytest.raises(SettingError, match=says):
            vega.Lognormal(risk_aversion=aversion, tau_years=0.1, sigma=sigma)
