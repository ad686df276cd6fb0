"""Tables of any maker, shape by shape, by rows written by hand."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from features.errors import DataError, SchemaError, SettingError
from features.importing import Request, import_file
from features.intake.batch import Options
from features.schema import ADD, BUY, DELETE, SELL, SET
from features.sources import table
from tests.reading import frames, rejected

SYMBOL = Options(symbol="BTCUSDT")
MS, NS, STEP = 1_700_000_000_000, 1_700_000_000_000_000_000, 1_000_000


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "table.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """None for NaN, which equals nothing."""
    return frame.with_columns(pl.selectors.float().fill_nan(None))


@pytest.mark.parametrize(
    "header",
    [
        "ts_ms,price,size,side,trade_id",
        "Timestamp,Price,Qty,Direction,ID",
        "time,px,amount,aggressor,tradeId",
        "DATE,price,volume,side,seq",
    ],
)
def test_trades_by_the_usual_names(header: str, tmp_path: Path) -> None:
    path = csv(tmp_path, header, f"{MS},100.5,2,buy,51", f"{MS + 1},100.6,3,SELL,52", f"{MS + 2},100.6,3,unknown,53")
    trades = frames(table.read, path, SYMBOL)["trades"]
    assert trades.select("row", "symbol", "ts_ns", "local_ns", "seq", "id", "side", "price", "size").rows() == [
        (2, "BTCUSDT", NS, 0, 51, "", BUY, 100.5, 2.0),
        (3, "BTCUSDT", NS + STEP, 0, 52, "", SELL, 100.6, 3.0),
        (4, "BTCUSDT", NS + 2 * STEP, 0, 53, "", 0, 100.6, 3.0),
    ]


@pytest.mark.parametrize(
    ("name", "bought", "sold"),
    [
        ("side", "b", "s"),
        ("side", "1", "-1"),
        ("side", "Bid", "Ask"),
        ("is_buyer_maker", "False", "True"),
        ("buyer_maker", "0", "1"),
    ],
)
def test_every_way_to_tell_the_aggressor(name: str, bought: str, sold: str, tmp_path: Path) -> None:
    path = csv(tmp_path, f"ts_ms,price,size,{name}", f"{MS},100,1,{bought}", f"{MS},100,1,{sold}")
    assert frames(table.read, path, SYMBOL)["trades"]["side"].to_list() == [BUY, SELL]


def test_trades_that_tell_no_side_and_no_number(tmp_path: Path) -> None:
    trades = frames(table.read, csv(tmp_path, "ts_ms,price,size", f"{MS},100,1"), SYMBOL)["trades"]
    assert trades.select("seq", "id", "side").rows() == [(-1, "", 0)]


def test_names_of_trades_and_of_instruments_and_venues(tmp_path: Path) -> None:
    lines = (f"{MS},A/B,x-1,100,1,one", f"{MS},C/D,x-2,100,1,two")
    path = csv(tmp_path, "ts_ms,pair,trade_id,price,size,exchange", *lines)
    trades = frames(table.read, path)["trades"]
    assert trades.select("venue", "symbol", "seq", "id").rows() == [
        ("one", "A/B", -1, "x-1"),
        ("two", "C/D", -1, "x-2"),
    ]
    report = import_file(path, tmp_path / "store", Request("table"), print)
    assert sorted(stream.folder for stream in report.streams) == [
        "kind=trades/venue=one/symbol=A-B",
        "kind=trades/venue=two/symbol=C-D",
    ]
    chosen = import_file(path, tmp_path / "chosen", Request("table", options=Options(symbol="C-D")), print)
    assert [stream.folder for stream in chosen.streams] == ["kind=trades/venue=two/symbol=C-D"]


def test_trades_of_a_parquet_file_with_datetimes_and_booleans(tmp_path: Path) -> None:
    moments = [datetime.fromtimestamp(1_700_000_000 + i, UTC) for i in range(2)]
    path = tmp_path / "trades.parquet"
    pl.DataFrame(
        {
            "timestamp": moments,
            "trade_id": [51, 52],
            "price": [100, 101],
            "qty": [1.5, 2.5],
            "buyer_maker": [True, False],
        }
    ).write_parquet(path)
    trades = frames(table.read, path, SYMBOL)["trades"]
    assert trades.select("row", "ts_ns", "seq", "side", "price", "size").rows() == [
        (1, NS, 51, SELL, 100.0, 1.5),
        (2, NS + 10**9, 52, BUY, 101.0, 2.5),
    ]


def test_both_clocks_and_a_time_that_is_too_coarse(tmp_path: Path) -> None:
    path = csv(tmp_path, "exch_ts_us,local_ts_ns,price,size", f"{MS}250,{NS + 7},100,1")
    assert frames(table.read, path, SYMBOL)["trades"].select("ts_ns", "local_ns").rows() == [(NS + 250_000, NS + 7)]
    coarse = csv(tmp_path, "time_s,local_ts_ns,price,size", f"{MS // 1000},{NS + 7},100,1")
    assert frames(table.read, coarse, SYMBOL)["trades"].select("ts_ns", "local_ns").rows() == [(NS + 7, NS + 7)]
    alone = csv(tmp_path, "local_ts_ns,price,size", f"{NS + 7},100,1")
    assert frames(table.read, alone, SYMBOL)["trades"].select("ts_ns", "local_ns").rows() == [(NS + 7, NS + 7)]


def test_units_are_told_found_and_must_agree(tmp_path: Path) -> None:
    path = csv(tmp_path, "time,price,size", f"{MS},100,1")
    assert frames(table.read, path, Options(symbol="X", unit="ms"))["trades"]["ts_ns"].to_list() == [NS]
    with pytest.raises(SettingError, match="give --unit ms"):
        frames(table.read, path, Options(symbol="X", unit="us"))
    with pytest.raises(SettingError, match="only in ms"):
        frames(table.read, csv(tmp_path, "ts_us,price,size", f"{MS},100,1"), SYMBOL)


def test_books_of_several_levels(tmp_path: Path) -> None:
    header = "ts_ms,bid_px_0,bid_sz_0,ask_px_0,ask_sz_0,bid_px_1,bid_sz_1,ask_px_1,ask_sz_1"
    path = csv(tmp_path, header, f"{MS},100,1,101,2,99,3,102,4", f"{MS + 1},100,1,101,2,,,,")
    books = plain(frames(table.read, path, SYMBOL)["book_snapshots_2"])
    names = ("bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0", "bid_px_1", "bid_sz_1", "ask_px_1", "ask_sz_1")
    assert books.select(names).rows() == [
        (100.0, 1.0, 101.0, 2.0, 99.0, 3.0, 102.0, 4.0),
        (100.0, 1.0, 101.0, 2.0, None, None, None, None),
    ]


@pytest.mark.parametrize("first", [1, 2])
def test_levels_that_are_counted_from_one_are_refused_or_renamed(first: int, tmp_path: Path) -> None:
    levels = [f"{side}_{what}_{i}" for i in (first, first + 1) for side in ("bid", "ask") for what in ("px", "sz")]
    path = csv(tmp_path, ",".join(["ts_ms", *levels]), f"{MS},100,1,101,2,99,3,102,4")
    try:
        books = frames(table.read, path, SYMBOL)["book_snapshots_2"]
    except SchemaError:
        return
    assert books.select("bid_px_0", "ask_sz_1").rows() == [(100.0, 4.0)]


def test_asks_that_are_deeper_than_the_bids_are_kept(tmp_path: Path) -> None:
    path = csv(tmp_path, "ts_ms,bid_px_0,bid_sz_0,ask_px_0,ask_sz_0,ask_px_1,ask_sz_1", f"{MS},100,1,101,2,102,4")
    (books,) = frames(table.read, path, SYMBOL).values()
    assert books["ask_px_1"].to_list() == [102.0]


@pytest.mark.parametrize(
    "names",
    [
        "bid,bid_size,ask,ask_size",
        "BID_PRICE,bid_qty,ask_price,Ask_Qty",
        "best_bid_price,best_bid_qty,best_ask_price,best_ask_qty",
    ],
)
def test_quotes_by_the_usual_names(names: str, tmp_path: Path) -> None:
    path = csv(tmp_path, f"ts_ms,{names}", f"{MS},100,1,101,2", f"{MS + 1},,,101,2")
    quotes = plain(frames(table.read, path, SYMBOL)["book_snapshots_1"])
    assert quotes.select("ts_ns", "bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0").rows() == [
        (NS, 100.0, 1.0, 101.0, 2.0),
        (NS + STEP, None, None, 101.0, 2.0),
    ]


def test_quotes_without_sizes(tmp_path: Path) -> None:
    quotes = plain(frames(table.read, csv(tmp_path, "ts_ms,bid,ask", f"{MS},100,101"), SYMBOL)["book_snapshots_1"])
    assert quotes.select("bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0").rows() == [(100.0, None, 101.0, None)]


def test_orders(tmp_path: Path) -> None:
    lines = (
        f"{MS},7,Created,0,100,5",
        f"{MS + 1},7,changed,0,100,3",
        f"{MS + 2},8,add,1,101,2",
        f"{MS + 3},7,deleted,0,100,0",
    )
    orders = frames(table.read, csv(tmp_path, "ts_ms,order_id,action,is_ask,price,size", *lines), SYMBOL)[
        "order_events"
    ]
    assert orders.select("row", "order_id", "action", "side", "price", "size").rows() == [
        (2, 7, ADD, 1, 100.0, 5.0),
        (3, 7, SET, 1, 100.0, 3.0),
        (4, 8, ADD, -1, 101.0, 2.0),
        (5, 7, DELETE, 1, 100.0, 0.0),
    ]


@pytest.mark.parametrize("cells", ["7,dance,0,100,5", "7,add,maybe,100,5", ",add,0,100,5"])
def test_an_order_that_cannot_be_read_is_refused(cells: str, tmp_path: Path) -> None:
    path = csv(tmp_path, "ts_ms,order_id,action,is_ask,price,size", f"{MS},{cells}")
    with pytest.raises(DataError, match="row 2"):
        import_file(path, tmp_path / "store", Request("table", "venue", SYMBOL), print)


def test_an_order_with_a_name_for_a_number_is_refused_in_words(tmp_path: Path) -> None:
    path = csv(tmp_path, "ts_ms,order_id,action,is_ask,price,size", f"{MS},a-7,add,0,100,5")
    with pytest.raises(DataError):
        import_file(path, tmp_path / "store", Request("table", "venue", SYMBOL), print)


def test_book_changes(tmp_path: Path) -> None:
    lines = (
        f"{MS},false,bid,98,1",
        f"{MS},true,bid,100,1",
        f"{MS},True,ask,101,2",
        f"{MS + 1},0,ask,101,0",
        f"{MS + 2},1,buy,99,1",
    )
    book = frames(table.read, csv(tmp_path, "ts_ms,is_snapshot,side,price,size", *lines), SYMBOL)["book_deltas"]
    assert book.select("row", "flags", "side", "price", "size").rows() == [
        (2, 0, 1, 98.0, 1.0),
        (3, 3, 1, 100.0, 1.0),
        (4, 1, -1, 101.0, 2.0),
        (5, 0, -1, 101.0, 0.0),
        (6, 3, 1, 99.0, 1.0),
    ]


def test_snapshots_of_several_symbols_do_not_run_together(tmp_path: Path) -> None:
    lines = (
        f"{MS},A,true,bid,100,1",
        f"{MS},B,true,bid,50,1",
        f"{MS + 1},A,false,bid,100,2",
        f"{MS + 2},B,true,bid,50,3",
    )
    book = frames(table.read, csv(tmp_path, "ts_ms,symbol,is_snapshot,side,price,size", *lines))["book_deltas"]
    assert dict(book.select("row", "flags").rows()) == {2: 3, 3: 3, 4: 0, 5: 3}


def test_a_snapshot_after_a_snapshot_clears_the_book(tmp_path: Path) -> None:
    lines = (f"{MS},true,bid,100,1", f"{MS + 1},true,bid,99,1")
    book = frames(table.read, csv(tmp_path, "ts_ms,is_snapshot,side,price,size", *lines), SYMBOL)["book_deltas"]
    assert book["flags"].to_list() == [3, 3]


def test_a_snapshot_over_two_chunks_clears_the_book_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "book.parquet"
    n = 5
    columns = {"ts_ms": [MS] * n, "is_snapshot": [True] * n, "side": ["bid"] * n, "size": [1.0] * n}
    pl.DataFrame({**columns, "price": [100.0 - i for i in range(n)]}).write_parquet(path)
    monkeypatch.setattr("features.intake.columns.BATCH_ROWS", 2)
    assert frames(table.read, path, SYMBOL)["book_deltas"]["flags"].to_list() == [3, 1, 1, 1, 1]


def test_funding(tmp_path: Path) -> None:
    path = csv(tmp_path, "ts_ms,funding_rate,interval_h", f"{MS},-0.0001,8", f"{MS + 1},0.0002,4")
    rows = frames(table.read, path, SYMBOL)["funding"]
    assert rows.select("ts_ns", "funding_ns", "rate", "interval_s").rows() == [
        (NS, NS, -0.0001, 28_800),
        (NS + STEP, NS + STEP, 0.0002, 14_400),
    ]
    bare = frames(table.read, csv(tmp_path, "ts_ms,fundingRate", f"{MS},-0.0001"), SYMBOL)["funding"]
    assert bare["interval_s"].to_list() == [0]


def test_an_interval_of_funding_may_be_unknown(tmp_path: Path) -> None:
    path = csv(tmp_path, "ts_ms,funding_rate,interval_h", f"{MS},-0.0001,8", f"{MS + 1},0.0002,")
    assert frames(table.read, path, SYMBOL)["funding"]["interval_s"].to_list() == [28_800, 0]


@pytest.mark.parametrize("cells", ["buy?,100,1", "buy,cheap,1", "buy,100,-1"])
def test_trades_that_cannot_be_believed_are_refused(cells: str, tmp_path: Path) -> None:
    path = csv(tmp_path, "ts_ms,side,price,size", f"{MS},{cells}")
    with pytest.raises(DataError, match="row 2"):
        import_file(path, tmp_path / "store", Request("table", "venue", SYMBOL), print)


def test_cells_that_are_no_numbers_are_refused_with_their_row(tmp_path: Path) -> None:
    path = csv(tmp_path, "ts_ms,price,size", f"{MS},100,1", f"{MS},cheap,1", f"{MS},100", "soon,100,1", f"{MS},100,2")
    assert [fault.row for fault in rejected(table.read, path, SYMBOL)] == [4]
    asked = Request("table", "venue", SYMBOL, "quarantine")
    report = import_file(path, tmp_path / "store", asked, print)
    assert (report.rows, report.rejected) == (2, 3)
    faults = pl.read_csv(tmp_path / "store" / "quarantine" / next((tmp_path / "store/quarantine").iterdir()).name)
    assert sorted(faults["row"].to_list()) == [3, 4, 5]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="add --symbol"):
        frames(table.read, csv(tmp_path, "ts_ms,price,size", f"{MS},1,1"))
    with pytest.raises(SchemaError, match="no column of times; found"):
        frames(table.read, csv(tmp_path, "price,size", "1,1"), SYMBOL)
    with pytest.raises(SchemaError, match="of no table that is known"):
        frames(table.read, csv(tmp_path, "ts_ms,price,mood", f"{MS},1,1"), SYMBOL)


@pytest.mark.parametrize("names", ["ts_ms,time", "exchange_ts,time", "ts_ms,local_ts_ms,local"])
def test_two_columns_of_one_meaning_do_not_collide(names: str, tmp_path: Path) -> None:
    stamps = ",".join([str(MS)] * (names.count(",") + 1))
    path = csv(tmp_path, f"{names},price,size", f"{stamps},100,1")
    assert frames(table.read, path, SYMBOL)["trades"]["ts_ns"].to_list() == [NS]


RAW = Path(__file__).parents[4] / "shared/data/raw/binance_test_data"


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_real_tables_are_read_to_the_last_row() -> None:
    raw = pl.read_parquet(RAW / "btcusdt-trades.parquet")
    trades = frames(table.read, RAW / "btcusdt-trades.parquet", SYMBOL)["trades"]
    assert trades["seq"].to_list() == raw["trade_id"].to_list()
    assert trades["size"].sum() == pytest.approx(raw["quantity"].sum(), rel=1e-12)
    assert (trades["side"] == SELL).sum() == (raw["buyer_maker"] == "True").sum()
    raw = pl.read_parquet(RAW / "btcusdt-quotes.parquet")
    quotes = frames(table.read, RAW / "btcusdt-quotes.parquet")["book_snapshots_1"]
    assert quotes["ts_ns"].to_list() == raw["timestamp"].dt.epoch("ns").to_list()
    pairs = {"bid_px_0": "bid", "bid_sz_0": "bid_size", "ask_px_0": "ask", "ask_sz_0": "ask_size"}
    assert all(quotes[ours].to_list() == raw[theirs].to_list() for ours, theirs in pairs.items())
