"""Hyperliquid sockets, by lines written by hand."""

import gzip
import json
from pathlib import Path

import pytest

from features.sources import hyperliquid
from tests.reading import frames, rejected

RAW = Path(__file__).parents[4] / "shared/data/raw/hftbacktest_raw_ws/hyperliquid_btcusd_20250126.gz"
BOOK = '{"channel":"l2Book","data":{"coin":"ABC","time":1700000000190,"levels":[[{"px":"100","sz":"1.5","n":2},{"px":"99.5","sz":"4","n":1}],[{"px":"101","sz":"2","n":1}]]}}'
LINES = f"""\
1700000000100000000 {{"channel":"subscriptionResponse","data":{{"method":"subscribe"}}}}
1700000000200000000 {BOOK}
1700000000210000000 {BOOK}
1700000000300000000 {BOOK.replace("190", "290")}
1700000000400000000 {{"channel":"bbo","data":{{"coin":"ABC","time":1700000000390,"bbo":[{{"px":"100","sz":"1","n":1}},null]}}}}
1700000000500000000 {{"channel":"trades","data":[{{"coin":"ABC","side":"A","px":"100","sz":"0.5","time":1700000000490,"hash":"0x0","tid":77,"users":["0x1","0x2"]}},{{"coin":"ABC","side":"B","px":"101","sz":"0.1","time":1700000000480,"hash":"0x0","tid":99}}]}}
1700000000600000000 {{"channel":"activeAssetCtx","data":{{"coin":"ABC","ctx":{{"funding":"0.0000125","openInterest":"688.11","markPx":"100.4","oraclePx":"100.5","midPx":"100.5"}}}}}}
1700000000700000000 {{"channel":"activeSpotAssetCtx","data":{{"coin":"@1","ctx":{{"markPx":"1","circulatingSupply":"2"}}}}}}
1700000000800000000 {{"channel":"activeAssetCtx","data":{{"coin":"@1","ctx":{{"markPx":"1"}}}}}}
1700000000900000000 {{"channel":"trades","data":[{{"coin":"ABC","side":"A","px":"100","time":1700000000490,"tid":78}}]}}
{{"channel":"activeAssetCtx","data":{{"coin":"ABC","ctx":{{"funding":"0.1","openInterest":"6"}}}}}}
"""


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "abc.txt"
    path.write_text(LINES)
    return path


def test_a_book_is_told_once_and_whole(capture: Path) -> None:
    tables = frames(hyperliquid.read, capture)
    book = tables["book_snapshots_20"].fill_nan(None)
    columns = ("row", "symbol", "ts_ns", "local_ns", "bid_px_1", "bid_sz_1", "ask_px_0", "ask_sz_0", "ask_px_1")
    assert book.select(columns).rows() == [
        (2, "ABC", 1_700_000_000_190_000_000, 1_700_000_000_200_000_000, 99.5, 4.0, 101.0, 2.0, None),
        (4, "ABC", 1_700_000_000_290_000_000, 1_700_000_000_300_000_000, 99.5, 4.0, 101.0, 2.0, None),
    ]
    quote = tables["book_snapshots_1"].fill_nan(None)
    assert quote.select("bid_px_0", "bid_sz_0", "ask_px_0").rows() == [(100.0, 1.0, None)]


def test_trades_come_oldest_first_under_their_hash(capture: Path) -> None:
    trades = frames(hyperliquid.read, capture)["trades"]
    assert trades.select("ts_ns", "seq", "id", "side", "price", "size").rows() == [
        (1_700_000_000_480_000_000, -1, "99", 1, 101.0, 0.1),
        (1_700_000_000_490_000_000, -1, "77", -1, 100.0, 0.5),
    ]


def test_the_context_has_the_time_of_receipt(capture: Path) -> None:
    tables = frames(hyperliquid.read, capture)
    columns = ("ts_ns", "rate", "interval_s", "mark_price", "index_price")
    assert tables["funding"].select(columns).rows() == [(1_700_000_000_600_000_000, 0.0000125, 3600, 100.4, 100.5)]
    assert tables["open_interest"]["open_interest"].to_list() == [688.11]


def test_what_cannot_be_read_is_told_with_its_line(capture: Path) -> None:
    faults = rejected(hyperliquid.read, capture)
    assert [fault.row for fault in faults] == [10, 11]
    assert "'sz'" in faults[0].reason
    assert "no time" in faults[1].reason


def test_a_file_of_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "ABC"
    path.write_text(f'{{"time":"2023-11-14T22:13:20.500000001","ver_num":1,"raw":{BOOK}}}\n')
    book = frames(hyperliquid.read, path)["book_snapshots_20"]
    assert book.select("ts_ns", "local_ns").rows() == [(1_700_000_000_190_000_000, 1_700_000_000_500_000_001)]


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_capture_gives_every_trade_and_every_book_once() -> None:
    tables = frames(hyperliquid.read, RAW)
    messages = [json.loads(line.split(" ", 1)[1]) for line in gzip.decompress(RAW.read_bytes()).decode().splitlines()]
    books = [m["data"] for m in messages if m["channel"] == "l2Book"]
    trades = [t for m in messages if m["channel"] == "trades" for t in m["data"]]
    assert (len(books), len(trades)) == (46, 64)
    table = tables["book_snapshots_20"]
    assert len(table) == 45 == len({book["time"] for book in books})  # one is sent twice
    for row, book in zip(table.rows(named=True), books[1:], strict=True):
        for side, levels in zip(("bid", "ask"), book["levels"], strict=True):
            assert [row[f"{side}_px_{i}"] for i in range(20)] == [float(level["px"]) for level in levels]
            assert [row[f"{side}_sz_{i}"] for i in range(20)] == [float(level["sz"]) for level in levels]
    signs = {"B": 1, "A": -1}
    assert tables["trades"].select("id", "side", "price", "size").rows() == [
        (str(t["tid"]), signs[t["side"]], float(t["px"]), float(t["sz"])) for t in trades
    ]
