"""Tardis Machine's messages, written by hand."""

import json
from math import nan
from pathlib import Path
from typing import Any

import pytest

from features.errors import FormatError
from features.intake.batch import Note, Options
from features.intake.units import iso_ns
from features.sources import tardis_json
from tests.reading import frames, rejected
from tests.replay import best_bids

RAW = Path(__file__).parents[4] / "shared/data/raw/tardis_machine_json"
AT, LOCAL = "2024-03-01T12:00:00.250Z", "2024-03-01T12:00:00.300123Z"
TS, LOCAL_NS = 1_709_294_400_250_000_000, 1_709_294_400_300_123_000
TIMES = {"timestamp": AT, "localTimestamp": LOCAL}
Json = dict[str, Any]


def message(kind: str, /, symbol: str = "BTCUSDT", exchange: str = "binance", **fields: Any) -> Json:
    return {"type": kind, "symbol": symbol, "exchange": exchange, **fields, **TIMES}


def book(exchange: str = "binance", **fields: Any) -> Json:
    level = {"price": 100.5, "amount": 0}
    given: Json = {"isSnapshot": False, "bids": [level], "asks": []}
    return message("book_change", exchange=exchange, **(given | fields))


def option(exchange: str = "deribit", **fields: Any) -> Json:
    ivs: Json = {"bestBidIV": 50.5, "bestAskIV": 52.0, "markIV": 51.0}
    given: Json = {"optionType": "put", "strikePrice": 60000, "expirationDate": "2024-06-28T08:00:00.000Z"}
    numbers: Json = {
        "bestBidPrice": 0.03,
        "bestBidAmount": 5,
        "delta": -0.4,
        "underlyingPrice": 61000,
        "underlyingIndex": "X",
    }
    return message("option_summary", "BTC-28JUN24-60000-P", exchange, **given, **numbers, **(ivs | fields))


def bar(**fields: Any) -> Json:
    clock: Json = {"name": "trade_bar_1000ms", "interval": 1000, "kind": "time"}
    prices: Json = {
        "open": 1,
        "high": 3,
        "low": 0.5,
        "close": 2,
        "volume": 9,
        "buyVolume": 4,
        "sellVolume": 5,
        "trades": 6,
    }
    return message("trade_bar", **(clock | prices | fields))


def lines(folder: Path, *messages: Json | str) -> Path:
    path = folder / "messages.json"
    path.write_text("\n".join(m if isinstance(m, str) else json.dumps(m) for m in messages) + "\n")
    return path


def test_trades_have_numbers_or_names(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        message("trade", id="31", price=100, amount=2, side="buy"),
        message("trade", "XBTUSD", "bitmex", id="00-ab", price=101, amount=3, side="sell"),
        message("trade", id=None, price=100, amount=2, side="unknown"),
    )
    trades = frames(tardis_json.read, path)["trades"].sort("row")
    names = ("row", "venue", "symbol", "ts_ns", "local_ns", "seq", "id", "side", "price", "size")
    assert trades.select(names).rows() == [
        (1, "binance", "BTCUSDT", TS, LOCAL_NS, 31, "", 1, 100.0, 2.0),
        (2, "bitmex", "XBTUSD", TS, LOCAL_NS, -1, "00-ab", -1, 101.0, 3.0),
        (3, "binance", "BTCUSDT", TS, LOCAL_NS, -1, "", 0, 100.0, 2.0),
    ]


def test_books_and_disconnects(tmp_path: Path) -> None:
    whole: Json = {"isSnapshot": True, "asks": [{"price": 101, "amount": 3}]}
    cut = {"type": "disconnect", "exchange": "binance", "localTimestamp": LOCAL}
    path = lines(tmp_path, book(**whole), book(), book("bitmex"), cut)
    found = frames(tardis_json.read, path)["book_deltas"].sort("row")
    assert str(found.select("row", "venue", "ts_ns", "flags", "side", "price", "size").rows()) == str(
        [
            (1, "binance", TS, 3, 1, 100.5, 0.0),
            (1, "binance", TS, 1, -1, 101.0, 3.0),
            (2, "binance", TS, 0, 1, 100.5, 0.0),
            (3, "bitmex", TS, 0, 1, 100.5, 0.0),
            (4, "binance", LOCAL_NS, 4, 0, nan, nan),
        ]
    )


def test_a_disconnect_without_a_book_is_told(tmp_path: Path) -> None:
    (note,) = tardis_json.read(
        lines(tmp_path, {"type": "disconnect", "exchange": "okex", "localTimestamp": LOCAL}), Options()
    )
    assert note == Note("okex: 1 interruptions of the feed before any book was seen")


def test_snapshots_and_quotes(tmp_path: Path) -> None:
    sides: Json = {
        "bids": [{"price": 99, "amount": 1}, {}],
        "asks": [{"price": 101, "amount": 2}, {"price": 102, "amount": 4}],
    }
    path = lines(
        tmp_path,
        message("book_snapshot", name="book_snapshot_2_1s", depth=2, interval=1000, **sides),
        message("book_ticker", bidPrice=99, bidAmount=5, askPrice=None, askAmount=None),
        message("book_snapshot", depth=1, **sides),
    )
    tables = frames(tardis_json.read, path)
    top = tables["book_snapshots_2"].select("bid_px_0", "bid_px_1", "ask_px_1", "ask_sz_1").rows()
    assert str(top) == str([(99.0, nan, 102.0, 4.0)])
    quote = tables["book_snapshots_1"].select("row", "bid_px_0", "bid_sz_0", "ask_px_0").rows()
    assert str(quote) == str([(2, 99.0, 5.0, nan)])
    assert [fault.row for fault in rejected(tardis_json.read, path)] == [3]


def test_derivative_tickers_give_what_they_carry(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        message("derivative_ticker", fundingRate=-0.0001, fundingTimestamp="2024-03-01T16:00:00.000Z", markPrice=100.5),
        message("derivative_ticker", openInterest=70, fundingRate=None, markPrice=100.5),
    )
    tables = frames(tardis_json.read, path)
    assert tables["funding"].select("row", "rate", "funding_ns", "mark_price").rows() == [
        (1, -0.0001, 1_709_308_800_000_000_000, 100.5)
    ]
    assert tables["open_interest"].select("row", "ts_ns", "open_interest").rows() == [(2, TS, 70.0)]


def test_liquidations(tmp_path: Path) -> None:
    path = lines(tmp_path, message("liquidation", id="x9", price=100, amount=2, side="sell"))
    found = frames(tardis_json.read, path)["liquidations"]
    assert found.select("seq", "id", "side", "price", "size").rows() == [(-1, "x9", -1, 100.0, 2.0)]


@pytest.mark.parametrize(
    ("quoted", "bid_iv", "mark_iv"),
    [
        (option(), 0.505, 0.51),
        (option(bestBidIV=0.505, markIV=0.51), 0.505, 0.51),
        (option(bestBidIV=1.5, markIV=90), 0.015, 0.9),
        (option(bestBidIV=45.0, markIV=None), 0.45, nan),
        (option("okex-options", bestBidIV=2.5, markIV=4.5), 2.5, 4.5),
    ],
)
def test_volatilities_are_fractions_whatever_the_venue_writes(
    tmp_path: Path, quoted: Json, bid_iv: float, mark_iv: float
) -> None:
    quotes = frames(tardis_json.read, lines(tmp_path, quoted))["option_quotes"]
    assert quotes["bid_iv"][0] == pytest.approx(bid_iv)
    assert quotes["mark_iv"][0] == pytest.approx(mark_iv, nan_ok=True)


def test_option_summaries(tmp_path: Path) -> None:
    quotes = frames(tardis_json.read, lines(tmp_path, option()))["option_quotes"]
    names = ("symbol", "instrument", "is_call", "strike", "expiry_ns", "bid_price", "delta", "underlying")
    expiry = iso_ns("2024-06-28T08:00:00Z")
    assert quotes.select(names).rows() == [("BTC", "BTC-28JUN24-60000-P", False, 60000.0, expiry, 0.03, -0.4, "X")]
    assert quotes["theta"].is_nan().all()


def test_bars_are_stamped_at_their_open(tmp_path: Path) -> None:
    path = lines(tmp_path, bar(), bar(kind="volume", name="trade_bar_9vol", interval=9))
    found = frames(tardis_json.read, path)["bars_1s"]
    assert found.select("ts_ns", "open", "high", "low", "close", "volume", "buy_volume", "trades").rows() == [
        (TS - 1_000_000_000, 1.0, 3.0, 0.5, 2.0, 9.0, 4.0, 6.0)
    ]
    (note,) = (item for item in tardis_json.read(path, Options()) if isinstance(item, Note))
    assert "trade_bar_9vol" in note.text


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        book(),
        message("trade", price=100, amount=2, side="up"),
        "{cut sho",
        "[1]",
        message("candle"),
        {"type": "trade"},
    )
    faults = rejected(tardis_json.read, path)
    assert [fault.row for fault in faults] == [2, 3, 4, 5, 6]
    assert "'candle'" in faults[3].reason
    assert frames(tardis_json.read, path)["book_deltas"]["flags"].to_list() == [0]


@pytest.mark.parametrize("faulty", ["{cut sho", json.dumps(message("trade"))])
def test_a_line_that_cannot_be_read_leaves_the_book_void_until_its_next_snapshot(tmp_path: Path, faulty: str) -> None:
    whole = book(isSnapshot=True, bids=[{"price": 100, "amount": 1}])
    change, again = book() | {"timestamp": AT.replace("25", "26")}, whole | {"timestamp": AT.replace("25", "27")}
    path = lines(tmp_path, whole, faulty, change, again)
    assert best_bids("tardis-json", path, tmp_path / "store") == [100.0, None, 100.0]


def test_so_does_a_member_of_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    whole = book(isSnapshot=True, bids=[{"price": 100, "amount": 1}])
    path = tmp_path / "list.json"
    path.write_text(json.dumps([whole, message("trade"), book() | {"timestamp": AT.replace("25", "26")}]))
    assert best_bids("tardis-json", path, tmp_path / "store") == [100.0, None]


@pytest.mark.parametrize("as_list", [True, False])
def test_pretty_printed_files(tmp_path: Path, as_list: bool) -> None:
    trades = [message("trade", id=str(i), price=100, amount=2, side="buy") for i in (5, 6)]
    path = tmp_path / "pretty.json"
    path.write_text(json.dumps(trades, indent=2) if as_list else "\n".join(json.dumps(t, indent=2) for t in trades))
    found = frames(tardis_json.read, path)["trades"]
    assert found["seq"].to_list() == [5, 6]
    assert found["row"].to_list() == [1, 2]


def test_files_that_are_no_json_are_refused(tmp_path: Path) -> None:
    path = lines(tmp_path, "{", '"type": "trade",', "oops")
    with pytest.raises(FormatError, match="line 3 is no JSON"):
        frames(tardis_json.read, path)


def test_descriptions_of_instruments_are_told(tmp_path: Path) -> None:
    path = lines(tmp_path, {"id": "XBTUSD", "exchange": "bitmex", "type": "perpetual"})
    (note,) = tardis_json.read(path, Options())
    assert isinstance(note, Note)


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_every_real_file_is_read() -> None:
    kinds = {path.stem: sorted(frames(tardis_json.read, path)) for path in RAW.glob("*.json")}
    assert not any(rejected(tardis_json.read, path) for path in RAW.glob("*.json"))
    assert {name: kinds[name] for name in kinds if kinds[name]} == {
        "bar": ["bars_10s"],
        "book_change": ["book_deltas"],
        "book_snapshot": ["book_snapshots_2"],
        "derivative_ticker": ["funding", "open_interest"],
        "option_book_snapshot": ["book_snapshots_1"],
        "option_summary": ["option_quotes"],
        "trade": ["trades"],
    }
    quote = frames(tardis_json.read, RAW / "option_summary.json")["option_quotes"]
    assert quote.select("bid_iv", "ask_iv", "mark_iv").rows() == [(0.55, 0.58, 0.565)]
