"""Every dataset of Tardis, by lines written by hand."""

import zlib
from pathlib import Path

import polars as pl
import pytest

from features.errors import DataError, FormatError, SchemaError
from features.importing import Request, import_file
from features.intake.batch import Batch, Options
from features.schema import BREAK
from features.sources import tardis
from tests.reading import frames, rejected

RAW = Path(__file__).parents[4] / "shared/data/raw/tardis_csv"
BASE = "exchange,symbol,timestamp,local_timestamp"
DELTAS = f"{BASE},is_snapshot,side,price,amount\n"
TRADES = f"{BASE},id,side,price,amount\n"
US, NS = 1_700_000_000_000_000, 1_700_000_000_000_000_000
A, B = "deribit,BTC-PERPETUAL", "deribit,ETH-PERPETUAL"
BOOK = f"""\
{DELTAS}{A},{US + 1},{US + 11},false,bid,100.5,3
{A},{US + 2},{US + 12},true,bid,100,5
{A},{US + 2},{US + 12},true,ask,101,7
{B},{US + 3},{US + 13},true,ask,50,1
{A},{US + 4},{US + 14},false,ask,101,0
{B},{US + 4},{US + 14},true,bid,49,2
{A},{US + 5},{US + 15},true,bid,99,1
{A},{US + 5},{US + 15},true,ask,102,1
"""


def written(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_changes_and_snapshots_keep_their_order(tmp_path: Path) -> None:
    book = frames(tardis.read, written(tmp_path, BOOK))["book_deltas"]
    rows = book.filter(pl.col("symbol") == "BTC-PERPETUAL").select("row", "flags", "side", "price", "size").rows()
    assert rows == [
        (2, 0, 1, 100.5, 3.0),
        (3, 3, 1, 100.0, 5.0),
        (4, 1, -1, 101.0, 7.0),
        (6, 0, -1, 101.0, 0.0),
        (8, 3, 1, 99.0, 1.0),
        (9, 1, -1, 102.0, 1.0),
    ]
    assert book["venue"].unique().to_list() == ["deribit"]
    assert book["seq"].unique().to_list() == [-1]


def test_symbols_of_one_file_do_not_clear_each_other(tmp_path: Path) -> None:
    book = frames(tardis.read, written(tmp_path, BOOK))["book_deltas"]
    rows = book.filter(pl.col("symbol") == "ETH-PERPETUAL").select("row", "flags", "side", "ts_ns", "local_ns").rows()
    assert rows == [
        (5, 3, -1, (US + 3) * 1_000, (US + 13) * 1_000),
        (7, 1, 1, (US + 4) * 1_000, (US + 14) * 1_000),  # still the same snapshot: no change came between
    ]


@pytest.mark.parametrize("cut", range(3, 9))
def test_a_snapshot_over_two_blocks_clears_the_book_once(
    cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = frames(tardis.read, written(tmp_path, BOOK))["book_deltas"].sort("row")
    lines = [line.encode() for line in BOOK.splitlines(keepends=True)]
    pieces = [b"".join(lines[:cut]), b"".join(lines[cut:])]
    monkeypatch.setattr("features.intake.csvfile.blocks", lambda _: iter(pieces))
    parts = frames(tardis.read, written(tmp_path, BOOK))["book_deltas"].sort("row")
    assert parts.equals(whole)


@pytest.mark.parametrize(("unit", "stamp"), [("us", US), ("ns", NS), ("ms", US // 1_000), ("s", US // 1_000_000)])
def test_the_unit_of_time_is_found_from_its_size(unit: str, stamp: int, tmp_path: Path) -> None:
    path = written(tmp_path, f"{TRADES}binance,BTCUSDT,{stamp},{stamp},7,buy,100,1\n")
    for options in (Options(), Options(unit=unit)):
        trades = frames(tardis.read, path, options)["trades"]
        assert trades.select("ts_ns", "local_ns").rows() == [(NS, NS)]


def test_a_unit_that_the_stamps_contradict_brings_nothing_in(tmp_path: Path) -> None:
    path = written(tmp_path, f"{TRADES}binance,BTCUSDT,{US},{US},7,buy,100,1\n")
    with pytest.raises(DataError, match="between 1990 and 2200"):
        import_file(path, tmp_path / "store", Request("tardis", options=Options(unit="ms")), print)


def test_a_row_in_another_unit_than_the_first_is_not_believed(tmp_path: Path) -> None:
    text = f"{TRADES}binance,BTCUSDT,{US},{US},7,buy,100,1\nbinance,BTCUSDT,{NS},{US},8,buy,100,1\n"
    with pytest.raises(DataError, match="between 1990 and 2200"):
        import_file(written(tmp_path, text), tmp_path / "store", Request("tardis"), print)


def test_a_first_stamp_of_no_unit_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is no time between 1990 and 2200"):
        frames(tardis.read, written(tmp_path, f"{TRADES}binance,BTCUSDT,12,12,7,buy,100,1\n"))


def test_trades_with_numbers_and_with_names(tmp_path: Path) -> None:
    numbered = f"{TRADES}binance,BTCUSDT,{US},{US + 5},41,buy,100,1\nbinance,BTCUSDT,{US},{US + 6},42,sell,99.5,2\n"
    rows = frames(tardis.read, written(tmp_path, numbered))["trades"].select(
        "row", "seq", "id", "side", "price", "size"
    )
    assert rows.rows() == [(2, 41, "", 1, 100.0, 1.0), (3, 42, "", -1, 99.5, 2.0)]
    name = "0a1b2c3d-0000-4000-8000-00000000000f"
    named = f"{TRADES}bitmex,XBTUSD,{US},{US},{name},unknown,100,1\nbitmex,XBTUSD,{US},{US},,sell,99.5,2\n"
    rows = frames(tardis.read, written(tmp_path, named))["trades"].select("seq", "id", "side")
    assert rows.rows() == [(-1, name, 0), (-1, "", -1)]


def test_an_id_beyond_64_bits_is_a_name(tmp_path: Path) -> None:
    text = f"{TRADES}okex,BTC-USDT,{US},{US},98765432109876543210,buy,100,1\n"
    assert frames(tardis.read, written(tmp_path, text))["trades"].select("seq", "id").rows() == [
        (-1, "98765432109876543210")
    ]


def test_liquidations_are_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path, f"{TRADES}bybit,BTCUSD,{US},{US},,sell,100,1\n", "bybit_liquidations_2023-11-14_BTCUSD.csv"
    )
    tables = frames(tardis.read, path)
    assert list(tables) == ["liquidations"]
    assert tables["liquidations"].select("seq", "id", "side", "price", "size").rows() == [(-1, "", -1, 100.0, 1.0)]


def test_liquidations_are_told_by_the_kind(tmp_path: Path) -> None:
    path = written(tmp_path, f"{TRADES}bybit,BTCUSD,{US},{US},,sell,100,1\n")
    assert list(frames(tardis.read, path, Options(kind="liquidations"))) == ["liquidations"]


@pytest.mark.parametrize("header", [DELTAS, TRADES], ids=["book", "trades"])
def test_a_side_that_is_no_word_of_the_list_is_refused(header: str, tmp_path: Path) -> None:
    flag = "false" if header == DELTAS else "1"
    path = written(tmp_path, f"{header}{A},{US},{US},{flag},middle,100,1\n")
    with pytest.raises(DataError, match="side is missing"):
        import_file(path, tmp_path / "store", Request("tardis"), print)


def test_cells_that_are_no_numbers_are_rejected_with_their_line(tmp_path: Path) -> None:
    text = f"{TRADES}{A},{US},{US},1,buy,cheap,1\n{A},{US},{US},2,buy,100\n{A},{US},{US},3,buy,100,1\n"
    path = written(tmp_path, text)
    assert [(fault.row, fault.reason) for fault in rejected(tardis.read, path)] == [
        (3, "7 fields where the header has 8"),
        (2, "price is 'cheap', which is no Float64"),
    ]
    assert frames(tardis.read, path)["trades"]["seq"].to_list() == [3]


@pytest.mark.parametrize("level", ["bid,cheap,1", "bid,100", "bid,-100,1"])
def test_a_level_that_cannot_be_read_makes_the_book_void(level: str, tmp_path: Path) -> None:
    text = f"{DELTAS}{A},{US},{US},true,bid,100,1\n{A},{US},{US + 1},false,{level}\n{A},{US},{US + 2},false,bid,98,1\n"
    store = tmp_path / "store"
    report = import_file(written(tmp_path, text), store, Request("tardis", on_error="quarantine"), print)
    assert report.rejected == 1
    (part,) = store.rglob("part-*.parquet")
    assert BREAK in pl.read_parquet(part, hive_partitioning=False)["flags"].to_list()


def test_an_empty_time_of_receipt_is_refused_in_words(tmp_path: Path) -> None:
    path = written(tmp_path, f"{DELTAS}{A},{US},,true,bid,100,1\n")
    with pytest.raises(DataError, match=r"row 2.*local_ns is missing"):
        import_file(path, tmp_path / "store", Request("tardis"), print)


@pytest.mark.parametrize("names", ["deribit,", ",BTC-PERPETUAL"])
def test_a_row_without_a_name_is_refused(names: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"{TRADES}{names},{US},{US},1,buy,100,1\n")
    with pytest.raises(DataError):
        import_file(path, tmp_path / "store", Request("tardis"), print)


def test_quotes_with_a_side_that_is_empty(tmp_path: Path) -> None:
    text = f"{BASE},ask_amount,ask_price,bid_price,bid_amount\n{A},{US},{US},5,101,100,7\n{A},{US},{US},,,99,3\n"
    quotes = frames(tardis.read, written(tmp_path, text))["book_snapshots_1"]
    names = ("bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0")
    assert quotes.select(pl.col(names).fill_nan(None)).rows() == [(100.0, 7.0, 101.0, 5.0), (99.0, 3.0, None, None)]


def test_book_snapshots_with_levels_that_are_empty(tmp_path: Path) -> None:
    names = ",".join(f"{side}s[{i}].{what}" for i in (0, 1) for side in ("ask", "bid") for what in ("price", "amount"))
    text = f"{BASE},{names}\n{A},{US},{US},101,1,100,2,102,3,99,4\n{A},{US},{US},101,1,100,2,,,,\n"
    books = frames(tardis.read, written(tmp_path, text))["book_snapshots_2"]
    cells = books.select(pl.col("^(bid|ask)_.*$").fill_nan(None))
    assert cells.select("bid_px_0", "bid_sz_0", "bid_px_1", "bid_sz_1").row(0) == (100.0, 2.0, 99.0, 4.0)
    assert cells.select("ask_px_0", "ask_sz_0", "ask_px_1", "ask_sz_1").row(0) == (101.0, 1.0, 102.0, 3.0)
    assert cells.select("bid_px_1", "bid_sz_1", "ask_px_1", "ask_sz_1").row(1) == (None,) * 4
    assert books["ts_ns"].to_list() == [NS, NS]


TICKER = "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price"


def test_a_ticker_gives_only_what_its_cells_hold(tmp_path: Path) -> None:
    full, rate, interest = f"{US + 9},0.0001,0.0002,500,10,11,12", ",-0.0003,,,,,", ",,,600,,,"
    lines = "".join(f"{A},{US + i},{US + i},{cells}\n" for i, cells in enumerate((full, rate, interest, ",,,,,,")))
    tables = frames(tardis.read, written(tmp_path, f"{BASE},{TICKER}\n{lines}"))
    funding = tables["funding"].with_columns(pl.selectors.float().fill_nan(None))
    names = ("row", "funding_ns", "rate", "predicted_rate", "last_price", "index_price", "mark_price")
    assert funding.select(names).rows() == [
        (2, (US + 9) * 1_000, 0.0001, 0.0002, 10.0, 11.0, 12.0),
        (3, 0, -0.0003, None, None, None, None),
    ]
    assert tables["open_interest"].select("row", "open_interest").rows() == [(2, 500.0), (4, 600.0)]


CHAIN = (
    "type,strike_price,expiration,open_interest,last_price,bid_price,bid_amount,bid_iv,ask_price,ask_amount,ask_iv,"
    "mark_price,mark_iv,underlying_index,underlying_price,delta,gamma,vega,theta,rho"
)


def test_an_options_chain_in_fractions_of_one(tmp_path: Path) -> None:
    cells = f"{US + 86_400_000_000},3,0.02,0.01,5,50,0.03,6,60,0.02,55,SYN.BTC,101000,0.4,0.001,90,-8,1"
    text = f"""\
{BASE},{CHAIN}
deribit,BTC-15NOV23-100000-C,{US},{US},call,100000,{cells}
okex-options,BTC-USD-231115-100000-P,{US},{US},put,100000,{cells}
deribit,BTC_USDC-15NOV23-100000-P,{US},{US},put,100000,{US},,,,,,,,,,,,,,,,,
"""
    quotes = frames(tardis.read, written(tmp_path, text))["option_quotes"]
    names = ("symbol", "instrument", "is_call", "strike", "bid_iv", "ask_iv", "mark_iv", "bid_size", "ask_size")
    percent, fraction, bare = quotes.select(pl.col(names)).rows()
    assert percent[:4] == ("BTC", "BTC-15NOV23-100000-C", True, 100_000.0)
    assert percent[4:] == pytest.approx((0.5, 0.6, 0.55, 5.0, 6.0))
    assert fraction[:3] == ("BTC", "BTC-USD-231115-100000-P", False)
    assert fraction[4:7] == (50.0, 60.0, 55.0)  # the other venues' are taken as they are
    assert bare[0] == "BTC_USDC"
    assert quotes["mark_iv"].is_nan().to_list() == [False, False, True]
    assert quotes["expiry_ns"][0] == NS + 86_400 * 10**9
    greeks = ("delta", "gamma", "vega", "theta", "rho", "underlying", "underlying_price", "open_interest")
    assert quotes.select(greeks).row(0) == (0.4, 0.001, 90.0, -8.0, 1.0, "SYN.BTC", 101_000.0, 3.0)


def test_a_table_of_another_maker_is_told(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no column exchange, local_timestamp"):
        frames(tardis.read, written(tmp_path, "timestamp,symbol,price\n1,2,3\n"))
    with pytest.raises(SchemaError, match="of no dataset that is known"):
        frames(tardis.read, written(tmp_path, f"{BASE},mood\n{A},{US},{US},fine\n"))


@pytest.mark.parametrize(
    "columns", ["is_snapshot,price,amount", "id,side,price", "ask_price,bid_price", "funding_rate", "strike_price,type"]
)
def test_a_dataset_without_one_of_its_columns_is_told(columns: str, tmp_path: Path) -> None:
    cells = ",".join("true" if name == "is_snapshot" else "1" for name in columns.split(","))
    with pytest.raises(SchemaError, match="no column"):
        frames(tardis.read, written(tmp_path, f"{BASE},{columns}\n{A},{US},{US},{cells}\n"))


def test_a_compressed_file_and_a_file_with_windows_line_ends(tmp_path: Path) -> None:
    plain = frames(tardis.read, written(tmp_path, BOOK))["book_deltas"]
    packed = zlib.compressobj(wbits=31)
    path = tmp_path / "data.csv.gz"
    path.write_bytes(packed.compress(BOOK.replace("\n", "\r\n").encode()) + packed.flush())
    assert frames(tardis.read, path)["book_deltas"].equals(plain)


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
@pytest.mark.parametrize(
    "path", sorted(p for p in RAW.glob("*.csv") if "first5" not in p.name), ids=lambda p: p.name[:50]
)
def test_real_datasets_are_read_to_the_last_row(path: Path) -> None:
    lines = len([line for line in path.read_text().splitlines() if line.strip()]) - 1
    items = list(tardis.read(path, Options()))
    assert all(isinstance(item, Batch) for item in items)
    batches = [item for item in items if isinstance(item, Batch)]
    assert sum(len(batch.frame) for batch in batches) == lines * len({batch.table.kind for batch in batches})
