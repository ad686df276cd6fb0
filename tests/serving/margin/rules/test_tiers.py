"""Tables of tiers: leverage chosen and allowed, deductions published and computed."""

from decimal import Decimal
from fractions import Fraction

import pytest

from features.errors import SettingError
from serving.margin.rules.tiers import Tier, brackets_of, initial_margin, jumping

TABLE = (
    Tier(floor=Decimal(0), max_leverage=Decimal(125)),
    Tier(floor=Decimal(50_000), max_leverage=Decimal(100)),
    Tier(floor=Decimal(250_000), max_leverage=Decimal(50)),
)


@pytest.mark.parametrize(
    ("notional", "leverage", "expected"),
    [
        (50_000, None, 400),  # at the edge the lower tier still holds
        (60_000, None, 600),
        (60_000, 125, 600),  # more than the tier allows
        (60_000, 20, 3_000),
        (1_000_000, None, 20_000),
        (0, None, 0),
    ],
)
def test_initial_margin_at_the_leverage_that_holds(notional: int, leverage: int | None, expected: int) -> None:
    chosen = None if leverage is None else Decimal(leverage)
    assert initial_margin(Decimal(notional), TABLE, chosen) == expected


def test_initial_margin_is_at_least_twice_maintenance_where_that_is_half_of_it() -> None:
    for notional in (1, 50_000, 50_001, 250_000, 10**7):
        assert initial_margin(Decimal(notional), TABLE) >= 2 * brackets_of(TABLE).margin(notional)


def test_rates_and_deductions_are_given_in_all_tiers_or_none() -> None:
    first, second = TABLE[:2]
    for table in (
        (Tier(floor=Decimal(0), max_leverage=Decimal(9), rate=Decimal("0.01")), second),
        (first, Tier(floor=Decimal(5), max_leverage=Decimal(9), deduction=Decimal(1))),
    ):
        with pytest.raises(SettingError, match="in some tiers only"):
            brackets_of(table)
    for field in ("rate", "deduction"):
        with pytest.raises(SettingError, match=f"tier: {field} is -1"):
            Tier(floor=Decimal(0), max_leverage=Decimal(1), **{field: Decimal(-1)})


def test_only_jumps_beyond_the_tolerance_are_named() -> None:
    rates, deductions = ("0.01", "0.02"), ("0", "1.005")
    table = tuple(
        Tier(floor=Decimal(100 * i), max_leverage=Decimal(1), rate=Decimal(r), deduction=Decimal(d))
        for i, (r, d) in enumerate(zip(rates, deductions, strict=True))
    )
    assert jumping({"X": table}) == {"X": ((Fraction(100), Fraction(-1, 200)),)}
    assert jumping({"X": table}, Fraction(1, 100)) == {}
