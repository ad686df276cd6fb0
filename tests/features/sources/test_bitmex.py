"""BitMEX sockets, by lines written by hand."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

from features.intake.units import iso_ns
from features.sources import bitmex
from tests.reading import frames, rejected
from tests.replay import best_bids

RAW = Path(__file__).parents[4] / "shared/data/raw/cryptofeed_raw_ws/BITMEX.ws.1.0"
LOCAL = 1_700_000_001_500_000_000
TIME = "2023-11-14T22:13:20.250Z"


def _line(table: str, action: str, *data: dict[str, object], at: str = "1700000001.5: ", **more: object) -> str:
    return at + json.dumps({"table": table, "action": action, "data": data} | more)


def _capture(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "BITMEX.ws"
    path.write_text("\n".join(lines) + "\n")
    return path


def _level(number: int, side: str, **more: object) -> dict[str, object]:
    return {"symbol": "XBTUSD", "id": number, "side": side} | more


PARTIAL = _line("orderBookL2", "partial", _level(5, "Sell", size=40, price=101.5), _level(6, "Buy", size=30, price=100))


def test_levels_are_priced_by_their_number_and_stamped_with_the_time_of_receipt(tmp_path: Path) -> None:
    path = _capture(
        tmp_path,
        '1700000000.1: {"info":"Welcome"}',
        '1700000000.2: {"success":true,"subscribe":"orderBookL2:XBTUSD"}',
        PARTIAL,
        _line("orderBookL2", "update", _level(5, "Sell", size=41), _level(6, "Buy", size=31)),
        _line("orderBookL2", "insert", _level(7, "Buy", size=9, price=99.5)),
        _line("orderBookL2", "delete", _level(7, "Buy")),
    )
    tables = frames(bitmex.read, path)
    assert tables.keys() == {"book_deltas"}
    assert tables["book_deltas"].select("row", "flags", "side", "price", "size").rows() == [
        (3, 3, 1, 100.0, 30.0),
        (3, 1, -1, 101.5, 40.0),
        (4, 0, 1, 100.0, 31.0),
        (4, 0, -1, 101.5, 41.0),
        (5, 0, 1, 99.5, 9.0),
        (6, 0, 1, 99.5, 0.0),
    ]
    assert tables["book_deltas"].select("ts_ns", "local_ns").unique().rows() == [(LOCAL, LOCAL)]


def test_an_unknown_level_is_refused_and_leaves_the_book_void_until_the_next_partial(tmp_path: Path) -> None:
    path = _capture(
        tmp_path,
        PARTIAL,
        _line("orderBookL2", "update", _level(6, "Buy", size=1), _level(8, "Buy", size=2)),
        _line("orderBookL2", "update", _level(8, "Buy", size=3)),
        _line("orderBookL2", "delete", _level(5, "Sell")),
        PARTIAL,
        _line("orderBookL2", "update", _level(6, "Buy", size=4)),
    )
    faults = rejected(bitmex.read, path)
    assert [fault.row for fault in faults] == [2, 3]
    assert "level 8 of XBTUSD" in faults[0].reason
    assert frames(bitmex.read, path)["book_deltas"]["row"].unique().to_list() == [1, 4, 5, 6]


def test_a_line_that_cannot_be_read_leaves_the_book_void_until_its_next_snapshot(tmp_path: Path) -> None:
    change = _line("orderBookL2", "update", _level(6, "Buy", size=4), at="1700000001.7: ")
    again = PARTIAL.replace("1.5:", "1.8:")
    path = _capture(tmp_path, PARTIAL, '1700000001.6: {"table":"orderBookL2","ac', change, again)
    assert best_bids("bitmex", path, tmp_path / "store") == [100.0, None, 100.0]


def test_trades_that_a_new_connection_repeats_are_told_once(tmp_path: Path) -> None:
    early, late = TIME, "2023-11-14T22:13:21.250Z"
    trade = {"symbol": "XBTUSD", "side": "Sell", "size": 7, "price": 100.5}
    a, b, c, d = (
        trade | {"timestamp": at, "trdMatchID": name}
        for at, name in ((early, "a"), (late, "b"), (late, "c"), (late, bitmex.NO_MATCH))
    )
    path = _capture(tmp_path, _line("trade", "insert", b, d, d), _line("trade", "partial", d, c, b, a))
    assert frames(bitmex.read, path)["trades"].select("row", "id").rows() == [(1, "b"), (1, ""), (1, ""), (2, "c")]


def test_times_and_prices_of_newer_book_messages_are_used(tmp_path: Path) -> None:
    path = _capture(
        tmp_path,
        _line(
            "orderBookL2_25",
            "partial",
            _level(5, "Sell", size=40, price=101.5, timestamp="2023-11-14T22:13:19.000Z"),
            _level(6, "Buy", size=30, price=100, timestamp=TIME),
            at="",
        ),
        _line("orderBookL2_25", "update", _level(9, "Buy", size=3, price=99, timestamp=TIME), at=""),
        _line("orderBookL2_25", "update", _level(9, "Buy", size=2), at=""),
        _line("orderBookL2_25", "partial", at="", filter={"symbol": "OLD"}),
        _line("orderBookL2_25", "partial", filter={"symbol": "OLD"}),
    )
    book = frames(bitmex.read, path)["book_deltas"]
    assert book.filter(pl.col("symbol") == "XBTUSD").select("row", "ts_ns", "price", "local_ns").rows() == [
        (1, iso_ns(TIME), 100.0, 0),
        (1, iso_ns(TIME), 101.5, 0),
        (2, iso_ns(TIME), 99.0, 0),
    ]
    assert book.filter(pl.col("symbol") == "OLD").select("row", "flags", "side").rows() == [(5, 3, 0)]
    assert "no time" in rejected(bitmex.read, path)[0].reason


def test_trades_quotes_and_books_of_ten_levels(tmp_path: Path) -> None:
    trade = {"timestamp": TIME, "symbol": "XBTUSD", "side": "Sell", "size": 7, "price": 100.5}
    match = "0a1b2c3d-0000-4000-8000-000000000001"
    path = _capture(
        tmp_path,
        _line("trade", "partial", trade | {"trdMatchID": match}),
        _line(
            "trade",
            "insert",
            trade | {"trdMatchID": bitmex.NO_MATCH, "side": "Buy"},
            trade | {"symbol": ".BXBT", "size": 0},
        ),
        _line("quote", "insert", {"timestamp": TIME, "symbol": "XBTUSD", "bidSize": 5, "bidPrice": 100}),
        _line(
            "orderBook10", "update", {"timestamp": TIME, "symbol": "XBTUSD", "bids": [[100, 5]], "asks": [[101.5, 2]]}
        ),
        _line("chat", "insert", {"message": "hello"}),
        _line("trade", "insert", trade),
    )
    tables = frames(bitmex.read, path)
    assert tables["trades"].select("row", "ts_ns", "seq", "id", "side", "price", "size").rows() == [
        (1, iso_ns(TIME), -1, match, -1, 100.5, 7.0),
        (2, iso_ns(TIME), -1, "", 1, 100.5, 7.0),
    ]
    assert tables["book_snapshots_1"].fill_nan(None).rows()[0][-4:] == (100.0, 5.0, None, None)
    (top,) = tables["book_snapshots_10"].fill_nan(None).to_dicts()
    assert (top["bid_px_0"], top["ask_sz_0"], top["ask_px_1"]) == (100.0, 2.0, None)
    (fault,) = rejected(bitmex.read, path)
    assert (fault.row, fault.reason) == (6, "the message has no field 'trdMatchID'")


def test_only_new_liquidations_count(tmp_path: Path) -> None:
    order = {"orderID": "a1", "symbol": "XBTUSD", "side": "Sell", "price": 99.5, "leavesQty": 300}
    lines = [_line("liquidation", action, order) for action in ("partial", "insert", "update", "delete")]
    found = frames(bitmex.read, _capture(tmp_path, *lines))["liquidations"]
    expected = [(2, LOCAL, "a1", -1, 99.5, 300.0)]
    assert found.select("row", "ts_ns", "id", "side", "price", "size").rows() == expected


def test_funding_and_open_interest_come_with_what_earlier_messages_said(tmp_path: Path) -> None:
    whole = {"symbol": "XBTUSD", "timestamp": TIME, "openInterest": 900, "fundingRate": 0.0001}
    whole |= {"fundingTimestamp": "2023-11-15T04:00:00.000Z", "fundingInterval": "2000-01-01T08:00:00.000Z"}
    whole |= {"indicativeFundingRate": -0.0002, "markPrice": 100.25, "indicativeSettlePrice": 100, "lastPrice": 101}
    later = "2023-11-14T22:13:25.000Z"
    path = _capture(
        tmp_path,
        _line("instrument", "partial", whole, {"symbol": "XBTZ23", "timestamp": TIME, "fundingRate": None}),
        _line("instrument", "update", {"symbol": "XBTUSD", "timestamp": later, "markPrice": 100.5}),
        _line("instrument", "update", {"symbol": "XBTUSD", "timestamp": later, "lastPrice": 102}),
        _line("instrument", "update", {"symbol": "XBTZ23", "timestamp": later, "openInterest": 20}),
        _line(
            "funding",
            "insert",
            {
                "symbol": "ETHUSD",
                "timestamp": TIME,
                "fundingInterval": "2000-01-01T04:00:00.000Z",
                "fundingRate": 0.001,
            },
        ),
    )
    tables = frames(bitmex.read, path)
    columns = ("row", "ts_ns", "funding_ns", "rate", "predicted_rate", "interval_s", "mark_price", "index_price")
    settled = iso_ns("2023-11-15T04:00:00Z")
    assert tables["funding"].select(columns).fill_nan(None).rows() == [
        (1, iso_ns(TIME), settled, 0.0001, -0.0002, 28_800, 100.25, 100.0),
        (2, iso_ns(later), settled, 0.0001, -0.0002, 28_800, 100.5, 100.0),
        (5, iso_ns(TIME), iso_ns(TIME), 0.001, None, 14_400, None, None),
    ]
    assert tables["open_interest"].select("symbol", "row", "open_interest").rows() == [
        ("XBTUSD", 1, 900.0),
        ("XBTZ23", 4, 20.0),
    ]


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_capture_gives_every_level_trade_and_quote_and_the_book_agrees_with_them() -> None:
    tables = frames(bitmex.read, RAW)
    text = RAW.read_text()
    assert len(tables["book_deltas"]) == len(re.findall(r'"id":\d', text))
    assert tables["book_deltas"]["flags"].eq(3).sum() == text.count('"table":"orderBookL2","action":"partial"')
    assert len(tables["trades"]) == text.count('"trdMatchID":"') - text.count('"trdMatchID":"guid"')
    assert len(tables["book_snapshots_1"]) == text.count('"bidSize":') - text.count('"bidSize":"long"')
    assert not rejected(bitmex.read, RAW)
    book = tables["book_deltas"].filter(pl.col("symbol") == "XBTUSD").unique(["side", "price"], keep="last")
    best = {side: book.filter((pl.col("side") == side) & (pl.col("size") > 0))["price"] for side in (1, -1)}
    quote = tables["book_snapshots_1"].filter(pl.col("symbol") == "XBTUSD").row(-1, named=True)
    assert (best[1].max(), best[-1].min()) == (quote["bid_px_0"], quote["ask_px_0"])
