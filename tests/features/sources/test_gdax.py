"""GDAX level-2 CSV, by lines written by hand."""

from pathlib import Path

import polars as pl
import pytest

from features.errors import FormatError, SchemaError
from features.intake.batch import Note, Options
from features.intake.units import iso_ns
from features.sources import gdax
from tests.reading import frames, rejected
from tests.replay import best_bids

RAW = Path(__file__).parents[4] / "shared/data/raw/gdax_l2update_csv"
BTC = Options(symbol="BTC-USD")
UPDATES = """\
side,price,size,time
buy,100.5,3,2018-01-02T00:00:00.250Z
sell,101,0.0,2018-01-02T00:00:01.000Z
hold,101,1,2018-01-02T00:00:01.000Z
sell,101,1,yesterday
sell,101,one,2018-01-02T00:00:01.000Z
sell,102,,2018-01-02T00:00:01.000Z
buy,99,4,2018-01-02T00:00:02.000Z
"""
T0 = iso_ns("2018-01-02T00:00:00.250Z")


@pytest.fixture
def updates(tmp_path: Path) -> Path:
    path = tmp_path / "l2update_1.csv"
    path.write_text(UPDATES)
    return path


def _add_snapshots(folder: Path, price: str = "102") -> None:
    (folder / "snapshot_bids.csv").write_text("side,price,size\nbuy,100,1.5\nbuy,99,2\n")
    (folder / "snapshot_asks.csv").write_text(f"side,price,size\nsell,101,2.5\nsell,{price},1\n")


def _notes(path: Path) -> list[str]:
    return [item.text for item in gdax.read(path, BTC) if isinstance(item, Note)]


def test_the_snapshots_beside_come_first_with_the_time_of_the_first_update(updates: Path) -> None:
    _add_snapshots(updates.parent)
    book = frames(gdax.read, updates, BTC)["book_deltas"]
    assert book.select("symbol").unique().item() == "BTC-USD"
    assert book.select("row", "ts_ns", "flags", "side", "price", "size").rows() == [
        (0, T0, 3, 1, 100.0, 1.5),
        (0, T0, 1, 1, 99.0, 2.0),
        (0, T0, 1, -1, 101.0, 2.5),
        (0, T0, 1, -1, 102.0, 1.0),
        (2, T0, 0, 1, 100.5, 3.0),
        (3, iso_ns("2018-01-02T00:00:01Z"), 0, -1, 101.0, 0.0),
        (8, iso_ns("2018-01-02T00:00:02Z"), 0, 1, 99.0, 4.0),
    ]
    assert "stamped with that of the first update" in _notes(updates)[0]


def test_lines_that_cannot_be_read_are_told_with_their_file(updates: Path) -> None:
    _add_snapshots(updates.parent, "nothing")
    faults = [(fault.row, fault.reason) for fault in rejected(gdax.read, updates, BTC)]
    assert sorted(row for row, _ in faults) == [1, 4, 5, 6, 7]
    assert [reason.startswith("snapshot_asks.csv: row 3: ") for row, reason in faults if row == 1] == [True]


def test_a_line_that_cannot_be_read_leaves_the_book_void(updates: Path) -> None:
    bids = "".join(f"buy,{price},1\n" for price in range(80, 100))
    (updates.parent / "snapshot_bids.csv").write_text(f"side,price,size\n{bids}")
    (updates.parent / "snapshot_asks.csv").write_text("side,price,size\nsell,101,2.5\n")
    assert best_bids("gdax", updates, updates.parent / "store", "BTC-USD") == [100.5, 100.5, None]


def test_snapshots_with_a_line_that_cannot_be_read_are_left_out(updates: Path) -> None:
    _add_snapshots(updates.parent, "nothing")
    assert best_bids("gdax", updates, updates.parent / "store", "BTC-USD") == [None, None, None]


def test_without_both_snapshots_there_are_updates_only(updates: Path) -> None:
    _add_snapshots(updates.parent)
    (updates.parent / "snapshot_asks.csv").unlink()
    assert frames(gdax.read, updates, BTC)["book_deltas"]["flags"].to_list() == [0, 0, 0]
    assert "only snapshot_bids.csv" in _notes(updates)[0]


def test_a_later_file_of_updates_does_not_begin_with_the_snapshots(updates: Path) -> None:
    _add_snapshots(updates.parent)
    later = updates.with_name("l2update_2.csv")
    later.write_text("side,price,size,time\nbuy,99,1,2018-01-02T00:15:00.000Z\n")
    assert frames(gdax.read, later, BTC)["book_deltas"]["flags"].to_list() == [0]
    assert "belong to l2update_1.csv" in _notes(later)[0]
    assert frames(gdax.read, updates, BTC)["book_deltas"]["flags"].to_list()[0] == 3


def test_a_snapshot_alone_or_an_unnamed_instrument_is_refused(updates: Path) -> None:
    _add_snapshots(updates.parent)
    with pytest.raises(FormatError, match="name the l2update file; the snapshots beside it are read with it"):
        gdax.read(updates.parent / "snapshot_asks.csv", BTC)
    with pytest.raises(SchemaError, match="--symbol"):
        gdax.read(updates, Options())
    updates.write_text("side,price,time\n")
    with pytest.raises(SchemaError, match="no column size"):
        gdax.read(updates, BTC)


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_files_give_every_level_and_a_book_that_does_not_cross() -> None:
    path = RAW / "l2update_15min_1.csv"
    book = frames(gdax.read, path, BTC)["book_deltas"]
    lines = {file.name: file.read_text().split() for file in RAW.glob("*.csv")}
    assert len(book) == sum(len(rows) - 1 for rows in lines.values())
    assert book["ts_ns"].is_sorted()
    assert [f"{p}" for p in book["price"].tail(100)] == [f"{float(r.split(',')[1])}" for r in lines[path.name][-100:]]
    assert not rejected(gdax.read, path, BTC)
    last = book.unique(["side", "price"], keep="last").filter(pl.col("size") > 0)
    bid, ask = (last.filter(pl.col("side") == side)["price"] for side in (1, -1))
    assert (bid.max(), ask.min()) == (9214.98, 9214.99)
