"""Kraken spot and futures sockets, by lines written by hand."""

import json
import zlib
from collections import Counter
from pathlib import Path

import pytest

from features.intake.batch import Note, Options
from features.sources import kraken
from tests.reading import frames, rejected
from tests.replay import best_bids

RAW = Path(__file__).parents[4] / "shared/data/raw/cryptofeed_raw_ws"
SPOT, FUTURES = RAW / "KRAKEN.ws.50.0", RAW / "KRAKEN_FUTURES.ws.1.0"
BOOK = ("row", "flags", "side", "price", "size")
FUTURES_LINES = """\
1700000000.1: {"event":"subscribed","feed":"book","product_ids":["PI_ABCUSD"]}
1700000000.2: {"feed":"book_snapshot","product_id":"PI_ABCUSD","timestamp":1700000000150,"seq":50,"tickSize":null,"bids":[{"price":100.0,"qty":10.0}],"asks":[{"price":101.5,"qty":20.0}]}
1700000000.3: {"feed":"book","product_id":"PI_ABCUSD","side":"sell","seq":51,"price":101.5,"qty":0.0,"timestamp":1700000000250}
1700000000.4: {"feed":"trade_snapshot","product_id":"PI_ABCUSD","trades":[{"feed":"trade","product_id":"PI_ABCUSD","uid":"u2","side":"sell","type":"liquidation","seq":8,"time":1700000000090,"qty":3.0,"price":100.5},{"feed":"trade","product_id":"PI_ABCUSD","uid":"u1","side":"buy","type":"fill","seq":7,"time":1700000000080,"qty":2.0,"price":101.0}]}
1700000000.5: {"feed":"trade","product_id":"PI_ABCUSD","uid":"u3","side":"buy","type":"fill","seq":9,"time":1700000000450,"qty":1.0,"price":101.0}
1700000000.6: {"feed":"ticker_lite","product_id":"PI_ABCUSD","bid":100.0,"ask":101.5}
1700000000.7: {"feed":"ticker","time":1700000000650,"product_id":"PI_ABCUSD","bid":100.0,"ask":101.5,"funding_rate":1e-9,"relative_funding_rate":1e-5,"relative_funding_rate_prediction":2e-5,"next_funding_rate_time":1700006400000,"markPrice":100.7,"index":100.8,"last":101.0,"openInterest":5000.0}
1700000000.8: {"feed":"ticker","time":1700000000750,"product_id":"FI_ABCUSD_300101","bid":100.0,"ask":101.5,"markPrice":100.7,"index":100.8,"openInterest":60.0}
1700000000.9: {"feed":"book","product_id":"PI_ABCUSD","side":"sell","seq":52,"price":101.5,"timestamp":1700000000850}
"""
V2_LINES = """\
1700000000.1: {"method":"subscribe","result":{"channel":"book","depth":10,"snapshot":true,"symbol":"ABC/USD"},"success":true}
1700000000.2: {"channel":"book","type":"snapshot","data":[{"symbol":"ABC/USD","bids":[{"price":100.0,"qty":1.5}],"asks":[{"price":101.0,"qty":2.0}],"checksum":1}]}
1700000000.3: {"channel":"book","type":"update","data":[{"symbol":"ABC/USD","bids":[{"price":100.0,"qty":0.0},{"price":99.5,"qty":4.0}],"asks":[],"checksum":2,"timestamp":"2023-11-14T22:13:20.250001Z"}]}
1700000000.4: {"channel":"trade","type":"snapshot","data":[{"symbol":"ABC/USD","side":"sell","price":100.0,"qty":0.5,"ord_type":"market","trade_id":12,"timestamp":"2023-11-14T22:13:20.390000Z"},{"symbol":"ABC/USD","side":"buy","price":101.0,"qty":0.1,"ord_type":"limit","trade_id":11,"timestamp":"2023-11-14T22:13:20.380000Z"}]}
1700000000.5: {"channel":"heartbeat"}
1700000000.6: {"channel":"ticker","type":"update","data":[{"symbol":"ABC/USD","bid":100.0,"ask":101.0}]}
1700000000.7: {"channel":"trade","type":"update","data":[{"symbol":"ABC/USD","price":100.0,"qty":0.5,"trade_id":13,"timestamp":"2023-11-14T22:13:20.690000Z"}]}
"""


def checksum(asks: list[list[str]], bids: list[list[str]]) -> str:
    texts = (text for level in asks[:10] + bids[:10] for text in level[:2])
    return str(zlib.crc32("".join(text.replace(".", "").lstrip("0") for text in texts).encode()))


def wrote(tmp_path: Path, *messages: object) -> Path:
    path = tmp_path / "KRAKEN.ws"
    texts = (message if isinstance(message, str) else json.dumps(message) for message in messages)
    path.write_text("".join(f"1700000009.{n}: {text}\n" for n, text in enumerate(texts)))
    return path


def level(price: float, size: float, second: str = "1") -> list[str]:
    return [f"{price:.2f}", f"{size:.8f}", f"170000000{second}.123456"]


def notes(path: Path) -> list[str]:
    return [item.text for item in kraken.read(path, Options()) if isinstance(item, Note)]


def test_v1_books_trades_and_spreads(tmp_path: Path) -> None:
    snapshot = {"as": [level(101, 2), level(102, 3)], "bs": [level(100, 1, "2")]}
    after = checksum([level(101.5, 1), level(102, 3)], [level(100, 0.5)])
    path = wrote(
        tmp_path,
        {"event": "systemStatus", "status": "online"},
        {"channelID": 5, "channelName": "book-10", "event": "subscriptionStatus", "pair": "ABC/USD"},
        [5, snapshot, "book-10", "ABC/USD"],
        [5, {"a": [level(101, 0, "3"), level(101.5, 1, "3")]}, {"b": [level(100, 0.5, "4")], "c": after}, "book-10", "ABC/USD"],
        [6, [["101.5", "0.2", "1700000005.5", "b", "m", ""], ["100", "0.3", "1700000006.5", "s", "l", ""]], "trade", "ABC/USD"],
        [7, ["100", "101.5", "1700000007.25", "0.5", "1"], "spread", "ABC/USD"],
        [8, ["a", "b"], "ticker", "ABC/USD"],
        [5, {"b": [["100.00", "0.70000000"]], "c": after}, "book-10", "ABC/USD"],
    )  # fmt: skip
    tables = frames(kraken.read, path)
    book = tables["book_deltas"]
    assert book.select(BOOK).rows() == [
        (3, 3, 1, 100.0, 1.0),
        (3, 1, -1, 101.0, 2.0),
        (3, 1, -1, 102.0, 3.0),
        (4, 0, 1, 100.0, 0.5),
        (4, 0, -1, 101.0, 0.0),
        (4, 0, -1, 101.5, 1.0),
    ]
    assert book["ts_ns"].unique(maintain_order=True).to_list() == [1_700_000_002_123_456_000, 1_700_000_004_123_456_000]
    assert book["seq"].unique().to_list() == [-1]
    columns = ("ts_ns", "side", "price", "size")
    assert tables["trades"].select(columns).rows() == [
        (1_700_000_005_500_000_000, 1, 101.5, 0.2),
        (1_700_000_006_500_000_000, -1, 100.0, 0.3),
    ]
    quote = ("ts_ns", "bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0")
    assert tables["book_snapshots_1"].select(quote).rows() == [(1_700_000_007_250_000_000, 100.0, 0.5, 101.5, 1.0)]
    assert [fault.row for fault in rejected(kraken.read, path)] == [8]


def test_a_level_that_falls_out_of_the_depth_is_removed(tmp_path: Path) -> None:
    asks = [level(101 + n, 1) for n in range(10)]
    new = [level(100.5, 7, "2"), *asks[:9]]
    back = [*new[1:], level(110, 4)]
    path = wrote(
        tmp_path,
        [5, {"as": asks, "bs": []}, "book-10", "ABC/USD"],
        [5, {"a": [new[0]], "c": checksum(new, [])}, "book-10", "ABC/USD"],
        [5, {"a": [level(100.5, 0, "3"), [*level(110, 4), "r"]], "c": checksum(back, [])}, "book-10", "ABC/USD"],
    )
    book = frames(kraken.read, path)["book_deltas"]
    assert book.filter(book["row"] > 1).select(BOOK).rows() == [
        (2, 0, -1, 100.5, 7.0),
        (2, 0, -1, 110.0, 0.0),  # the venue does not say it
        (3, 0, -1, 100.5, 0.0),
        (3, 0, -1, 110.0, 4.0),
    ]
    assert book["ts_ns"][-1] == 1_700_000_003_123_456_000  # not the old time of the level that comes back
    assert notes(path) == []


def test_a_book_whose_checksum_does_not_fit_is_void_until_its_next_snapshot(tmp_path: Path) -> None:
    snapshot = [5, {"as": [level(101, 2)], "bs": [level(100, 1)]}, "book-10", "ABC/USD"]
    change = [5, {"b": [level(99, 1)], "c": "12345"}, "book-10", "ABC/USD"]
    path = wrote(tmp_path, snapshot, change, change, snapshot)
    book = frames(kraken.read, path)["book_deltas"]
    assert book.select("row", "flags").rows() == [(1, 3), (1, 1), (2, 0), (2, 4), (3, 0), (4, 3), (4, 1)]
    assert notes(path) == ["line 2: the checksum of ABC/USD does not fit; void until its next snapshot"]


def test_a_line_that_cannot_be_read_leaves_the_book_void_until_its_next_snapshot(tmp_path: Path) -> None:
    snapshot = [5, {"as": [], "bs": [level(100, 1)]}, "book-10", "ABC/USD"]
    change = [5, {"b": [level(99, 1)], "c": checksum([], [level(100, 1), level(99, 1)])}, "book-10", "ABC/USD"]
    path = wrote(tmp_path, snapshot, '[5,{"b":[["98', change, snapshot)
    assert best_bids("kraken", path, tmp_path / "store") == [100.0, None, 100.0]


def test_of_several_depths_the_first_is_kept(tmp_path: Path) -> None:
    data = {"as": [], "bs": [level(100, 1)]}
    path = wrote(tmp_path, [5, data, "book-10", "ABC/USD"], [6, data, "book-25", "ABC/USD"])
    assert frames(kraken.read, path)["book_deltas"]["row"].to_list() == [1]
    assert notes(path) == ["ABC/USD: of several books book-10 is kept and book-25 left out"]


def test_messages_of_2019_name_their_channel_by_number_only(tmp_path: Path) -> None:
    status = {"event": "subscriptionStatus", "pair": "ABC/USD", "status": "subscribed"}
    path = wrote(
        tmp_path,
        {**status, "channelID": 5, "subscription": {"name": "book", "depth": 25}},
        {**status, "channelID": 6, "subscription": {"name": "trade"}},
        [5, {"as": [], "bs": [level(100, 1)]}],
        [6, [["100", "0.3", "1700000006.5", "s", "l", ""]]],
        [7, [["100", "0.3", "1700000006.5", "s", "l", ""]]],
    )
    tables = frames(kraken.read, path)
    assert tables["book_deltas"].select("row", "symbol", "price").rows() == [(3, "ABC/USD", 100.0)]
    assert tables["trades"].select("row", "symbol", "side").rows() == [(4, "ABC/USD", -1)]
    (fault,) = rejected(kraken.read, path)
    assert fault.row == 5
    assert "channel 7 was not subscribed" in fault.reason


def test_v2_books_and_trades(tmp_path: Path) -> None:
    path = tmp_path / "v2"
    path.write_text(V2_LINES)
    tables = frames(kraken.read, path)
    book = tables["book_deltas"]
    assert book.select(BOOK).rows() == [
        (2, 3, 1, 100.0, 1.5),
        (2, 1, -1, 101.0, 2.0),
        (3, 0, 1, 100.0, 0.0),
        (3, 0, 1, 99.5, 4.0),
    ]
    assert book["ts_ns"].unique(maintain_order=True).to_list() == [1_700_000_000_200_000_000, 1_700_000_000_250_001_000]
    columns = ("ts_ns", "seq", "side", "price", "size")
    assert tables["trades"].select(columns).rows() == [
        (1_700_000_000_380_000_000, 11, 1, 101.0, 0.1),
        (1_700_000_000_390_000_000, 12, -1, 100.0, 0.5),
    ]
    (fault,) = rejected(kraken.read, path)
    assert (fault.row, "'side'" in fault.reason) == (7, True)


def test_a_v2_depth_that_was_not_answered_is_taken_from_the_snapshot(tmp_path: Path) -> None:
    asks = [{"price": 101 + n, "qty": 1} for n in range(25)]
    at = "2023-11-14T22:13:20Z"
    path = wrote(
        tmp_path,
        {"channel": "book", "type": "snapshot", "data": [{"symbol": "ABC/USD", "bids": [], "asks": asks}]},
        {"channel": "book", "type": "update", "data": [{"symbol": "ABC/USD", "bids": [], "asks": [{"price": 99, "qty": 2}], "timestamp": at}]},
    )  # fmt: skip
    book = frames(kraken.read, path)["book_deltas"]
    assert book[-2:].select(BOOK).rows() == [(2, 0, -1, 99.0, 2.0), (2, 0, -1, 125.0, 0.0)]


def test_futures(tmp_path: Path) -> None:
    path = tmp_path / "KRAKEN_FUTURES.ws"
    path.write_text(FUTURES_LINES)
    tables = frames(kraken.read, path)
    book = tables["book_deltas"]
    assert book.select("row", "ts_ns", "seq", "prev_seq", "flags", "side", "price", "size").rows() == [
        (2, 1_700_000_000_150_000_000, 50, -1, 3, 1, 100.0, 10.0),
        (2, 1_700_000_000_150_000_000, 50, -1, 1, -1, 101.5, 20.0),
        (3, 1_700_000_000_250_000_000, 51, 50, 0, -1, 101.5, 0.0),
    ]
    columns = ("row", "ts_ns", "seq", "side", "price", "size")
    assert tables["trades"].select(columns).rows() == [
        (4, 1_700_000_000_080_000_000, 7, 1, 101.0, 2.0),
        (4, 1_700_000_000_090_000_000, 8, -1, 100.5, 3.0),
        (5, 1_700_000_000_450_000_000, 9, 1, 101.0, 1.0),
    ]
    assert tables["liquidations"].select("seq", "side", "size").rows() == [(8, -1, 3.0)]
    prices = ("mark_price", "index_price", "last_price")
    assert tables["funding"].select("symbol", "funding_ns", "rate", "predicted_rate", *prices).rows() == [
        ("PI_ABCUSD", 1_700_006_400_000_000_000, 1e-5, 2e-5, 100.7, 100.8, 101.0)
    ]
    interest = tables["open_interest"].select("symbol", "open_interest").rows()
    assert interest == [("PI_ABCUSD", 5000.0), ("FI_ABCUSD_300101", 60.0)]
    assert [fault.row for fault in rejected(kraken.read, path)] == [9]


def test_trades_that_a_new_connection_repeats_are_told_once(tmp_path: Path) -> None:
    trade = {"product_id": "PI_ABCUSD", "side": "buy", "time": 1700000000100, "qty": 1.0, "price": 100.0}
    listed = [trade | {"seq": seq} for seq in (9, 8, 7)]
    spot = {"symbol": "ABC/USD", "side": "buy", "price": 1, "qty": 1, "timestamp": "2023-11-14T22:13:20Z"}
    path = wrote(
        tmp_path,
        {"feed": "trade", **trade, "seq": 8},
        {"feed": "trade_snapshot", "product_id": "PI_ABCUSD", "trades": listed},
        {"channel": "trade", "type": "update", "data": [spot | {"trade_id": 8}]},
        {"channel": "trade", "type": "snapshot", "data": [spot | {"trade_id": number} for number in (9, 8, 7)]},
    )
    assert frames(kraken.read, path)["trades"].select("row", "seq").rows() == [(1, 8), (2, 9), (3, 8), (4, 9)]


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_rows_of_the_real_spot_capture_have_the_venues_checksum_at_every_message() -> None:
    table = frames(kraken.read, SPOT)["book_deltas"]
    rows: dict[int, list[tuple[int, int, float, float]]] = {}
    for row, *cells in table.select("row", "flags", "side", "price", "size").rows():
        rows.setdefault(row, []).append(tuple(cells))
    books: dict[str, dict[int, dict[float, float]]] = {}
    digits: dict[str, int] = {}
    fits: Counter[bool] = Counter()
    for number, line in enumerate(SPOT.read_text().splitlines(), 1):
        if ": [" not in line:
            continue
        _, *parts, _, pair = json.loads(line.split(": ", 1)[1])
        sent = {name: levels for part in parts for name, levels in part.items()}
        assert len(rows[number]) == sum(len(levels) for levels in sent.values() if isinstance(levels, list))
        for flags, side, price, size in rows[number]:
            if flags & 2:
                books[pair] = {1: {}, -1: {}}
                digits[pair] = len(sent["as"][0][0].partition(".")[2])
            books[pair][side].pop(price, None)
            if size:
                books[pair][side][price] = size
        best = {side: sorted(books[pair][side].items(), reverse=side == 1)[:1000] for side in (1, -1)}
        asks, bids = ([[f"{p:.{digits[pair]}f}", f"{s:.8f}"] for p, s in best[side]] for side in (-1, 1))
        if "c" in sent:
            fits[checksum(asks, bids) == sent["c"]] += 1
    assert fits == {True: 4269}
    assert notes(SPOT) == []
    assert rejected(kraken.read, SPOT) == []


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_futures_capture_gives_every_level_and_trade_without_a_gap() -> None:
    tables = frames(kraken.read, FUTURES)
    text = FUTURES.read_text()
    book = tables["book_deltas"]
    assert len(tables["trades"]) == text.count('"uid"') == 1003
    assert len(book) + 1003 == text.count('"qty"')
    last: dict[str, int] = {}
    for symbol, seq, prev_seq, flags in book.select("symbol", "seq", "prev_seq", "flags").rows():
        assert flags or prev_seq == last[symbol]
        last[symbol] = seq
    for _, trades in tables["trades"].group_by("symbol"):
        assert trades["seq"].is_sorted()
        assert trades["ts_ns"].is_sorted()
