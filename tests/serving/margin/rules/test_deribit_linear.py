"""Deribit linear: the table of the venue's help page, convexity, the cap."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import SettingError
from serving.margin.charge import total
from serving.margin.rules.deribit_linear import Line, Parameters, charges, margin
from serving.margin.rules.published import preset
from tests.serving.margin.markets import account, market

MARKET = market()
PARAMETERS = preset("deribit_linear", Parameters)
SIZES = st.decimals("0", "1000000", places=3)


# Deribit support, "Linear Perpetual", the column of BTC_USDC at 100,000.
@pytest.mark.parametrize(
    ("size", "initial", "maintenance"), [(0, 0, 0), (25, "53125", "28125"), (350, "1312500", "962500")]
)
def test_table_of_the_help_page(size: int, initial: str, maintenance: str) -> None:
    line, index = PARAMETERS.markets["BTC"], Decimal(100_000)
    assert margin(Decimal(size), index, line.initial_base, line.slope) == Decimal(initial)
    assert margin(Decimal(-size), index, line.maintenance_base, line.slope) == Decimal(maintenance)


@given(SIZES, SIZES)
def test_rising_super_additive_and_at_most_the_notional(a: Decimal, b: Decimal) -> None:
    def one(size: Decimal) -> Decimal:
        return margin(size, Decimal(100), Decimal("0.02"), Decimal("0.00005"))

    low, high = sorted((a, b))
    assert one(low) <= one(high) <= 100 * high
    assert one(a + b) >= one(a) + one(b)
    assert one(abs(a - b)) <= one(a) + one(b)


def test_the_index_counts_and_the_mark_where_there_is_none() -> None:
    usdc = float(MARKET.assets["USDC"].price_usd)
    quote = MARKET.quotes["BTC-PERP"]
    assert quote.index is not None
    assert quote.index != quote.mark
    for index in (quote.index, None):
        changed = msgspec.structs.replace(
            MARKET, quotes=MARKET.quotes | {"BTC-PERP": msgspec.structs.replace(quote, index=index)}
        )
        price = float(index or quote.mark)
        found = total(charges(account(BTC_PERP="-25"), changed, PARAMETERS))
        assert found == pytest.approx((25 * 0.02125 * price * usdc, 25 * 0.01125 * price * usdc), rel=1e-14)


def test_lines_that_contradict_themselves_are_refused() -> None:
    one, half = Decimal("0.1"), Decimal("0.2")
    for terms, says in (
        ({"initial_base": one, "maintenance_base": half, "slope": one}, "maintenance_base exceeds"),
        ({"initial_base": Decimal(2), "maintenance_base": one, "slope": one}, "initial_base is 2"),
        ({"initial_base": one, "maintenance_base": one, "slope": Decimal(-1)}, "slope is -1"),
    ):
        with pytest.raises(SettingError, match=says):
            Line(**terms)
