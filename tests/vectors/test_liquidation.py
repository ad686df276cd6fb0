"""Published liquidation prices: Binance's calculator, isolated positions of four venues."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from serving.margin.brackets import Brackets, from_rates
from serving.margin.liquidation import Holding, cross_prices, liquidation_price, searched_price
from serving.margin.rules import bybit
from tests.vectors.reading import cases


def decimal(value: float) -> Decimal:
    """A published number as it prints."""
    return Decimal(str(value))


def line(rate: float, deduction: float) -> Brackets:
    """The one bracket that is published: rate x notional - deduction, from where it is positive."""
    r, d = Fraction(decimal(rate)), Fraction(decimal(deduction))
    return from_rates([0, d / r], [0, r]) if d else from_rates([0], [r])


def holding(case: dict[str, Any]) -> Holding:
    """A published position; one without a mark is marked at its entry."""
    rate = decimal(case["mm_ratio"]) + decimal(case.get("taker_fee", 0))
    quantity = case["side"] * decimal(case["amount"])
    entry = decimal(case["entry"])
    mark = decimal(case.get("mark", case["entry"]))
    return Holding(quantity, entry, mark, line(float(rate), case.get("maint_amt", 0)))


def printed(case: dict[str, Any]) -> Decimal:
    return decimal(case["expected_liq"])


def assert_as_printed(found: Decimal | None, expected: Decimal) -> None:
    """Equal to the printed digits; floats print seventeen, of which fifteen are sure."""
    assert found is not None
    digits = min(-int(expected.as_tuple().exponent), 14 - expected.adjusted())
    assert abs(found - expected) <= Decimal("0.5000001").scaleb(-digits)


def crosses(found: dict[str, Any]) -> list[tuple[str, Any]]:
    book = found["cross_margin"]
    return [(f"cross {p['pair']}", (book, i)) for i, p in enumerate(book["positions"])]


@pytest.mark.parametrize("case", cases("liquidation_price_cex", crosses))
def test_cross_positions_of_binance(case: tuple[dict[str, Any], int]) -> None:
    book, i = case
    positions = book["positions"]
    found = cross_prices([holding(p) for p in positions], decimal(book["wallet_balance"]))
    assert_as_printed(found[i], printed(positions[i]))


@pytest.mark.parametrize(
    "case",
    cases(
        "liquidation_price_cex",
        lambda d: [
            (f"isolated {c.get('venue', 'binance doc')} {i}", c)
            for i, c in enumerate([*d["isolated_binance_doc"], *d["isolated"]])
        ],
    ),
)
def test_isolated_positions(case: dict[str, Any]) -> None:
    if case.get("venue") == "bybit":
        terms = decimal(case["leverage"]), decimal(case["mm_ratio"])
        found = bybit.isolated_liquidation_price(
            decimal(case["entry"]), "long" if case["side"] > 0 else "short", *terms
        )
        assert_as_printed(found, printed(case))
        return
    one, wallet = holding(case), decimal(case["wallet"])
    assert_as_printed(liquidation_price(one, wallet), printed(case))

    def surplus(price: float) -> float:
        profit = one.quantity * (Decimal(price) - one.entry)
        return float(wallet + profit) - float(one.brackets.margin(abs(one.quantity) * Decimal(price)))

    by_search = searched_price(surplus, float(one.entry), "down" if case["side"] > 0 else "up")
    assert by_search == pytest.approx(case["expected_liq"], rel=1e-5)
