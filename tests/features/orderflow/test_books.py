"""Columns of a book against figures worked out by hand, a regression of another library, and laws."""

from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm

from features.errors import SettingError
from features.orderflow import (
    ASK,
    BID,
    depth,
    depth_notional,
    depth_within,
    imbalance,
    microprice,
    microprice_frac,
    mid,
    order_flow_imbalance,
    slope,
    spread_frac,
    trade_cost,
)
from features.orderflow.levels import FloatArray

Measure = Callable[[FloatArray], FloatArray]
BIDS, ASKS = ((100.0, 2.0), (99.0, 3.0), (97.0, 5.0)), ((102.0, 1.0), (103.0, 4.0), (106.0, 10.0))
BOOK = np.array([[*np.ravel(BIDS), *np.ravel(ASKS)]])


def random_books(n: int, levels: int, seed: int) -> FloatArray:
    """Whole books on a grid of ticks around a walking mid."""
    rng = np.random.default_rng(seed)
    middle = 500 + np.cumsum(rng.integers(-2, 3, n))
    gaps = np.cumsum(rng.integers(1, 4, (n, 2, levels)), axis=2)
    books = np.empty((n, 2, levels, 2))
    books[..., 0] = middle[:, None, None] + np.array([-1, 1])[:, None] * gaps
    books[..., 1] = rng.exponential(2.0, (n, 2, levels)) + 0.01
    return books.reshape(n, 4 * levels)


def mirrored(books: FloatArray, about: float) -> FloatArray:
    """The sides exchanged and prices reflected: what a seller sees as a buyer."""
    turned: FloatArray = np.concatenate(np.split(books, 2, axis=1)[::-1], axis=1)
    turned[:, ::2] = 2 * about - turned[:, ::2]
    return turned


BOOKS = random_books(200, 6, seed=1)
DIRECTIONS: dict[str, Measure] = {
    "microprice": microprice_frac,
    "imbalance": lambda b: imbalance(b, 3),
    "flow": lambda b: order_flow_imbalance(b, 3),
    "net depth": lambda b: depth(b, BID, 4) - depth(b, ASK, 4),
}
FRACTIONS: dict[str, Measure] = {
    "spread": spread_frac,
    "microprice": microprice_frac,
    "imbalance": lambda b: imbalance(b, 3),
    "slope": lambda b: slope(b, BID, 4),
    "depth": lambda b: depth(b, ASK, 4),
    "within": lambda b: depth_within(b, ASK, 90.0),
    "flow": lambda b: order_flow_imbalance(b, 6),
}


def test_touch_by_hand() -> None:
    assert mid(BOOK) == 101.0
    assert spread_frac(BOOK) == pytest.approx(2 / 101)
    assert microprice(BOOK) == pytest.approx(304 / 3)  # (100 x 1 + 102 x 2) / 3
    assert microprice_frac(BOOK) == pytest.approx(1 / 303)


@pytest.mark.parametrize(("levels", "bids", "asks", "lean"), [(1, 2, 1, 1 / 3), (2, 5, 5, 0.0), (3, 10, 15, -0.2)])
def test_depth_and_imbalance_by_hand(levels: int, bids: float, asks: float, lean: float) -> None:
    assert [depth(BOOK, side, levels)[0] for side in (BID, ASK)] == [bids, asks]
    assert imbalance(BOOK, levels) == pytest.approx(lean)


def test_notional_by_hand() -> None:
    assert depth_notional(BOOK, BID, 3) == 200 + 297 + 485
    assert depth_notional(BOOK, ASK, 2) == 102 + 412


@pytest.mark.parametrize(
    ("side", "notional", "base", "amount"),
    [
        (ASK, 51.0, 0.5, "half of the touch"),
        (ASK, 102.0, 1.0, "all of the touch"),
        (ASK, 308.0, 3.0, "1 at 102, 2 at 103"),
        (ASK, 514.0, 5.0, "two levels to the last unit"),
        (ASK, 1574.0, 15.0, "all that is there"),
        (BID, 348.5, 3.5, "2 at 100, 1.5 at 99"),
        (BID, 982.0, 10.0, "all that is there"),
    ],
)
def test_cost_of_a_trade_by_hand(side: int, notional: float, base: float, amount: str) -> None:
    worse = -side * (notional / base / 101 - 1)
    assert trade_cost(BOOK, side, notional) == pytest.approx(worse, rel=1e-13), amount


@pytest.mark.parametrize(("side", "notional"), [(ASK, 1574.01), (BID, 982.01)])
def test_a_trade_larger_than_the_book_has_no_cost(side: int, notional: float) -> None:
    assert np.isnan(trade_cost(BOOK, side, notional)).all()


@pytest.mark.parametrize(
    ("band_bp", "bids", "asks"),
    [(50, 0, 0), (100, 2, 1), (200, 5, 5), (396, 5, 5), (397, np.nan, 5), (495, np.nan, 5), (496, np.nan, np.nan)],
)
def test_depth_within_a_band_by_hand(band_bp: float, bids: float, asks: float) -> None:
    """The bids are 1, 2 and 4 below the mid of 101 (99, 198, 396.04 bp), the asks 1, 2 and 5 above (495.05 bp)."""
    np.testing.assert_array_equal([depth_within(BOOK, side, band_bp)[0] for side in (BID, ASK)], [bids, asks])


def test_a_level_on_the_edge_is_inside() -> None:
    book = np.array([[99.0, 2.0, 96.0, 7.0, 101.0, 1.0, 104.0, 3.0]])  # mid 100: 400 bp are 4, in floats too
    assert [depth_within(book, side, 400.0)[0] for side in (BID, ASK)] == [9.0, 4.0]


@pytest.mark.parametrize("side", [BID, ASK])
def test_slope_is_the_regression_of_statsmodels(side: int) -> None:
    for book in BOOKS[:20]:
        prices, sizes = book[0 if side == BID else 12 :: 2][:5], book[1 if side == BID else 13 :: 2][:5]
        middle = (book[0] + book[12]) / 2
        share = np.cumsum(sizes) / sizes.sum()
        fit = sm.OLS(share, sm.add_constant(np.abs(prices - middle) / middle)).fit()
        assert slope(book[None], side, 5) == pytest.approx(fit.params[1], rel=1e-9)


def test_the_three_cases_of_cont_kukanov_and_stoikov() -> None:
    """Their e_n: a better bid adds its queue, a worse one removes the old queue, the same one the difference."""
    before = (100.0, 7.0, 102.0, 9.0)
    after = {
        "bid better": ((101.0, 3.0, 102.0, 9.0), 3.0),
        "bid worse": ((99.0, 4.0, 102.0, 9.0), -7.0),
        "bid same": ((100.0, 5.0, 102.0, 9.0), -2.0),
        "ask better": ((100.0, 7.0, 101.0, 2.0), -2.0),
        "ask worse": ((100.0, 7.0, 103.0, 4.0), 9.0),
        "ask same": ((100.0, 7.0, 102.0, 15.0), -6.0),
        "both worse": ((98.0, 1.0, 104.0, 1.0), -7.0 + 9.0),
    }
    for case, (book, flow) in after.items():
        assert order_flow_imbalance(np.array([before, book]), 1)[1] == flow, case


def test_flow_at_a_standing_touch_is_the_sum_of_its_events() -> None:
    """Limit orders at the bid and market buys count +, cancellations at the bid and market sells -, as in the paper."""
    rng = np.random.default_rng(4)
    bid, ask = 1_000.0 + np.cumsum(rng.normal(0, 1, 300)), 1_000.0 + np.cumsum(rng.normal(0, 1, 300))
    books = np.stack([np.full(300, 99.0), bid, np.full(300, 101.0), ask], axis=1)
    net = np.diff(bid) - np.diff(ask)
    np.testing.assert_allclose(order_flow_imbalance(books, 1)[1:], net, atol=1e-12)
    assert np.nansum(order_flow_imbalance(books, 1)) == pytest.approx(bid[-1] - bid[0] - ask[-1] + ask[0])


def test_deeper_flow_compares_levels_of_the_same_rank() -> None:
    # The bid's second level moves up from 98 (5) to 99 (2): +2. The ask's stays at 103, from 6 to 1: -(1 - 6) = +5.
    before = [100.0, 1.0, 98.0, 5.0, 102.0, 1.0, 103.0, 6.0]
    after = [100.0, 4.0, 99.0, 2.0, 102.0, 3.0, 103.0, 1.0]
    flow = [order_flow_imbalance(np.array([before, after]), k)[1] for k in (1, 2)]
    assert flow == [3.0 - 2.0, 3.0 - 2.0 + 2.0 + 5.0]


@pytest.mark.parametrize("name", DIRECTIONS)
def test_a_mirrored_book_says_the_opposite(name: str) -> None:
    about = 500.0
    measure, turned = DIRECTIONS[name], mirrored(BOOKS, about)
    unit = mid(BOOKS) / mid(turned) if name == "microprice" else 1.0  # the fraction is of another mid
    np.testing.assert_allclose(measure(turned), -measure(BOOKS) * unit, rtol=1e-10, atol=1e-13)


def test_a_purchase_in_the_mirror_is_a_sale() -> None:
    """Of single units, so that what is walked is a number of units and no notional, which prices would change."""
    book = np.array([[99.0, 1.0, 98.0, 1.0, 97.0, 1.0, 101.0, 1.0, 102.0, 1.0, 106.0, 1.0]])
    turned = mirrored(book, 100.0)
    sale = trade_cost(turned, BID, 99.0 + 98.0)  # the two best, as the purchase of 101 + 102
    assert sale == pytest.approx(trade_cost(book, ASK, 101.0 + 102.0), rel=1e-13)
    assert slope(turned, BID, 3) == pytest.approx(slope(book, ASK, 3), rel=1e-12)


@pytest.mark.parametrize("name", FRACTIONS)
def test_prices_in_another_currency_leave_fractions_and_sizes(name: str) -> None:
    dearer = BOOKS.copy()
    dearer[:, ::2] *= 8.0  # a power of two: no price is rounded
    np.testing.assert_array_equal(FRACTIONS[name](dearer), FRACTIONS[name](BOOKS))
    np.testing.assert_allclose(trade_cost(dearer, ASK, 8 * 900.0), trade_cost(BOOKS, ASK, 900.0), rtol=1e-13)


def test_cost_rises_with_the_notional_from_half_the_spread() -> None:
    ladder = np.array([trade_cost(BOOKS, ASK, notional) for notional in np.geomspace(1e-3, 3e3, 40)])
    np.testing.assert_allclose(ladder[0], spread_frac(BOOKS) / 2, rtol=1e-9)
    seen = ~np.isnan(ladder)
    assert (np.diff(ladder, axis=0)[seen[1:]] >= -1e-15).all()
    assert (seen[:-1] | ~seen[1:]).all()  # once too large for the book, always
    assert seen.mean() > 0.5


def test_cost_against_a_walk_one_unit_at_a_time() -> None:
    def walked(book: np.ndarray, notional: float) -> float:
        left, base = notional, 0.0
        for price, size in zip(book[12::2], book[13::2], strict=True):
            spent = min(left, price * size)
            left, base = left - spent, base + spent / price
        return notional / base / (0.5 * (book[0] + book[12])) - 1 if left == 0 else np.nan

    for notional in (100.0, 2_000.0, 6_000.0):
        expected = [walked(book, notional) for book in BOOKS]
        np.testing.assert_allclose(trade_cost(BOOKS, ASK, notional), expected, atol=1e-13)


def test_what_is_not_known_is_not_a_number() -> None:
    one_sided, void, short = BOOK.copy(), np.full_like(BOOK, np.nan), BOOK.copy()
    one_sided[:, 6:] = np.nan
    short[:, [4, 5]] = np.nan
    assert depth(one_sided, BID, 3) == 10.0
    for book in (one_sided, void):
        for measure in (mid, spread_frac, microprice, microprice_frac):
            assert np.isnan(measure(book)).all()
        assert np.isnan(imbalance(book, 1)).all()
        assert np.isnan(trade_cost(book, BID, 1.0)).all()
        assert np.isnan(depth_within(book, BID, 1.0)).all()
        assert np.isnan(slope(book, BID, 2)).all()
    assert depth(short, BID, 2) == 5.0
    for unknown in (depth(short, BID, 3), depth_notional(short, BID, 3), imbalance(short, 3), slope(short, BID, 3)):
        assert np.isnan(unknown).all()  # of a third level that is not seen, nothing is said


def test_a_walk_stops_at_a_hole() -> None:
    hole = BOOK.copy()
    hole[:, [2, 3]] = np.nan
    assert trade_cost(hole, BID, 150.0) == pytest.approx(1 / 101)
    assert np.isnan(trade_cost(hole, BID, 250.0)).all()
    assert [depth_within(hole, BID, band_bp)[0] for band_bp in (50.0, 99.0)] == [0.0, 0.0]
    assert np.isnan(depth_within(hole, BID, 200.0)).all()


@pytest.mark.parametrize("column", range(4))
def test_flow_around_an_unknown_book_is_not_known(column: int) -> None:
    books = np.repeat([[100.0, 7.0, 102.0, 9.0]], 5, axis=0)
    books[2, column] = np.nan
    np.testing.assert_array_equal(order_flow_imbalance(books, 1), [np.nan, 0.0, np.nan, np.nan, 0.0])


def test_sizes_of_zero() -> None:
    empty = np.array([[99.0, 0.0, 98.0, 0.0, 101.0, 0.0, 102.0, 0.0]])
    for undefined in (microprice(empty), microprice_frac(empty), imbalance(empty, 2), slope(empty, ASK, 2)):
        assert np.isnan(undefined).all()
    assert depth(empty, BID, 2) == 0.0
    assert np.isnan(trade_cost(empty, ASK, 1.0)).all()


def test_a_locked_and_a_crossed_book_show_it() -> None:
    locked, crossed = np.array([[100.0, 1.0, 100.0, 3.0]]), np.array([[101.0, 1.0, 99.0, 3.0]])
    assert [spread_frac(book)[0] for book in (locked, crossed)] == [0.0, -0.02]
    assert trade_cost(locked, ASK, 50.0) == 0.0
    assert trade_cost(crossed, ASK, 99.0) == pytest.approx(-0.01)


def test_questions_without_an_answer_are_refused() -> None:
    with pytest.raises(ValueError, match=r"depth needs 4 levels .*, the books have 3"):
        depth(BOOK, BID, 4)
    with pytest.raises(ValueError, match="order-flow imbalance needs 0 levels"):
        order_flow_imbalance(BOOK, 0)
    with pytest.raises(ValueError, match="slope needs at least 2 levels, got 1"):
        slope(BOOK, BID, 1)
    with pytest.raises(ValueError, match=r"mid needs books of shape \(n, 4 K\), got \(1, 11\)"):
        mid(BOOK[:, 1:])
    for notional in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(SettingError, match="notional is positive"):
            trade_cost(BOOK, ASK, notional)
    with pytest.raises(SettingError, match="band around mid is positive"):
        depth_within(BOOK, ASK, 0.0)
