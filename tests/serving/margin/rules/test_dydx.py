"""dYdX: figures of the chain's own tests, rounding, open interest."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import MarketError, SettingError
from serving.margin.charge import total
from serving.margin.rules import dydx
from serving.margin.rules.published import preset
from tests.serving.margin.markets import account, market

MARKET = market()
PARAMETERS = preset("dydx", dydx.Parameters)
PPM = st.integers(0, dydx.MILLION)


# dydxprotocol/v4-chain, x/perpetuals/lib/lib_test.go: price, exponent, resolution, quantums, ppm, fraction, IMR, MMR.
@pytest.mark.parametrize(
    ("price", "exponent", "resolution", "quantums", "initial_ppm", "fraction_ppm", "initial", "maintenance"),
    [
        (5_555, 2, -8, 7_000, 200, 500_000, 7_777, 3_889),
        (5_555, 0, -4, 7_000, 10_000, 500_000, 38_885_000, 19_442_500),
        (42, 5, 0, 88, 10_000, 500_000, 3_696_000_000_000, 1_848_000_000_000),
        (42_000_000, -2, -6, -5_000, 10_000, 500_000, 21_000_000, 10_500_000),
        (123_456_789_123, -5, 4, 1, 200_000, 500_000, 2_469_135_782_460_000, 1_234_567_891_230_000),
    ],
)
def test_figures_of_the_chain(
    price: int,
    exponent: int,
    resolution: int,
    quantums: int,
    initial_ppm: int,
    fraction_ppm: int,
    initial: int,
    maintenance: int,
) -> None:
    tier = dydx.LiquidityTier(initial_margin_ppm=initial_ppm, maintenance_fraction_ppm=fraction_ppm)
    notional = abs(dydx.quote_quantums(quantums, price, exponent, resolution))
    assert dydx.initial_margin(tier, notional, 0) == initial
    assert dydx.maintenance_margin(tier, notional) == maintenance


@given(PPM, PPM, st.integers(0, 10**30), st.integers(0, 10**30), st.integers(0, 10**24), st.integers(1, 10**24))
def test_rounding_is_up_and_open_interest_only_raises(
    base: int, fraction: int, notional: int, interest: int, lower: int, width: int
) -> None:
    """By exact fractions; sizes far beyond 64 bits do not overflow."""
    scaled = dydx.LiquidityTier(
        initial_margin_ppm=base,
        maintenance_fraction_ppm=fraction,
        open_interest_lower_cap=lower,
        open_interest_upper_cap=lower + width,
    )
    plain = dydx.LiquidityTier(initial_margin_ppm=base, maintenance_fraction_ppm=fraction)
    share = min(max(Fraction(interest - lower, width), Fraction(0)), Fraction(1))
    exact = Fraction(base) + (dydx.MILLION - base) * share
    assert 0 <= exact - dydx.adjusted_initial_ppm(scaled, interest) < 1
    margins = [dydx.initial_margin(tier, notional, interest) for tier in (plain, scaled)]
    assert margins[0] <= margins[1] <= notional
    assert margins[0] == ceil(Fraction(notional * base, dydx.MILLION))
    assert dydx.maintenance_margin(scaled, notional) == dydx.maintenance_margin(plain, notional) <= margins[0]


def test_open_interest_scales_the_accounts_initial_margin() -> None:
    quote = MARKET.quotes["SOL-PERP"]
    who = account(SOL_PERP="-10")

    def required(contracts: Decimal | None) -> tuple[float, float]:
        changed = MARKET.quotes | {"SOL-PERP": msgspec.structs.replace(quote, open_interest=contracts)}
        return total(dydx.charges(who, msgspec.structs.replace(MARKET, quotes=changed), PARAMETERS))

    usd = float(10 * quote.mark * MARKET.assets["USDC"].price_usd)
    middle = (70_000_000 / quote.mark).quantize(Decimal(1))  # half way between 40 and 100 million
    for contracts, rate in ((Decimal(0), 0.05), (middle, 0.525), (Decimal(10**7), 1.0)):
        initial, maintenance = required(contracts)
        assert initial == pytest.approx(rate * usd, rel=2e-5)
        assert maintenance == pytest.approx(0.03 * usd, rel=1e-8)
    with pytest.raises(MarketError, match="SOL-PERP has no open_interest"):
        required(None)


def test_where_nothing_scales_open_interest_is_not_needed() -> None:
    quotes = {name: msgspec.structs.replace(quote, open_interest=None) for name, quote in MARKET.quotes.items()}
    bare = msgspec.structs.replace(MARKET, quotes=quotes)
    who = account(BTC_PERP="1")
    assert dydx.charges(who, bare, PARAMETERS)[0].initial == dydx.charges(who, MARKET, PARAMETERS)[0].initial


def test_tiers_that_contradict_themselves_are_refused() -> None:
    for terms, says in (
        ({"maintenance_fraction_ppm": -1}, "maintenance_fraction_ppm is -1"),
        ({"open_interest_lower_cap": 2, "open_interest_upper_cap": 1}, "open_interest_lower_cap must lie within"),
    ):
        with pytest.raises(SettingError, match=says):
            dydx.LiquidityTier(**({"initial_margin_ppm": 1, "maintenance_fraction_ppm": 1} | terms))
