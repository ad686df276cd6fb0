"""Binance: the bracket of the venue's worked example, its interface's table, the account's requirement."""

from decimal import Decimal

import pytest

from features.errors import SettingError
from serving.margin.charge import total
from serving.margin.rules import binance
from serving.margin.rules.published import preset
from serving.margin.rules.tiers import brackets_of
from tests.serving.margin.markets import account, market

MARKET = market()
PARAMETERS = preset("binance", binance.Parameters)


def test_maintenance_amounts_that_the_venue_printed_with_these_brackets() -> None:
    """Binance, "Leverage and margin of USD-M futures" (2021), BTCUSDT: 50, 1,300, 16,300, 266,300 and so on."""
    deductions = brackets_of(PARAMETERS.markets["BTC"]).deductions
    assert [int(d) for d in deductions[:6]] == [0, 50, 1_300, 16_300, 266_300, 1_266_300]


def test_requirement_by_a_readable_sum() -> None:
    notional = 100 * MARKET.quotes["BTC-PERP"].mark  # 5.8 million: the bracket of 2.5 % and 20x
    assert 1_000_000 < notional < 10_000_000
    usdc = MARKET.assets["USDC"].price_usd
    expected = (50_000 * Decimal("0.004") + 200_000 * Decimal("0.005") + 750_000 * Decimal("0.01")) + (
        notional - 1_000_000
    ) * Decimal("0.025")
    found = total(binance.charges(account(BTC_PERP="-100"), MARKET, PARAMETERS))
    assert found == pytest.approx((float(notional / 20 * usdc), float(expected * usdc)), rel=1e-14)


def test_the_leverage_chosen_raises_initial_margin_only() -> None:
    chosen = binance.Parameters(markets=PARAMETERS.markets, leverage=Decimal(5))
    who = account(BTC_PERP="1")
    low, high = (total(binance.charges(who, MARKET, p)) for p in (PARAMETERS, chosen))
    assert high[1] == low[1]
    assert high[0] == pytest.approx(low[0] * 20, rel=1e-14)  # 100x is allowed to 250,000


def test_other_markets_take_the_default() -> None:
    usd = float(MARKET.quotes["SOL-PERP"].mark * MARKET.assets["USDC"].price_usd)
    found = total(binance.charges(account(SOL_PERP="10"), MARKET, PARAMETERS))
    assert found == pytest.approx((10 * usd / 50, 10 * usd * 0.01), rel=1e-14)


def test_tables_of_the_interface_and_of_ccxt_are_the_same() -> None:
    rows = [
        {"notionalFloor": 0, "maintMarginRatio": 0.004, "initialLeverage": 125, "cum": 0.0, "notionalCap": 50_000},
        {"notionalFloor": 50_000, "maintMarginRatio": 0.005, "initialLeverage": 100, "cum": 50.0, "notionalCap": 1e6},
    ]
    table = binance.table_of(rows)
    assert table == binance.table_of([{"tier": i, "info": row} for i, row in enumerate(rows)])
    assert brackets_of(table).jumps() == ()
    assert brackets_of(table).margin(100_000) == 450


def test_brackets_that_lack_a_number_are_refused() -> None:
    row = {"notionalFloor": 0, "maintMarginRatio": 0.004, "initialLeverage": 125, "cum": 0.0}
    for broken in ({k: v for k, v in row.items() if k != "cum"}, row | {"cum": "much"}):
        with pytest.raises(SettingError, match=r"binance: a bracket lacks .* it needs"):
            binance.table_of([broken])
    with pytest.raises(SettingError, match="tier: rate is NaN"):
        binance.table_of([row | {"maintMarginRatio": float("nan")}])
