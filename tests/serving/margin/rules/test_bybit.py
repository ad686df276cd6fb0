"""Bybit: published deductions against their own recursion, margins, isolated liquidation prices."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest

from features.errors import SettingError
from serving.margin.brackets import from_rates
from serving.margin.charge import total
from serving.margin.liquidation import Holding, liquidation_price
from serving.margin.rules import bybit
from serving.margin.rules.published import preset
from serving.margin.rules.tiers import brackets_of
from tests.serving.margin.markets import account, market

MARKET = market()
PARAMETERS = preset("bybit", bybit.Parameters)


def test_published_deductions_are_those_of_the_published_recursion() -> None:
    table = PARAMETERS.markets["BTC"]
    assert len(table) == 20
    computed = brackets_of(tuple(msgspec.structs.replace(tier, deduction=None) for tier in table))
    assert computed.deductions == brackets_of(table).deductions
    assert computed.deductions[-1] == 1_482_000


def test_requirement_in_the_eighth_tier() -> None:
    notional = 100 * MARKET.quotes["BTC-PERP"].mark
    usdc = float(MARKET.assets["USDC"].price_usd)
    found = total(bybit.charges(account(BTC_PERP="100"), MARKET, PARAMETERS))
    assert found == pytest.approx((float(notional) / 50 * usdc, float(notional / 100 - 20_500) * usdc), rel=1e-14)


@pytest.mark.parametrize("leverage", [1, 5, 50])
def test_isolated_price_is_where_a_margin_fixed_at_entry_is_used_up(leverage: int) -> None:
    entry, size, rate = Decimal(30_000), Decimal("0.7"), Decimal("0.005")
    balance = Fraction(size * entry) * (Fraction(1, leverage) - Fraction(rate))
    for side, sign in (("long", 1), ("short", -1)):
        free = Holding(sign * size, entry, entry, from_rates([0], [0]))
        expected = liquidation_price(free, balance)
        found = bybit.isolated_liquidation_price(entry, "long" if side == "long" else "short", Decimal(leverage), rate)
        assert expected is not None
        assert found == pytest.approx(expected, rel=Decimal("1e-20"))


def test_numbers_that_are_none_are_refused() -> None:
    one = Decimal(1)
    for terms, says in (
        ((Decimal(0), one, one), "entry is 0"),
        ((one, Decimal(-1), one), "leverage is -1"),
        ((one, one, Decimal(2)), "maintenance_rate is 2"),
    ):
        with pytest.raises(SettingError, match=says):
            bybit.isolated_liquidation_price(terms[0], "long", terms[1], terms[2])
