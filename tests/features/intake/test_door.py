"""The door lets in what keeps the rules, in order and once, however the rows are cut into batches."""

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.clock import NS_PER_S
from features.intake.batch import Rejected
from features.intake.door import REORDER_NS, Door, Gap
from features.schema import (
    AGG_TRADES,
    BOOK_BANDS,
    BOOK_DELTAS,
    BREAK,
    EVENT_TABLES,
    FIRST_NS,
    FUNDING,
    LAST_NS,
    LIQUIDATIONS,
    OPEN_INTEREST,
    OPTION_QUOTES,
    ORDER_EVENTS,
    RESET,
    SNAPSHOT,
    TRADES,
    Table,
    bars,
    book_snapshots,
)

T = 1_700_000_000 * NS_PER_S
NAN, INF = float("nan"), float("inf")
Cells = dict[str, object]
BARS, BOOKS = bars(60), book_snapshots(2)
TRADE: Cells = {"seq": 1, "price": 5.0, "size": 2.0, "side": 1}
DELTA: Cells = {"seq": 1, "side": 1, "price": 5.0, "size": 2.0}
ORDER: Cells = {"order_id": 7, "action": 1, "side": 1, "price": 5.0, "size": 2.0}
GOOD: dict[str, Cells] = {
    "trades": {**TRADE, "local_ns": T},
    "agg_trades": TRADE,
    "liquidations": TRADE,
    "book_deltas": DELTA,
    "order_events": ORDER,
    "book_bands": {"percentage": -1.0, "depth": 3.0, "notional": 9.0},
    "funding": {"rate": 0.0001},
    "open_interest": {"open_interest": 5.0},
    "option_quotes": {"instrument": "X", "is_call": True, "strike": 9.0, "expiry_ns": T + 1, "mark_iv": 0.5},
    BARS.kind: {"open": 2.0, "high": 3.0, "low": 1.0, "close": 2.0, "volume": 0.0},
    BOOKS.kind: {"bid_px_0": 5.0, "bid_sz_0": 1.0, "ask_px_0": 6.0, "ask_sz_0": 1.0},
}
TABLES: dict[str, Table] = {**EVENT_TABLES, BARS.kind: BARS, BOOKS.kind: BOOKS}
BAD: list[tuple[Table, str, object]] = [
    *((table, "ts_ns", value) for table in TABLES.values() for value in (None, 0, FIRST_NS - 1, LAST_NS + 1)),
    *((t, "local_ns", 1) for t in TABLES.values() if t is not BARS),
    *((t, c, v) for t in (TRADES, AGG_TRADES, LIQUIDATIONS) for c in ("price", "size") for v in (0.0, -1.0, NAN, INF)),
    *((t, "side", v) for t in (TRADES, AGG_TRADES, LIQUIDATIONS, BOOK_DELTAS, ORDER_EVENTS) for v in (2, -2)),
    *((BOOK_DELTAS, "price", v) for v in (0.0, -1.0, NAN, INF, None)),
    *((BOOK_DELTAS, "size", v) for v in (-1.0, NAN, INF, None)),
    (BOOK_DELTAS, "prev_seq", 3),
    (BOOK_DELTAS, "side", None),
    *((ORDER_EVENTS, "action", v) for v in (0, 8, None)),
    *((ORDER_EVENTS, "price", v) for v in (0.0, -1.0, NAN)),
    *((ORDER_EVENTS, "size", v) for v in (-1.0, NAN, INF)),
    (ORDER_EVENTS, "order_id", None),
    *((BOOK_BANDS, c, v) for c in ("depth", "notional") for v in (-1.0, NAN, INF)),
    *((FUNDING, "rate", v) for v in (1.0, -1.0, NAN, INF, None)),
    *((FUNDING, c, v) for c in ("mark_price", "index_price", "last_price") for v in (-1.0, INF)),
    *((OPEN_INTEREST, "open_interest", v) for v in (-1.0, NAN, INF, None)),
    (OPEN_INTEREST, "value", -1.0),
    *((OPTION_QUOTES, "strike", v) for v in (0.0, NAN, None)),
    *((OPTION_QUOTES, c, v) for c in ("bid_iv", "ask_iv", "mark_iv") for v in (-0.1, 50.1, INF)),
    *((OPTION_QUOTES, "expiry_ns", v) for v in (0, LAST_NS + 1, None)),
    *((OPTION_QUOTES, c, None) for c in ("instrument", "is_call")),
    *((BARS, c, v) for c in ("open", "high", "low", "close") for v in (0.0, -1.0, NAN, INF, None)),
    (BARS, "high", 1.5),
    (BARS, "low", 2.5),
    *((BARS, "volume", v) for v in (-1.0, NAN, INF, None)),
    *((BARS, c, v) for c in ("quote_volume", "trades", "buy_volume") for v in (-1.0, INF)),
    *((BOOKS, c, v) for c in ("bid_px_0", "bid_sz_0", "ask_px_1", "ask_sz_1") for v in (-1.0, INF)),
    (BOOKS, "bid_px_0", 9.0),
]


def frame(table: Table, rows: Sequence[Cells]) -> pl.DataFrame:
    """Rows as the importer hands them over, numbered from 1 unless they say otherwise."""
    absent = {name: column.absent for name, column in table.columns.items() if column.absent is not None}
    cells = [absent | {"row": i, "ts_ns": T} | row for i, row in enumerate(rows, 1)]
    return table.conform(pl.DataFrame(cells, schema={"row": pl.Int64, **table.dtypes}))


def admit(table: Table, *batches: Sequence[Cells], door: Door | None = None) -> tuple[list[int], dict[int, str], Door]:
    """Rows that came in, and reasons of those that did not; rows are numbered through all batches."""
    door = door or Door(table)
    kept: list[int] = []
    refused: dict[int, str] = {}
    count = 0
    for batch in batches:
        good, bad = door.admit(frame(table, [{"row": count + i, **row} for i, row in enumerate(batch, 1)]))
        count += len(batch)
        kept += good["row"].to_list()
        refused |= {fault.row: fault.reason for fault in bad}
    return kept, refused, door


@pytest.mark.parametrize("kind", TABLES)
def test_a_good_row_of_every_table_comes_in_unchanged(kind: str) -> None:
    given_frame = frame(TABLES[kind], [GOOD[kind]])
    good, bad = Door(TABLES[kind]).admit(given_frame)
    assert bad == []
    assert good.equals(given_frame)


@pytest.mark.parametrize(("table", "column", "value"), BAD, ids=lambda v: v.kind if isinstance(v, Table) else str(v))
def test_one_bad_cell_keeps_its_row_out_and_is_named(table: Table, column: str, value: object) -> None:
    good = {**GOOD[table.kind], "ts_ns": T}
    later = {**good, "ts_ns": T + 60 * NS_PER_S} | ({"seq": 2} if "seq" in good else {})
    rows = frame(table, [later | {column: value}, later])
    kept, bad = Door(table).admit(rows)
    assert kept["row"].to_list() == [2]
    (fault,) = bad
    assert fault.row == 1
    assert fault.reason.startswith(f"{column} is ")
    assert f'"{column}":' in fault.text


def test_a_reason_says_what_is_and_what_is_demanded() -> None:
    _, refused, _ = admit(TRADES, [{**TRADE, "size": -2.0}])
    assert refused == {1: "size is -2.0, but size is finite and positive"}
    _, refused, _ = admit(BOOK_DELTAS, [{**DELTA, "seq": 5, "prev_seq": 6}])
    assert refused == {1: "prev_seq is 6, but prev_seq is not after seq"}


@pytest.mark.parametrize("cells", [{"side": 0, "price": NAN, "size": NAN}, {"flags": BREAK, "price": -1.0}])
def test_rows_that_only_carry_flags_need_no_level(cells: Cells) -> None:
    assert admit(BOOK_DELTAS, [{**DELTA, **cells}])[0] == [1]


@pytest.mark.parametrize("action", [4, 7])
def test_a_deleted_order_and_a_halt_need_no_price(action: int) -> None:
    assert admit(ORDER_EVENTS, [{**ORDER, "action": action, "price": NAN, "size": NAN}])[0] == [1]


def steps(column: str, *values: int, **cells: object) -> list[Cells]:
    return [{**TRADE, "seq": -1, **cells, column: value} for value in values]


def test_the_exchanges_clock_alone_may_not_go_back() -> None:
    kept, refused, _ = admit(TRADES, steps("ts_ns", T, T + 2 * NS_PER_S, T + NS_PER_S, T + 2 * NS_PER_S))
    assert kept == [1, 2, 4]
    assert refused == {3: "ts_ns 2023-11-14T22:13:21Z goes back; an earlier row has 2023-11-14T22:13:22Z"}


def test_the_exchanges_clock_may_step_back_a_little_where_the_recorders_tells_the_order() -> None:
    late = T + REORDER_NS
    rows = [
        {**TRADE, "seq": -1, "local_ns": T + i, "ts_ns": ts_ns} for i, ts_ns in enumerate([late, T, T - 1, late + 1])
    ]
    kept, refused, _ = admit(TRADES, rows)
    assert (kept, list(refused)) == ([1, 2, 4], [3])


def test_the_recorders_clock_may_not_go_back() -> None:
    kept, refused, _ = admit(TRADES, steps("local_ns", T, T + 5, T + 4, T + 5))
    assert (kept, list(refused)) == ([1, 2, 4], [3])
    assert refused[3].startswith("local_ns ")


def test_the_running_number_tells_the_order_of_a_book_and_levels_of_one_message_share_it() -> None:
    rows: list[Cells] = [{**DELTA, "seq": seq, "local_ns": T - seq} for seq in (1, 2, 2, 1, 3)]
    kept, refused, _ = admit(BOOK_DELTAS, rows)
    assert kept == [1, 2, 3, 5]
    assert refused == {4: "seq 1 goes back; an earlier row has 2"}


def test_an_order_is_remembered_from_batch_to_batch() -> None:
    assert admit(BOOK_DELTAS, [{**DELTA, "seq": 5}], [{**DELTA, "seq": 4}, {**DELTA, "seq": 5}])[0] == [1, 3]


@pytest.mark.parametrize("column", ["seq", "local_ns"])
def test_a_batch_may_be_late_as_a_whole(column: str) -> None:
    table = BOOK_DELTAS if column == "seq" else TRADES
    cells = DELTA if column == "seq" else TRADE
    kept, refused, _ = admit(table, [{**cells, column: T + 1}], [{**cells, column: T}])
    assert (kept, list(refused)) == ([1], [2])


def test_bars_may_not_repeat() -> None:
    bar = GOOD[BARS.kind]
    kept, refused, _ = admit(BARS, [{**bar, "ts_ns": T}, {**bar, "ts_ns": T}], [{**bar, "ts_ns": T}])
    assert kept == [1]
    assert set(refused.values()) == {"ts_ns 2023-11-14T22:13:20Z repeats a row"}


@pytest.mark.parametrize("table", [TRADES, AGG_TRADES, LIQUIDATIONS])
@pytest.mark.parametrize(("column", "names"), [("seq", (3, 4, 3, 5)), ("id", ("a", "b", "a", "c"))])
def test_a_trade_comes_in_once(table: Table, column: str, names: tuple[object, ...]) -> None:
    rows = [{**TRADE, "seq": -1, "local_ns": T, column: name} for name in names]
    for batches in ([rows], [rows[:2], rows[2:]]):
        kept, refused, _ = admit(table, *batches)
        assert kept == [1, 2, 4]
        assert refused == {3: f"{column} {names[0]} came before"}


def test_rows_without_number_or_name_are_counted_and_all_come_in() -> None:
    kept, _, door = admit(TRADES, steps("ts_ns", T, T, T), steps("ts_ns", T, seq=9), steps("ts_ns", T, id="x"))
    assert (kept, door.unnumbered) == ([1, 2, 3, 4, 5], 3)


@pytest.mark.parametrize("flags", [RESET, SNAPSHOT | RESET, BREAK])
@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_a_cleared_book_begins_a_new_order(flags: int, cut: int) -> None:
    rows = [
        {**DELTA, "seq": 9, "ts_ns": T + 20 * NS_PER_S},
        {**DELTA, "seq": 2, "ts_ns": T, "flags": flags},
        {**DELTA, "seq": 1, "ts_ns": T},
        {**DELTA, "seq": 3, "ts_ns": T},
    ]
    assert admit(BOOK_DELTAS, rows[:cut], rows[cut:])[0] == [1, 2, 4]


def levels(*cells: Cells) -> list[Cells]:
    return [{**DELTA, "seq": 10 + i, "ts_ns": T + i, **cell} for i, cell in enumerate(cells)]


@pytest.mark.parametrize("bad", [{"price": -1.0}, {"size": NAN}, {"side": 2}, {"ts_ns": 5}])
def test_a_level_that_cannot_be_believed_makes_the_book_void(bad: Cells) -> None:
    good, refused = Door(BOOK_DELTAS).admit(frame(BOOK_DELTAS, levels({}, bad, {})))
    assert [fault.row for fault in refused] == [2]
    assert good.select("row", "ts_ns", "seq", "prev_seq", "flags", "side").rows() == [
        (1, T, 10, -1, 0, 1),
        (2, T, 10, -1, BREAK, 0),
        (3, T + 2, 12, -1, 0, 1),
    ]
    assert good["price"].is_nan().to_list() == [False, True, False]


def test_an_event_out_of_time_makes_the_book_void_and_a_number_that_was_passed_does_not() -> None:
    unnumbered = levels({"seq": -1, "ts_ns": T}, {"seq": -1, "ts_ns": T - 1}, {"seq": -1, "ts_ns": T})
    good, _ = Door(BOOK_DELTAS).admit(frame(BOOK_DELTAS, unnumbered))
    assert good["flags"].to_list() == [0, BREAK, 0]
    good, _ = Door(BOOK_DELTAS).admit(frame(BOOK_DELTAS, levels({}, {"seq": 9}, {})))
    assert good["flags"].to_list() == [0, 0]


def test_a_bad_level_at_the_head_of_a_batch_makes_the_book_void_too() -> None:
    rows = levels({}, {"price": -1.0}, {})
    assert admit(BOOK_DELTAS, rows[:1], rows[1:])[0] == [1, 2, 3]


def test_a_line_that_could_not_be_read_makes_the_book_void_from_there() -> None:
    rows = frame(BOOK_DELTAS, levels({"row": 1}, {"row": 2}, {"row": 4}, {"row": 5}))
    good, bad = Door(BOOK_DELTAS).admit(rows, [3])
    assert bad == []
    assert good.select("row", "flags").rows() == [(1, 0), (2, 0), (4, BREAK), (4, 0), (5, 0)]


@pytest.mark.parametrize("cuts", [[3], [3, 3]])
def test_a_line_that_could_not_be_read_makes_the_book_void_in_the_next_batch(cuts: list[int]) -> None:
    door = Door(BOOK_DELTAS)
    door.admit(frame(BOOK_DELTAS, levels({"row": 1}, {"row": 2})), cuts)
    good, _ = door.admit(frame(BOOK_DELTAS, levels({"row": 4, "seq": 12})), cuts)
    assert good["flags"].to_list() == [BREAK, 0]


def test_trades_go_on_after_a_line_that_could_not_be_read() -> None:
    good, bad = Door(TRADES).admit(frame(TRADES, [{**TRADE, "row": 1}, {**TRADE, "seq": 2, "row": 3}]), [2])
    assert (good["row"].to_list(), bad) == ([1, 3], [])


def test_a_bad_level_before_any_other_leaves_nothing() -> None:
    assert admit(BOOK_DELTAS, levels({"price": -1.0}, {}))[0] == [2]


def test_a_book_on_which_the_numbering_goes_on_has_no_gap() -> None:
    _, _, door = admit(BOOK_DELTAS, levels({"prev_seq": 9}, {"prev_seq": 10}), levels({"seq": 15, "prev_seq": 11}))
    assert (door.gaps, door.open_gap) == (0, None)


def test_a_gap_stays_open_until_a_snapshot_and_is_told_by_its_row() -> None:
    _, _, door = admit(BOOK_DELTAS, levels({}, {"seq": 20, "prev_seq": 19}, {"seq": 21, "prev_seq": 20}))
    assert door.gaps == 1
    assert str(door.open_gap) == "row 2: the event builds on number 19, but the last one here is 10"
    snapshot: Cells = {**DELTA, "seq": 30, "ts_ns": T + 9, "flags": SNAPSHOT | RESET}
    admit(BOOK_DELTAS, [snapshot, {**DELTA, "seq": 31, "prev_seq": 30, "ts_ns": T + 9}], door=door)
    assert (door.gaps, door.open_gap) == (1, None)
    admit(BOOK_DELTAS, [{**DELTA, "seq": 40, "prev_seq": 39, "ts_ns": T + 10}], door=door)
    assert door.gaps == 2
    assert door.open_gap is not None
    assert (door.open_gap.reached, door.open_gap.wanted) == (31, 39)


def test_a_snapshot_before_the_gap_in_the_same_batch_does_not_mend_it() -> None:
    rows = levels({}, {"flags": RESET}, {"seq": 20, "prev_seq": 19})
    assert admit(BOOK_DELTAS, rows)[2].open_gap is not None
    rows = levels({}, {"seq": 20, "prev_seq": 19}, {"seq": 21, "flags": RESET})
    assert admit(BOOK_DELTAS, rows)[2].open_gap is None


def outcome(
    table: Table, rows: list[Cells], sizes: list[int], cuts: Sequence[int] = ()
) -> tuple[list[Cells], list[tuple[int, str]], int, Gap | None, int]:
    """What came in, what did not, and the state of the numbering, with the rows cut into batches of these sizes."""
    whole, door = frame(table, rows), Door(table)
    good: list[Cells] = []
    bad: list[Rejected] = []
    at = 0
    for size in [*sizes, len(rows)]:
        if size > 0 and at < len(whole):
            piece = whole.slice(at, size)
            kept, faults = door.admit(piece, [row for row in cuts if row <= piece["row"][-1] + 1])
            good += kept.fill_nan(None).to_dicts()
            bad += faults
            at += size
    return good, sorted((f.row, f.reason) for f in bad), door.gaps, door.open_gap, door.unnumbered


sizes = st.lists(st.integers(0, 5), max_size=6)
numbered_books = st.lists(
    st.fixed_dictionaries(
        {
            "seq": st.integers(1, 6),
            "prev_seq": st.integers(-1, 6),
            "ts_ns": st.integers(0, 4).map(lambda s: T + 2 * s * NS_PER_S),
            "flags": st.sampled_from([0, 0, 0, SNAPSHOT | RESET, BREAK]),
            "side": st.sampled_from([1, -1]),
            "price": st.just(5.0),
            "size": st.just(1.0),
        }
    ),
    min_size=1,
    max_size=9,
)
unnumbered_books = st.lists(
    st.fixed_dictionaries(
        {
            "local_ns": st.integers(0, 4).map(lambda s: T + s),
            "ts_ns": st.integers(0, 4).map(lambda s: T + 2 * s * NS_PER_S),
            "flags": st.sampled_from([0, 0, 0, SNAPSHOT | RESET, BREAK]),
            "side": st.just(1),
            "price": st.just(5.0),
            "size": st.just(1.0),
        }
    ),
    min_size=1,
    max_size=9,
)
any_trades = st.lists(
    st.fixed_dictionaries(
        {
            "local_ns": st.integers(0, 4).map(lambda s: T + s),
            "ts_ns": st.integers(0, 4).map(lambda s: T + 2 * s * NS_PER_S),
            "price": st.sampled_from([5.0, 6.0, -1.0]),
            "size": st.just(1.0),
        }
    ),
    min_size=1,
    max_size=9,
)


def valid(row: Cells) -> Cells:
    """A change whose numbers agree."""
    return row | {"prev_seq": min(int(str(row["prev_seq"])), int(str(row["seq"])))}


@settings(max_examples=150, deadline=None)
@given(numbered_books, sizes)
def test_batches_of_any_sizes_let_the_same_numbered_changes_in(rows: list[Cells], cuts: list[int]) -> None:
    rows = [valid(row) | {"ts_ns": T} for row in rows]
    assert outcome(BOOK_DELTAS, rows, cuts) == outcome(BOOK_DELTAS, rows, [])


@settings(max_examples=100, deadline=None)
@given(any_trades, sizes)
def test_batches_of_any_sizes_let_the_same_trades_in(rows: list[Cells], cuts: list[int]) -> None:
    assert outcome(TRADES, rows, cuts) == outcome(TRADES, rows, [])


@settings(max_examples=300, deadline=None)
@given(unnumbered_books, sizes)
def test_batches_of_any_sizes_let_the_same_unnumbered_changes_in(rows: list[Cells], cuts: list[int]) -> None:
    assert outcome(BOOK_DELTAS, rows, cuts) == outcome(BOOK_DELTAS, rows, [])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.sets(st.integers(0, 8)), sizes)
def test_batches_of_any_sizes_are_cut_where_lines_could_not_be_read(
    count: int, after: set[int], splits: list[int]
) -> None:
    """The lines that could not be read stand between the rows, and are known a little before their batch."""
    numbered: list[Cells] = [{"row": 2 * i} for i in range(1, count + 1)]
    rows = levels(*numbered)
    cuts = sorted(2 * i + 1 for i in after)
    good, bad, *_ = outcome(BOOK_DELTAS, rows, splits, cuts)
    expected = [(row, flag) for row in range(2, 2 * count + 1, 2) for flag in ([BREAK, 0] if row - 1 in cuts else [0])]
    assert bad == []
    assert [(row["row"], row["flags"]) for row in good] == expected


@pytest.mark.parametrize(("column", "absent"), [("seq", -1), ("local_ns", 0)])
def test_one_row_without_a_number_changes_the_witness_of_no_other_batch(column: str, absent: int) -> None:
    values = [T + 1, T + 2, T + 1, absent]
    rows = [{**DELTA, "seq": -1, "ts_ns": T + i, column: value} for i, value in enumerate(values)]
    assert outcome(BOOK_DELTAS, rows, [3]) == outcome(BOOK_DELTAS, rows, [])


@pytest.mark.parametrize(
    ("bid", "ask", "fine"), [(NAN, 101.0, True), (100.0, NAN, True), (NAN, NAN, True), (100.0, 50.0, False)]
)
def test_a_book_may_lack_a_side_but_not_cross_by_half(bid: float, ask: float, fine: bool) -> None:
    levels = {"bid_px_0": bid, "bid_sz_0": 1.0, "ask_px_0": ask, "ask_sz_0": 1.0}
    table = book_snapshots(1)
    good, bad = Door(table).admit(table.conform(pl.DataFrame({"row": [1], "symbol": ["A"], "ts_ns": [T], **levels})))
    assert (len(good), len(bad)) == ((1, 0) if fine else (0, 1))
