"""The compiled sweep against its readable twins, on books of all kinds and cut anywhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import orderflow
from features.errors import SettingError
from features.orderflow import (
    ASK,
    BID,
    BOOK_COLUMNS,
    CARRY_MEASURES,
    FLOW_MEASURES,
    TRADE_MEASURES,
    Meaning,
    book_columns,
    depth,
    depth_notional,
    depth_within,
    imbalance,
    microprice_frac,
    mid,
    order_flow_imbalance,
    slope,
    spread_frac,
    sweep,
    trade_cost,
)
from features.orderflow.levels import FloatArray

NOTIONALS, BANDS = (300.0, 2_000.0, 20_000.0), (10.0, 100.0, 500.0)


def twin_columns(books: FloatArray, levels: tuple[int, ...]) -> dict[str, FloatArray]:
    """Every column by its readable function."""
    columns = {"mid": mid(books), "spread_frac": spread_frac(books), "microprice_frac": microprice_frac(books)}
    for k in levels:
        columns |= {
            f"depth_bid_{k}": depth(books, BID, k),
            f"depth_ask_{k}": depth(books, ASK, k),
            f"notional_bid_{k}": depth_notional(books, BID, k),
            f"notional_ask_{k}": depth_notional(books, ASK, k),
            f"imbalance_{k}": imbalance(books, k),
            f"ofi_{k}": order_flow_imbalance(books, k),
        }
    if levels[-1] > 1:
        columns |= {"slope_bid": slope(books, BID, levels[-1]), "slope_ask": slope(books, ASK, levels[-1])}
    for q in NOTIONALS:
        columns |= {f"cost_buy_{q:.0f}": trade_cost(books, ASK, q), f"cost_sell_{q:.0f}": trade_cost(books, BID, q)}
    for x in BANDS:
        columns |= {f"depth_bid_{x:.0f}bp": depth_within(books, BID, x)}
        columns |= {f"depth_ask_{x:.0f}bp": depth_within(books, ASK, x)}
    return columns


def swept(books: FloatArray, levels: tuple[int, ...], cuts: tuple[int, ...] = ()) -> FloatArray:
    """The sweep's columns, the rows cut into chunks before each of ``cuts``."""
    names, previous, parts = book_columns(levels, NOTIONALS, BANDS), np.full(books.shape[1], np.nan), []
    for chunk in np.split(books, sorted(cuts)):
        parts.append(np.full((len(names), len(chunk)), -1.0))
        sweep(chunk, previous, levels, NOTIONALS, parts[-1], BANDS)
        previous = chunk[-1] if len(chunk) else previous
    return np.concatenate(parts, axis=1)


def any_books(
    seed: int, n: int, depth_k: int, holes: float, crossing: int, tick: float, lot: float = 0.0
) -> FloatArray:
    """Books with repeated and moving prices, short sides, holes, void rows, sizes of 0, locked or crossed touches."""
    rng = np.random.default_rng(seed)
    gaps = np.cumsum(rng.integers(1, 4, (n, 2, depth_k)), axis=2) - rng.integers(0, crossing + 1, (n, 1, 1))
    middle = 1_000 + np.cumsum(rng.integers(-1, 2, n))
    ladders = np.empty((n, 2, depth_k, 2))
    ladders[..., 0] = tick * (middle[:, None, None] + np.array([-1, 1])[:, None] * gaps)
    ladders[..., 1] = rng.exponential(1.0, (n, 2, depth_k)) * (rng.random((n, 2, depth_k)) > holes / 4)
    seen = np.where(rng.random((n, 2)) < holes, rng.integers(0, depth_k + 1, (n, 2)), depth_k)
    ladders[..., 1] = np.ceil(ladders[..., 1] / lot) * lot if lot else ladders[..., 1]
    ladders[np.arange(depth_k) >= seen[..., None]] = np.nan
    books: FloatArray = ladders.reshape(n, 4 * depth_k)
    books[rng.random(books.shape) < holes / 20] = np.nan
    books[rng.random(n) < holes / 4] = np.nan
    return books


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 150),
    depth_k=st.integers(1, 12),
    holes=st.sampled_from([0.0, 0.1, 0.5]),
    crossing=st.sampled_from([0, 2, 5]),
    tick=st.sampled_from([1.0, 0.1]),
    lot=st.sampled_from([0.0, 1.0]),  # whole lots at whole prices meet a notional to the digit
    data=st.data(),
)
def test_the_sweep_says_what_its_twins_say_however_it_is_cut(
    seed: int, n: int, depth_k: int, holes: float, crossing: int, tick: float, lot: float, data: st.DataObject
) -> None:
    books = any_books(seed, n, depth_k, holes, crossing, tick, lot)
    levels = tuple(sorted(data.draw(st.sets(st.integers(1, depth_k), min_size=1, max_size=4))))
    whole = swept(books, levels)
    for name, found, expected in zip(book_columns(levels, NOTIONALS, BANDS), whole, twin(books, levels), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=name)
    cuts = tuple(data.draw(st.lists(st.integers(0, n), max_size=4)))
    np.testing.assert_array_equal(swept(books, levels, cuts), whole)


def twin(books: FloatArray, levels: tuple[int, ...]) -> list[FloatArray]:
    """Columns of the twins in the sweep's order."""
    columns = twin_columns(books, levels)
    return [columns[name] for name in book_columns(levels, NOTIONALS, BANDS)]


def test_the_twins_have_no_other_columns_and_the_page_knows_each() -> None:
    names = book_columns((1, 5, 10), NOTIONALS, BANDS)
    assert set(names) == set(twin_columns(any_books(0, 3, 10, 0.0, 0, 1.0), (1, 5, 10)))
    stems = {name.removesuffix("bp").rstrip("0123456789.").removesuffix("_") for name in names}
    assert stems == set(BOOK_COLUMNS)


def test_books_of_twenty_five_levels_with_a_fine_tick() -> None:
    books, levels = any_books(9, 300, 25, 0.0, 0, 0.01), (1, 5, 10, 25)
    found = swept(books, levels)
    np.testing.assert_allclose(found, twin(books, levels), rtol=1e-12, atol=1e-12)
    by_levels = 3 + 6 * len(levels) + 2
    assert np.isfinite(found[:by_levels, 1:]).all()


def test_the_last_unit_of_the_book_and_the_edge_of_the_band() -> None:
    """Where a comparison includes its bound: 297.5 and 302.5 are all that is there, 99 and 101 are 100 bp away."""
    book = np.array([[99.5, 1.0, 99.0, 2.0, 100.5, 1.0, 101.0, 2.0]])
    names = book_columns((2,), (297.5, 302.5), (100.0,))
    out = np.empty((len(names), 1))
    sweep(book, np.full(8, np.nan), (2,), (297.5, 302.5), out, (100.0,))
    column = dict(zip(names, out[:, 0], strict=True))
    assert column["cost_sell_297.5"] == pytest.approx(1 - 297.5 / 300)
    assert column["cost_buy_302.5"] == pytest.approx(302.5 / 300 - 1)
    assert np.isnan(column["cost_sell_302.5"])
    assert (column["depth_bid_100bp"], column["depth_ask_100bp"]) == (3.0, 3.0)


def test_the_first_row_continues_the_chunk_before() -> None:
    books = any_books(3, 2, 4, 0.0, 0, 1.0)
    flow = book_columns((4,), NOTIONALS, BANDS).index("ofi_4")
    out = np.empty((len(book_columns((4,), NOTIONALS, BANDS)), 1))
    sweep(books[1:], books[0], (4,), NOTIONALS, out, BANDS)
    assert out[flow, 0] == pytest.approx(order_flow_imbalance(books, 4)[1], rel=1e-12)
    sweep(books[1:], np.full(16, np.nan), (4,), NOTIONALS, out, BANDS)
    assert np.isnan(out[flow, 0])


def test_a_read_only_or_strided_matrix_is_taken() -> None:
    books = any_books(5, 40, 4, 0.1, 0, 1.0)
    frozen, strided = books.copy(), np.repeat(books, 2, axis=0)[::2]
    frozen.flags.writeable = False
    for other in (frozen, strided, np.asfortranarray(books)):
        np.testing.assert_array_equal(swept(other, (1, 4)), swept(books, (1, 4)))


def test_no_rows_are_no_columns() -> None:
    sweep(np.empty((0, 8)), np.full(8, np.nan), (2,), (), np.empty((len(book_columns((2,), ())), 0)))


@pytest.mark.parametrize(
    ("levels", "notionals", "bands", "match"),
    [
        ((), (1.0,), (), "needs levels, got none"),
        ((0, 1), (), (), r"levels are positive and ascending, got \(0, 1\)"),
        ((5, 1), (), (), "levels are positive and ascending"),
        ((1,), (2.0, 2.0), (), "notionals are positive and ascending"),
        ((1,), (), (-1.0,), "bands_bp are positive and ascending"),
    ],
)
def test_settings_without_sense_are_refused(levels, notionals, bands, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingError, match=match):
        book_columns(levels, notionals, bands)


def test_shapes_that_do_not_fit_are_refused() -> None:
    books, past = any_books(0, 10, 4, 0.0, 0, 1.0), np.full(16, np.nan)
    m = len(book_columns((1, 4), ()))
    with pytest.raises(ValueError, match="over 5 levels needs as many in the books, got 4"):
        sweep(books, past, (5,), (), np.empty((m, 10)))
    for out, previous in ((np.empty((m, 9)), past), (np.empty((10, m)).T, past), (np.empty((m, 10)), past[:8])):
        with pytest.raises(ValueError, match=r"needs out of shape \(17, 10\), C order, and previous of \(16,\)"):
            sweep(books, previous, (1, 4), (), out)


@pytest.mark.parametrize("table", [TRADE_MEASURES, FLOW_MEASURES, CARRY_MEASURES], ids=["trade", "flow", "carry"])
def test_each_line_of_the_reference_page_is_a_function(table: dict[str, Meaning]) -> None:
    for name, meaning in table.items():
        assert callable(getattr(orderflow, name))
        assert all(meaning)
