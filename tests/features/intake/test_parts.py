"""Parts of the tape: cut at midnight, without what other files gave, and without a trace where they fail."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.clock import DAY_NS, NS_PER_S, parse_utc
from features.errors import FormatError, OverlapError
from features.intake import parts
from features.intake.door import Door
from features.intake.parts import PartWriter, StreamWriter
from features.schema import FUNDING, ORDER_EVENTS, TRADES, Table
from features.tape import Stream, Tape

MIDNIGHT = parse_utc("2024-01-02")
S = NS_PER_S
FIRST, SECOND = "a" * 64, "b" * 64


def trades(times: Sequence[int], seqs: Sequence[int] | None = None) -> pl.DataFrame:
    seqs = range(len(times)) if seqs is None else seqs
    cells = {"ts_ns": list(times), "seq": list(seqs), "price": [5.0] * len(times), "size": [1.0] * len(times)}
    return TRADES.conform(pl.DataFrame(cells, schema_overrides={"ts_ns": pl.Int64, "seq": pl.Int64}))


def writer(root: Path, source: str = FIRST, table: Table = TRADES) -> StreamWriter:
    return StreamWriter(root, Stream("v", "S", table.kind), source, Door(table))


def bring(root: Path, source: str, *batches: pl.DataFrame, table: Table = TRADES) -> StreamWriter:
    """One file's way in."""
    bringing = writer(root, source, table)
    for batch in batches:
        bringing.add(batch)
    for part in bringing.parts:
        part.close()
    bringing.commit(f"{source[0]}.csv")
    return bringing


def stored(root: Path, table: Table = TRADES) -> pl.DataFrame:
    return pl.concat(list(Tape(root).scan(Stream("v", "S", table.kind))))


def dates(root: Path) -> dict[str, list[int]]:
    return {
        path.parent.name.removeprefix("date="): pq.read_table(path, partitioning=None)["seq"].to_pylist()
        for path in sorted(root.rglob("*.parquet"))
    }


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_midnight_cuts_but_does_not_reorder(
    tmp_path_factory: pytest.TempPathFactory, seconds: list[int], size: int
) -> None:
    """Rows that step back stay with their neighbours, however the rows come in batches."""
    root = tmp_path_factory.mktemp("tape")
    frame = trades([MIDNIGHT + s * S for s in seconds])
    bring(root, FIRST, *(frame.slice(at, size) for at in range(0, len(frame), size)))
    after = next((i for i, s in enumerate(seconds) if s >= 0), len(seconds))
    expected = {"2024-01-01": list(range(after)), "2024-01-02": list(range(after, len(seconds)))}
    assert dates(root) == {date: rows for date, rows in expected.items() if rows}
    assert stored(root).equals(frame)


def test_rates_are_cut_by_month(tmp_path: Path) -> None:
    cells = {"ts_ns": [parse_utc(day) for day in ("2024-01-31", "2024-02-01", "2024-02-29", "2024-03-01")]}
    frame = FUNDING.conform(pl.DataFrame(cells).with_columns(rate=pl.lit(0.1)))
    bring(tmp_path, FIRST, frame, table=FUNDING)
    assert sorted(path.parent.name for path in tmp_path.rglob("*.parquet")) == [
        "date=2024-01", "date=2024-02", "date=2024-03",
    ]  # fmt: skip
    assert stored(tmp_path, FUNDING).equals(frame)


def test_known_rows_of_other_files_are_left_out(tmp_path: Path) -> None:
    bring(tmp_path, FIRST, trades([MIDNIGHT + i * S for i in range(5)]))
    later = bring(tmp_path, SECOND, trades([MIDNIGHT + i * S for i in range(3, 8)], range(3, 8)))
    assert later.known == 2
    assert stored(tmp_path)["seq"].to_list() == list(range(8))


def test_rows_known_under_another_day_are_left_out_too(tmp_path: Path) -> None:
    """A trade stamped a little back at midnight lies with the next day in one file and with its own in another."""
    bring(tmp_path, FIRST, trades([MIDNIGHT - S, MIDNIGHT + S, MIDNIGHT - 1, MIDNIGHT + 2 * S], [1, 2, 3, 4]))
    later = bring(tmp_path, SECOND, trades([MIDNIGHT - 1, MIDNIGHT + 2 * S, MIDNIGHT + 3 * S], [3, 4, 5]))
    assert later.known == 2
    assert sorted(stored(tmp_path)["seq"].to_list()) == [1, 2, 3, 4, 5]


def test_trades_are_told_apart_by_id_where_they_have_no_number(tmp_path: Path) -> None:
    frame = trades([MIDNIGHT, MIDNIGHT + S], [-1, -1])
    bring(tmp_path, FIRST, frame.with_columns(id=pl.Series(["x", "y"])))
    later = bring(tmp_path, SECOND, frame.with_columns(id=pl.Series(["y", "z"])))
    assert (later.known, stored(tmp_path)["id"].to_list()) == (1, ["x", "y", "z"])


def test_the_same_file_replaces_its_own_parts(tmp_path: Path) -> None:
    bring(tmp_path, FIRST, trades([MIDNIGHT - S, MIDNIGHT]))
    again = bring(tmp_path, FIRST, trades([MIDNIGHT, MIDNIGHT + S]))
    assert again.known == 0
    assert stored(tmp_path)["ts_ns"].to_list() == [MIDNIGHT, MIDNIGHT + S]
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


@pytest.mark.parametrize(
    ("second", "refused"),
    [((5, 9), True), ((0, 3), True), ((2, 3), True), ((4, 4), True), ((10, 12), True), ((11, 12), False)],
)
def test_rows_without_a_number_may_not_overlap_another_files(
    second: tuple[int, int], refused: bool, tmp_path: Path
) -> None:
    def orders(*seconds: int) -> pl.DataFrame:
        frame = pl.DataFrame({"ts_ns": [MIDNIGHT + s * S for s in seconds]})
        return ORDER_EVENTS.conform(frame.with_columns(order_id=1, action=1, side=1, price=5.0, size=1.0))

    bring(tmp_path, FIRST, orders(1, 10), table=ORDER_EVENTS)
    bringing = writer(tmp_path, SECOND, ORDER_EVENTS)
    bringing.add(orders(*second))
    if refused:
        with pytest.raises(OverlapError, match=r"same stretch from a\.csv"):
            bringing.refuse_overlap()
    else:
        bringing.refuse_overlap()


def test_a_row_group_is_written_as_soon_as_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROW_GROUP", 10)
    frame = trades([MIDNIGHT + i for i in range(35)])
    bring(tmp_path, FIRST, *(frame.slice(at, 4) for at in range(0, 35, 4)))
    (path,) = tmp_path.rglob("*.parquet")
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [12, 12, 11]
    assert stored(tmp_path).equals(frame)


def test_the_manifest_tells_rows_span_and_hash(tmp_path: Path) -> None:
    bring(tmp_path, FIRST, trades([MIDNIGHT + 2, MIDNIGHT, MIDNIGHT + 1]))
    manifest = json.loads(next(tmp_path.rglob("_manifest.json")).read_text())
    (entry,) = manifest["files"].values()
    assert (entry["rows"], entry["first_ns"], entry["last_ns"]) == (3, MIDNIGHT, MIDNIGHT + 2)
    assert (entry["source"], manifest["sources"]) == (FIRST, {FIRST: {"file": "a.csv"}})
    Tape(tmp_path).verify(Stream("v", "S", "trades"))


def test_numbers_of_64_bits_and_times_survive(tmp_path: Path) -> None:
    frame = trades([MIDNIGHT, MIDNIGHT + DAY_NS - 1], [2**63 - 1, -1])
    bring(tmp_path, FIRST, frame)
    assert stored(tmp_path).equals(frame)


def test_scratch_files_are_hidden_and_gone_after_a_failure(tmp_path: Path) -> None:
    part = PartWriter(tmp_path / "date=2024-01-02" / "part.parquet")
    part.add(trades([MIDNIGHT]))
    part.flush()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f".part.parquet.{os.getpid()}.tmp"]
    part.discard()
    part.discard()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_damaged_manifest_stops_the_import_before_anything_is_written(tmp_path: Path) -> None:
    bring(tmp_path, FIRST, trades([MIDNIGHT]))
    manifest = next(tmp_path.rglob("_manifest.json"))
    manifest.write_text("{")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FormatError, match=r"manifest\.json: is damaged"):
        bring(tmp_path, SECOND, trades([MIDNIGHT + S]))
    assert sorted(tmp_path.rglob("*")) == before
