"""The store merges, skips what does not change, and never leaves half a file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from features.clock import DAY_NS, parse_utc
from features.errors import FormatError, SettingError, ShortHistoryError, TimeOrderError, UnknownInstrumentError
from features.files import written_whole
from features.sources import sample
from features.store import Series, Store

SERIES = sample.SERIES


@pytest.fixture
def frame(bars: pd.DataFrame) -> pd.DataFrame:
    return bars[bars["ts_ns"] < parse_utc("2020-03-05")].reset_index(drop=True)


def test_rows_come_back_and_a_second_import_changes_nothing(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.write(SERIES, frame) == 3
    before = store.fingerprint(SERIES)
    assert store.write(SERIES, frame) == 0
    assert store.fingerprint(SERIES) == before
    pd.testing.assert_frame_equal(store.scan(SERIES), frame)


def test_overlapping_imports_in_any_order_give_the_same_series(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(SERIES, frame.iloc[2000:])
    store.write(SERIES, frame.iloc[:2500])
    pd.testing.assert_frame_equal(store.scan(SERIES), frame)


def test_a_corrected_bar_replaces_the_old_one_and_the_fingerprint(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(SERIES, frame)
    before = store.fingerprint(SERIES)
    row = frame.iloc[[100]].assign(volume=7.0)
    assert store.write(SERIES, row) == 1
    assert store.scan(SERIES)["volume"].iloc[100] == 7.0
    assert store.fingerprint(SERIES) != before


def test_only_bars_closed_by_then_are_scanned(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(SERIES, frame)
    noon = parse_utc("2020-01-02T12:00")
    assert store.scan(SERIES, until_ns=noon)["ts_ns"].max() == noon - 900_000_000_000
    assert store.scan(SERIES, until_ns=noon - 1)["ts_ns"].max() == noon - 2 * 900_000_000_000


def test_other_tools_read_the_partitions(frame: pd.DataFrame, tmp_path: Path) -> None:
    Store(tmp_path).write(SERIES, frame)
    table = ds.dataset(tmp_path, format="parquet", partitioning="hive", exclude_invalid_files=True).to_table()
    assert table.num_rows == len(frame)
    assert set(table.column("symbol").to_pylist()) == {"BTCUSDT"}


def test_wrong_bars_leave_the_store_as_it_was(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(SERIES, frame)
    before = store.fingerprint(SERIES)
    with pytest.raises(TimeOrderError):
        store.write(SERIES, frame.iloc[::-1])
    assert store.fingerprint(SERIES) == before


def test_an_interrupted_import_is_mended_by_the_next(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, real, calls = Store(tmp_path), pq.write_table, []

    def dies_at_the_second_month(*args: object, **kwargs: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", dies_at_the_second_month)
        with pytest.raises(KeyboardInterrupt):
            store.write(SERIES, frame)
    assert not list(tmp_path.rglob("*.part"))
    store.write(SERIES, frame)
    pd.testing.assert_frame_equal(store.scan(SERIES), frame)


def test_an_interrupted_append_or_correction_is_mended_by_the_next(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts were replaced, the manifest was not: importing again must bring both together."""

    def dies(*_arguments: object) -> None:
        raise KeyboardInterrupt

    store = Store(tmp_path)
    store.write(SERIES, frame.head(1_000))
    corrected = frame.head(1_500).assign(volume=9.0)
    with monkeypatch.context() as patch:
        patch.setattr("features.store.write_json", dies)
        with pytest.raises(KeyboardInterrupt):
            store.write(SERIES, corrected)
    with pytest.raises(FormatError, match=r"hash differs.*; import the data again"):
        store.scan(SERIES)
    before = store.fingerprint(SERIES)
    assert store.write(SERIES, corrected) == 1
    pd.testing.assert_frame_equal(store.scan(SERIES), corrected)
    assert store.fingerprint(SERIES) != before


def test_a_lost_changed_or_damaged_file_is_named(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(SERIES, frame)
    part = tmp_path / SERIES.folder / "date=2020-02" / "part.parquet"
    frame.head(5).to_parquet(part)
    with pytest.raises(FormatError, match=r"date=2020-02.*hash differs"):
        store.scan(SERIES)
    part.write_bytes(b"PAR1 not really")
    with pytest.raises(FormatError, match=r"is damaged .*; delete it and import"):
        store.write(SERIES, frame)
    part.unlink()
    with pytest.raises(FormatError, match="gone; import the data again"):
        store.scan(SERIES)
    assert store.replace(SERIES, frame) > 0
    pd.testing.assert_frame_equal(store.scan(SERIES), frame)


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"files": 3}'])
def test_a_damaged_manifest_is_named_and_replaced(content: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(SERIES, frame)
    (tmp_path / SERIES.folder / "_manifest.json").write_text(content)
    with pytest.raises(FormatError, match=r"manifest\.json: is damaged"):
        store.scan(SERIES)


def test_bars_of_another_length_and_no_bars_are_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(TimeOrderError, match=r"row 1 .* off the grid of 3600 s"):
        store.write(Series("v", "X", 3_600), frame)
    with pytest.raises(ShortHistoryError, match="no rows"):
        store.write(SERIES, frame.head(0))
    assert store.list() == []


def test_a_fingerprint_names_its_series(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    other = Series("other", "AAA", 900)
    store.write(SERIES, frame)
    store.write(other, frame)
    assert store.fingerprint(SERIES) != store.fingerprint(other)


def test_unknown_instruments_name_the_known(store: Store) -> None:
    assert store.list() == [SERIES]
    with pytest.raises(UnknownInstrumentError, match=r"'DOGE'.*known: BTCUSDT"):
        store.find("DOGE")
    with pytest.raises(UnknownInstrumentError, match="no 60 s bars"):
        store.scan(Series("binance-spot", "BTCUSDT", 60))


def test_a_failed_block_keeps_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("old")

    def dies() -> None:
        with written_whole(path) as scratch:
            scratch.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        dies()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_with_the_next_of_the_same_path(tmp_path: Path) -> None:
    """Killed by a signal that nothing can catch; a live writer's, and another path's, stay."""
    path, other = tmp_path / "a[1].txt", tmp_path / "b.txt"
    code = (
        "import os, signal, sys; from pathlib import Path; from features.files import written_whole\n"
        "for name in sys.argv[1:]:\n"
        "    if os.fork() == 0:\n"
        "        with written_whole(Path(name)) as scratch:\n"
        "            scratch.mkdir(); (scratch / 'x').write_text('half')\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "    os.wait()\n"
    )
    subprocess.run([sys.executable, "-c", code, path, other], check=True)
    left = {kept.name[:4] for kept in tmp_path.glob(".*.part")}
    assert left == {".a[1", ".b.t"}
    with written_whole(path) as alive:
        alive.write_text("first")
        assert [kept.name for kept in tmp_path.glob(".a*.part")] == [alive.name]
        with written_whole(path) as second:
            second.write_text("second")
        assert (alive.read_text(), path.read_text()) == ("first", "second")
    assert path.read_text() == "first"
    assert {kept.name[:4] for kept in tmp_path.iterdir()} == {"a[1]", ".b.t"}


def test_replacing_leaves_the_given_bars_and_no_others(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.replace(SERIES, frame)
    assert store.replace(SERIES, frame) == 0
    store.replace(SERIES, frame.iloc[500:])
    pd.testing.assert_frame_equal(store.scan(SERIES), frame.iloc[500:].reset_index(drop=True))


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b"])
def test_names_that_are_no_folders_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match="no name for a venue or symbol"):
        Series("v", name, 900)


def test_one_symbol_of_two_venues_is_ambiguous(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(SERIES, frame)
    store.write(Series("other", "BTCUSDT", 900), frame)
    with pytest.raises(SettingError, match="keep one of them"):
        store.find("BTCUSDT")


def test_the_sample_spans_35_months(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.write(SERIES, sample.read()) == 35
    ts_ns = store.scan(SERIES)["ts_ns"].to_numpy()
    assert (np.diff(ts_ns) > 0).all()
    assert ts_ns[-1] - ts_ns[0] > 1_000 * DAY_NS
