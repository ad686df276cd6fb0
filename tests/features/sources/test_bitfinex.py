"""Bitfinex sockets, by lines written by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from features.intake.batch import Note, Options
from features.schema import ADD, DELETE, SET
from features.sources import bitfinex
from tests.reading import frames, rejected
from tests.replay import best_bids

RAW = Path(__file__).parents[4] / "shared/data/raw/cryptofeed_raw_ws/BITFINEX.ws.11.0"
INFO = {"event": "info", "version": 2, "platform": {"status": 1}}
P0 = {"event": "subscribed", "channel": "book", "chanId": 5, "symbol": "tABCUSD", "prec": "P0", "freq": "F0", "len": "25"}  # fmt: skip
R0 = {**P0, "chanId": 6, "prec": "R0"}
TRADES = {"event": "subscribed", "channel": "trades", "chanId": 7, "symbol": "tABCUSD", "pair": "ABCUSD"}
BOOK = ("row", "flags", "side", "price", "size")
Writer = Callable[..., Path]


@pytest.fixture
def wrote(tmp_path: Path) -> Writer:
    def write(*messages: object) -> Path:
        path = tmp_path / "BITFINEX.ws"
        texts = (message if isinstance(message, str) else json.dumps(message) for message in messages)
        path.write_text("".join(f"17000000{n:02}.5: {text}\n" for n, text in enumerate(texts)))
        return path

    return write


def notes(path: Path) -> list[str]:
    return [item.text for item in bitfinex.read(path, Options()) if isinstance(item, Note)]


def test_a_book_has_the_time_of_receipt_and_a_count_of_zero_removes(wrote: Writer) -> None:
    path = wrote(INFO, P0, [5, [[100, 2, 1.5], [101, 1, -2]]], [5, [100, 0, 1]], [5, [101, 1, -0.5]], [5, "hb"])
    book = frames(bitfinex.read, path)["book_deltas"]
    assert book.select(BOOK).rows() == [
        (3, 3, 1, 100.0, 1.5),
        (3, 1, -1, 101.0, 2.0),
        (4, 0, 1, 100.0, 0.0),
        (5, 0, -1, 101.0, 0.5),
    ]
    assert book["ts_ns"].to_list() == book["local_ns"].to_list()
    assert book["symbol"][0] == "tABCUSD"
    assert book["ts_ns"][0] == 1_700_000_002_500_000_000


def test_numbers_and_times_that_the_connection_asked_for(wrote: Writer) -> None:
    path = wrote(
        INFO,
        {"event": "conf", "status": "OK", "flags": 65536 + 32768},
        P0,
        [5, [[100, 2, 1.5]], 1, 1700000001900],
        [9, "hb", 2, 1700000001910],
        [5, "cs", -77, 3, 1700000001920],
        [5, [101, 1, -2], 4, 1700000001930],
        [5, [99, 1, 1], 6, 1700000001940],
        [5, [98, 1, 1], 7, 1700000001950],
    )
    book = frames(bitfinex.read, path)["book_deltas"].fill_nan(None)
    assert book.select("ts_ns", "flags", "side", "price").rows() == [
        (1_700_000_001_900_000_000, 3, 1, 100.0),
        (1_700_000_001_930_000_000, 0, -1, 101.0),
        (1_700_000_001_940_000_000, 4, 0, None),
        (1_700_000_001_940_000_000, 0, 1, 99.0),
        (1_700_000_001_950_000_000, 0, 1, 98.0),
    ]
    assert notes(path) == ["line 8: messages 5 to 5 are missing; books are void"]


def test_a_new_connection_numbers_its_channels_and_messages_anew(wrote: Writer) -> None:
    other = {**P0, "symbol": "tXYZUSD"}
    path = wrote(INFO, P0, [5, [[100, 2, 1.5]], 1], INFO, other, [5, [[7, 2, 1]], 1], INFO, [5, [8, 2, 1], 1])
    book = frames(bitfinex.read, path)["book_deltas"]
    assert book.select("symbol", "price").rows() == [("tABCUSD", 100.0), ("tXYZUSD", 7.0)]
    assert notes(path) == []
    (fault,) = rejected(bitfinex.read, path)
    assert fault.row == 8
    assert "channel 5 was not subscribed" in fault.reason


def test_a_line_that_cannot_be_read_leaves_the_book_void_until_its_next_snapshot(wrote: Writer) -> None:
    snapshot = [5, [[100, 2, 1.5]]]
    path = wrote(INFO, P0, snapshot, "[5,[10", [5, [99, 1, 1]], [5, [99, 1]], [5, [97, 1, 1]], snapshot)
    assert best_bids("bitfinex", path, path.parent / "store") == [100.0, None, None, 100.0]
    assert [fault.row for fault in rejected(bitfinex.read, path)] == [4, 6]


@pytest.mark.parametrize("faulty", ["[6,[11", [6, [11, 100]]])
def test_after_a_line_that_cannot_be_read_no_order_is_known_until_the_next_snapshot(
    wrote: Writer, faulty: object
) -> None:
    path = wrote(INFO, R0, [6, [[11, 100, 1.5]]], faulty, [6, [12, 99, 1]], [6, [13, 98, 1]], [6, [[12, 99, 1]]])
    orders = frames(bitfinex.read, path)["order_events"]
    assert orders.select("row", "order_id", "action").rows() == [(3, 11, ADD), (5, 11, DELETE), (7, 12, ADD)]


def test_a_gap_in_the_numbers_voids_the_books_at_once(wrote: Writer) -> None:
    path = wrote(INFO, P0, [5, [[100, 2, 1.5]], 1], [5, "hb", 3])
    assert frames(bitfinex.read, path)["book_deltas"].select("row", "flags").rows() == [(3, 3), (4, 4)]


def test_changes_in_bulk_are_no_snapshots(wrote: Writer) -> None:
    path = wrote(
        INFO, {"event": "conf", "status": "OK", "flags": 536870912}, P0, [5, [[100, 2, 1.5]]], [5, [[100, 0, 1], [99, 1, 2]]]
    )  # fmt: skip
    book = frames(bitfinex.read, path)["book_deltas"]
    assert book.select(BOOK).rows() == [(4, 3, 1, 100.0, 1.5), (5, 0, 1, 100.0, 0.0), (5, 0, 1, 99.0, 2.0)]


def test_of_several_books_of_a_pair_the_first_is_kept(wrote: Writer) -> None:
    path = wrote(INFO, P0, {**P0, "chanId": 8, "prec": "P2"}, [5, [[100, 2, 1.5]]], [8, [[100, 3, 9.5]]])
    assert frames(bitfinex.read, path)["book_deltas"]["row"].to_list() == [4]
    assert notes(path) == ["tABCUSD: of several books P0 F0 25 is kept and P2 F0 25 left out"]


def test_raw_books_become_orders(wrote: Writer) -> None:
    path = wrote(
        INFO,
        R0,
        [6, [[11, 100, 1.5], [12, 101, -2]], 1],
        [6, [11, 100, 1.25], 2],
        [6, [12, 101.5, -2], 3],
        [6, [11, 0, 1], 4],
        [6, [13, 99, 1], 6],
        [6, [[14, 98, 3]], 7],
        [6, [[15, 97, 3]], 8],
    )
    orders = frames(bitfinex.read, path)["order_events"].fill_nan(None)
    assert orders.select("row", "order_id", "action", "side", "price", "size").rows() == [
        (3, 11, ADD, 1, 100.0, 1.5),
        (3, 12, ADD, -1, 101.0, 2.0),
        (4, 11, SET, 1, 100.0, 1.25),
        (5, 12, DELETE, -1, 101.0, None),
        (5, 12, ADD, -1, 101.5, 2.0),
        (6, 11, DELETE, 1, 100.0, None),
        (7, 12, DELETE, -1, 101.5, None),  # message 5 is missing: nothing is known until the next snapshot
        (8, 14, ADD, 1, 98.0, 3.0),
        (9, 14, DELETE, 1, 98.0, None),
        (9, 15, ADD, 1, 97.0, 3.0),
    ]


def test_trades_come_once_and_oldest_first(wrote: Writer) -> None:
    path = wrote(
        INFO,
        TRADES,
        [7, [[31, 1700000000200, -0.5, 100], [30, 1700000000100, 0.25, 101]]],
        [7, "te", [32, 1700000000300, 2, 101]],
        [7, "tu", [32, 1700000000300, 2, 101]],
        INFO,
        TRADES,
        [7, [[33, 1700000000400, 1, 102], [32, 1700000000300, 2, 101], [29, 1700000000090, 2, 101]]],
        {**TRADES, "chanId": 8, "symbol": "fUSD"},
        [8, "fte", [40, 1700000000300, 2, 0.0001, 30]],
    )
    trades = frames(bitfinex.read, path)["trades"]
    assert trades.select("row", "ts_ns", "seq", "side", "price", "size").rows() == [
        (3, 1_700_000_000_100_000_000, 30, 1, 101.0, 0.25),
        (3, 1_700_000_000_200_000_000, 31, -1, 100.0, 0.5),
        (4, 1_700_000_000_300_000_000, 32, 1, 101.0, 2.0),
        (8, 1_700_000_000_400_000_000, 33, 1, 102.0, 1.0),  # after a reconnection the list repeats 32
    ]
    assert rejected(bitfinex.read, path) == []


def test_status_of_derivatives(wrote: Writer) -> None:
    status = {"event": "subscribed", "channel": "status"}
    values = [1700000000100, None, 100.5, 100.7, None, 9e6, None, 1700006400000, 0.0002, 5, None, 0.0001, None, None, 100.6, None, None, 321.5]  # fmt: skip
    position = ["pos", 71, 1700000000200, None, "tABCF0:USTF0", 3, 99, None, 0, 0, None, None]
    path = wrote(
        INFO,
        {**status, "chanId": 9, "key": "deriv:tABCF0:USTF0"},
        {**status, "chanId": 10, "key": "liq:global"},
        [9, values],
        [10, [position, [*position[:8], 1, 1, None, 98]]],
    )
    tables = frames(bitfinex.read, path)
    columns = ("ts_ns", "funding_ns", "rate", "predicted_rate", "mark_price", "index_price", "last_price")
    assert tables["funding"].select(columns).rows() == [
        (1_700_000_000_100_000_000, 1_700_006_400_000_000_000, 0.0001, 0.0002, 100.6, 100.7, 100.5)
    ]
    assert tables["open_interest"].select("symbol", "open_interest").rows() == [("tABCF0:USTF0", 321.5)]
    assert tables["liquidations"].select("id", "side", "price", "size").rows() == [("71", -1, 99.0, 3.0)]


def test_a_book_without_any_time_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plain.jsonl"
    path.write_text("".join(f"{json.dumps(message)}\n" for message in (INFO, P0, [5, [[100, 2, 1.5]]])))
    (fault,) = rejected(bitfinex.read, path)
    assert fault.row == 3
    assert "no time" in fault.reason


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_capture_gives_every_level_and_trade() -> None:
    tables = frames(bitfinex.read, RAW)
    kinds: dict[int, str] = {}
    count = {"book": 0, "trades": 0, "ticker": 0}
    for line in RAW.read_text().splitlines():
        if "<-" in line or ": " not in line:
            continue
        body = json.loads(line.split(": ", 1)[1])
        if isinstance(body, list) and body[1] != "hb":
            count[kinds[body[0]]] += len(body[1]) if isinstance(body[1][0], list) else 1
        elif isinstance(body, dict) and body["event"] == "subscribed":
            kinds[body["chanId"]] = body["channel"]
    assert (len(tables["book_deltas"]), len(tables["trades"])) == (count["book"], count["trades"]) == (2926, 210)
    assert notes(RAW) == []  # no number is missing
    assert rejected(bitfinex.read, RAW) == []
    for _, rows in tables["book_deltas"].group_by("symbol"):
        book: dict[int, dict[float, float]] = {1: {}, -1: {}}
        for side, price, size in rows.select("side", "price", "size").rows():
            book[side].pop(price, None)
            if size:
                book[side][price] = size
        assert max(map(len, book.values())) <= 100
        assert max(book[1]) < min(book[-1])
