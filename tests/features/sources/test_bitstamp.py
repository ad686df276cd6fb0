"""Bitstamp in its four shapes, by lines written by hand."""

import json
import lzma
from pathlib import Path

import polars as pl
import pytest

from features.errors import FormatError, SchemaError
from features.intake.batch import Note, Options
from features.schema import ADD, DELETE, SET
from features.sources import bitstamp
from tests.reading import frames, rejected

RAW = Path(__file__).parents[4] / "shared/data/raw/bitstamp_l3_log"
NAMED = Options(symbol="BTCUSD")
MS = 1_000_000
LOG = """\
1430000000100 order_created {"price": "230.50", "amount": "1.50000000", "datetime": "1430000000", "id": 7001, "order_type": 0}
1430000000200 order_changed {"price": "230.50", "amount": "0.25000000", "datetime": "1430000000", "id": 7001, "order_type": 0}
1430000000210 trade {"price": 230.5, "amount": 1.25, "id": 42}
1430000000300 order_deleted {"price": "231.75", "amount": "3.00000000", "datetime": "1429999000", "id": 6990, "order_type": 1}
1430000000400 order_book {"bids": [["230.50", "0.25"], ["230.00", "4.0"]], "asks": [["232.00", "1.0"]]}
1430000000500 order_created {"price": "230.50", "datetime": "1430000000", "id": 7002, "order_type": 0}
1430000000600 order_moved {"price": "230.50", "amount": "1", "id": 7001, "order_type": 0}
1430000000700 heartbeat {}
cut sho
1430000000800 order_created {"price": "0.00", "amount": "5", "datetime": "1430000000", "id": 7003, "order_type": 1}
"""
ORDERS = """\
id,timestamp,exchange.timestamp,price,volume,action,direction
7001,1430000000100,1430000000000,230.50,150000000,created,bid
7001,1430000000200,1430000000000,230.50,25000000,changed,bid
6990,1430000000300,1429999000000,231.75,300000000,deleted,ask
7004,1430000000400,1430000000000,231.75,300000000,eaten,ask
7005,1430000000500,1430000000000,231.75,300000000,created,
7006,1430000000600,1430000000000,231.75,178855669,modified,ask
"""
LIVE_ORDERS = """\
id,timestamp,exchange_timestamp,price,volume,action,direction
9001,1700000000190,1700000000101,30000.0,0.5,created,ask
9001,1700000000290,1700000000204,30000.0,0.0,deleted,ask
"""
LIVE_TRADES = """\
trade_id,timestamp,exchange_timestamp,price,amount,buy_order_id,sell_order_id,side
55,1700000000290,1700000000204,30000.0,0.5,9002,9001,buy
56,1700000000390,1700000000304,29999.0,0.1,9003,9004,sell
57,1700000000490,1700000000404,29999.0,0.1,9003,9004,both
"""
SOCKET = """\
{"event":"bts:subscription_succeeded","channel":"live_orders_btcusd","data":{}}
{"event":"order_created","channel":"live_orders_btcusd","data":{"id":9001,"id_str":"9001","order_type":1,"datetime":"1700000000","microtimestamp":"1700000000101001","amount":0.5,"amount_str":"0.50000000","price":30000,"price_str":"30000"}}
{"event":"trade","channel":"live_trades_btcusd","data":{"id":55,"timestamp":"1700000000","amount":0.5,"amount_str":"0.50000000","price":30000,"price_str":"30000","type":1,"microtimestamp":"1700000000204000","buy_order_id":9002,"sell_order_id":9001}}
{"event":"data","channel":"diff_order_book_etheur","data":{"timestamp":"1700000000","microtimestamp":"1700000000300000","bids":[["1800.5","0.00000000"]],"asks":[["1801","2.5"]]}}
{"event":"data","channel":"order_book_btcusd","data":{"timestamp":"1700000000","microtimestamp":"1700000000400000","bids":[["29999","1"]],"asks":[["30001","2"],["30002","3"]]}}
{"event":"order_changed","channel":"live_orders_btcusd","data":{"id":9001,"order_type":1,"amount":0.5,"price":30000}}
{"event":"order_created","channel":"live_orders_btcusd","data":{"id":9009,"order_type":0,"microtimestamp":"1700000000500000","amount":1,"price":999999999}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "bitstamp.txt"
    path.write_text(text)
    return path


def test_a_log_is_stamped_by_its_recorder(tmp_path: Path) -> None:
    tables = frames(bitstamp.read, write(tmp_path, LOG), NAMED)
    orders = tables["order_events"].select("row", "ts_ns", "local_ns", "order_id", "action", "side", "price", "size")
    assert orders.rows() == [
        (1, 1430000000100 * MS, 1430000000100 * MS, 7001, ADD, 1, 230.5, 1.5),
        (2, 1430000000200 * MS, 1430000000200 * MS, 7001, SET, 1, 230.5, 0.25),
        (4, 1430000000300 * MS, 1430000000300 * MS, 6990, DELETE, -1, 231.75, 3.0),
    ]
    trades = tables["trades"].select("row", "symbol", "ts_ns", "seq", "side", "price", "size")
    assert trades.rows() == [(3, "BTCUSD", 1430000000210 * MS, 42, 0, 230.5, 1.25)]
    book = tables["book_snapshots_20"].select("bid_px_1", "ask_px_0", "ask_sz_0", "ask_px_1")
    assert str(book.rows()[0]) == "(230.0, 232.0, 1.0, nan)"


def test_what_a_log_does_not_say_rightly_is_told(tmp_path: Path) -> None:
    faults = rejected(bitstamp.read, write(tmp_path, LOG), NAMED)
    assert [fault.row for fault in faults] == [6, 7, 8, 9]
    assert "'amount'" in faults[0].reason
    assert "heartbeat" in faults[2].reason


def test_orders_without_a_limit_are_counted_not_kept(tmp_path: Path) -> None:
    items = list(bitstamp.read(write(tmp_path, LOG), NAMED))
    assert [item.text[:1] for item in items if isinstance(item, Note)] == ["1"]


def test_orders_in_csv_count_hundred_millionths(tmp_path: Path) -> None:
    path = write(tmp_path, ORDERS)
    orders = frames(bitstamp.read, path, NAMED)["order_events"]
    assert orders.select("row", "ts_ns", "local_ns", "order_id", "action", "side", "price", "size").rows() == [
        (2, 1430000000100 * MS, 1430000000100 * MS, 7001, ADD, 1, 230.5, 1.5),
        (3, 1430000000200 * MS, 1430000000200 * MS, 7001, SET, 1, 230.5, 0.25),
        (4, 1430000000300 * MS, 1430000000300 * MS, 6990, DELETE, -1, 231.75, 3.0),
        (7, 1430000000600 * MS, 1430000000600 * MS, 7006, SET, -1, 231.75, 1.78855669),
    ]
    faults = rejected(bitstamp.read, path, NAMED)
    assert [fault.row for fault in faults] == [5, 6]
    assert faults[0].reason == "action is 'eaten', not one of created, changed, deleted, modified"
    assert faults[1].reason.startswith("direction is None")


def test_a_size_is_the_float_nearest_to_its_decimals(tmp_path: Path) -> None:
    text = ORDERS.splitlines()[0] + "\n7001,1430000000100,1430000000000,230.50,1320000000,created,bid\n"
    assert frames(bitstamp.read, write(tmp_path, text), NAMED)["order_events"]["size"].to_list() == [13.2]


def test_orders_in_coins_with_the_time_of_the_event(tmp_path: Path) -> None:
    orders = frames(bitstamp.read, write(tmp_path, LIVE_ORDERS), NAMED)["order_events"]
    assert orders.select("ts_ns", "local_ns", "size").rows() == [
        (1700000000101 * MS, 1700000000190 * MS, 0.5),
        (1700000000204 * MS, 1700000000290 * MS, 0.0),
    ]


def test_events_that_waited_for_the_snapshot_are_received_with_it(tmp_path: Path) -> None:
    late = "9000,1700000000230,1700000000100,29990.0,0.5,created,bid"
    head, *rows = LIVE_ORDERS.splitlines()
    path = write(tmp_path, "\n".join([head, late, *rows]) + "\n")
    orders = frames(bitstamp.read, path, NAMED)["order_events"]
    assert orders["local_ns"].to_list() == [1700000000230 * MS, 1700000000230 * MS, 1700000000290 * MS]
    assert orders["ts_ns"].to_list()[1] == 1700000000101 * MS
    (note,) = (item for item in bitstamp.read(path, NAMED) if isinstance(item, Note))
    assert note.text.startswith("1 events")


def test_volumes_in_coins_after_volumes_in_parts_are_refused(tmp_path: Path) -> None:
    text = ORDERS + "7007,1430000000700,1430000000000,230.50,0.5,created,bid\n"
    whole = text.splitlines()[0] + "\n" + "7001,1430000000100,1430000000000,230.50,150000000,created,bid\n" * 160_000
    with pytest.raises(FormatError, match="split the file"):
        frames(bitstamp.read, write(tmp_path, whole + text.splitlines()[-1]), NAMED)


def test_volumes_that_could_be_coins_or_parts_are_refused(tmp_path: Path) -> None:
    text = ORDERS.splitlines()[0] + "\n7001,1430000000100,1430000000000,230.50,2,created,bid\n"
    with pytest.raises(FormatError, match="whole numbers up to 2"):
        frames(bitstamp.read, write(tmp_path, text), NAMED)


def test_trades_in_csv(tmp_path: Path) -> None:
    path = write(tmp_path, LIVE_TRADES)
    trades = frames(bitstamp.read, path, NAMED)["trades"]
    assert trades.select("row", "ts_ns", "local_ns", "seq", "side", "price", "size").rows() == [
        (2, 1700000000204 * MS, 1700000000290 * MS, 55, 1, 30000.0, 0.5),
        (3, 1700000000304 * MS, 1700000000390 * MS, 56, -1, 29999.0, 0.1),
    ]
    assert [f.row for f in rejected(bitstamp.read, path, NAMED)] == [4]


def test_sockets(tmp_path: Path) -> None:
    path = write(tmp_path, SOCKET)
    tables = frames(bitstamp.read, path)
    assert tables["order_events"].select(
        "symbol", "ts_ns", "local_ns", "order_id", "action", "side", "size"
    ).rows() == [("btcusd", 1700000000101001000, 0, 9001, ADD, -1, 0.5)]
    assert tables["trades"].select("symbol", "ts_ns", "seq", "side", "price").rows() == [
        ("btcusd", 1700000000204 * MS, 55, -1, 30000.0)
    ]
    book = tables["book_deltas"].filter(pl.col("row") == 4)
    assert book.select("symbol", "ts_ns", "flags", "side", "price", "size").rows() == [
        ("etheur", 1700000000300 * MS, 0, 1, 1800.5, 0.0),
        ("etheur", 1700000000300 * MS, 0, -1, 1801.0, 2.5),
    ]
    assert tables["book_snapshots_100"].select("bid_px_0", "ask_px_1", "ask_sz_1").rows() == [(29999.0, 30002.0, 3.0)]
    (fault,) = rejected(bitstamp.read, path)
    assert fault.row == 6
    assert "microtimestamp" in fault.reason


def test_sockets_before_2019_carry_text_and_no_pair(tmp_path: Path) -> None:
    lines = (
        '1450000000.5: {"event":"order_deleted","channel":"live_orders","data":"{\\"price\\": \\"420.1\\", \\"amount\\": \\"2\\", \\"datetime\\": \\"1449999000\\", \\"id\\": 5, \\"order_type\\": 0}"}\n'
        '1450000001.5: {"event":"trade","channel":"live_trades","data":"{\\"price\\": 420.1, \\"amount\\": 2.0, \\"timestamp\\": \\"1450000001\\", \\"id\\": 6}"}\n'
    )
    tables = frames(bitstamp.read, write(tmp_path, lines))
    assert tables["order_events"].select("symbol", "ts_ns", "action").rows() == [("btcusd", 1450000000500 * MS, DELETE)]
    assert tables["trades"].select("symbol", "ts_ns", "local_ns", "side").rows() == [
        ("btcusd", 1450000001000 * MS, 1450000001500 * MS, 0)
    ]


def test_files_without_a_name_need_one(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="--symbol"):
        frames(bitstamp.read, write(tmp_path, LOG))


def test_a_damaged_line_of_a_csv_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, ORDERS + "7008,1430000000800\n")
    assert sorted(fault.row for fault in rejected(bitstamp.read, path, NAMED)) == [5, 6, 8]
    path = write(tmp_path, LIVE_TRADES + "58\n")
    assert sorted(fault.row for fault in rejected(bitstamp.read, path, NAMED)) == [4, 5]


def test_a_book_deeper_than_its_channel_is_told(tmp_path: Path) -> None:
    levels = [[str(200 - i), "1"] for i in range(21)]
    path = write(tmp_path, f"1430000000400 order_book {json.dumps({'bids': levels, 'asks': []})}\n")
    (fault,) = rejected(bitstamp.read, path, NAMED)
    assert "more than 20 levels" in fault.reason


@pytest.mark.parametrize("text", ["", "hello\n"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FormatError, match="begins with"):
        frames(bitstamp.read, write(tmp_path, text), NAMED)


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_log_and_the_csv_made_from_it_agree() -> None:
    log, orders = RAW / "2015-05-01_0000_0505.log.xz", RAW / "orders.csv.xz"
    tables = frames(bitstamp.read, log, NAMED)
    with lzma.open(log) as lines:
        words = [line.split(b" ", 2)[1] for line in lines]
    with lzma.open(orders, "rt") as lines:
        count = sum(1 for _ in lines) - 1
    assert len(tables["trades"]) == words.count(b"trade")
    assert len(tables["book_snapshots_20"]) == words.count(b"order_book")
    told, logged = frames(bitstamp.read, orders, NAMED)["order_events"], tables["order_events"]
    assert len(told) == count
    assert told.drop("row", "size").equals(logged.drop("row", "size"))
    # What made the CSV cut off where it should have rounded: some sizes are a hundred-millionth less.
    assert set(((logged["size"] - told["size"]) * 1e8).round().cast(int)) == {0, 1}
    assert not rejected(bitstamp.read, log, NAMED)
    assert not rejected(bitstamp.read, orders, NAMED)
