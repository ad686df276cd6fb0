"""Laws of leverage brackets: continuous, rising, convex; the batch against the single position."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ForecastError, SettingError
from serving.margin.brackets import Brackets, from_leverages, from_rates, grid

sizes = st.fractions(min_value=0, max_value=10**9, max_denominator=100)


@st.composite
def tables(draw: st.DrawFn) -> Brackets:
    """Tables of one to eight tiers."""
    n = draw(st.integers(1, 8))
    widths = draw(st.lists(st.integers(1, 10**6), min_size=n - 1, max_size=n - 1))
    rates = sorted(draw(st.lists(st.fractions(0, 1, max_denominator=1_000), min_size=n, max_size=n)))
    return from_rates([0, *np.cumsum(widths).tolist()], rates)


def slow(brackets: Brackets, size: Fraction) -> Fraction:
    """Each slice of the size at the rate of its own tier, added up: what continuity means."""
    ends = [*brackets.floors[1:], max(size, brackets.floors[-1])]
    slices = [
        max(Fraction(min(size, end)) - floor, Fraction(0)) for floor, end in zip(brackets.floors, ends, strict=True)
    ]
    return sum((rate * part for rate, part in zip(brackets.rates, slices, strict=True)), Fraction(0))


@settings(max_examples=40)
@given(tables(), sizes)
def test_margin_is_what_the_slices_cost(brackets: Brackets, size: Fraction) -> None:
    assert brackets.margin(size) == slow(brackets, size)
    assert brackets.jumps() == ()


@settings(max_examples=40)
@given(tables(), sizes)
def test_margin_is_the_upper_envelope_of_its_lines(brackets: Brackets, size: Fraction) -> None:
    lines = [r * size - d for r, d in zip(brackets.rates, brackets.deductions, strict=True)]
    assert brackets.margin(size) == max(lines)


@settings(max_examples=40)
@given(tables(), sizes, sizes)
def test_rising_and_super_additive(brackets: Brackets, a: Fraction, b: Fraction) -> None:
    low, high = sorted((a, b))
    assert brackets.margin(low) <= brackets.margin(high) <= high
    assert brackets.margin(a + b) >= brackets.margin(a) + brackets.margin(b)
    assert 2 * brackets.margin((a + b) / 2) <= brackets.margin(a) + brackets.margin(b)


@settings(max_examples=40)
@given(tables(), sizes, sizes)
def test_netting_long_against_short_never_costs_more(brackets: Brackets, long: Fraction, short: Fraction) -> None:
    assert brackets.margin(abs(long - short)) <= brackets.margin(long) + brackets.margin(short)


@settings(max_examples=40)
@given(tables(), sizes, st.integers(1, 10**4))
def test_homogeneous_when_the_table_is_scaled_too(brackets: Brackets, size: Fraction, factor: int) -> None:
    scaled = from_rates([floor * factor for floor in brackets.floors], brackets.rates)
    assert scaled.margin(size * factor) == factor * brackets.margin(size)


@settings(max_examples=40)
@given(st.lists(tables(), min_size=1, max_size=5), st.data())
def test_batch_agrees_with_single_positions(books: list[Brackets], data: st.DataObject) -> None:
    table = np.array(data.draw(st.lists(st.integers(0, len(books) - 1), min_size=1, max_size=20)), dtype=np.intp)
    edges = [float(edge) for book in books for edge in book.floors]
    size = st.one_of(st.sampled_from(edges), st.floats(0, 1e9))
    size_of = np.array(data.draw(st.lists(size, min_size=len(table), max_size=len(table))))
    expected = [float(books[t].margin(Fraction(s))) for t, s in zip(table, size_of, strict=True)]
    np.testing.assert_allclose(grid(books).margins(table, size_of), expected, rtol=1e-12, atol=1e-6)


def test_batch_of_two_hundred_thousand_positions() -> None:
    """Linear interpolation between the edges is another way to say continuous and piecewise linear."""
    rng = np.random.default_rng(1)
    edges, rates = np.array([0.0, 5e4, 2.5e5, 1e6, 1e7]), [Decimal(r) for r in ("0.004", "0.005", "0.01", "0.025")]
    book = from_rates([int(e) for e in edges[:-1]], rates)
    size = rng.uniform(0, 1e7, 200_000)
    expected = np.interp(size, edges, [float(book.margin(int(e))) for e in edges])
    np.testing.assert_allclose(grid([book]).margins(np.zeros(len(size), dtype=np.intp), size), expected, rtol=1e-12)


def test_a_size_on_an_edge_belongs_to_the_tier_below() -> None:
    book = from_leverages([0, 100, 200], [50, 20, 10])
    assert [book.tier(size) for size in (0, 100, Decimal("100.01"), 200, 201)] == [0, 0, 1, 1, 2]


def test_published_deductions_are_kept_and_jumps_named() -> None:
    book = Brackets((Fraction(0), Fraction(100)), (Fraction(1, 10), Fraction(1, 5)), (Fraction(0), Fraction(8)))
    assert book.jumps() == ((Fraction(100), Fraction(2)),)
    assert [book.margin(size) for size in (100, 101)] == [10, Fraction("12.2")]


@pytest.mark.parametrize(
    ("floors", "rates", "says"),
    [
        ((), (), "at least one tier"),
        ((0, 1), ("0.1",), "2 floors, 1 rates"),
        ((1, 2), ("0.1", "0.2"), "begin at 0"),
        ((0, 2, 2), ("0.1", "0.2", "0.3"), "must rise"),
        ((0, 2), ("0.2", "0.1"), "not fall"),
        ((0,), ("1.1",), "within 0 and 1"),
        ((0,), ("-0.1",), "within 0 and 1"),
    ],
)
def test_tables_that_contradict_themselves_are_refused(
    floors: tuple[int, ...], rates: tuple[str, ...], says: str
) -> None:
    with pytest.raises(SettingError, match=says):
        from_rates(floors, [Decimal(rate) for rate in rates])


def test_leverages_and_sizes_that_are_none_are_refused() -> None:
    with pytest.raises(SettingError, match="leverages 10, 0 must be above 0"):
        from_leverages([0, 1], [10, 0])
    book = from_rates([0], [Fraction(1, 10)])
    for size in (Decimal(-1), Decimal("NaN"), Decimal("Infinity")):
        with pytest.raises(ForecastError, match="absolute size"):
            book.margin(size)
    for number in (-1.0, np.nan, np.inf):
        with pytest.raises(ForecastError, match="finite and not negative"):
            grid([book]).margins(np.zeros(1, dtype=np.intp), np.array([number]))


def test_slopes_between_edges_are_the_rates() -> None:
    book = from_leverages([0, 10_000, 50_000, 100_000, 300_000], [40, 25, 10, 5, 3])
    for (low, high), rate in zip(pairwise(book.floors), book.rates, strict=False):
        assert (book.margin(high) - book.margin(low)) / (high - low) == rate
