"""Bybit sockets and archives, by lines written by hand."""

import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from features.intake.batch import Note, Options
from features.sources import bybit
from tests.reading import frames, rejected
from tests.replay import best_bids

RAW = Path(__file__).parents[4] / "shared/data/raw"
SOCKET, ARCHIVE = RAW / "cryptofeed_raw_ws/BYBIT.ws.25.0", RAW / "bybit_ob500/xrpusdt-ob500.data.zip"
V5 = """\
{"success":true,"ret_msg":"","op":"subscribe"}
{"topic":"orderbook.50.ABCUSDT","type":"snapshot","ts":1700000000200,"data":{"s":"ABCUSDT","b":[["100","1.5"],["99.5","4"]],"a":[["101","2"]],"u":40,"seq":900},"cts":1700000000190}
{"topic":"orderbook.50.ABCUSDT","type":"delta","ts":1700000000220,"data":{"s":"ABCUSDT","b":[["99.5","0"]],"a":[["101","3"]],"u":41,"seq":905},"cts":1700000000215}
{"topic":"orderbook.500.ABCUSDT","type":"snapshot","ts":1700000000230,"data":{"s":"ABCUSDT","b":[["100","1.5"]],"a":[],"u":7,"seq":906}}
{"topic":"orderbook.50.ABCUSDT","type":"delta","ts":1700000000240,"data":{"s":"ABCUSDT","b":[["98","1"]],"a":[],"u":1,"seq":910}}
{"topic":"orderbook.1.ABCUSDT","type":"snapshot","ts":1700000000250,"data":{"s":"ABCUSDT","b":[["100","1"]],"a":[["101","2"]],"u":5,"seq":1}}
{"topic":"orderbook.1.ABCUSDT","type":"delta","ts":1700000000260,"data":{"s":"ABCUSDT","b":[],"a":[["101","0"],["102","7"]],"u":6,"seq":2}}
{"topic":"publicTrade.ABCUSDT","type":"snapshot","ts":1700000000305,"data":[{"T":1700000000300,"s":"ABCUSDT","S":"Sell","v":"0.5","p":"100","L":"MinusTick","i":"aa-1","BT":false}]}
{"topic":"publicTrade.ABCUSDT","type":"snapshot","ts":1700000000305,"data":[{"T":1700000000300,"s":"ABCUSDT","S":"Sell","p":"100","i":"aa-2"}]}
{"topic":"tickers.ABCUSDT","type":"snapshot","ts":1700000000400,"data":{"symbol":"ABCUSDT","lastPrice":"100.5","markPrice":"100.6","indexPrice":"100.7","openInterest":"5000","openInterestValue":"503000","nextFundingTime":"1700006400000","fundingRate":"0.0001","bid1Price":"100"}}
{"topic":"tickers.ABCUSDT","type":"delta","ts":1700000000500,"data":{"symbol":"ABCUSDT","bid1Price":"100.1"}}
{"topic":"tickers.ABCUSDT","type":"delta","ts":1700000000600,"data":{"symbol":"ABCUSDT","markPrice":"100.8"}}
{"topic":"tickers.ABCUSDT","type":"delta","ts":1700000000700,"data":{"symbol":"ABCUSDT","openInterest":"5001"}}
{"topic":"tickers.ABC-SPOT","type":"snapshot","ts":1700000000700,"data":{"symbol":"ABC-SPOT","lastPrice":"100"}}
{"topic":"liquidation.ABCUSDT","type":"snapshot","ts":1700000000800,"data":{"updatedTime":1700000000790,"symbol":"ABCUSDT","side":"Buy","size":"3","price":"99"}}
{"topic":"allLiquidation.ABCUSDT","type":"snapshot","ts":1700000000900,"data":[{"T":1700000000890,"s":"ABCUSDT","S":"Sell","v":"4","p":"103"}]}
"""
V2 = """\
1600000000.1: {"topic":"orderBookL2_25.ABCUSD","type":"snapshot","data":[{"price":"100.5","symbol":"ABCUSD","id":1005000,"side":"Sell","size":7},{"price":"100","symbol":"ABCUSD","id":1000000,"side":"Buy","size":9}],"cross_seq":70,"timestamp_e6":1600000000050000}
1600000000.2: {"topic":"orderBookL2_25.ABCUSD","type":"delta","data":{"delete":[{"price":"100.5","symbol":"ABCUSD","id":1005000,"side":"Sell"}],"update":[{"price":"100","symbol":"ABCUSD","id":1000000,"side":"Buy","size":5}],"insert":[{"price":"101","symbol":"ABCUSD","id":1010000,"side":"Sell","size":2}],"transactTimeE6":0},"cross_seq":75,"timestamp_e6":1600000000150000}
1600000000.3: {"topic":"orderBookL2_25.ABCUSD","type":"delta","data":{"delete":[],"update":[{"price":"100","side":"Buy"}],"insert":[]},"cross_seq":76,"timestamp_e6":1600000000250000}
1600000000.4: {"topic":"orderBookL2_25.ABCUSD","type":"delta","data":{"delete":[],"update":[],"insert":[{"price":"99","side":"Buy","size":1}]},"cross_seq":80,"timestamp_e6":1600000000350000}
1600000000.5: {"topic":"orderBookL2_25.ABCUSD","ty
1600000000.6: {"topic":"orderBook_200.100ms.XYZUSDT","type":"snapshot","data":{"order_book":[{"price":"7","symbol":"XYZUSDT","id":"70","side":"Buy","size":1.5}]},"cross_seq":"81","timestamp_e6":"1600000000550000"}
1600000000.7: {"topic":"orderBookL2_25.ABCUSD","type":"delta","data":{"delete":[],"update":[],"insert":[{"price":"98","side":"Buy","size":1}]},"cross_seq":82,"timestamp_e6":1600000000650000}
1600000000.8: {"topic":"trade.ABCUSD","data":[{"timestamp":"2020-09-13T12:26:40.750Z","symbol":"ABCUSD","side":"Buy","size":10,"price":100.5,"trade_id":"bb-1"}]}
1600000000.9: {"topic":"instrument_info.100ms.ABCUSD","type":"snapshot","data":{"symbol":"ABCUSD","last_price_e4":1005000,"mark_price_e4":1006000,"index_price":"100.70","open_interest":321,"funding_rate_e6":-50,"predicted_funding_rate_e6":100,"next_funding_time":"2020-09-13T16:00:00Z"},"cross_seq":83,"timestamp_e6":1600000000850000}
1600000001.0: {"topic":"instrument_info.100ms.ABCUSD","type":"delta","data":{"delete":[],"update":[{"symbol":"ABCUSD","mark_price_e4":1007000}],"insert":[]},"cross_seq":84,"timestamp_e6":1600000000950000}
1600000001.1: {"topic":"liquidation.ABCUSD","data":{"symbol":"ABCUSD","side":"Sell","price":"99","qty":"3","time":1600000001050}}
"""


@pytest.fixture
def v5(tmp_path: Path) -> Path:
    path = tmp_path / "v5.jsonl"
    path.write_text(V5)
    return path


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    path = tmp_path / "BYBIT.ws"
    path.write_text(V2)
    return path


def test_a_v5_book_is_numbered_without_gaps_and_its_time_is_the_matching_engines(v5: Path) -> None:
    book = frames(bybit.read, v5)["book_deltas"]
    assert book.select("row", "seq", "prev_seq", "flags", "side", "price", "size").rows() == [
        (2, 40, -1, 3, 1, 100.0, 1.5),
        (2, 40, -1, 1, 1, 99.5, 4.0),
        (2, 40, -1, 1, -1, 101.0, 2.0),
        (3, 41, 40, 0, 1, 99.5, 0.0),
        (3, 41, 40, 0, -1, 101.0, 3.0),
        (5, 1, -1, 3, 1, 98.0, 1.0),  # update 1: the service was restarted
    ]
    assert book["ts_ns"].unique(maintain_order=True).to_list() == [
        1_700_000_000_190_000_000,
        1_700_000_000_215_000_000,
        1_700_000_000_240_000_000,
    ]


def test_of_several_depths_the_first_is_kept_and_the_user_is_told(v5: Path) -> None:
    (note,) = [item for item in bybit.read(v5, Options()) if isinstance(item, Note)]
    assert note.text == "ABCUSDT: of several books orderbook.50 is kept and orderbook.500 left out"


def test_the_book_of_one_level_becomes_quotes(v5: Path) -> None:
    quotes = frames(bybit.read, v5)["book_snapshots_1"]
    columns = ("seq", "bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0")
    assert quotes.select(columns).rows() == [(5, 100.0, 1.0, 101.0, 2.0), (6, 100.0, 1.0, 102.0, 7.0)]


def test_v5_tickers_are_told_where_funding_or_open_interest_changed(v5: Path) -> None:
    tables = frames(bybit.read, v5)
    columns = ("row", "rate", "funding_ns", "mark_price", "index_price", "last_price")
    assert tables["funding"].select(columns).rows() == [
        (10, 0.0001, 1_700_006_400_000_000_000, 100.6, 100.7, 100.5),
        (12, 0.0001, 1_700_006_400_000_000_000, 100.8, 100.7, 100.5),
    ]
    assert tables["open_interest"].select("row", "open_interest", "value").rows() == [
        (10, 5000.0, 503000.0),
        (13, 5001.0, 503000.0),
    ]


def test_v5_trades_and_liquidations(v5: Path) -> None:
    tables = frames(bybit.read, v5)
    columns = ("ts_ns", "seq", "id", "side", "price", "size")
    assert tables["trades"].select(columns).rows() == [(1_700_000_000_300_000_000, -1, "aa-1", -1, 100.0, 0.5)]
    # the venue names the position: a long that is liquidated is sold
    assert tables["liquidations"].select("side", "price", "size").rows() == [(-1, 99.0, 3.0), (1, 103.0, 4.0)]
    (fault,) = rejected(bybit.read, v5)
    assert fault.row == 9


def test_a_v2_book(v2: Path) -> None:
    tables = frames(bybit.read, v2)
    book = tables["book_deltas"]
    assert book.select("row", "symbol", "seq", "flags", "side", "price", "size").rows() == [
        (1, "ABCUSD", 70, 3, 1, 100.0, 9.0),
        (1, "ABCUSD", 70, 1, -1, 100.5, 7.0),
        (2, "ABCUSD", 75, 0, 1, 100.0, 5.0),
        (2, "ABCUSD", 75, 0, -1, 100.5, 0.0),
        (2, "ABCUSD", 75, 0, -1, 101.0, 2.0),
        (4, "ABCUSD", 80, 0, 1, 99.0, 1.0),
        (6, "XYZUSDT", 81, 3, 1, 7.0, 1.5),
        (7, "ABCUSD", 82, 0, 1, 98.0, 1.0),
    ]
    assert book["ts_ns"][0] == 1_600_000_000_050_000_000
    assert book["local_ns"][0] == 1_600_000_000_100_000_000
    # line 3 lacks a size, line 5 is cut short
    assert [fault.row for fault in rejected(bybit.read, v2)] == [3, 5]


def test_a_line_that_cannot_be_read_leaves_the_book_void_until_its_next_snapshot(tmp_path: Path) -> None:
    snapshot, change, faulty, *_ = V2.splitlines()
    path = tmp_path / "BYBIT.ws"
    path.write_text("\n".join([snapshot, faulty, change.replace("0.2:", "0.4:"), snapshot.replace("0.1:", "0.5:")]))
    assert best_bids("bybit", path, tmp_path / "store") == [100.0, None, 100.0]


def test_a_trade_that_a_new_connection_repeats_is_told_once(tmp_path: Path) -> None:
    trade = next(line for line in V2.splitlines() if '"trade.ABCUSD"' in line)
    path = tmp_path / "BYBIT.ws"
    path.write_text(f"{trade}\n{trade}\n{trade.replace('bb-1', 'bb-2')}\n")
    assert frames(bybit.read, path)["trades"].select("row", "id").rows() == [(1, "bb-1"), (3, "bb-2")]


def test_books_of_retail_orders_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rpi.jsonl"
    path.write_text(V5.splitlines()[1].replace("orderbook.50", "orderbook.rpi"))
    (note,) = bybit.read(path, Options())
    assert isinstance(note, Note)
    assert note.text.startswith("ABCUSDT: left out orderbook.rpi")


def test_v2_tickers_are_scaled(v2: Path) -> None:
    tables = frames(bybit.read, v2)
    columns = ("ts_ns", "rate", "predicted_rate", "funding_ns", "mark_price", "index_price", "last_price")
    due = 1_600_012_800_000_000_000
    assert tables["funding"].select(columns).rows() == [
        (1_600_000_000_850_000_000, -0.00005, 0.0001, due, 100.6, 100.7, 100.5),
        (1_600_000_000_950_000_000, -0.00005, 0.0001, due, 100.7, 100.7, 100.5),
    ]
    assert tables["open_interest"]["open_interest"].to_list() == [321.0]
    trade = tables["trades"].select("ts_ns", "id", "side", "price", "size").rows()
    assert trade == [(1_600_000_000_750_000_000, "bb-1", 1, 100.5, 10.0)]
    assert tables["liquidations"].select("side", "size").rows() == [(1, 3.0)]


def test_an_archive_is_read_out_of_its_zip(tmp_path: Path) -> None:
    path = tmp_path / "2024-01-01_ABCUSDT_ob500.data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("2024-01-01_ABCUSDT_ob500.data", V5.splitlines()[1] + "\n")
    assert len(frames(bybit.read, path)["book_deltas"]) == 3


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_socket_gives_every_level_and_trade_and_books_of_25() -> None:
    tables = frames(bybit.read, SOCKET)
    text = SOCKET.read_text()
    assert len(tables["trades"]) == text.count('"trade_id"') == 101
    assert len(tables["book_deltas"]) == text.count('"id":"') == 20342
    assert rejected(bybit.read, SOCKET) == []
    book: dict[tuple[str, int], dict[float, float]] = {}
    for (symbol, _), rows in tables["book_deltas"].group_by("symbol", "row", maintain_order=True):
        for flags, side, price, size in rows.select("flags", "side", "price", "size").rows():
            if flags & 2:
                book[symbol, 1], book[symbol, -1] = {}, {}
            book[symbol, side][price] = size
        for side in (1, -1):
            book[symbol, side] = {price: size for price, size in book[symbol, side].items() if size}
            assert len(book[symbol, side]) == 25
        assert max(book[symbol, 1]) < min(book[symbol, -1])


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_archive_gives_every_level() -> None:
    book = frames(bybit.read, ARCHIVE)["book_deltas"]
    with zipfile.ZipFile(ARCHIVE) as archive:
        messages = [json.loads(line) for line in io.BytesIO(archive.read(archive.namelist()[0]))]
    want = Counter({n: len(m["data"]["b"]) + len(m["data"]["a"]) for n, m in enumerate(messages, 1)})
    assert Counter(book["row"].to_list()) == want
    last = book.filter(book["row"] == 50)
    assert last.select("side", "price", "size").rows() == [
        (side, float(p), float(s)) for side, name in ((1, "b"), (-1, "a")) for p, s in messages[-1]["data"][name]
    ]
    changes = book.filter(book["flags"] == 0).unique("seq", maintain_order=True)
    assert changes["prev_seq"].to_list() == [m["data"]["u"] for m in messages[:-1]]
