"""The tape gives back what was imported, in order, to any tool, and tells what was damaged."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from features.clock import DAY_NS, NS_PER_S, parse_utc
from features.errors import FormatError, SettingError, UnknownInstrumentError
from features.files import sha256_of_file
from features.intake import parts as writing
from features.intake.door import Door
from features.intake.parts import StreamWriter
from features.schema import BOOK_DELTAS, SNAPSHOT, TRADES, Table
from features.tape import Stream, Tape, read_manifest

DAY = parse_utc("2024-01-01")
STREAM = Stream("v", "S", "trades")
HOUR = 3_600 * NS_PER_S


def trades(first: int, count: int, step_ns: int = HOUR, seq: bool = True) -> pl.DataFrame:
    numbers = list(range(first, first + count))
    return TRADES.conform(
        pl.DataFrame(
            {
                "ts_ns": [DAY + i * step_ns for i in numbers],
                "local_ns": [DAY + i * step_ns + 5 for i in numbers],
                "seq": numbers if seq else [-1] * count,
                "price": [100.0 + i for i in numbers],
                "size": [1.0] * count,
            }
        )
    )


def store(root: Path, name: str, frame: pl.DataFrame, stream: Stream = STREAM, table: Table = TRADES) -> None:
    """What an import of the file ``name`` leaves."""
    writer = StreamWriter(root, stream, name * 64, Door(table))
    writer.add(frame)
    for part in writer.parts:
        part.close()
    writer.commit(f"{name}.csv")


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    """Sixty trades of three days, an hour apart."""
    store(tmp_path, "a", trades(0, 60))
    return Tape(tmp_path)


def scan(tape: Tape, columns: tuple[str, ...] | None = None, **span: int) -> pl.DataFrame:
    return pl.concat(list(tape.scan(STREAM, columns, **span)))


def part_of(tape: Tape, day: int) -> Path:
    return tape.parts(STREAM)[day].path


def test_a_scan_gives_what_was_imported(tape: Tape) -> None:
    assert scan(tape).equals(trades(0, 60))
    assert scan(tape).schema == pl.Schema(TRADES.dtypes)


def test_row_groups_come_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ROW_GROUP", 7)
    writer = StreamWriter(tmp_path, STREAM, "a" * 64, Door(TRADES))
    for i in range(20):
        writer.add(trades(i, 1, step_ns=NS_PER_S))
    for part in writer.parts:
        part.close()
    writer.commit("a.csv")
    assert [len(frame) for frame in Tape(tmp_path).scan(STREAM)] == [7, 7, 6]
    assert scan(Tape(tmp_path)).equals(trades(0, 20, step_ns=NS_PER_S))


def test_columns_come_as_they_are_asked_for(tape: Tape) -> None:
    assert scan(tape, ("price", "seq")).equals(trades(0, 60).select("price", "seq"))
    assert scan(tape, ("price",), from_ns=DAY + 5 * HOUR)["price"].to_list() == [100.0 + i for i in range(5, 60)]


@pytest.mark.parametrize(
    ("first", "last"), [(0, 60), (0, 24), (24, 48), (5, 6), (23, 25), (59, 60), (0, 1), (30, 30), (-5, 99)]
)
def test_the_span_takes_the_first_instant_in_and_leaves_the_last_out(first: int, last: int, tape: Tape) -> None:
    expected = [i for i in range(60) if first <= i < last]
    frames = list(tape.scan(STREAM, None, DAY + first * HOUR, DAY + last * HOUR))
    assert [seq for frame in frames for seq in frame["seq"].to_list()] == expected
    assert [seq for f in tape.scan(STREAM, None, DAY + first * HOUR) for seq in f["seq"]] == list(
        range(max(first, 0), 60)
    )
    assert [seq for f in tape.scan(STREAM, to_ns=DAY + last * HOUR) for seq in f["seq"]] == list(range(min(last, 60)))


def test_a_span_of_nothing_reads_no_file(tape: Tape) -> None:
    for part in tape.parts(STREAM):
        part.path.write_bytes(b"")
    assert list(tape.scan(STREAM, None, DAY - HOUR, DAY)) == []
    assert list(tape.scan(STREAM, None, DAY + 90 * HOUR)) == []


def test_overlapping_files_are_merged_by_number(tmp_path: Path) -> None:
    even, odd = (trades(0, 20).gather_every(2, offset) for offset in (0, 1))
    store(tmp_path, "a", odd)
    store(tmp_path, "b", even)
    assert scan(Tape(tmp_path)).equals(trades(0, 20))
    assert scan(Tape(tmp_path), ("seq",), from_ns=DAY + 3 * HOUR, to_ns=DAY + 7 * HOUR)["seq"].to_list() == [3, 4, 5, 6]


def test_overlapping_files_without_numbers_are_merged_by_the_recorders_clock(tmp_path: Path) -> None:
    whole = trades(0, 20, seq=False)
    store(tmp_path, "a", whole.gather_every(2, 1))
    store(tmp_path, "b", whole.gather_every(2, 0))
    assert scan(Tape(tmp_path)).equals(whole)


def test_files_in_a_row_keep_their_own_order(tmp_path: Path) -> None:
    """A row stamped back stays where the file had it; the next file begins where this one ends."""
    first, second = trades(0, 5), trades(5, 5)
    first = first.with_columns(ts_ns=pl.Series([DAY, DAY + 3 * NS_PER_S, DAY + 1, DAY + 2, DAY + 5 * NS_PER_S]))
    store(tmp_path, "b", second)
    store(tmp_path, "a", first)
    assert scan(Tape(tmp_path))["seq"].to_list() == list(range(10))


def test_levels_of_a_message_stay_in_order_when_files_are_merged(tmp_path: Path) -> None:
    stream = Stream("v", "S", "book_deltas")

    def messages(numbers: list[int]) -> pl.DataFrame:
        rows = [(DAY + n, n, SNAPSHOT, 1, 5.0 + k, 1.0) for n in numbers for k in range(3)]
        return BOOK_DELTAS.conform(
            pl.DataFrame(rows, orient="row", schema=["ts_ns", "seq", "flags", "side", "price", "size"])
        )

    store(tmp_path, "a", messages([1, 3, 5]), stream, BOOK_DELTAS)
    store(tmp_path, "b", messages([2, 3, 4]), stream, BOOK_DELTAS)
    merged = pl.concat(list(Tape(tmp_path).scan(stream)))
    assert merged.equals(messages([1, 2, 3, 4, 5]))


def test_other_tools_read_the_partitions(tape: Tape) -> None:
    table = ds.dataset(tape.root, format="parquet", partitioning="hive", exclude_invalid_files=True).to_table()
    assert table.num_rows == 60
    assert set(table.column("symbol").to_pylist()) == {"S"}
    lazy = pl.scan_parquet(tape.root / "**/*.parquet", hive_partitioning=True)
    assert lazy.filter(pl.col("venue") == "v").select("seq").collect()["seq"].sort().to_list() == list(range(60))


def test_scratch_files_are_hidden_from_other_tools(tape: Tape) -> None:
    writer = StreamWriter(tape.root, STREAM, "z" * 64, Door(TRADES))
    writer.add(trades(70, 5))
    for part in writer.parts:
        part.flush()
    assert list(tape.root.rglob("*.tmp"))
    assert ds.dataset(tape.root, format="parquet", partitioning="hive", exclude_invalid_files=True).count_rows() == 60
    assert len(scan(tape)) == 60


def test_what_the_manifest_does_not_list_does_not_exist(tape: Tape) -> None:
    stray = part_of(tape, 0).with_name("part-stray.parquet")
    trades(90, 3).write_parquet(stray)
    assert scan(tape).equals(trades(0, 60))


def test_parts_are_told_by_time_with_their_file(tape: Tape) -> None:
    parts = tape.parts(STREAM)
    assert [part.path.parent.name for part in parts] == ["date=2024-01-01", "date=2024-01-02", "date=2024-01-03"]
    assert [part.rows for part in parts] == [24, 24, 12]
    assert {part.source for part in parts} == {"a.csv"}
    assert [part.first_ns for part in parts] == [DAY, DAY + DAY_NS, DAY + 2 * DAY_NS]
    assert all(part.sha256 == sha256_of_file(part.path) for part in parts)


def test_streams_are_listed_and_bars_are_not(tape: Tape) -> None:
    store(tape.root, "b", trades(0, 1), Stream("u", "T", "trades"))
    bars = tape.root / "kind=bars_60s/venue=v/symbol=S"
    bars.mkdir(parents=True)
    (bars / "_manifest.json").write_text('{"files": {}}')
    assert tape.streams() == [Stream("u", "T", "trades"), STREAM]


def test_a_stream_that_is_not_there_names_the_others(tape: Tape) -> None:
    with pytest.raises(UnknownInstrumentError, match=r"symbol=X: is not in .* it holds kind=trades/venue=v/symbol=S"):
        list(tape.scan(Stream("v", "X", "trades")))
    with pytest.raises(UnknownInstrumentError, match="it holds nothing"):
        Tape(tape.root / "none").parts(STREAM)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b"])
def test_names_that_are_no_folders_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match="no name for a venue or symbol"):
        Stream("v", name, "trades")
    with pytest.raises(SettingError, match="no name for a venue or symbol"):
        Stream(name, "S", "trades")


def test_a_lost_part_is_named_with_its_file(tape: Tape) -> None:
    path = part_of(tape, 1)
    path.unlink()
    with pytest.raises(FormatError, match=rf"{path.name}: the manifest names this file but it is gone; import a\.csv"):
        list(tape.scan(STREAM))


def test_a_damaged_part_is_named_when_it_is_read(tape: Tape) -> None:
    part_of(tape, 2).write_bytes(b"PAR1 not really")
    frames = tape.scan(STREAM)
    assert [len(next(frames)), len(next(frames))] == [24, 24]
    with pytest.raises(FormatError, match=r"date=2024-01-03.* is damaged .*; import a\.csv again"):
        next(frames)


def changed_byte(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(bytes(whole))


def another_table(path: Path) -> None:
    pq.write_table(trades(0, 24).to_arrow(compat_level=pl.CompatLevel.oldest()), path)


@pytest.mark.parametrize("harm", [changed_byte, another_table])
def test_verifying_finds_every_change(harm: Callable[[Path], None], tape: Tape) -> None:
    tape.verify(STREAM)
    harm(part_of(tape, 0))
    with pytest.raises(FormatError, match=r"date=2024-01-01.* is not the file that was written; import a\.csv again"):
        tape.verify(STREAM)


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"files": 3, "sources": {}}', '{"files": {}}', "\x00"])
def test_a_damaged_manifest_is_named(content: str, tape: Tape) -> None:
    (tape.root / STREAM.folder / "_manifest.json").write_text(content)
    with pytest.raises(FormatError, match=r"manifest\.json: is damaged .*; delete .*symbol=S and import"):
        tape.parts(STREAM)


@pytest.mark.parametrize("entry", [{}, 3, {"source": "gone"}, {"rows": 1, "source": "gone"}])
def test_a_damaged_entry_of_a_manifest_is_named(entry: object, tape: Tape) -> None:
    path = tape.root / STREAM.folder / "_manifest.json"
    path.write_text(json.dumps({"files": {"date=2024-01-01/part.parquet": entry}, "sources": {}}))
    with pytest.raises(FormatError, match=r"manifest\.json: is damaged"):
        tape.parts(STREAM)


def test_a_folder_without_a_manifest_is_empty(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == {"files": {}, "sources": {}, "symbol": None}
