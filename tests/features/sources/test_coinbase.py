"""Coinbase sockets, by lines written by hand."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from features.intake.batch import Note, Options
from features.intake.units import iso_ns
from features.sources import coinbase
from tests.reading import frames, rejected
from tests.replay import best_bids

RAW = Path(__file__).parents[4] / "shared/data/raw/cryptofeed_raw_ws/COINBASE.ws.28.0"
LOCAL = 1_700_000_001_500_000_000
TIME = "2023-11-14T22:13:20.123456Z"
MATCH = {"type": "match", "trade_id": 12, "side": "sell", "size": "0.5", "price": "100.5", "product_id": "BTC-USD"}
MATCH |= {"sequence": 77, "time": TIME}


def _capture(tmp_path: Path, *bodies: Mapping[str, object], at: str = "1700000001.5: ") -> Path:
    path = tmp_path / "COINBASE.ws"
    path.write_text("".join(f"{at}{json.dumps(body)}\n" for body in bodies))
    return path


def test_snapshots_take_the_time_of_receipt_and_updates_their_own(tmp_path: Path) -> None:
    product = {"product_id": "BTC-USD"}
    path = _capture(
        tmp_path,
        {"type": "subscriptions", "channels": [{"name": "level2", "product_ids": ["BTC-USD"]}]},
        product | {"type": "snapshot", "asks": [["101", "2"]], "bids": [["100", "1.5"], ["99", "4"]]},
        product | {"type": "l2update", "changes": [["sell", "101", "0"], ["buy", "100.5", "3"]], "time": TIME},
        product | {"type": "l2update", "changes": [["hold", "101", "0"]], "time": TIME},
    )
    book = frames(coinbase.read, path)["book_deltas"]
    assert book.select("row", "ts_ns", "seq", "flags", "side", "price", "size").rows() == [
        (2, LOCAL, -1, 3, 1, 100.0, 1.5),
        (2, LOCAL, -1, 1, 1, 99.0, 4.0),
        (2, LOCAL, -1, 1, -1, 101.0, 2.0),
        (3, iso_ns(TIME), -1, 0, 1, 100.5, 3.0),
        (3, iso_ns(TIME), -1, 0, -1, 101.0, 0.0),
    ]
    assert [fault.row for fault in rejected(coinbase.read, path)] == [4]


def test_a_snapshot_without_any_time_is_refused(tmp_path: Path) -> None:
    snapshot = {"type": "snapshot", "product_id": "BTC-USD", "asks": [], "bids": [["100", "1"]]}
    (fault,) = rejected(coinbase.read, _capture(tmp_path, snapshot, at=""))
    assert "time of receipt was not recorded" in fault.reason


def test_the_side_of_a_match_is_the_makers(tmp_path: Path) -> None:
    path = _capture(
        tmp_path,
        MATCH | {"type": "last_match"},
        MATCH | {"trade_id": 13, "side": "buy"},
        {"type": "ticker", "product_id": "BTC-USD", "price": "100.5", "side": "buy", "trade_id": 12, "time": TIME},
        {"type": "match", "product_id": "BTC-USD", "trade_id": 14, "price": "1", "side": "buy", "time": TIME},
    )
    assert frames(coinbase.read, path)["trades"].select("row", "ts_ns", "seq", "side", "price", "size").rows() == [
        (1, iso_ns(TIME), 12, 1, 100.5, 0.5),
        (2, iso_ns(TIME), 13, -1, 100.5, 0.5),
    ]
    (fault,) = rejected(coinbase.read, path)
    assert (fault.row, fault.reason) == (4, "the message has no field 'size'")


def test_of_the_full_channel_only_matches_are_read_and_the_rest_is_told(tmp_path: Path) -> None:
    order = {"product_id": "BTC-USD", "order_id": "0a-1b", "side": "buy", "time": TIME, "sequence": 1}
    path = _capture(tmp_path, order | {"type": "received"}, MATCH, order | {"type": "open"}, order | {"type": "done"})
    items = list(coinbase.read(path, Options()))
    assert frames(coinbase.read, path).keys() == {"trades"}
    assert isinstance(items[-1], Note)
    assert items[-1].text.startswith("3 messages of the channel full were left out, the first in row 1")


def _advanced(channel: str, *events: Mapping[str, object]) -> dict[str, object]:
    return {"channel": channel, "client_id": "", "timestamp": TIME, "sequence_num": 4, "events": list(events)}


def _change(side: str, at: str, price: str, size: str) -> dict[str, str]:
    return {"side": side, "event_time": at, "price_level": price, "new_quantity": size}


def test_level2_of_advanced_trade_is_stamped_by_its_changes_but_for_the_first(tmp_path: Path) -> None:
    zero, later = "1970-01-01T00:00:00Z", "2023-11-14T22:13:20.999Z"
    first = {"type": "snapshot", "product_id": "ETH-USD", "updates": [_change("bid", zero, "50", "2")]}
    changes = [_change("offer", later, "51", "1"), _change("bid", "2023-11-14T22:13:20.5Z", "50", "0")]
    second = {"type": "update", "product_id": "ETH-USD", "updates": changes}
    path = _capture(tmp_path, _advanced("l2_data", first), _advanced("l2_data", second), _advanced("heartbeats", {}))
    book = frames(coinbase.read, path)["book_deltas"]
    assert book.select("row", "ts_ns", "seq", "flags", "side", "price", "size").rows() == [
        (1, iso_ns(TIME), -1, 3, 1, 50.0, 2.0),
        (2, iso_ns(later), -1, 0, 1, 50.0, 0.0),
        (2, iso_ns(later), -1, 0, -1, 51.0, 1.0),
    ]


def test_market_trades_come_oldest_first(tmp_path: Path) -> None:
    trade = {"product_id": "ETH-USD", "price": "50", "size": "0.1", "time": TIME}
    trades = [trade | {"trade_id": "10", "side": "BUY"}, trade | {"trade_id": "9", "side": "SELL"}]
    found = frames(
        coinbase.read, _capture(tmp_path, _advanced("market_trades", {"type": "snapshot", "trades": trades}))
    )
    assert found["trades"].select("symbol", "seq", "side").rows() == [("ETH-USD", 9, 1), ("ETH-USD", 10, -1)]


def test_trades_that_a_new_connection_repeats_are_told_once(tmp_path: Path) -> None:
    new = {"product_id": "ETH-USD", "price": "50", "size": "0.1", "time": TIME, "side": "BUY"}
    event = {"type": "snapshot", "trades": [new | {"trade_id": str(number)} for number in (6, 5, 4)]}
    path = _capture(
        tmp_path,
        MATCH,
        MATCH | {"type": "last_match"},
        MATCH | {"type": "last_match", "trade_id": 15},
        _advanced("market_trades", {"type": "update", "trades": [new | {"trade_id": "5"}]}),
        _advanced("market_trades", event),
    )
    assert frames(coinbase.read, path)["trades"].select("row", "seq").rows() == [(1, 12), (3, 15), (4, 5), (5, 6)]


def test_a_line_that_cannot_be_read_leaves_the_book_void_until_its_next_snapshot(tmp_path: Path) -> None:
    product = {"product_id": "BTC-USD", "time": TIME}
    whole = product | {"type": "snapshot", "asks": [["101", "2"]], "bids": [["100", "1.5"]]}
    change = product | {"type": "l2update", "changes": [["buy", "100", "3"]], "time": "2023-11-14T22:13:20.2Z"}
    again = whole | {"time": "2023-11-14T22:13:20.3Z"}
    path = _capture(tmp_path, whole, product | {"type": "l2update"}, change, again)
    assert best_bids("coinbase", path, tmp_path / "store") == [100.0, None, 100.0]


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_capture_gives_every_level_and_trade_with_the_takers_side() -> None:
    tables = frames(coinbase.read, RAW)
    levels, takers = 0, {}
    for line in RAW.read_text().splitlines():
        body = json.loads(line.partition(": ")[2] or "{}") if line[:1].isdigit() else {}
        levels += sum(len(body[side]) for side in ("asks", "bids", "changes") if side in body)
        if body.get("type") == "ticker":
            takers[body["product_id"], body["trade_id"]] = {"buy": 1, "sell": -1}[body["side"]]
    assert len(tables["book_deltas"]) == levels
    found = {(symbol, seq): side for symbol, seq, side in tables["trades"].select("symbol", "seq", "side").rows()}
    assert found == takers
    assert not rejected(coinbase.read, RAW)
