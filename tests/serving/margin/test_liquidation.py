"""Liquidation prices: what defines them, closed forms of venues, the search against the exact solver."""

from decimal import Decimal
from fractions import Fraction
from math import inf, nan

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from features.errors import AccountError, ForecastError, SettingError
from serving.margin.brackets import Brackets, from_leverages, from_rates
from serving.margin.liquidation import Holding, cross_prices, liquidation_price, searched_price

BTC = from_rates(
    [0, 50_000, 250_000, 1_000_000, 10_000_000], [Decimal(r) for r in ("0.004", "0.005", "0.01", "0.025", "0.05")]
)
COIN = from_rates([0, 5, 10, 20], [Decimal(r) for r in ("0.004", "0.005", "0.01", "0.025")])
quantities = st.decimals("0.001", "500", places=3)
prices = st.decimals("100", "100000", places=1)
balances = st.decimals("0", "2000000", places=2)


def equity_is_maintenance(one: Holding, balance: Decimal, price: Decimal) -> None:
    """The definition, to the last digits of the price."""
    gap = Fraction(balance) + one.surplus(price)
    scale: Fraction = max(Fraction(balance), abs(one.slope) * one.x(price), Fraction(1))
    assert abs(gap) <= Fraction(1, 10**15) * scale


@given(quantities, st.sampled_from([-1, 1]), prices, balances)
def test_at_the_price_equity_is_maintenance_and_beyond_it_is_less(
    quantity: Decimal, side: int, entry: Decimal, balance: Decimal
) -> None:
    one = Holding(side * quantity, entry, entry, BTC)
    price = liquidation_price(one, balance)
    if price is None:
        assert side == 1
        assert one.surplus(Decimal("1e-12")) + Fraction(balance) >= 0
        return
    assume(price > 0)
    equity_is_maintenance(one, balance, price)
    worse, better = price * (1 - side * Decimal("0.001")), price * (1 + side * Decimal("0.001"))
    assert Fraction(balance) + one.surplus(worse) < 0 < Fraction(balance) + one.surplus(better)


@given(quantities, st.sampled_from([-1, 1]), prices, st.decimals("0", "50", places=4))
def test_inverse_contracts(coins: Decimal, side: int, entry: Decimal, balance: Decimal) -> None:
    """Settled in coin: a short position with more coin than it is worth is never liquidated."""
    one = Holding(side * (coins * entry).quantize(Decimal(1)), entry, entry, COIN, inverse=True)
    price = liquidation_price(one, balance)
    if price is None:
        assert one.quantity == 0 or (side == -1 and balance * entry >= abs(one.quantity))
    else:
        equity_is_maintenance(one, balance, price)


@given(st.lists(st.tuples(quantities, st.sampled_from([-1, 1]), prices, prices), min_size=1, max_size=4), balances)
def test_cross_positions_hold_the_others_at_their_mark(
    book: list[tuple[Decimal, int, Decimal, Decimal]], balance: Decimal
) -> None:
    holdings = [Holding(side * quantity, entry, mark, BTC) for quantity, side, entry, mark in book]
    for i, price in enumerate(cross_prices(holdings, balance)):
        if price is not None and 0 < price < Decimal("Infinity"):
            total = Fraction(balance) + sum(h.surplus(price if i == j else h.mark) for j, h in enumerate(holdings))
            assert abs(total) <= Fraction(1, 10**9)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("leverage", [3, 10, 40])
def test_formula_of_hyperliquid(side: int, leverage: int) -> None:
    """Documentation, "Liquidations": price - side x margin available / size / (1 - side / maintenance leverage)."""
    entry, size = Decimal(60_000), Decimal("0.5")
    margin = size * entry / leverage
    one = Holding(side * size, entry, entry, from_leverages([0], [40]))
    part = Fraction(1, 80)
    available = Fraction(margin) - Fraction(size * entry) * part
    expected = Fraction(entry) - side * available / Fraction(size) / (1 - side * part)
    assert liquidation_price(one, margin) == pytest.approx(Decimal(float(expected)), rel=Decimal("1e-14"))


def test_formula_of_binance_with_its_own_brackets() -> None:
    """The position of the venue's worked example lies in the bracket of 2.5 % with 16,300 deducted."""
    one = Holding(Decimal("109.488"), Decimal("32481.98"), Decimal("31967.27"), BTC)
    assert BTC.deductions[3] == 16_300
    assert BTC.tier(Fraction(one.quantity * one.mark)) == 3
    found = liquidation_price(one, Decimal("1535443.01"))
    assert found is not None
    assert found.quantize(Decimal("0.01")) == Decimal("18778.73")


def test_prices_fall_as_collateral_rises() -> None:
    one = Holding(Decimal(1), Decimal(50_000), Decimal(50_000), BTC)
    found = [liquidation_price(one, balance) for balance in (1_000, 5_000, 20_000, 49_999)]
    assert all(price is not None for price in found)
    assert found == sorted(found, reverse=True)  # type: ignore[type-var]
    assert liquidation_price(one, 50_000) is None


def test_every_price_or_none() -> None:
    flat, whole = from_rates([0], [Fraction(1, 100)]), from_rates([0], [1])
    ten = Decimal(10)
    assert liquidation_price(Holding(Decimal(0), ten, ten, flat), -5) is None
    assert liquidation_price(Holding(Decimal(-1), ten, ten, flat), -10) == 0
    assert liquidation_price(Holding(Decimal(1), ten, ten, whole), 9) == Decimal("Infinity")
    assert liquidation_price(Holding(Decimal(-10), ten, ten, whole, inverse=True), Decimal("0.5")) == 0
    assert liquidation_price(Holding(Decimal(10), ten, ten, flat, inverse=True), -1) == Decimal("Infinity")


@pytest.mark.parametrize(
    ("side", "rise", "numerator"),
    [(1, 4, (92, "0.9")), (1, -4, (88, "0.9")), (-1, 4, (100, "1")), (-1, -4, (116, "1.1"))],
)
def test_tables_that_jump(side: int, rise: int, numerator: tuple[int, str]) -> None:
    """Deductions that do not join: of several crossings the worst counts, a step over zero is a crossing."""
    rates, floors = (Fraction(1, 10), Fraction(1, 10)), (Fraction(0), Fraction(100))
    jumping = Brackets(floors, rates, (Fraction(0), Fraction(-rise)))
    found = liquidation_price(Holding(Decimal(side), Decimal(100), Decimal(100), jumping), 12)
    assert found == pytest.approx(numerator[0] / Decimal(numerator[1]), rel=Decimal("1e-20"))


def test_search_agrees_with_the_exact_solver() -> None:
    for quantity, side in ((Decimal(30), "down"), (Decimal(-30), "up")):
        one = Holding(quantity, Decimal(40_000), Decimal(40_000), BTC)
        exact = liquidation_price(one, 200_000)
        found = searched_price(
            lambda p, one=one: float(200_000 + one.surplus(Decimal(p))),  # type: ignore[misc]
            40_000.0,
            "down" if side == "down" else "up",
        )
        assert exact is not None
        assert found == pytest.approx(float(exact), rel=2e-12)


def test_search_takes_the_crossing_nearest_to_the_mark() -> None:
    """A straddle sold is liquidated on either side; between the two prices it is safe."""

    def surplus(price: float) -> float:
        return 10.0 - abs(price - 100.0)

    assert searched_price(surplus, 102.0, "down") == pytest.approx(90.0, rel=2e-12)
    assert searched_price(surplus, 102.0, "up") == pytest.approx(110.0, rel=2e-12)
    for side, edge in (("down", 90.0), ("up", 110.0)):
        found = searched_price(surplus, 102.0, "down" if side == "down" else "up")
        assert found is not None
        assert surplus(found) <= 0 < surplus(found + (1e-9 if edge < 100 else -1e-9))


def test_search_says_so_where_nothing_liquidates_and_where_it_already_is() -> None:
    assert searched_price(lambda _: 1.0, 100.0, "down") is None
    assert searched_price(lambda p: 3.0 - p, 1.0, "up", reach=2.0) is None
    assert searched_price(lambda _: -1.0, 100.0, "up") == 100.0
    assert searched_price(lambda _: 0.0, 100.0, "up") == 100.0


def test_numbers_that_are_none_are_refused() -> None:
    for quantity, entry, says in (
        ("NaN", "1", "quantity is NaN"),
        ("1", "0", "entry is 0"),
        ("1", "-1", "entry is -1"),
    ):
        with pytest.raises(AccountError, match=says):
            Holding(Decimal(quantity), Decimal(entry), Decimal(1), BTC)
    for mark, reach in ((0.0, 2.0), (nan, 2.0), (1.0, 1.0), (inf, 2.0)):
        with pytest.raises(SettingError, match="above"):
            searched_price(lambda _: 1.0, mark, "up", reach=reach)
    with pytest.raises(ForecastError, match="surplus at price 1 is nan"):
        searched_price(lambda _: nan, 1.0, "down")
