"""Hyperliquid: maintenance half the initial margin at the highest leverage, deductions as documented."""

from decimal import Decimal

import pytest

from serving.margin.charge import total
from serving.margin.rules import hyperliquid
from serving.margin.rules.published import preset
from serving.margin.rules.tiers import brackets_of
from tests.serving.margin.markets import account, market

MARKET = market()
PARAMETERS = preset("hyperliquid", hyperliquid.Parameters)


def test_documented_rate_at_twenty_times() -> None:
    """Documentation: "at 20x max leverage, maintenance_margin_rate = 2.5%"."""
    assert brackets_of(PARAMETERS.markets["SOL"]).margin(1_000_000) == 25_000


def test_small_and_large_positions() -> None:
    price = float(MARKET.quotes["BTC-PERP"].mark * MARKET.assets["USDC"].price_usd)
    mark = float(MARKET.quotes["BTC-PERP"].mark)
    usdc = float(MARKET.assets["USDC"].price_usd)
    small = total(hyperliquid.charges(account(BTC_PERP="2"), MARKET, PARAMETERS))
    assert small == pytest.approx((2 * price / 40, 2 * price / 80), rel=1e-14)
    large = total(hyperliquid.charges(account(BTC_PERP="-4000"), MARKET, PARAMETERS))
    margin = 150e6 / 80 + (4_000 * mark - 150e6) / 40  # new size beyond 150 million at 20x
    assert large == pytest.approx((4_000 * price / 20, margin * usdc), rel=1e-14)


def test_assets_without_tiers_take_the_lowest_of_the_highest_leverages() -> None:
    bare = hyperliquid.Parameters(markets={}, default=PARAMETERS.default)
    price = float(MARKET.quotes["SOL-PERP"].mark * MARKET.assets["USDC"].price_usd)
    assert total(hyperliquid.charges(account(SOL_PERP="1"), MARKET, bare)) == pytest.approx((price / 3, price / 6))


def test_lower_leverage_raises_initial_margin_only() -> None:
    low = hyperliquid.Parameters(markets=PARAMETERS.markets, leverage=Decimal(2))
    initial, maintenance = total(hyperliquid.charges(account(ETH_PERP="1"), MARKET, low))
    assert initial == pytest.approx(maintenance * 25, rel=1e-14)  # 1/2 against 1/50
