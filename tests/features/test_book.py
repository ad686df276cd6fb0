"""The compiled books equal their readable twin on random events, and the law of what a book is."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.book import BookBuilder, grid_ns, rebuild
from features.book_twin import TwinBook, TwinOrders
from features.errors import SettingError
from features.schema import ADD, BREAK, DELETE, FILL, HIDDEN, REDUCE, RESET, SET, SNAPSHOT

GRACE_NS, SILENCE_NS = 5, 9
DEPTH = 3
PRICES = st.sampled_from([9.5, 9.75, 10.0, 10.25, 10.5, 1e-7, 123456.789])
SIZES = st.sampled_from([0.0, 1.0, 2.5, 4.0])
NAMES = ("ts_ns", "seq", "prev_seq", "flags", "side", "price", "size")
DTYPES: dict[str, Any] = {
    "flags": pl.UInt8,
    "side": pl.Int8,
    "action": pl.Int8,
    "price": pl.Float64,
    "size": pl.Float64,
}


@st.composite
def book_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A venue's messages with all that goes wrong: stale ones, gaps, cuts, snapshots, crossings, time going back."""
    rows: list[dict[str, Any]] = []
    ts_ns, seq = 100, 10
    for _ in range(draw(st.integers(1, 25))):
        ts_ns += draw(st.sampled_from([0, 1, 1, 3, 7, 20, -2]))
        kind = draw(st.sampled_from(["change"] * 6 + ["snapshot", "snapshot", "gap", "stale", "cut", "unnumbered"]))
        step = draw(st.integers(1, 3))
        prev_seq = {"gap": seq + 2, "stale": seq - 5, "snapshot": -1}.get(kind, draw(st.sampled_from([seq, -1])))
        number = {"gap": seq + 4, "stale": seq - 2, "unnumbered": -1}.get(kind, seq + step)
        if kind == "cut":
            rows.append(
                {"ts_ns": ts_ns, "seq": -1, "prev_seq": -1, "flags": BREAK, "side": 0, "price": np.nan, "size": np.nan}
            )
            continue
        levels = draw(st.lists(st.tuples(st.sampled_from([1, -1]), PRICES, SIZES), max_size=4)) or [(0, np.nan, np.nan)]
        for i, (side, price, size) in enumerate(levels):
            flags = 0 if kind != "snapshot" else SNAPSHOT | (RESET if i == 0 else 0)
            told = prev_seq if number >= 0 else -1
            cells = (ts_ns, number, told, flags, side, price, size)
            ts_ns += draw(st.sampled_from([0] * 9 + [5])) if number >= 0 else 0
            rows.append(dict(zip(NAMES, cells, strict=True)))
        seq = max(seq, number)
    return rows


def twin_books(rows: list[dict[str, Any]], at_ns: list[int], every: int, *, cold: bool) -> tuple[list[Any], TwinBook]:
    """The books that the twin gives, as (time, bids, asks)."""
    book = TwinBook(GRACE_NS, synced=cold)
    found, due, messages = [], list(at_ns), 0
    for row in rows:
        if book.starts_message(row["ts_ns"], row["seq"], row["flags"]):
            book.before(row["ts_ns"])
            lost = book.shows_loss(row["seq"], row["prev_seq"], row["flags"])
            while due and due[0] < row["ts_ns"]:
                held = book.known_at(due[0], lost, SILENCE_NS)
                found.append((due.pop(0), *(book.levels(DEPTH) if held else ([], []))))
            if every and messages and messages % every == 0:
                found.append((book.clock_ns, *book.levels(DEPTH)))
            messages += 1
            book.open_message(row["ts_ns"], row["seq"], row["prev_seq"], row["flags"])
        else:
            while due and due[0] < row["ts_ns"]:
                held = book.known_at(due[0], False, SILENCE_NS)
                found.append((due.pop(0), *(book.levels(DEPTH) if held else ([], []))))
            book.clock_ns = max(book.clock_ns, row["ts_ns"])
        book.change(row["side"], row["price"], row["size"])
    found += [(t, *(book.levels(DEPTH) if t <= book.clock_ns else ([], []))) for t in due]
    if every and messages and messages % every == 0:
        found.append((book.clock_ns, *book.levels(DEPTH)))
    return found, book


def pieces(frame: pl.DataFrame, sizes: list[int]) -> Iterator[pl.DataFrame]:
    start = 0
    for size in sizes:
        yield frame.slice(start, size)
        start += size
    yield frame.slice(start)


def as_levels(books: NDArray[np.float64]) -> list[Any]:
    """Rows of a frame as lists of (price, size), without what is not there."""
    sides = books.reshape(len(books), 2, DEPTH, 2)
    return [tuple([(p, s) for p, s in side if not np.isnan(p)] for side in row) for row in sides]


@settings(max_examples=300, deadline=None)
@given(
    rows=book_rows(),
    cuts=st.lists(st.integers(1, 20), max_size=3),
    every=st.sampled_from([0, 1, 2]),
    cold=st.booleans(),
)
def test_the_compiled_book_of_changes_is_its_twin(
    rows: list[dict[str, Any]], cuts: list[int], every: int, cold: bool
) -> None:
    frame = pl.DataFrame(rows).cast({k: v for k, v in DTYPES.items() if k in rows[0]})
    instants = grid_ns(95, 250, 4)
    expected, twin = twin_books(rows, [] if every else instants.tolist(), every, cold=cold)
    builder = BookBuilder(DEPTH, GRACE_NS / 1e9, SILENCE_NS / 1e9, every=every, cold=cold)
    chunks = [chunk for chunk in pieces(frame, cuts) if len(chunk)]
    found = list(rebuild(chunks, builder, instants[:0] if every else instants))
    books = pl.concat(found) if found else pl.DataFrame(schema={"ts_ns": pl.Int64})
    assert books["ts_ns"].to_list() == [t for t, *_ in expected]
    if found:
        values = books.drop("ts_ns", "local_ns", "seq").to_numpy()
        assert as_levels(values) == [(bids, asks) for _, bids, asks in expected]
    assert (builder.stats.gaps, builder.stats.dropped_levels) == (twin.gaps, twin.dropped)


ACTIONS = st.sampled_from([ADD, ADD, ADD, SET, REDUCE, DELETE, FILL, HIDDEN])


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(1, 12), ACTIONS, st.sampled_from([1, -1]), PRICES, SIZES),
        min_size=1,
        max_size=60,
    ),
    cuts=st.lists(st.integers(1, 20), max_size=3),
)
def test_the_compiled_book_of_orders_is_its_twin(rows: list[tuple[Any, ...]], cuts: list[int]) -> None:
    stamps = (100 + np.cumsum([row[0] for row in rows])).tolist()
    names = ("order_id", "action", "side", "price", "size")
    frame = pl.DataFrame([dict(zip(names, row[1:], strict=True)) for row in rows]).cast(
        {"action": pl.Int8, "side": pl.Int8}
    )
    frame = frame.with_columns(ts_ns=pl.Series(stamps, dtype=pl.Int64))
    instants = grid_ns(95, 250, 3)
    twin, expected, due, last = TwinOrders(GRACE_NS, synced=True), [], instants.tolist(), 0
    for ts_ns, (_, order_id, action, side, price, size) in zip(stamps, rows, strict=True):
        if ts_ns != last:
            twin.before(ts_ns)
            while due and due[0] < ts_ns:
                expected.append(twin.levels(DEPTH))
                due.pop(0)
            twin.clock_ns = last = ts_ns
        twin.event(order_id, action, side, price, size)
    expected += [twin.levels(DEPTH) if t <= twin.clock_ns else ([], []) for t in due]
    builder = BookBuilder(depth=DEPTH, grace_s=GRACE_NS / 1e9)
    books = pl.concat(rebuild([c for c in pieces(frame, cuts) if len(c)], builder, instants))
    found = as_levels(books.drop("ts_ns", "local_ns", "seq").to_numpy())
    assert found == expected  # the sizes are sums of halves: exact
    assert (builder.stats.unknown_orders, builder.stats.dropped_levels) == (twin.unknown, twin.dropped)


def changes(*rows: tuple[int, int, int, int, int, float, float]) -> pl.DataFrame:
    frame = pl.DataFrame([dict(zip(NAMES, row, strict=True)) for row in rows])
    return frame.cast({"flags": pl.UInt8, "side": pl.Int8, "price": pl.Float64, "size": pl.Float64})


def touch(frame: pl.DataFrame, at_ns: list[int], **settings_: Any) -> list[tuple[float, float]]:
    builder = BookBuilder(depth=1, **settings_)
    books = pl.concat(rebuild([frame], builder, np.array(at_ns)))
    return [(b, a) for b, a in books.select("bid_px_0", "ask_px_0").rows()]


def test_the_book_is_void_before_a_snapshot_after_a_gap_and_after_the_end() -> None:
    frame = changes(
        (10, 1, -1, 0, 1, 99, 1),
        (20, 5, -1, 3, 1, 100, 1),
        (20, 5, -1, 1, -1, 101, 1),
        (30, 6, 5, 0, -1, 100.5, 1),
        (40, 9, 8, 0, 1, 100.25, 1),
        (50, 12, -1, 3, 1, 98, 1),
        (50, 12, -1, 1, -1, 99, 1),
    )
    found = touch(frame, [15, 20, 30, 45, 50, 51])
    assert np.isnan([found[0], found[3], found[5]]).all()
    assert found[1:3] + found[4:5] == [(100, 101), (100, 100.5), (98, 99)]


def test_a_crossing_is_never_written_and_the_older_side_goes_after_the_grace_time() -> None:
    second = 1_000_000_000
    frame = changes(
        (0, 1, -1, 3, 1, 100, 1),
        (0, 1, -1, 1, 1, 99, 2),
        (0, 1, -1, 1, -1, 101, 3),
        (1 * second, 2, 1, 0, -1, 99.5, 4),  # crosses the bid at 100, which missed its delete
        (2 * second, 3, 2, 0, -1, 99.5, 0),  # gone within the grace time: the bid was right after all
        (3 * second, 4, 3, 0, -1, 99.5, 4),
        (6 * second, 5, 4, 0, -1, 99.5, 0),  # three seconds: the bid has been dropped meanwhile
        (7 * second, 6, 5, 0, 1, 98, 1),
    )
    found = touch(frame, [1 * second, 2 * second, 4 * second, 6 * second], grace_s=1.0)
    assert found == [(99, 99.5), (100, 101), (99, 99.5), (99, 101)]


def test_any_range_of_prices_and_more_levels_than_there_is_room_at_first() -> None:
    prices = np.concatenate((np.geomspace(1e-9, 1e9, 6_000), [2e9]))
    rng = np.random.default_rng(1)
    order = rng.permutation(6_000)
    frame = changes(
        (1, -1, -1, 3, 1, prices[0], 1.0),
        *((2, -1, -1, 0, 1, float(prices[i]), float(i + 1)) for i in order),
        (3, -1, -1, 0, -1, 2e9, 1.0),
    )
    builder = BookBuilder(depth=6_000)
    builder.deltas(frame)
    values = builder.finish(np.array([3]))[1][0][: 2 * 6_000].reshape(-1, 2)
    np.testing.assert_array_equal(values[:, 0], prices[:6_000][::-1])
    np.testing.assert_array_equal(values[:, 1], np.arange(6_000, 0, -1))


def test_a_book_is_void_from_the_last_event_before_a_gap_and_after_a_long_silence() -> None:
    frame = changes(
        (10, 5, -1, 3, 1, 100, 1),
        (10, 5, -1, 1, -1, 101, 1),
        (20, 6, 5, 0, 1, 100.5, 1),
        (40, 9, 8, 0, 1, 99, 1),  # builds on 8: something is missing since 6
        (50, 10, -1, 3, 1, 98, 1),
        (50, 10, -1, 1, -1, 99, 1),
        (5 * 10**9, 11, 10, 0, 1, 98.5, 1),
    )
    found = touch(frame, [20, 21, 39, 45, 50, 2 * 10**9, 4 * 10**9], silence_s=3.0)
    assert [i for i, (bid, _) in enumerate(found) if np.isnan(bid)] == [1, 2, 3, 6]


def test_books_after_every_message() -> None:
    frame = changes(
        (10, 5, -1, 3, 1, 100, 1), (10, 5, -1, 1, -1, 101, 1), (20, 6, 5, 0, 1, 100.5, 1), (30, 7, 6, 0, 1, 100.5, 0)
    )
    builder = BookBuilder(depth=1, every=1)
    books = pl.concat(rebuild([frame], builder))
    assert books["ts_ns"].to_list() == [10, 20, 30]
    assert books["bid_px_0"].to_list() == [100, 100.5, 100]


def test_two_grids_at_once_and_a_clock_that_was_not_recorded_are_refused() -> None:
    frame = changes((10, 5, -1, 3, 1, 100, 1)).with_columns(local_ns=pl.lit(0))
    with pytest.raises(SettingError, match="one of the two"):
        BookBuilder(depth=1, every=1).deltas(frame, np.array([10]))
    with pytest.raises(SettingError, match="local_ns was not recorded"):
        BookBuilder(depth=1, clock="local_ns").deltas(frame)


@pytest.mark.parametrize(
    "wrong", [{"depth": 0}, {"grace_s": -1.0}, {"silence_s": -1.0}, {"every": -1}, {"clock": "wall"}]
)
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="a book needs"):
        BookBuilder(**wrong)
