"""Binance sockets, the place of REST snapshots, and level-by-level files, by lines written by hand."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.importing import Request, import_file
from features.intake.batch import Level, Note, Options
from features.schema import BREAK
from features.sources import binance
from features.sources.binance.placing import Event, Placer
from tests.reading import frames, rejected

RAW = Path(__file__).parents[4] / "shared/data/raw"
MS, NS = 1_700_000_000_000, 1_700_000_000_000_000_000
STEP = 1_000_000  # one millisecond in nanoseconds
Levels = list[list[str]]


def written(folder: Path, *lines: str, name: str = "capture") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def streamed(at: int, stream: str, **data: Any) -> str:
    """A line of a combined stream, received ``at`` ms after the start."""
    return f"{NS + at * STEP} {json.dumps({'stream': stream, 'data': data})}"


def spot(at: int, first: int, last: int, bids: Levels, asks: Levels, symbol: str = "BTCUSDT") -> str:
    body = {"e": "depthUpdate", "E": MS + at, "s": symbol, "U": first, "u": last, "b": bids, "a": asks}
    return streamed(at, f"{symbol.lower()}@depth@100ms", **body)


def futures(at: int, prev: int, last: int, bids: Levels, asks: Levels, **more: Any) -> str:
    body = {"e": "depthUpdate", "E": MS + at + 2, "T": MS + at, "s": "BTCUSDT", "U": prev + 3, "u": last, "pu": prev}
    return streamed(at, "btcusdt@depth@0ms", **{**body, "b": bids, "a": asks, **more})


def rest(at: int, seq: int, bids: Levels, asks: Levels, **more: Any) -> str:
    """A REST snapshot as recorders that keep only its body write it: it does not tell its symbol."""
    return f"{NS + at * STEP} {json.dumps({'lastUpdateId': seq, 'bids': bids, 'asks': asks, **more})}"


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """None for NaN, which equals nothing."""
    return frame.with_columns(pl.selectors.float().fill_nan(None))


def notes(path: Path) -> list[str]:
    return [item.text for item in binance.read(path, Options()) if isinstance(item, Note)]


def book_of(path: Path, options: Options = Options()) -> list[tuple[Any, ...]]:  # noqa: B008 - frozen
    book = frames(binance.read, path, options)["book_deltas"]
    return book.select("row", "seq", "prev_seq", "flags", "side", "price", "size").rows()


def test_spot_changes_are_chained_by_their_first_and_last_number(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        rest(0, 100, [["10", "1"]], [["11", "2"]]),
        spot(1, 96, 103, [["10", "0"], ["9", "5"]], []),
        spot(2, 104, 104, [], [["11", "4"]]),
    )
    assert book_of(path) == [
        (1, 100, -1, 3, 1, 10.0, 1.0),
        (1, 100, -1, 1, -1, 11.0, 2.0),
        (2, 103, 95, 0, 1, 10.0, 0.0),
        (2, 103, 95, 0, 1, 9.0, 5.0),
        (3, 104, 103, 0, -1, 11.0, 4.0),
    ]
    book = frames(binance.read, path)["book_deltas"]
    assert book["ts_ns"].to_list() == [NS + STEP] * 4 + [NS + 2 * STEP]  # the snapshot has no time of its own
    assert book["local_ns"].to_list() == [NS, NS] + [NS + STEP] * 2 + [NS + 2 * STEP]


def test_futures_changes_are_chained_by_the_number_before(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        rest(0, 100, [["10", "1"]], [], E=MS - 1, T=MS - 2),
        futures(1, 90, 103, [["10", "0"]], []),
        futures(2, 103, 110, [], []),
        futures(3, 110, 115, [], [["11", "4"]]),
    )
    assert [row[:4] for row in book_of(path)] == [(1, 100, -1, 3), (2, 103, 90, 0), (3, 110, 103, 0), (4, 115, 110, 0)]
    book = frames(binance.read, path)["book_deltas"]
    assert book["ts_ns"].to_list() == [NS + at * STEP for at in (-2, 1, 2, 3)]
    assert book["side"].to_list() == [1, 1, 0, -1]  # a change without levels still counts


CHANGES = [futures(i, 100 + i - 1, 100 + i, [["10", str(i)]], []) for i in range(1, 6)]


@pytest.mark.parametrize("at", range(6))
def test_a_snapshot_is_put_where_its_number_belongs_wherever_it_came(at: int, tmp_path: Path) -> None:
    lines = [*CHANGES[:at], rest(at, 102, [["10", "2"]], []), *CHANGES[at:]]
    rows = [(row[1], row[3]) for row in book_of(written(tmp_path, *lines))]
    assert rows == [(101, 0), (102, 0), (102, 3), (103, 0), (104, 0), (105, 0)]


def test_snapshots_that_tell_nothing_new_are_counted(tmp_path: Path) -> None:
    again = [rest(9, seq, [["10", "2"]], []) for seq in (103, 101)]
    path = written(tmp_path, rest(0, 100, [["10", "1"]], []), *CHANGES[:4], *again, CHANGES[4])
    assert [row[1] for row in book_of(path)] == [100, 101, 102, 103, 104, 105]
    assert notes(path) == ["2 REST snapshots repeat what the changes had told already and were left out"]


def test_after_a_gap_the_book_waits_for_a_new_snapshot(tmp_path: Path) -> None:
    lines = [rest(0, 100, [["10", "1"]], []), CHANGES[0], CHANGES[2], rest(3, 103, [["10", "7"]], []), *CHANGES[3:]]
    path = written(tmp_path, *lines)
    assert [(row[1], row[3]) for row in book_of(path)] == [
        *((100, 3), (101, 0), (103, 0)),
        *((103, 3), (104, 0), (105, 0)),
    ]
    store = tmp_path / "store"
    report = import_file(path, store, Request("binance", "binance-usdm"), print)
    assert [(stream.rows, stream.gaps) for stream in report.streams] == [(6, 1)]


def test_without_a_snapshot_changes_come_out_as_they_are(tmp_path: Path) -> None:
    assert [row[1] for row in book_of(written(tmp_path, *CHANGES))] == [101, 102, 103, 104, 105]


def test_snapshots_without_changes_all_come_out(tmp_path: Path) -> None:
    path = written(tmp_path, *(rest(at, 100 + at, [["10", str(at)]], [], T=MS + at, E=MS + at) for at in range(3)))
    assert [row[1] for row in book_of(path, Options(symbol="BTCUSDT"))] == [100, 101, 102]


def test_the_address_tells_whose_book_a_snapshot_is(tmp_path: Path) -> None:
    asked = 'https://api.binance.com/api/v3/depth?symbol={}&limit=1000 -> 1700000000.5: {{"lastUpdateId":{},"bids":[["10","1"]],"asks":[]}}'
    path = written(
        tmp_path,
        "wss://stream.binance.com:9443/stream?streams=btcusdt@depth <-> 1700000000.1:",
        asked.format("ETHUSDT", 50),
        asked.format("btcusdt", 100),
        *(f"{1700000001 + i}.25: {line.partition(' ')[2]}" for i, line in enumerate(CHANGES[:1])),
        f"1700000003.5: {spot(3, 51, 52, [['9', '1']], [], 'ETHUSDT').partition(' ')[2]}",
    )
    book = frames(binance.read, path)["book_deltas"].sort("symbol", maintain_order=True)
    assert book.select("symbol", "row", "seq", "flags").rows() == [
        *(("BTCUSDT", 3, 100, 3), ("BTCUSDT", 4, 101, 0)),
        *(("ETHUSDT", 2, 50, 3), ("ETHUSDT", 5, 52, 0)),
    ]
    assert book["local_ns"].to_list()[:2] == [NS + 500 * STEP, NS + 1_250 * STEP]


def test_a_snapshot_without_a_name_among_several_symbols_is_refused(tmp_path: Path) -> None:
    others = [spot(1, 101, 101, [["10", "1"]], []), spot(2, 51, 51, [["9", "1"]], [], "ETHUSDT")]
    path = written(tmp_path, *others, rest(3, 101, [["10", "1"]], []))
    (fault,) = rejected(binance.read, path)
    assert fault.row == 3
    assert "which of BTCUSDT, ETHUSDT" in fault.reason
    assert not rejected(binance.read, path, Options(symbol="BTCUSDT"))


@pytest.mark.parametrize("at", [0, 1])
def test_a_snapshot_without_a_name_before_several_symbols_is_not_given_to_one(at: int, tmp_path: Path) -> None:
    lines = [spot(1, 101, 101, [["10", "1"]], []), spot(2, 51, 51, [["9", "1"]], [], "ETHUSDT")]
    path = written(tmp_path, *lines[:at], rest(0, 50, [["9", "2"]], []), *lines[at:])
    book = frames(binance.read, path)["book_deltas"].filter(pl.col("flags") == 3)
    assert "BTCUSDT" not in book["symbol"].to_list()


def test_a_snapshot_alone_needs_a_name(tmp_path: Path) -> None:
    path = written(tmp_path, rest(4, 100, [["10", "1"]], [["11", "1"]]))
    assert ["add --symbol" in fault.reason for fault in rejected(binance.read, path)] == [True]
    book = frames(binance.read, path, Options(symbol="BTCUSDT"))["book_deltas"]
    assert book.select("symbol", "ts_ns", "flags").rows() == [
        ("BTCUSDT", NS + 4 * STEP, 3),
        ("BTCUSDT", NS + 4 * STEP, 1),
    ]


def test_spot_partial_depth_is_a_book_of_so_many_levels(tmp_path: Path) -> None:
    line = streamed(7, "btcusdt@depth5@100ms", lastUpdateId=9, bids=[["10", "1"], ["9", "2"]], asks=[["11", "3"]])
    tables = frames(binance.read, written(tmp_path, line))
    assert list(tables) == ["book_snapshots_5"]
    names = ("symbol", "ts_ns", "seq", "bid_px_0", "bid_sz_1", "ask_px_0", "ask_px_1")
    assert plain(tables["book_snapshots_5"]).select(names).rows() == [
        ("BTCUSDT", NS + 7 * STEP, 9, 10.0, 2.0, 11.0, None)
    ]


def test_futures_partial_depth_is_no_change(tmp_path: Path) -> None:
    body: dict[str, Any] = {"e": "depthUpdate", "E": MS + 2, "T": MS + 1, "s": "BTCUSDT", "U": 3, "u": 9, "pu": 2}
    line = streamed(7, "btcusdt@depth5@100ms", **body, b=[["10", "1"]], a=[["11", "3"]])
    tables = frames(binance.read, written(tmp_path, line))
    assert list(tables) == ["book_snapshots_5"]
    assert tables["book_snapshots_5"].select("ts_ns", "seq", "bid_px_0").rows() == [(NS + STEP, 9, 10.0)]


def test_sockets_in_microseconds(tmp_path: Path) -> None:
    body = {"e": "depthUpdate", "E": MS * 1_000, "s": "BTCUSDT", "U": 1, "u": 2, "b": [["10", "1"]], "a": []}
    book = frames(binance.read, written(tmp_path, json.dumps(body)))["book_deltas"]
    assert book["ts_ns"].to_list() == [NS]


TRADE = {"e": "trade", "E": MS + 1, "T": MS, "s": "BTCUSDT", "t": 51, "p": "100.5", "q": "2", "m": True}
AGGREGATE = {
    "e": "aggTrade",
    "E": MS + 1,
    "T": MS,
    "s": "BTCUSDT",
    "a": 9,
    "f": 51,
    "l": 52,
    "p": "100.5",
    "q": "3",
    "m": False,
}


def test_trades_and_aggregated_trades_stay_apart(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        streamed(5, "btcusdt@trade", **TRADE),
        streamed(6, "btcusdt@aggTrade", **AGGREGATE),
        json.dumps(TRADE | {"t": 52, "T": MS * 1_000, "E": MS * 1_000}),
    )
    tables = frames(binance.read, path)
    names = ("row", "ts_ns", "local_ns", "seq", "side", "price", "size")
    assert tables["trades"].select(names).rows() == [
        (1, NS, NS + 5 * STEP, 51, -1, 100.5, 2.0),
        (3, NS, 0, 52, -1, 100.5, 2.0),
    ]
    assert tables["agg_trades"].select(names).rows() == [(2, NS, NS + 6 * STEP, 9, 1, 100.5, 3.0)]


def test_trades_of_the_insurance_fund_are_left_out(tmp_path: Path) -> None:
    kinds = ("MARKET", "INSURANCE_FUND", "NA", "ADL")
    path = written(tmp_path, *(streamed(i, "btcusdt@trade", **TRADE, X=kind) for i, kind in enumerate(kinds)))
    assert frames(binance.read, path)["trades"]["row"].to_list() == [1]
    assert notes(path) == ["3 trades of the insurance fund or of deleveraging are not of the book, left out"]


def test_best_quotes_of_spot_and_futures(tmp_path: Path) -> None:
    quote = {"u": 77, "s": "BTCUSDT", "b": "100", "B": "1", "a": "101", "A": "2"}
    path = written(
        tmp_path,
        streamed(5, "btcusdt@bookTicker", **quote),
        streamed(6, "btcusdt@bookTicker", e="bookTicker", E=MS + 3, T=MS + 2, **quote),
        json.dumps(quote),
    )
    quotes = frames(binance.read, path)["book_snapshots_1"]
    assert quotes.select("row", "ts_ns", "seq", "bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0").rows() == [
        (1, NS + 5 * STEP, 77, 100.0, 1.0, 101.0, 2.0),
        (2, NS + 2 * STEP, 77, 100.0, 1.0, 101.0, 2.0),
    ]
    (fault,) = rejected(binance.read, path)
    assert (fault.row, "tells a time" in fault.reason) == (3, True)


MARK = {
    "e": "markPriceUpdate",
    "E": MS,
    "s": "BTCUSDT",
    "p": "100",
    "i": "99",
    "P": "98",
    "r": "-0.0001",
    "T": MS + 3_600_000,
}


def test_mark_prices_carry_the_rate_of_the_next_funding(tmp_path: Path) -> None:
    dated = MARK | {"s": "BTCUSDT_231229", "r": "", "T": 0}
    bare = {key: value for key, value in MARK.items() if key != "i"} | {"s": "BTCUSD_PERP", "r": "0.00000000"}
    streams = ("btcusdt@markPrice@1s", "btcusdt_231229@markPrice", "btcusd_perp@markPrice")
    lines = [streamed(1, name, **body) for name, body in zip(streams, (MARK, dated, bare), strict=True)]
    rows = frames(binance.read, written(tmp_path, *lines))["funding"]
    names = ("symbol", "ts_ns", "funding_ns", "rate", "mark_price", "index_price")
    assert plain(rows).select(names).rows() == [
        ("BTCUSDT", NS, NS + 3_600 * 10**9, -0.0001, 100.0, 99.0),
        ("BTCUSD_PERP", NS, NS + 3_600 * 10**9, 0.0, 100.0, None),
    ]


@pytest.mark.parametrize("framed", [True, False])
def test_streams_of_all_markets_send_lists(framed: bool, tmp_path: Path) -> None:
    both = [MARK, MARK | {"s": "ETHUSDT"}]
    line = json.dumps({"stream": "!markPrice@arr@1s", "data": both} if framed else both)
    rows = frames(binance.read, written(tmp_path, json.dumps({"result": None, "id": 1}), f"{NS} {line}"))["funding"]
    assert rows["symbol"].to_list() == ["BTCUSDT", "ETHUSDT"]


def test_only_closed_bars_are_bars(tmp_path: Path) -> None:
    bar: dict[str, Any] = {"t": MS, "T": MS + 59_999, "s": "BTCUSDT", "o": "10", "c": "11", "h": "12", "l": "9"}
    bar |= {"f": 1, "L": 7, "v": "100", "n": 7, "q": "1050", "V": "60", "Q": "630"}
    intervals = (("1m", False), ("1m", True), ("4h", True), ("1M", True))
    lines = [
        streamed(1, f"btcusdt@kline_{i}", e="kline", E=MS, s="BTCUSDT", k={**bar, "i": i, "x": closed})
        for i, closed in intervals
    ]
    tables = frames(binance.read, written(tmp_path, *lines))
    assert list(tables) == ["bars_60s", "bars_14400s"]
    names = ("row", "ts_ns", "open", "high", "low", "close", "volume", "quote_volume", "trades", "buy_volume")
    assert tables["bars_60s"].select(names).rows() == [(2, NS, 10.0, 12.0, 9.0, 11.0, 100.0, 1050.0, 7.0, 60.0)]


def test_forced_orders_are_liquidations(tmp_path: Path) -> None:
    order: dict[str, Any] = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "9", "p": "99", "ap": "98.5"}
    order |= {"X": "FILLED", "l": "1", "z": "8", "T": MS}
    rows = frames(binance.read, written(tmp_path, streamed(3, "!forceOrder@arr", e="forceOrder", E=MS + 1, o=order)))
    assert rows["liquidations"].select("symbol", "ts_ns", "local_ns", "side", "price", "size").rows() == [
        ("BTCUSDT", NS, NS + 3 * STEP, -1, 98.5, 8.0)
    ]


def test_what_is_no_market_data_is_passed_over(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        json.dumps({"result": None, "id": 1}),
        json.dumps({"timezone": "UTC", "symbols": []}),
        streamed(1, "btcusdt@miniTicker", e="24hrMiniTicker", E=MS, s="BTCUSDT", c="1"),
        streamed(1, "btcusdt@trade", e="trade", E=MS, s="BTCUSDT", t=1),
        "{half a line",
    )
    assert frames(binance.read, path) == {}
    assert [fault.row for fault in rejected(binance.read, path)] == [4, 5]
    assert notes(path) == ["a list of instruments, no market data"]


# --- The place of a snapshot, for any delay -------------------------------------------------------------------------

Book = dict[tuple[int, float], float]
Stream = list[tuple[int, list[Level], list[Level]]]


def replay(book: Book, event: Event) -> Book:
    """The book after a message: new totals of levels, 0 removes one, a snapshot clears it first."""
    out = {} if event.snapshot else dict(book)
    for side, levels in ((1, event.bids), (-1, event.asks)):
        for price, size in levels:
            out[side, float(price)] = float(size)
    return {level: size for level, size in out.items() if size}


LEVELS = st.lists(st.tuples(st.integers(1, 6).map(float), st.integers(0, 3).map(float)), max_size=3).map(
    lambda levels: list(dict(levels).items())
)
STREAMS = st.lists(st.tuples(st.integers(1, 4), LEVELS, LEVELS), min_size=1, max_size=12)


def changes_of(stream: Stream) -> list[Event]:
    """Consecutive changes from number 10 on, each of one or more numbers."""
    out, reached = [], 10
    for row, (count, bids, asks) in enumerate(stream, start=1):
        out.append(Event(row, NS + row, NS + row, reached + count, reached, bids, asks))
        reached += count
    return out


def snapshot_at(changes: list[Event], after: int) -> tuple[Event, Book]:
    """The REST answer after so many changes, and the book that it shows."""
    book: Book = {(1, 0.5): 9.0}
    for event in changes[:after]:
        book = replay(book, event)
    seq = changes[after - 1].seq if after else 10
    sides: dict[int, list[Level]] = {side: [(p, n) for (s, p), n in book.items() if s == side] for side in (1, -1)}
    return Event(0, 0, NS, seq, -1, sides[1], sides[-1], snapshot=True), book


def placed(messages: list[Event]) -> list[Event]:
    placer = Placer()
    return [event for message in messages for event in placer.add(message)] + placer.finish()


@settings(deadline=None)
@given(stream=STREAMS, data=st.data())
def test_however_late_a_snapshot_comes_the_book_from_there_on_is_the_true_one(
    stream: Stream, data: st.DataObject
) -> None:
    changes = changes_of(stream)
    taken = data.draw(st.integers(0, len(changes)), label="changes before the snapshot was taken")
    came = data.draw(st.integers(0, len(changes)), label="changes before it came")
    snapshot, true = snapshot_at(changes, taken)
    out = placed([*changes[:came], snapshot, *changes[came:]])
    assert [event for event in out if not event.snapshot] == changes
    at = out.index(snapshot)
    assert at == taken
    book: Book = {}
    for event in out[at:]:
        book = replay(book, event)
        true = true if event.snapshot else replay(true, event)
        assert book == true


@settings(deadline=None)
@given(stream=STREAMS, data=st.data())
def test_the_book_of_a_snapshot_between_two_changes_comes_true_with_the_next(
    stream: Stream, data: st.DataObject
) -> None:
    """A number within a change: the snapshot shows a part of it, and the whole change follows it."""
    changes = changes_of(stream)
    taken = data.draw(st.integers(0, len(changes) - 1))
    came = data.draw(st.integers(0, len(changes)))
    snapshot, true = snapshot_at(changes, taken)
    inside = data.draw(st.integers(changes[taken].prev_seq, changes[taken].seq - 1))
    half = Event(0, 0, NS, inside, -1, snapshot.bids, snapshot.asks, snapshot=True)
    out = placed([*changes[:came], half, *changes[came:]])
    assert out.index(half) == taken
    book: Book = {}
    for event in out[taken:]:
        book = replay(book, event)
    for event in changes[taken:]:
        true = replay(true, event)
    assert book == true


@settings(deadline=None)
@given(stream=STREAMS, data=st.data())
def test_further_snapshots_of_an_unbroken_feed_change_nothing(stream: Stream, data: st.DataObject) -> None:
    """A first snapshot, and others that come late, early or twice: from the first on the book is the true one."""
    changes = changes_of(stream)
    first, true = snapshot_at(changes, 0)
    messages = [first, *changes]
    for _ in range(data.draw(st.integers(1, 3))):
        snapshot, _book = snapshot_at(changes, data.draw(st.integers(0, len(changes))))
        messages.insert(data.draw(st.integers(1, len(messages))), snapshot)
    out = placed(messages)
    assert [event for event in out if not event.snapshot] == changes
    book: Book | None = None
    for event in out:
        if not event.snapshot:
            true = replay(true, event)
        if event.snapshot or book is not None:
            book = replay(book or {}, event)
            assert book == true


# --- Level by level: T_DEPTH and a recorder's CSV ---------------------------------------------------------------------

T_DEPTH = "symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu"
RECORDER = (
    "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,FirstUpdateId,FinalUpdateId,"
    "FinalUpdateIdInLastStream,IsAsk,Price,Quantity,LastUpdateId,StreamType"
)


def test_t_depth_rows_of_one_number_are_one_message(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        T_DEPTH,
        f"BTCUSDT,{MS},100,100,b,snap,10,1,-1",
        f"BTCUSDT,{MS},100,100,a,snap,11,2,-1",
        f"BTCUSDT,{MS + 1},101,103,a,set,11,0,100",
        f"BTCUSDT,{MS + 1},101,103,b,set,9,5,100",
        f"BTCUSDT,{MS + 2},104,105,b,set,9,6,103",
        name="BTCUSDT_T_DEPTH.csv",
    )
    assert book_of(path) == [
        (2, 100, -1, 3, 1, 10.0, 1.0),
        (2, 100, -1, 1, -1, 11.0, 2.0),
        (4, 103, 100, 0, 1, 9.0, 5.0),
        (4, 103, 100, 0, -1, 11.0, 0.0),
        (6, 105, 103, 0, 1, 9.0, 6.0),
    ]
    assert frames(binance.read, path)["book_deltas"]["ts_ns"].unique(maintain_order=True).to_list() == [
        NS,
        NS + STEP,
        NS + 2 * STEP,
    ]


def test_a_t_depth_file_of_snapshots_gives_them_all(tmp_path: Path) -> None:
    lines = [f"BTCUSDT,{MS + i},{100 + i},{100 + i},b,snap,10,1,-1" for i in range(3)]
    assert [row[1] for row in book_of(written(tmp_path, T_DEPTH, *lines))] == [100, 101, 102]


@pytest.mark.parametrize("level", ["b,set,cheap,5,100", "b,set,9"])
def test_a_level_that_cannot_be_read_makes_the_book_void(level: str, tmp_path: Path) -> None:
    levels = ("b,set,8,1,100", level, "a,set,12,1,100")
    changes = [f"BTCUSDT,{MS},101,101,{cells}" for cells in levels]
    changes.append(f"BTCUSDT,{MS + 1},102,102,b,set,8,3,101")
    path = written(tmp_path, T_DEPTH, f"BTCUSDT,{MS},100,100,b,snap,10,1,-1", *changes)
    report = import_file(path, tmp_path / "store", Request("binance", "binance-usdm", on_error="quarantine"), print)
    assert report.rejected in (1, 2)  # the rest of the message goes with its bad level
    (part,) = (tmp_path / "store").rglob("part-*.parquet")
    flags = pl.read_parquet(part, hive_partitioning=False)["flags"].to_list()
    assert BREAK in flags or report.streams[0].gaps


def recorded(at: int, kind: str, side: int, price: float, size: float, last: int, prev: int = 0) -> str:
    if kind == "DIFFERENCE_DEPTH_STREAM":
        numbers, told = f"{prev + 2},{last},{prev}", f"{side},{price},{size},,{kind}"
    else:
        numbers, told = ",,", f"{side},{price},{size},{last},{kind}"
    return f"{MS + at + 5},btcusdt@depth,depthUpdate,{MS + at + 1},{MS + at},BTCUSDT,{numbers},{told}"


def test_the_csv_of_a_recorder(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "# a comment, with commas",
        RECORDER,
        recorded(0, "DEPTH_SNAPSHOT", 0, 10, 1, 100),
        recorded(0, "DEPTH_SNAPSHOT", 1, 11, 2, 100),
        recorded(1, "DIFFERENCE_DEPTH_STREAM", 1, 11, 0, 103, prev=98),
        recorded(1, "DIFFERENCE_DEPTH_STREAM", 0, 9, 5, 103, prev=98),
        "short,row",  # whose it is cannot be told: the message before it is not believed either
        recorded(2, "DIFFERENCE_DEPTH_STREAM", 0, 9, 6, 105, prev=103),
    )
    assert book_of(path) == [
        (3, 100, -1, 3, 1, 10.0, 1.0),
        (3, 100, -1, 1, -1, 11.0, 2.0),
        (8, 105, 103, 0, 1, 9.0, 6.0),
    ]
    book = frames(binance.read, path)["book_deltas"]
    assert book.select("ts_ns", "local_ns").row(-1) == (NS + 2 * STEP, NS + 7 * STEP)
    assert [(fault.row, fault.reason) for fault in rejected(binance.read, path)] == [
        (7, "2 fields where the header has 14")
    ]


def test_a_book_that_the_recorder_built_is_one_snapshot_with_its_latest_number(tmp_path: Path) -> None:
    def level(at: int, side: int, price: float, last: int) -> str:
        numbers = f"{last - 1},{last},{last - 2}"
        return f"{MS + 5},s,depthUpdate,{MS + at},{MS + at},BTCUSDT,{numbers},{side},{price},1,,FINAL_DEPTH_SNAPSHOT"

    change = recorded(9, "DIFFERENCE_DEPTH_STREAM", 0, 10, 0, 110, prev=103)
    path = written(tmp_path, RECORDER, level(0, 0, 10, 103), level(-4, 0, 9, 95), level(-2, 1, 11, 99), change)
    assert [row[1:] for row in book_of(path)] == [
        (103, -1, 3, 1, 10.0, 1.0),
        (103, -1, 1, 1, 9.0, 1.0),
        (103, -1, 1, -1, 11.0, 1.0),
        (110, 103, 0, 1, 10.0, 0.0),
    ]


def test_a_comment_of_a_recorder_may_hold_braces(tmp_path: Path) -> None:
    path = written(tmp_path, "# {a comment}", RECORDER, recorded(0, "DEPTH_SNAPSHOT", 0, 10, 1, 100))
    assert [row[:2] for row in book_of(path)] == [(3, 100)]


def test_the_trades_of_a_recorder(tmp_path: Path) -> None:
    header = (
        "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,TradeId,Price,Quantity,"
        "IsBuyerMarketMaker,XUnknownParameter"
    )
    line = f"{MS + 5},btcusdt@trade,trade,{MS + 1},{MS},BTCUSDT,"
    path = written(tmp_path, header, f"{line}51,100.5,2,1,MARKET", f"{line}52,0,0,0,NA", f"{line}53,100.6,3,0,MARKET")
    rows = frames(binance.read, path)["trades"].select("row", "ts_ns", "local_ns", "seq", "side", "price", "size")
    assert rows.rows() == [(2, NS, NS + 5 * STEP, 51, -1, 100.5, 2.0), (4, NS, NS + 5 * STEP, 53, 1, 100.6, 3.0)]
    assert notes(path) == ["1 trades of the insurance fund or of deleveraging are not of the book, left out"]


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
@pytest.mark.parametrize("name", ["spot_btcusdt_20230405.gz", "usdm_btcusdt_20230404.gz"])
def test_real_captures_give_every_level_and_trade(name: str) -> None:
    import gzip

    messages = [
        json.loads(line.partition(" ")[2])
        for line in gzip.decompress((RAW / "hftbacktest_raw_ws" / name).read_bytes()).decode().splitlines()
    ]
    bodies = [message.get("data", message) for message in messages]
    changes = [body for body in bodies if body.get("e") == "depthUpdate"]
    path = RAW / "hftbacktest_raw_ws" / name
    assert not rejected(binance.read, path)
    tables = frames(binance.read, path)
    book = tables["book_deltas"]
    assert len(book.filter(pl.col("flags") == 0)) == sum(max(len(b["b"]) + len(b["a"]), 1) for b in changes)
    sold = sum(
        body["e"] == "trade" and body["m"] for body in bodies if body.get("X", "MARKET") == "MARKET" and "e" in body
    )
    assert (tables["trades"]["side"] == -1).sum() == sold
    assert len(tables["book_snapshots_1"]) == sum("B" in body for body in bodies)
