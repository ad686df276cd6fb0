"""Stored events to files of books and to stored bars."""

from pathlib import Path

import polars as pl
import pytest

from features.clock import NS_PER_S, parse_utc
from features.errors import SettingError, UnknownInstrumentError
from features.importing import Request, import_file
from features.rebuilding import store_bars, write_books
from features.store import Store

START_US = parse_utc("2024-03-01") // 1_000
HEAD = "exchange,symbol,timestamp,local_timestamp"
BOOK = f"""{HEAD},is_snapshot,side,price,amount
v,S,{START_US + 500_000},{START_US + 500_000},true,bid,100,1
v,S,{START_US + 500_000},{START_US + 500_000},true,ask,101,2
v,S,{START_US + 1_200_000},{START_US + 1_200_000},false,bid,100.5,3
v,S,{START_US + 3_000_000},{START_US + 3_000_000},false,bid,100.5,0
"""
TRADES = f"""{HEAD},id,side,price,amount
v,S,{START_US},{START_US},1,buy,100,1
v,S,{START_US + 9_000_000},{START_US + 9_000_000},2,sell,102,2
v,S,{START_US + 31_000_000},{START_US + 31_000_000},3,buy,101,1
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for name, text in (("book.csv", BOOK), ("trades.csv", TRADES)):
        (tmp_path / name).write_text(text)
        import_file(tmp_path / name, tmp_path / "store", Request("tardis"), lambda _: None)
    return tmp_path / "store"


def test_books_are_written_on_the_grid(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "books.parquet"
    stats, rows = write_books(store, None, "S", out, 1.0, 2, 1.0, "ts_ns", lambda _: None)
    frame = pl.read_parquet(out)
    start_ns = START_US * 1_000
    assert frame["ts_ns"].to_list() == [start_ns + i * NS_PER_S for i in (1, 2, 3)]
    assert frame["bid_px_0"].to_list() == [100, 100.5, 100]
    assert (stats.events, stats.snapshots, rows) == (4, 1, 3)


def test_bars_of_trades_are_stored(store: Path) -> None:
    series, rows = store_bars(store, "v", "S", 10, lambda _: None)
    frame = Store(store).scan(series)
    assert rows == 2
    assert frame["close"].to_list() == [102, 101]
    assert frame["buy_volume"].to_list() == [1, 1]


def test_what_is_not_there_is_told_with_what_is(store: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownInstrumentError, match="v/S"):
        store_bars(store, None, "X", 10, lambda _: None)
    with pytest.raises(SettingError, match="choose a smaller --every"):
        write_books(store, None, "S", tmp_path / "b.parquet", 3_600.0, 2, 1.0, "ts_ns", lambda _: None)
    assert not (tmp_path / "b.parquet").exists()
    (tmp_path / "other.csv").write_text(TRADES.replace("v,S", "w,S"))
    import_file(tmp_path / "other.csv", store, Request("tardis"), lambda _: None)
    with pytest.raises(SettingError, match="--venue"):
        store_bars(store, None, "S", 10, lambda _: None)
