"""A file comes in whole or not at all, once, and what is wrong with it is told by its row."""

import csv
import gzip
import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest

from features import importing
from features.clock import DAY_S, parse_utc
from features.errors import (
    DataError,
    FormatError,
    MissingFileError,
    OverlapError,
    RowError,
    SchemaError,
    SequenceError,
    SettingError,
    TimeOrderError,
    UnknownInstrumentError,
)
from features.files import write_json
from features.importing import ImportReport, OnError, Request, import_file
from features.intake import columns, parts, stream
from features.intake.batch import Options
from features.quality import inspect
from features.schema import BREAK
from features.sources import SOURCES
from features.store import Store
from features.tape import Stream, Tape

T_MS = 1_700_000_000_000
MIDNIGHT_MS = parse_utc("2023-11-15") // 1_000_000
HEAD = "symbol,ts_ms,trade_id,price,size,side"
TRADES = Stream("v", "A", "trades")


def line(i: int, symbol: str = "A", price: float = 5.0) -> str:
    return f"{symbol},{T_MS + 1_000 * i},{i},{price},2,{'buy' if i % 2 else 'sell'}"


def write(path: Path, lines: Sequence[str], head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def bring(root: Path) -> Callable[..., ImportReport]:
    def bring(
        path: Path,
        source: str = "table",
        venue: str | None = "v",
        on_error: OnError = "strict",
        store: Path | None = None,
        **options: str | None,
    ) -> ImportReport:
        request = Request(source, venue, Options(**options), on_error)  # type: ignore[arg-type]
        return import_file(path, store or root, request, lambda _rows: None)

    return bring


Bring = Callable[..., ImportReport]


def rows(root: Path, wanted: Stream = TRADES) -> pl.DataFrame:
    return pl.concat(list(Tape(root).scan(wanted)))


def numbers(root: Path, wanted: Stream = TRADES) -> list[int]:
    return rows(root, wanted)["seq"].to_list()


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_every_row_of_a_file_is_there_by_an_independent_count(tmp_path: Path, root: Path, bring: Bring) -> None:
    symbols = itertools.cycle(["A", "B", "C/D", "A"])
    path = write(tmp_path / "many.csv", [line(i, symbol) for i, symbol in zip(range(500), symbols, strict=False)])
    report = bring(path)
    with path.open(newline="") as handle:
        table = list(csv.DictReader(handle))
    assert report.rows == len(table) == 500
    for symbol, count in Counter(row["symbol"] for row in table).items():
        stored = rows(root, Stream("v", symbol.replace("/", "-"), "trades"))
        mine = [row for row in table if row["symbol"] == symbol]
        assert len(stored) == count
        assert stored["seq"].to_list() == [int(row["trade_id"]) for row in mine]
        assert stored["ts_ns"].to_list() == [int(row["ts_ms"]) * 1_000_000 for row in mine]
        assert stored["side"].to_list() == [{"buy": 1, "sell": -1}[row["side"]] for row in mine]


def test_the_report_tells_streams_rows_and_spans(tmp_path: Path, bring: Bring) -> None:
    report = bring(write(tmp_path / "a.csv", [line(1), line(2, "B"), line(3)]))
    told = {(s.folder, s.rows, s.first_ns, s.last_ns) for s in report.streams}
    first, second, third = ((T_MS + 1_000 * i) * 1_000_000 for i in (1, 2, 3))
    assert told == {
        ("kind=trades/venue=v/symbol=A", 2, first, third),
        ("kind=trades/venue=v/symbol=B", 1, second, second),
    }
    assert (report.rejected, report.quarantine, report.unchanged) == (0, None, False)


BAD_LINES = {
    "size": (f"A,{T_MS + 9_000},9,5,-2,buy", "size is -2.0, but size is finite and positive"),
    "price": (f"A,{T_MS + 9_000},9,0,2,buy", "price is 0.0"),
    "no number": (f"A,{T_MS + 9_000},9,x,2,buy", "price is missing"),
    "too short": (f"A,{T_MS + 9_000}", "2 fields where the header has 6"),
    "goes back": (f"A,{T_MS - 9_000},9,5,2,buy", "goes back"),
    "again": (f"A,{T_MS + 9_000},3,5,2,buy", "seq 3 came before|seq 3 goes back"),
    "side": (f"A,{T_MS + 9_000},9,5,2,up", "side"),
    "time": ("A,soon,9,5,2,buy", "ts_ns is missing"),
    "symbol": (f",{T_MS + 9_000},9,5,2,buy", "the symbol is missing"),
}


NAMELESS = pytest.param("symbol")
FAULTS = [NAMELESS if fault == "symbol" else fault for fault in BAD_LINES]


@pytest.mark.parametrize("fault", FAULTS)
def test_strict_a_bad_row_stops_the_file_and_leaves_nothing(
    fault: str, tmp_path: Path, root: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ROW_GROUP", 2)
    bad, reason = BAD_LINES[fault]
    path = write(tmp_path / "a.csv", [*(line(i) for i in range(6)), bad])
    with pytest.raises(RowError, match=rf"a\.csv: row 8: .*({reason}).*--on-error quarantine"):
        bring(path)
    assert content(root) == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_in_quarantine_a_bad_row_goes_to_the_side_file(fault: str, tmp_path: Path, root: Path, bring: Bring) -> None:
    bad, reason = BAD_LINES[fault]
    path = write(tmp_path / "a.csv", [*(line(i) for i in range(6)), bad, line(10)])
    report = bring(path, on_error="quarantine")
    assert (report.rows, report.rejected) == (7, 1)
    assert numbers(root) == [0, 1, 2, 3, 4, 5, 10]
    assert report.quarantine is not None
    with Path(report.quarantine).open(newline="") as handle:
        (told,) = csv.DictReader(handle)
    assert list(told) == ["file", "row", "reason", "text"]
    assert (told["file"], told["row"]) == ("a.csv", "8")
    assert any(part in told["reason"] for part in reason.split("|"))


def test_a_good_file_in_quarantine_mode_has_no_side_file(tmp_path: Path, root: Path, bring: Bring) -> None:
    report = bring(write(tmp_path / "a.csv", [line(1)]), on_error="quarantine")
    assert (report.rejected, report.quarantine) == (0, None)
    assert not (root / "quarantine").exists()


def test_a_file_of_bad_rows_only_is_refused_with_the_first_fault(tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [f"A,{T_MS},9,5,-2,buy"])
    with pytest.raises(FormatError, match=r"a\.csv: no row of it can be used; .* row 2: size"):
        bring(path, on_error="quarantine", symbol="A")
    assert content(root) == {}


def test_importing_again_changes_no_byte(tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [line(i, "AB"[i % 2]) for i in range(40)] + ["torn"])
    first = bring(path, on_error="quarantine")
    before = content(root)
    again = bring(path, on_error="quarantine")
    assert (again.unchanged, again.streams, again.rejected) == (True, first.streams, 1)
    assert content(root) == before


@pytest.mark.parametrize("lost", ["*.parquet", "_manifest.json", "imports/*.json", "quarantine/*.csv"])
def test_what_was_lost_is_mended_by_importing_again(lost: str, tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [*(line(i) for i in range(9)), "torn"])
    bring(path, on_error="quarantine")
    before = content(root)
    for found in list(root.rglob(lost) if "/" not in lost else root.glob(lost)):
        found.unlink()
    assert content(root) != before
    assert not bring(path, on_error="quarantine").unchanged
    assert content(root) == before


def test_a_changed_part_is_written_anew(tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [line(i) for i in range(9)])
    bring(path)
    before = content(root)
    next(root.rglob("*.parquet")).write_bytes(b"PAR1")
    bring(path)
    assert content(root) == before


def test_other_code_imports_anew(tmp_path: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.csv", [line(1)])
    bring(path)
    assert bring(path).unchanged
    monkeypatch.setattr(importing, "CODE", ("features.importing",))
    assert not bring(path).unchanged


@pytest.mark.parametrize("at", [1, 2])
def test_a_crash_in_the_middle_of_the_commit_is_mended_by_importing_again(
    at: int, tmp_path: Path, root: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts of a stream are in their place, its manifest is not."""
    path = write(tmp_path / "a.csv", [line(i, "AB"[i % 2]) for i in range(40)])
    bring(path, store=tmp_path / "other")
    real, calls = write_json, itertools.count(1)

    def dies(target: Path, value: object) -> None:
        if next(calls) == at:
            raise KeyboardInterrupt
        real(target, value)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_json", dies)
        with pytest.raises(KeyboardInterrupt):
            bring(path)
    assert not list(root.rglob("*.tmp"))
    assert len(Tape(root).streams()) == at - 1
    assert not bring(path).unchanged
    assert content(root) == content(tmp_path / "other")


def test_an_interrupted_read_leaves_nothing(
    tmp_path: Path, root: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ROW_GROUP", 2)

    def stopped(_rows: int) -> None:
        raise KeyboardInterrupt

    path = write(tmp_path / "a.csv", [line(i) for i in range(9)] + ["torn"])
    with pytest.raises(KeyboardInterrupt):
        import_file(path, root, Request("table", "v", Options(), "quarantine"), stopped)
    assert content(root) == {}


def test_a_longer_file_of_another_name_brings_only_what_is_new(tmp_path: Path, root: Path, bring: Bring) -> None:
    bring(write(tmp_path / "a.csv", [line(i) for i in range(10)]))
    report = bring(write(tmp_path / "b.csv", [line(i) for i in range(5, 15)]))
    assert (report.streams[0].rows, report.streams[0].known) == (5, 5)
    assert numbers(root) == list(range(15))


def test_the_same_trades_packed_otherwise_are_all_known(tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [line(i) for i in range(10)])
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    bring(path)
    report = bring(packed)
    assert (report.rows, report.streams[0].known) == (0, 10)
    assert (bring(packed).streams[0].known, bring(packed).unchanged) == (10, False)  # read again: "a.csv" may be gone
    assert numbers(root) == list(range(10))


def test_the_order_of_overlapping_files_does_not_matter(tmp_path: Path, bring: Bring) -> None:
    files = [write(tmp_path / f"{i}.csv", [line(k) for k in range(i, i + 12)]) for i in (0, 6, 14)]
    stored = []
    for order in itertools.permutations(files):
        root = tmp_path / "-".join(path.stem for path in order)
        for path in order:
            bring(path, store=root)
        stored.append(rows(root))
    assert stored[0]["seq"].to_list() == list(range(26))
    assert all(frame.equals(stored[0]) for frame in stored)


@pytest.mark.parametrize("second", [["1,5,2", "2,5,2", "3,5,2"], ["1,5,2"]])
def test_an_overlap_that_no_number_tells_apart_is_refused(
    second: list[str], tmp_path: Path, root: Path, bring: Bring
) -> None:
    head = "ts_ms,price,size"
    first = [f"{T_MS + i},5,2" for i in range(len(second))]
    bring(write(tmp_path / "a.csv", first, head), symbol="A")
    before = content(root)
    with pytest.raises(OverlapError, match=r"same stretch from a\.csv"):
        bring(write(tmp_path / "b.csv", [*first, ""], head), symbol="A")
    assert content(root) == before
    later = [f"{T_MS + 100 + i},5,2" for i in range(3)]
    bring(write(tmp_path / "c.csv", later, head), symbol="A")
    assert len(rows(root)) == len(second) + 3


def test_one_symbol_is_taken_out_of_many(tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [line(i, ("A", "X/Y")[i % 2]) for i in range(10)])
    assert bring(path, symbol="X/Y").rows == 5
    assert [stream.symbol for stream in Tape(root).streams()] == ["X-Y"]
    bring(path, symbol="A")
    assert numbers(root) == [0, 2, 4, 6, 8]
    assert numbers(root, Stream("v", "X-Y", "trades")) == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("asked", ["X-Y", "X/Y"])
def test_a_symbol_goes_by_the_vendors_name_and_by_the_stores(asked: str, tmp_path: Path, bring: Bring) -> None:
    assert bring(write(tmp_path / "a.csv", [line(1, "X/Y")]), symbol=asked).rows == 1


def test_an_unknown_symbol_names_the_known(tmp_path: Path, root: Path, bring: Bring) -> None:
    with pytest.raises(UnknownInstrumentError, match=r"a\.csv: holds no DOGE; it holds A, B"):
        bring(write(tmp_path / "a.csv", [line(1), line(2, "B")]), symbol="DOGE")
    assert content(root) == {}


def test_a_venue_is_told_by_file_user_or_format(tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [line(1)])
    with pytest.raises(SchemaError, match=r"a\.csv: does not say its venue; add --venue"):
        bring(path, venue=None)
    told = write(tmp_path / "b.csv", [f"{line(1)},here", f"{line(2)},there"], f"{HEAD},venue")
    bring(told, venue=None)
    assert [stream.venue for stream in Tape(root).streams()] == ["here", "there"]


def test_a_file_that_is_not_there_or_empty_or_of_no_known_format_is_told(tmp_path: Path, bring: Bring) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv: no such file"):
        bring(tmp_path / "none.csv")
    with pytest.raises(SettingError, match=r"unknown source 'morse'; known: .*tardis"):
        bring(write(tmp_path / "a.csv", [line(1)]), source="morse")
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(FormatError, match=r"b\.csv: the file is empty"):
        bring(tmp_path / "b.csv")
    with pytest.raises(FormatError, match=r"c\.csv: no rows of market data found; is it a file of table"):
        bring(write(tmp_path / "c.csv", []))


def test_a_truncated_gzip_leaves_nothing(
    tmp_path: Path, root: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.blocks, "__defaults__", (400,))
    whole = gzip.compress("\n".join([HEAD, *(line(i) for i in range(2_000))]).encode())
    (tmp_path / "a.csv.gz").write_bytes(whole[:-20])
    with pytest.raises(FormatError, match=r"a\.csv\.gz: the file is cut short or damaged"):
        bring(tmp_path / "a.csv.gz")
    assert content(root) == {}


def test_two_tables_in_one_file_are_refused(tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [line(1), "symbol,ts_ms,bid,ask", f"A,{T_MS},5,6"])
    with pytest.raises(RowError, match="row 3: 4 fields where the header has 6"):
        bring(path)
    assert content(root) == {}


@pytest.mark.parametrize(("unit", "column"), [("s", "ts_ms"), ("us", "ts_ms"), (None, "ts_us")])
def test_a_wrong_unit_of_time_is_refused(unit: str | None, column: str, tmp_path: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [line(1)], HEAD.replace("ts_ms", column))
    with pytest.raises(SettingError, match=r"a\.csv: column ts_.s is to be in .*give --unit ms"):
        bring(path, unit=unit)


@pytest.mark.parametrize(
    ("head", "good", "bad"),
    [
        ("symbol,ts_ms,bid,ask,bid_size,ask_size,update_id", "A,{t},5,6,1,1,8", "A,{t},5,6,1,1,x"),
        ("symbol,ts_ms,is_snapshot,side,price,size,seq", "A,{t},false,buy,5,1,8", "A,{t},false,buy,5,1,x"),
    ],
)
def test_a_number_of_an_event_that_is_none_is_set_aside(
    head: str, good: str, bad: str, tmp_path: Path, bring: Bring
) -> None:
    check_one_is_set_aside(head, good, bad, tmp_path, bring)


@pytest.mark.parametrize(
    ("head", "good", "bad"),
    [
        ("symbol,ts_ms,local_ts_ms,trade_id,side,price,size", "A,{t},{t},8,buy,5,1", "A,{t},x,9,buy,5,1"),
        ("symbol,ts_ms,funding_rate,interval_h", "A,{t},0.1,8", "A,{t},0.1,x"),
        ("symbol,ts_ms,funding_rate,interval_h", "A,{t},0.1,8", "A,{t},x,8"),
        ("symbol,ts_ms,bid,ask,bid_size,ask_size", "A,{t},5,6,1,1", "A,{t},5,6,-1,x"),
    ],
)
def test_a_cell_that_is_no_number_is_set_aside(head: str, good: str, bad: str, tmp_path: Path, bring: Bring) -> None:
    check_one_is_set_aside(head, good, bad, tmp_path, bring)


def check_one_is_set_aside(head: str, good: str, bad: str, tmp_path: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [good.format(t=T_MS), bad.format(t=T_MS + 1)], head)
    with pytest.raises(RowError, match="row 3: "):
        bring(path)
    report = bring(path, on_error="quarantine")
    voids = "is_snapshot" in head  # a row that makes the book void stands in its place
    assert (report.rows, report.rejected) == (1 + voids, 1)


def test_a_bad_time_is_set_aside_wherever_it_stands_in_a_block(
    tmp_path: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line(i) for i in range(12)]
    lines[5] = "A,17,5,5.0,2,buy"
    path = write(tmp_path / "a.csv", lines)
    for size in (40, 60, 80, 8_000):
        monkeypatch.setattr(stream.blocks, "__defaults__", (size,))
        report = bring(path, on_error="quarantine", store=tmp_path / str(size))
        assert (report.rows, report.rejected) == (11, 1)


BYBIT = (
    '{{"topic":"orderbook.50.A","type":"{kind}","ts":{ts},"data":{{"s":"A","b":[["{price}","1"]],"a":[["{ask}","1"]],'
    '"u":{u},"seq":{u}}},"cts":{ts}}}'
)
BOOK = Stream("bybit", "A", "book_deltas")


def book(path: Path, *messages: tuple[str, int]) -> Path:
    path.write_text(
        "".join(
            BYBIT.format(kind=kind, ts=T_MS + i, price=100, ask=101, u=u) + "\n" for i, (kind, u) in enumerate(messages)
        )
    )
    return path


def test_a_gap_in_the_numbering_that_a_snapshot_mends_is_counted(tmp_path: Path, root: Path, bring: Bring) -> None:
    path = book(tmp_path / "a", ("snapshot", 5), ("delta", 6), ("delta", 9), ("snapshot", 12), ("delta", 13))
    report = bring(path, "bybit", None)
    assert (report.streams[0].gaps, report.notes) == (1, [])
    assert len(rows(root, BOOK)) == 10


def test_a_gap_in_the_numbering_that_nothing_mends_is_refused_or_told(tmp_path: Path, root: Path, bring: Bring) -> None:
    path = book(tmp_path / "a", ("snapshot", 5), ("delta", 6), ("delta", 9), ("delta", 10))
    with pytest.raises(SequenceError, match="A: row 3: the event builds on number 8, but the last one here is 6"):
        bring(path, "bybit", None)
    assert content(root) == {}
    report = bring(path, "bybit", None, "quarantine")
    assert (report.streams[0].gaps, report.rejected) == (1, 0)
    (note,) = report.notes
    assert "no snapshot follows" in note


@pytest.mark.parametrize("torn", [1, 2, 3])
def test_a_book_is_void_after_a_message_that_could_not_be_read(
    torn: int, tmp_path: Path, root: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = book(tmp_path / "a", ("snapshot", 5), ("delta", 6), ("delta", 7), ("delta", 8))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:torn], "torn {", *lines[torn:]]) + "\n")
    bring(path, "bybit", None, "quarantine")
    flags = rows(root, BOOK)["flags"].to_list()
    assert flags.index(BREAK) == 2 * torn
    assert flags.count(BREAK) == 1


def test_a_symbol_may_change_its_tick_and_the_check_tells_both(tmp_path: Path, root: Path, bring: Bring) -> None:
    coarse = [f"A,{MIDNIGHT_MS - DAY_S + i},{i},{100 + i / 2},1,buy" for i in range(40)]
    fine = [f"A,{MIDNIGHT_MS + i},{100 + i},{100 + i / 100},1,buy" for i in range(40)]
    assert bring(write(tmp_path / "a.csv", coarse + fine)).rows == 80
    (quality,) = inspect(root, lambda _folder: True, 1e9, lambda _done, _total: None)
    assert (quality.rows, quality.ticks, quality.duplicates) == (80, [0.5, 0.01], 0)


@pytest.mark.parametrize("size", [100, 1_000, 5_000])
def test_a_file_larger_than_a_block_gives_the_same_as_in_one_piece(
    size: int, tmp_path: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line(i, "AB"[i // 3 % 2], 100 + i / 8) for i in range(300)]
    lines[30], lines[77], lines[200] = "torn", f"A,{T_MS},5,5,5,sell", lines[199]
    path = write(tmp_path / "a.csv", lines)
    report = bring(path, on_error="quarantine", store=tmp_path / "whole")
    monkeypatch.setattr(stream.blocks, "__defaults__", (size,))
    pieces = bring(path, on_error="quarantine", store=tmp_path / "pieces")
    assert [s.rows for s in pieces.streams] == [s.rows for s in report.streams]
    assert pieces.rejected == report.rejected == 3
    for symbol in "AB":
        wanted = Stream("v", symbol, "trades")
        assert rows(tmp_path / "pieces", wanted).equals(rows(tmp_path / "whole", wanted))


def test_a_parquet_larger_than_a_batch_gives_the_same(
    tmp_path: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    count = 100
    pl.DataFrame(
        {
            "symbol": ["A"] * count,
            "ts_ms": [T_MS + i for i in range(count)],
            "trade_id": list(range(count)),
            "price": [5.0 + i for i in range(count)],
            "size": [1.0] * count,
        }
    ).write_parquet(path)
    bring(path, store=tmp_path / "whole")
    monkeypatch.setattr(columns, "BATCH_ROWS", 7)
    bring(path, store=tmp_path / "pieces")
    assert numbers(tmp_path / "pieces") == list(range(count))
    assert rows(tmp_path / "pieces").equals(rows(tmp_path / "whole"))


def test_progress_counts_the_rows_read(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.blocks, "__defaults__", (100,))
    path = write(tmp_path / "a.csv", [line(i) for i in range(50)])
    told: list[int] = []
    import_file(path, root, Request("table", "v"), told.append)
    assert told == sorted(told)
    assert len(told) > 5
    assert told[-1] == 50


BAR_HEAD = "ts_ms,open,high,low,close,volume"


def bar(i: int, close: float = 2.0) -> str:
    return f"{MIDNIGHT_MS + 60_000 * i},2,3,1,{close},7"


def test_bars_go_to_the_store_of_bars_and_again_changes_no_byte(tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [bar(i) for i in range(90)], BAR_HEAD)
    report = bring(path, "bars", symbol="A")
    assert report.streams[0].folder == "kind=bars_60s/venue=v/symbol=A"
    before = content(root)
    bring(path, "bars", symbol="A")
    assert content(root) == before
    (series,) = Store(root).list()
    assert len(Store(root).scan(series)) == 90


@pytest.mark.parametrize("bad", [bar(5), bar(4), bar(9, close=9.0), bar(9).replace(",7", ",-7"), "torn"])
def test_bad_bars_leave_nothing_or_go_to_the_side_file(bad: str, tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [*(bar(i) for i in range(6)), bad], BAR_HEAD)
    with pytest.raises(RowError, match="row 8: "):
        bring(path, "bars", symbol="A")
    assert content(root) == {}
    report = bring(path, "bars", symbol="A", on_error="quarantine")
    assert (report.rows, report.rejected) == (6, 1)


def test_bars_of_several_blocks_with_a_bad_line_come_in(
    tmp_path: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.blocks, "__defaults__", (100,))
    path = write(tmp_path / "a.csv", [*(bar(i) for i in range(30)), "", bar(30)], BAR_HEAD)
    assert bring(path, "bars", symbol="A").rows == 31


@pytest.mark.parametrize("content_of_ledger", ["", "{}", "[]", '{"report": 3}', "null"])
def test_a_damaged_ledger_is_no_obstacle(content_of_ledger: str, tmp_path: Path, root: Path, bring: Bring) -> None:
    path = write(tmp_path / "a.csv", [line(1)])
    bring(path)
    before = content(root)
    (ledger,) = (root / "imports").glob("*.json")
    assert json.loads(ledger.read_text())["report"]["file"] == str(path)
    ledger.write_text(content_of_ledger)
    bring(path)
    assert content(root) == before


def test_whatever_is_wrong_is_a_data_error(tmp_path: Path, root: Path, bring: Bring) -> None:
    """Bytes of any kind end in one of the project's errors, for every reader."""
    junk = {
        "zeros": bytes(64),
        "text": b"hello, world\nagain\n",
        "json": b'{"a": 1}\n[1, 2]\n3\n',
        "csv": b"a,b,c\n1,2,3\n",
        "latin": "é,ü\n1,2\n".encode("latin-1"),
        "numbers": b"1700000000000,1,2,3\n1700000000001,1,2\n",
    }
    for name, held in junk.items():
        path = tmp_path / f"{name}.csv"
        path.write_bytes(held)
        for source in SOURCES:
            for on_error in ("strict", "quarantine"):
                with pytest.raises(DataError):
                    bring(path, source, on_error=on_error, symbol="A")
    assert content(root) == {}


@pytest.mark.parametrize(("column", "names"), [("trade_id", (3, 4, 5, 3)), ("trade_id", ("a", "b", "c", "a"))])
def test_a_trade_that_comes_again_far_below_is_stored_once(
    column: str, names: tuple[object, ...], tmp_path: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = f"symbol,ts_ms,local_ts_ms,{column},price,size,side"
    lines = [f"A,{T_MS + i},{T_MS + i},{name},5,1,buy" for i, name in enumerate(names)]
    path = write(tmp_path / "a.csv", lines, head)
    monkeypatch.setattr(stream.blocks, "__defaults__", (40,))
    with pytest.raises(RowError, match="came before"):
        bring(path)
    report = bring(path, on_error="quarantine")
    assert (report.rows, report.rejected) == (3, 1)


def test_of_two_imports_into_one_stream_at_once_the_second_is_refused_and_loses_nothing(
    tmp_path: Path, root: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(tmp_path / "a.csv", [line(i) for i in range(5)])
    second = write(tmp_path / "b.csv", [line(i) for i in range(3, 8)])
    close = parts.StreamWriter.close

    def meanwhile(writer: parts.StreamWriter) -> list[str]:
        monkeypatch.setattr(parts.StreamWriter, "close", close)
        bring(second)
        return close(writer)

    monkeypatch.setattr(parts.StreamWriter, "close", meanwhile)
    with pytest.raises(OverlapError, match=r"meanwhile.*import it again"):
        bring(first)
    bring(first)
    assert sorted(numbers(root)) == list(range(8))
    assert not list(root.rglob(".*.tmp"))


def test_what_a_killed_import_left_behind_is_swept_by_the_next(tmp_path: Path, root: Path, bring: Bring) -> None:
    bring(write(tmp_path / "a.csv", [line(0)]))
    (part,) = root.rglob("part-*.parquet")
    orphan, torn = (
        part.with_name("part-000000000000.parquet"),
        part.with_name(".part-000000000000.parquet.999999999.tmp"),
    )
    for path in (orphan, torn):
        path.write_bytes(b"half")
    bring(write(tmp_path / "b.csv", [line(1)]))
    assert not orphan.exists()
    assert not torn.exists()
    assert numbers(root) == [0, 1]


def test_a_trade_that_is_stored_with_another_size_is_told_and_the_cut_file_can_be_dropped(
    tmp_path: Path, root: Path, bring: Bring
) -> None:
    whole = HEAD.replace("side", "note") + "\n" + "".join(f"A,{T_MS + i},{i},5.0,12.5,x\n" for i in range(3))
    cut = write(tmp_path / "cut.csv", [], "symbol,ts_ms,trade_id,price,size")
    cut.write_text(cut.read_text() + f"A,{T_MS},0,5.0,12.5\nA,{T_MS + 1},1,5.0,1")
    assert any("last line has no end" in note for note in bring(cut).notes)
    full = tmp_path / "full.csv"
    full.write_text(whole)
    with pytest.raises(OverlapError, match=r"1 is 5\.0 x 12\.5 here and 5\.0 x 1\.0 in the store.*data drop"):
        bring(full)
    assert importing.drop_file(root, "cut.csv")
    bring(full)
    rows = pl.concat(Tape(root).scan(TRADES))
    assert rows["size"].to_list() == [12.5, 12.5, 12.5]
    with pytest.raises(UnknownInstrumentError, match="no events of a file named"):
        importing.drop_file(root, "cut.csv")


def test_two_symbols_that_would_share_a_name_are_refused(tmp_path: Path, root: Path, bring: Bring) -> None:
    with pytest.raises(SchemaError, match=r"A-B and A/B would share|A/B and A-B would share"):
        bring(write(tmp_path / "a.csv", [line(0, "A/B"), line(1, "A-B")]))
    bring(write(tmp_path / "b.csv", [line(0, "A/B")]))
    with pytest.raises(OverlapError, match="the store holds A/B under this name"):
        bring(write(tmp_path / "c.csv", [line(9, "A-B")]))
    bring(write(tmp_path / "d.csv", [line(0, "币"), line(1, "龙")]))
    assert {stream.symbol for stream in Tape(root).streams()} == {"A-B", "u5E01", "u9F99"}


@pytest.mark.parametrize("bad", [f"A,{T_MS + 1},x,add,buy,5,1", f"A,{T_MS + 1},9,add,buy,-5,1"])
def test_an_order_event_cannot_be_set_aside(bad: str, tmp_path: Path, root: Path, bring: Bring) -> None:
    lines = [f"A,{T_MS},8,add,buy,5,1", bad, f"A,{T_MS + 2},8,delete,buy,5,0"]
    path = write(tmp_path / "orders.csv", lines, "symbol,ts_ms,order_id,action,side,price,size")
    with pytest.raises(RowError, match="row 3: an order event cannot be set aside"):
        bring(path, on_error="quarantine")
    assert not list(root.rglob("*.parquet"))


def test_what_another_file_told_comes_back_when_that_file_is_dropped(tmp_path: Path, root: Path, bring: Bring) -> None:
    bring(write(tmp_path / "a.csv", [line(i) for i in range(6)]))
    second = write(tmp_path / "b.csv", [line(i) for i in range(2, 10)])
    assert bring(second).streams[0].known == 4
    importing.drop_file(root, "a.csv")
    bring(second)
    assert numbers(root) == list(range(2, 10))


def test_two_connections_that_number_from_one_are_both_stored(tmp_path: Path, bring: Bring, root: Path) -> None:
    def feed(start_ms: int) -> list[str]:
        kinds = ("snapshot", "delta", "delta")
        return [BYBIT.format(kind=k, ts=start_ms + i, price=99 - i, ask=101, u=1 + i) for i, k in enumerate(kinds)]

    for name, start_ms in (("a.data", T_MS), ("b.data", T_MS + 3_000)):
        (tmp_path / name).write_text("\n".join(feed(start_ms)) + "\n")
        assert bring(tmp_path / name, source="bybit", venue="v").streams[0].known == 0
    rows = pl.concat(Tape(root).scan(Stream("v", "A", "book_deltas")))
    assert rows["ts_ns"].is_sorted()
    assert rows["seq"].unique_counts().to_list() == [4, 4, 4]


def test_bars_off_their_grid_are_set_aside_in_quarantine(tmp_path: Path) -> None:
    stamps = [0, 300, 600, 914, 1_214, 1_500, 1_800]  # as after the outage of February 2018
    lines = [f"{1_600_000_200 + t},1,1,1,1,1" for t in stamps]
    path = tmp_path / "bars.csv"
    path.write_text("ts_s,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    request = Request("bars", "mine", Options(symbol="BTCUSDT"), on_error="quarantine")
    report = import_file(path, tmp_path / "store", request, lambda _: None)
    assert (report.rows, report.rejected) == (5, 2)
    with pytest.raises(TimeOrderError, match="off the grid"):
        import_file(path, tmp_path / "strict", Request("bars", "mine", Options(symbol="BTCUSDT")), lambda _: None)
