"""CryptoChassis depth and trades, by lines written by hand."""

import gzip
from pathlib import Path

import pytest

from features.errors import SchemaError
from features.intake.batch import Batch, Options
from features.sources import cryptochassis
from tests.reading import frames, rejected

RAW = Path(__file__).parents[4] / "shared/data/raw/cryptochassis_csv"
DEPTH = "gemini__btc-usd__2022-01-02__market-depth.csv"
TRADE = "binance-coin-futures__btcusd_perp__2022-01-02__trade.csv.gz"
S = 1_000_000_000


def depth(folder: Path, *lines: str) -> Path:
    path = folder / DEPTH
    path.write_text("time_seconds,bid_price_bid_size,ask_price_ask_size\n" + "\n".join(lines) + "\n")
    return path


def trades(folder: Path, *lines: str) -> Path:
    path = folder / TRADE
    path.write_bytes(gzip.compress(("time_seconds,price,size,is_buyer_maker\n" + "\n".join(lines) + "\n").encode()))
    return path


def test_depth_of_one_level(tmp_path: Path) -> None:
    path = depth(tmp_path, "1641081600,100.5_2,101_0.25", "1641081601,,101_1e-05")
    book = frames(cryptochassis.read, path)["book_snapshots_1"]
    names = ("row", "venue", "symbol", "ts_ns", "local_ns", "seq", "bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0")
    assert str(book.select(names).rows()) == str(
        [
            (2, "gemini", "btc-usd", 1641081600 * S, 0, -1, 100.5, 2.0, 101.0, 0.25),
            (3, "gemini", "btc-usd", 1641081601 * S, 0, -1, float("nan"), float("nan"), 101.0, 0.00001),
        ]
    )


def test_depth_of_more_levels_is_as_deep_as_the_deepest(tmp_path: Path) -> None:
    path = depth(tmp_path, "1641081600,100_1|99_2,101_3", "1641081601,100_1,101_3|102_4|103_5")
    book = frames(cryptochassis.read, path)["book_snapshots_3"]
    assert book["bid_px_1"].to_list()[0] == 99.0
    assert book["ask_sz_2"].to_list()[1] == 5.0
    assert book["ask_px_1"].is_nan().to_list() == [True, False]


def test_depth_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = depth(
        tmp_path, "1641081600,100_1,101_1", "1641081601,100,101_1", "soon,100_1,101_1", "1641081603,100_1,101_x", "1,2"
    )
    assert frames(cryptochassis.read, path)["book_snapshots_1"]["row"].to_list() == [2]
    faults = rejected(cryptochassis.read, path)
    assert sorted(fault.row for fault in faults) == [3, 4, 5, 6]
    assert next(f.reason for f in faults if f.row == 5) == "ask_price_ask_size is '101_x', which cannot be read"


def test_a_row_deeper_than_all_of_the_first_block_is_told(tmp_path: Path) -> None:
    path = depth(tmp_path, *(f"{1641081600 + i},100_1,101_1" for i in range(400_000)), "1642081600,100_1|99_1,101_1")
    (fault,) = rejected(cryptochassis.read, path)
    assert fault.row == 400_002


def test_trades_tell_the_aggressor_and_keep_every_digit_of_time(tmp_path: Path) -> None:
    path = trades(
        tmp_path,
        "1641081600.123456789,100.5,2,0",
        "1641081600.5,100,1,1",
        "1641081601,100,1,true",
        "1641081602,100,1,False",
        "1641081603,100,1,maybe",
        "1641081604.x,100,1,0",
    )
    found = frames(cryptochassis.read, path)["trades"]
    assert found.select("row", "venue", "symbol", "ts_ns", "seq", "side", "price", "size").rows() == [
        (2, "binance-coin-futures", "btcusd_perp", 1641081600123456789, -1, 1, 100.5, 2.0),
        (3, "binance-coin-futures", "btcusd_perp", 1641081600500000000, -1, -1, 100.0, 1.0),
        (4, "binance-coin-futures", "btcusd_perp", 1641081601000000000, -1, -1, 100.0, 1.0),
        (5, "binance-coin-futures", "btcusd_perp", 1641081602000000000, -1, 1, 100.0, 1.0),
    ]
    assert sorted(fault.row for fault in rejected(cryptochassis.read, path)) == [6, 7]


def test_another_name_needs_a_symbol(tmp_path: Path) -> None:
    path = depth(tmp_path, "1641081600,100_1,101_1").rename(tmp_path / "depth.csv")
    with pytest.raises(SchemaError, match="--symbol"):
        frames(cryptochassis.read, path)
    (batch,) = (i for i in cryptochassis.read(path, Options(symbol="BTC-USD")) if isinstance(i, Batch))
    assert batch.frame["symbol"].to_list() == ["BTC-USD"]
    assert "venue" not in batch.frame.columns


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / DEPTH
    path.write_text("time,bid,ask\n1,2,3\n")
    with pytest.raises(SchemaError, match="no column time_seconds"):
        frames(cryptochassis.read, path)


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_files_give_every_line() -> None:
    book, trade = sorted(RAW.glob("*.csv"))
    snapshots = frames(cryptochassis.read, book)["book_snapshots_1"]
    lines = [line.split(",") for line in book.read_text().splitlines()[1:]]
    assert snapshots.select("ts_ns", "bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0").rows() == [
        (int(s) * S, *map(float, bid.split("_")), *map(float, ask.split("_"))) for s, bid, ask in lines
    ]
    trades = frames(cryptochassis.read, trade)["trades"]
    lines = [line.split(",") for line in trade.read_text().splitlines()[1:]]
    assert trades.select("price", "size", "side").rows() == [
        (float(p), float(q), -1 if maker == "1" else 1) for _, p, q, maker in lines
    ]
    assert (trades["ts_ns"] // 1_000_000).to_list() == [round(float(s) * 1000) for s, *_ in lines]
    assert not rejected(cryptochassis.read, book)
    assert not rejected(cryptochassis.read, trade)
