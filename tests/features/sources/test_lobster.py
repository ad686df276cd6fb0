"""LOBSTER files, by lines written by hand."""

from pathlib import Path

import pytest

from features.errors import FormatError, SchemaError
from features.intake.batch import Note, Options
from features.intake.units import iso_ns
from features.schema import ADD, DELETE, FILL, HALT, HIDDEN, REDUCE
from features.sources import lobster
from tests.reading import frames, rejected

RAW = Path(__file__).parents[4] / "shared/data/raw/lobster"
STEM = "XYZ_2019-01-15_34200000_57600000"
OPENING = iso_ns("2019-01-15T14:30:00Z")
MESSAGES = """\
34200.000000001,1,11,100,1005000,1
34200.5,2,11,30,1005000,1
34201.25,4,11,20,1005000,1
34201.25,5,0,7,1005500,-1
34202,3,11,50,1005000,1
34203,6,-1,400,1004000,-1
34204,7,0,0,-1,-1
34205,1,12,5,1006000,-1
"""
BOOKS = """\
1006000,5,1005000,100,9999999999,0,-9999999999,0
1006000,5,1005000,70,9999999999,0,-9999999999,0
1006000,5,1005000,50,1007000,9,1004000,8
"""


def _file(folder: Path, kind: str, text: str, ending: str = "2.csv") -> Path:
    path = folder / f"{STEM}_{kind}_{ending}"
    path.write_text(text)
    return path


def _notes(path: Path) -> list[str]:
    return [item.text for item in lobster.read(path, Options()) if isinstance(item, Note)]


def test_messages_become_order_events(tmp_path: Path) -> None:
    events = frames(lobster.read, _file(tmp_path, "message", MESSAGES))["order_events"]
    assert events.select("row", "action", "order_id", "side", "price", "size").fill_nan(None).rows() == [
        (1, ADD, 11, 1, 100.5, 100.0),
        (2, REDUCE, 11, 1, 100.5, 30.0),
        (3, FILL, 11, 1, 100.5, 20.0),
        (4, HIDDEN, 0, -1, 100.55, 7.0),
        (5, DELETE, 11, 1, 100.5, 50.0),
        (7, HALT, 0, 0, None, -1.0),
        (8, ADD, 12, -1, 100.6, 5.0),
    ]
    assert (events["symbol"][0], events["ts_ns"][0] - OPENING) == ("XYZ", 1)


def test_executions_become_trades_of_the_other_side(tmp_path: Path) -> None:
    trades = frames(lobster.read, _file(tmp_path, "message", MESSAGES))["trades"]
    assert trades.select("row", "ts_ns", "side", "price", "size").rows() == [
        (3, OPENING + 1_250_000_000, -1, 100.5, 20.0),
        (4, OPENING + 1_250_000_000, 1, 100.55, 7.0),
        (6, OPENING + 3_000_000_000, 0, 100.4, 400.0),
    ]


def test_summer_time_and_a_column_of_participants(tmp_path: Path) -> None:
    path = tmp_path / "XYZ_2019-07-15_34200000_57600000_message_5.csv"
    path.write_text("34200,1,11,100,1005000,1,null\n")
    events = frames(lobster.read, path, Options(symbol="XYZ.O"))["order_events"]
    assert events.select("symbol", "ts_ns").rows() == [("XYZ.O", iso_ns("2019-07-15T13:30:00Z"))]


def test_messages_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    lines = ["34200,1,11,100,1005000,1", "34200,9,11,100,1005000,1", "34200,1,11,100,1005000,0"]
    lines += ["34200,1,11,,1005000,1", "34200,1,eleven,100,1005000,1", "34200,1,11", "34201,3,11,100,1005000,1"]
    path = _file(tmp_path, "message", "\n".join(lines))
    assert frames(lobster.read, path)["order_events"]["row"].to_list() == [1, 7]
    assert sorted(fault.row for fault in rejected(lobster.read, path)) == [2, 3, 4, 5, 6]


def test_books_alone_have_an_order_but_no_times(tmp_path: Path) -> None:
    path = _file(tmp_path, "orderbook", BOOKS + "1006000,,1005000,50,1007000,9,1004000,8\n", "2.part.csv")
    books = frames(lobster.read, path)["book_snapshots_2"]
    columns = ("ask_px_0", "ask_sz_0", "bid_px_0", "bid_sz_0", "ask_px_1", "ask_sz_1", "bid_px_1", "bid_sz_1")
    assert books.select("row", "seq", *columns).fill_nan(None).rows() == [
        (1, 1, 100.6, 5.0, 100.5, 100.0, None, None, None, None),
        (2, 2, 100.6, 5.0, 100.5, 70.0, None, None, None, None),
        (3, 3, 100.6, 5.0, 100.5, 50.0, 100.7, 9.0, 100.4, 8.0),
    ]
    assert books["ts_ns"].unique().to_list() == [OPENING]
    assert f"no {STEM}_message_2.part.csv lies beside it; only the order" in _notes(path)[0]
    assert [fault.row for fault in rejected(lobster.read, path)] == [4]


def test_books_take_the_times_of_the_messages_beside_them(tmp_path: Path) -> None:
    path = _file(tmp_path, "orderbook", BOOKS)
    _file(tmp_path, "message", "".join(MESSAGES.splitlines(keepends=True)[:3]))
    books = frames(lobster.read, path)["book_snapshots_2"]
    assert (books["ts_ns"] - OPENING).to_list() == [1, 500_000_000, 1_250_000_000]
    assert not _notes(path)


def test_messages_of_another_length_give_no_times(tmp_path: Path) -> None:
    path = _file(tmp_path, "orderbook", BOOKS)
    _file(tmp_path, "message", MESSAGES)
    assert frames(lobster.read, path)["book_snapshots_2"]["ts_ns"].unique().to_list() == [OPENING]
    assert "has 8 lines with a time where the book has 3" in _notes(path)[0]


def test_other_names_and_other_columns_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "books.csv"
    other.write_text(BOOKS)
    with pytest.raises(FormatError, match="not named TICKER_DATE"):
        lobster.read(other, Options())
    with pytest.raises(FormatError, match="8 columns, where a book of 1 levels has 4"):
        lobster.read(_file(tmp_path, "orderbook", BOOKS, "1.csv"), Options())
    with pytest.raises(SchemaError, match="8 columns; a message file has time, type"):
        lobster.read(_file(tmp_path, "message", BOOKS), Options())


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_books_are_read_row_by_row() -> None:
    (path,) = RAW.glob("*_orderbook_1.*")
    books = frames(lobster.read, path)["book_snapshots_1"]
    cells = [line.split(",") for line in path.read_text().split()]
    assert len(books) == len(cells)
    for name, column in zip(("ask_px_0", "ask_sz_0", "bid_px_0", "bid_sz_0"), range(4), strict=True):
        scale = 10_000 if "px" in name else 1
        assert books[name].to_list() == [int(row[column]) / scale for row in cells]
    assert (books["bid_px_0"] < books["ask_px_0"]).all()
    assert not rejected(lobster.read, path)
