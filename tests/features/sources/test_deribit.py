"""Deribit sockets, by lines written by hand."""

import json
from math import nan
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from features.sources import deribit
from tests.reading import frames, rejected

RAW = Path(__file__).parents[4] / "shared/data/raw/cryptofeed_raw_ws/DERIBIT.ws.1.0"
MS = 1_000_000
T0 = 1_700_000_000_000


def _line(channel: str, data: object, at: str = "1700000001.5") -> str:
    params = {"channel": channel, "data": data}
    return f"{at}: " + json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": params})


def _capture(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "DERIBIT.ws"
    path.write_text("\n".join(lines) + "\n")
    return path


def _book(change_id: int, **more: object) -> dict[str, object]:
    return {"timestamp": T0, "instrument_name": "BTC-PERPETUAL", "change_id": change_id, "bids": [], "asks": []} | more


def test_book_follows_change_ids_and_deletes_are_sizes_of_zero(tmp_path: Path) -> None:
    path = _capture(
        tmp_path,
        'wss://www.deribit.com/ws/api/v2 <- 1700000000.1: {"method":"public/subscribe"}',
        '1700000000.2: {"jsonrpc":"2.0","id":1,"result":["book.BTC-PERPETUAL.raw"]}',
        _line("book.BTC-PERPETUAL.raw", _book(7, type="snapshot", bids=[["new", 100.5, 40]], asks=[["new", 101, 10]])),
        _line("book.BTC-PERPETUAL.raw", _book(9, type="change", prev_change_id=7, bids=[["change", 100.5, 30]])),
        _line("book.BTC-PERPETUAL.raw", _book(12, type="change", prev_change_id=9, asks=[["delete", 101, 10]])),
    )
    book = frames(deribit.read, path)["book_deltas"]
    assert book.drop("ts_ns", "local_ns").rows() == [
        ("BTC-PERPETUAL", 3, 7, -1, 3, 1, 100.5, 40.0),
        ("BTC-PERPETUAL", 3, 7, -1, 1, -1, 101.0, 10.0),
        ("BTC-PERPETUAL", 4, 9, 7, 0, 1, 100.5, 30.0),
        ("BTC-PERPETUAL", 5, 12, 9, 0, -1, 101.0, 0.0),
    ]
    assert book["ts_ns"].unique().to_list() == [T0 * MS]
    assert book["local_ns"].unique().to_list() == [1_700_000_001_500_000_000]


def test_a_book_of_2019_without_type_begins_where_no_previous_number_is_told(tmp_path: Path) -> None:
    first = _book(7, bids=[["new", 100.5, 40]])
    second = _book(8, prev_change_id=7, bids=[["delete", 100.5, 0]])
    path = _capture(tmp_path, *(_line("book.BTC-PERPETUAL.100ms", data) for data in (first, second)))
    book = frames(deribit.read, path)["book_deltas"]
    assert book.select("flags", "seq", "prev_seq", "size").rows() == [(3, 7, -1, 40.0), (0, 8, 7, 0.0)]


def test_books_of_a_fixed_depth_are_snapshots_and_grouped_ones_are_refused(tmp_path: Path) -> None:
    whole = _book(7, bids=[[100.5, 40], [100, 5]], asks=[[101, 10]])
    path = _capture(
        tmp_path, _line("book.BTC-PERPETUAL.none.20.100ms", whole), _line("book.BTC-PERPETUAL.5.20.100ms", whole)
    )
    (row,) = frames(deribit.read, path)["book_snapshots_20"].to_dicts()
    assert (row["seq"], row["bid_px_1"], row["bid_sz_1"], row["ask_px_0"]) == (7, 100.0, 5.0, 101.0)
    assert row["ask_px_1"] != row["ask_px_1"]
    (fault,) = rejected(deribit.read, path)
    assert (fault.row, "group none" in fault.reason) == (2, True)


def test_trades_and_who_was_liquidated(tmp_path: Path) -> None:
    trade = {"instrument_name": "BTC-PERPETUAL", "price": 100.5, "amount": 10, "timestamp": T0}
    trades = [
        trade | {"trade_seq": 4, "trade_id": "94", "direction": "sell", "liquidation": "MT"},
        trade | {"trade_seq": 3, "trade_id": "93", "direction": "buy", "liquidation": "T"},
        trade | {"trade_seq": 2, "trade_id": "92", "direction": "buy", "liquidation": "M"},
        trade | {"trade_seq": 1, "trade_id": "91", "direction": "sell"},
    ]
    path = _capture(tmp_path, _line("trades.BTC-PERPETUAL.raw", trades))
    tables = frames(deribit.read, path)
    assert tables["trades"].select("seq", "id", "side", "price", "size").rows() == [
        (1, "", -1, 100.5, 10.0),
        (2, "", 1, 100.5, 10.0),
        (3, "", 1, 100.5, 10.0),
        (4, "", -1, 100.5, 10.0),
    ]
    assert tables["liquidations"].select("id", "side", "size").rows() == [
        ("92-M", -1, 10.0),
        ("93-T", 1, 10.0),
        ("94-M", 1, 10.0),
        ("94-T", -1, 10.0),
    ]


def test_tickers_of_options_become_quotes_of_their_underlying(tmp_path: Path) -> None:
    ticker = {
        "instrument_name": "XRP_USDC-5JAN24-0d65-P",
        "timestamp": T0,
        "best_bid_price": 0.0,
        "best_bid_amount": 0.0,
        "bid_iv": 0.0,
        "best_ask_price": 0.02,
        "best_ask_amount": 3.0,
        "ask_iv": 85.5,
        "mark_price": 0.01,
        "mark_iv": 80.0,
        "last_price": None,
        "underlying_index": "SYN.XRP_USDC-5JAN24",
        "underlying_price": 0.6,
        "open_interest": 12.0,
        "greeks": {"delta": -0.5, "gamma": 0.1, "vega": 0.2, "theta": -0.3, "rho": 0.01},
    }
    path = _capture(tmp_path, _line("ticker.XRP_USDC-5JAN24-0d65-P.raw", ticker))
    found = frames(deribit.read, path)["option_quotes"]
    expected = {
        "symbol": "XRP_USDC",
        "instrument": "XRP_USDC-5JAN24-0d65-P",
        "is_call": False,
        "strike": 0.65,
        "expiry_ns": 1_704_441_600_000_000_000,
        "bid_price": nan,
        "bid_size": 0.0,
        "bid_iv": nan,
        "ask_price": 0.02,
        "ask_size": 3.0,
        "ask_iv": 0.855,
        "mark_price": 0.01,
        "mark_iv": 0.8,
        "last_price": nan,
        "underlying": "SYN.XRP_USDC-5JAN24",
        "underlying_price": 0.6,
        "open_interest": 12.0,
        **ticker["greeks"],  # type: ignore[dict-item]
    }
    assert_frame_equal(found.select(*expected), pl.DataFrame([expected]))


def test_tickers_of_perpetuals_give_funding_and_open_interest(tmp_path: Path) -> None:
    whole = {"type": "snapshot", "instrument_name": "ETH-PERPETUAL", "timestamp": T0, "open_interest": 500}
    whole |= {"current_funding": 0.0002, "funding_8h": 0.0001, "mark_price": 50.5, "index_price": 50, "last_price": 51}
    change = {"type": "change", "instrument_name": "ETH-PERPETUAL", "timestamp": T0 + 1, "mark_price": 52}
    path = _capture(
        tmp_path,
        _line("incremental_ticker.ETH-PERPETUAL", change),
        _line("incremental_ticker.ETH-PERPETUAL", whole),
        _line("incremental_ticker.ETH-PERPETUAL", change),
        _line("perpetual.ETH-PERPETUAL.100ms", {"timestamp": T0 + 2, "interest": -0.0003, "index_price": 49}),
        _line("ticker.ETH-29DEC23.100ms", whole | {"instrument_name": "ETH-29DEC23", "current_funding": None}),
    )
    tables = frames(deribit.read, path)
    funding = tables["funding"].select("row", "ts_ns", "rate", "interval_s", "mark_price", "index_price")
    assert funding.rows()[:2] == [
        (2, T0 * MS, 0.0002, 28_800, 50.5, 50.0),
        (3, (T0 + 1) * MS, 0.0002, 28_800, 52.0, 50.0),
    ]
    assert funding.drop("mark_price").rows()[2] == (4, (T0 + 2) * MS, -0.0003, 28_800, 49.0)
    assert tables["open_interest"].select("symbol", "row", "open_interest").rows() == [
        ("ETH-PERPETUAL", 2, 500.0),
        ("ETH-PERPETUAL", 3, 500.0),
        ("ETH-29DEC23", 5, 500.0),
    ]
    (fault,) = rejected(deribit.read, path)
    assert (fault.row, "no snapshot" in fault.reason) == (1, True)


def test_quotes_and_messages_that_cannot_be_read(tmp_path: Path) -> None:
    quote = {"timestamp": T0, "instrument_name": "BTC-PERPETUAL", "best_bid_price": 100, "best_bid_amount": 5}
    path = _capture(
        tmp_path,
        _line("quote.BTC-PERPETUAL", quote | {"best_ask_price": 101, "best_ask_amount": 7}),
        _line("quote.BTC-PERPETUAL", quote),
        _line("book.BTC-PERPETUAL.raw", _book(9, type="change", bids=[["new", 1, 1]])),
        _line("book.BTC-PERPETUAL.raw", _book(9, type="snapshot", bids=[["moved", 1, 1]])),
        "1700000002.0: {",
    )
    (row,) = frames(deribit.read, path)["book_snapshots_1"].rows()
    assert row[-4:] == (100.0, 5.0, 101.0, 7.0)
    faults = rejected(deribit.read, path)
    assert [fault.row for fault in faults] == [2, 3, 4, 5]
    assert "'best_ask_price'" in faults[0].reason
    assert "'prev_change_id'" in faults[1].reason
    assert "'moved'" in faults[2].reason


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_capture_gives_every_level_and_option_and_the_books_agree_with_the_tickers() -> None:
    tables = frames(deribit.read, RAW)
    text = RAW.read_text()
    book, quotes = tables["book_deltas"], tables["option_quotes"]
    assert book["side"].ne(0).sum() == sum(text.count(f'["{change}",') for change in deribit.CHANGES)
    assert book["flags"].eq(3).sum() == text.count('"type":"snapshot"')
    assert len(quotes) == text.count('"channel":"ticker.')
    assert not rejected(deribit.read, RAW)
    last = {row["instrument"]: row for row in quotes.to_dicts()}
    for (name,), part in book.group_by("symbol"):
        levels: dict[int, dict[float, float]] = {1: {}, -1: {}}
        for side, price, size in part.filter(pl.col("side") != 0).select("side", "price", "size").rows():
            levels[side][price] = size
        bids, asks = ({p: s for p, s in levels[side].items() if s} for side in (1, -1))
        if bids:
            assert (last[name]["bid_price"], last[name]["bid_size"]) == (max(bids), bids[max(bids)])
        if asks:
            assert (last[name]["ask_price"], last[name]["ask_size"]) == (min(asks), asks[min(asks)])
