"""Fixed rates: proportional to size, leverage divides, long and short alike."""

from decimal import Decimal

import pytest

from features.errors import SettingError
from serving.margin.charge import total
from serving.margin.rules import fixed_rate
from tests.serving.margin.markets import account, market

MARKET = market()


def test_rate_of_the_notional_divided_by_the_leverage() -> None:
    mark = MARKET.quotes["BTC-PERP"].mark
    usdc = MARKET.assets["USDC"].price_usd
    for leverage, divisor in ((None, 1), (Decimal(8), 8)):
        parameters = fixed_rate.Parameters(
            initial_rate=Decimal("0.04"), maintenance_rate=Decimal("0.02"), leverage=leverage
        )
        for quantity in ("7", "-7"):
            found = total(fixed_rate.charges(account(BTC_PERP=quantity), MARKET, parameters))
            exact = Decimal(7) * mark * usdc / divisor
            assert found == (float(exact * Decimal("0.04")), float(exact * Decimal("0.02")))


def test_one_instrument_does_not_offset_another() -> None:
    parameters = fixed_rate.Parameters(initial_rate=Decimal("0.1"), maintenance_rate=Decimal("0.1"))

    def margin(**quantities: str) -> float:
        return total(fixed_rate.charges(account(**quantities), MARKET, parameters))[0]

    spread = margin(BTC_PERP="1", BTC_27SEP24="-1")
    assert spread == pytest.approx(margin(BTC_PERP="1") + margin(BTC_27SEP24="1"), rel=1e-14)


def test_leverage_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match="leverage is 0; it must be above 0"):
        fixed_rate.leveraged_margin(Decimal(1), Decimal(1), Decimal(0))
