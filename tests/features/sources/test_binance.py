"""Binance's public archive, by lines written by hand."""

import zipfile
from pathlib import Path

import polars as pl
import pytest

from features.errors import DataError, FormatError, SchemaError
from features.importing import Request, import_file
from features.intake.batch import Options
from features.sources import binance
from features.store import Series, Store
from tests.reading import frames, rejected

RAW = Path(__file__).parents[4] / "shared/data/raw/binance_vision_klines"
MS, US, NS = 1_700_000_100_000, 1_700_000_100_000_000, 1_700_000_100_000_000_000
KLINE = "10,12,9,11,100,{close},1050,7,60,630,0"
KLINE_HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("stamp", "header", "end"),
    [
        pytest.param(MS, "", ",True"),
        pytest.param(US, "", ",True"),
        (MS, "id,price,qty,quote_qty,time,is_buyer_maker\n", ""),
        (MS, "", ""),
    ],
    ids=["spot", "spot since 2025", "futures", "old futures"],
)
def test_trades(stamp: int, header: str, end: str, tmp_path: Path) -> None:
    text = f"{header}51,100.5,2,201,{stamp},True{end}\n52,100.6,3,301.8,{stamp},false{end}\n"
    path = written(tmp_path, "BTCUSDT-trades-2023-11-14.csv", text)
    trades = frames(binance.read, path)["trades"]
    first = 1 + bool(header)
    assert trades.select("row", "symbol", "ts_ns", "seq", "id", "side", "price", "size").rows() == [
        (first, "BTCUSDT", NS, 51, "", -1, 100.5, 2.0),
        (first + 1, "BTCUSDT", NS, 52, "", 1, 100.6, 3.0),
    ]
    assert not rejected(binance.read, path)


@pytest.mark.parametrize(
    ("header", "end"),
    [
        ("", ",True"),
        ("agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n", ""),
        ("", ""),
    ],
    ids=["spot", "futures", "old futures"],
)
def test_aggregated_trades_are_a_table_of_their_own(header: str, end: str, tmp_path: Path) -> None:
    path = written(tmp_path, "ETHUSD_PERP-aggTrades-2023-11.csv", f"{header}9,100.5,2,51,52,{MS},true{end}\n")
    tables = frames(binance.read, path)
    assert list(tables) == ["agg_trades"]
    assert tables["agg_trades"].select("symbol", "ts_ns", "seq", "side", "price", "size").rows() == [
        ("ETHUSD_PERP", NS, 9, -1, 100.5, 2.0)
    ]


def test_seven_columns_without_a_header_are_told_apart(tmp_path: Path) -> None:
    lines = {
        "trades": f"51,100.5,2,201,{MS},True,True",
        "agg_trades": f"9,100.5,2,51,52,{MS},True",
        "book_snapshots_1": f"77,100,1,101,2,{MS},{MS + 3}",
    }
    for kind, line in lines.items():
        assert list(frames(binance.read, written(tmp_path, f"BTCUSDT-{kind}.csv", f"{line}\n"))) == [kind]
    with pytest.raises(SchemaError, match="5 columns without a header"):
        frames(binance.read, written(tmp_path, "BTCUSDT-x.csv", "1,2,3,4,5\n"))


@pytest.mark.parametrize("header", ["", KLINE_HEADER], ids=["spot", "futures"])
@pytest.mark.parametrize("scale", [1, 1_000], ids=["ms", "us"])
def test_klines(header: str, scale: int, tmp_path: Path) -> None:
    lines = "".join(
        f"{(MS + i * 60_000) * scale},{KLINE.format(close=(MS + i * 60_000 + 59_999) * scale)}\n" for i in range(3)
    )
    path = tmp_path / "BTCUSDT-1m-2023-11.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-1m-2023-11.csv", header + lines)
    bars = next(iter(frames(binance.read, path).values()))
    assert bars["ts_ns"].to_list() == [NS + i * 60 * 10**9 for i in range(3)]
    names = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "buy_volume")
    assert bars.select(names).row(0) == (10.0, 12.0, 9.0, 11.0, 100.0, 1050.0, 7.0, 60.0)
    assert bars["symbol"].unique().to_list() == ["BTCUSDT"]
    report = import_file(path, tmp_path / "store", Request("binance", "binance-spot"), print)
    assert [(stream.folder, stream.rows) for stream in report.streams] == [
        ("kind=bars_60s/venue=binance-spot/symbol=BTCUSDT", 3)
    ]


@pytest.mark.parametrize(("kind", "end"), [("markPriceKlines", ".mark"), ("indexPriceKlines", ".index")])
def test_bars_of_mark_and_index_have_names_of_their_own(kind: str, end: str, tmp_path: Path) -> None:
    text = f"{KLINE_HEADER}{MS},10,12,9,11,0,{MS + 59_999},0,60,0,0,0\n"
    path = written(tmp_path, f"um/daily/{kind}/BTCUSDT/1m/BTCUSDT-1m-2023-11-14.csv", text)
    bars = next(iter(frames(binance.read, path).values()))
    assert bars["trades"].is_nan().all()  # the number in its place counts steps of the price, not trades
    assert bars.select("symbol", "close", "volume", pl.col("trades").fill_nan(0)).rows() == [
        (f"BTCUSDT{end}", 11.0, 0.0, 0.0)
    ]


def test_bars_of_marks_are_not_taken_for_bars_of_trades(tmp_path: Path) -> None:
    path = written(tmp_path, "markPriceKlines/BTCUSDT-1m.csv", f"{MS},10,12,9,11,0,{MS + 59_999},0,60,0,0,0\n")
    assert frames(binance.read, path, Options(symbol="BTCUSDT"))["bars"]["symbol"].to_list() == ["BTCUSDT.mark"]


def test_bars_of_premiums_are_left_out_in_words(tmp_path: Path) -> None:
    text = f"{MS},-0.0001,0.0002,-0.0003,0.0001,0,{MS + 59_999},0,60,0,0,0\n"
    path = written(tmp_path, "premiumIndexKlines/BTCUSDT-1m.csv", text)
    with pytest.raises(SchemaError, match="premium"):
        import_file(path, tmp_path / "store", Request("binance", "binance-usdm"), print)


@pytest.mark.parametrize(
    "header",
    ["", "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time\n"],
)
def test_book_tickers(header: str, tmp_path: Path) -> None:
    path = written(tmp_path, "BTCUSDT-bookTicker-2023-11-14.csv", f"{header}77,100,1,101,2,{MS},{MS + 3}\n")
    quotes = frames(binance.read, path)["book_snapshots_1"]
    assert quotes.select("ts_ns", "seq", "bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0").rows() == [
        (NS, 77, 100.0, 1.0, 101.0, 2.0)
    ]


def test_depth_in_bands(tmp_path: Path) -> None:
    text = "timestamp,percentage,depth,notional\n2023-11-14 22:15:00,-5,10,900\n2023-11-14 22:15:00,0.2,3,301\n"
    bands = frames(binance.read, written(tmp_path, "BTCUSDT-bookDepth-2023-11-14.csv", text))["book_bands"]
    assert bands.select("row", "ts_ns", "percentage", "depth", "notional").rows() == [
        (2, NS, -5.0, 10.0, 900.0),
        (3, NS, 0.2, 3.0, 301.0),
    ]


METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
)


def test_metrics(tmp_path: Path) -> None:
    text = (
        f"{METRICS}2023-11-14 22:15:00,BTCUSDT,500,50000,1.1,1.2,1.3,0.9\n2023-11-14 22:20:00,BTCUSDT,501,50100,,,,\n"
    )
    rows = frames(binance.read, written(tmp_path, "BTCUSDT-metrics-2023-11-14.csv", text))["open_interest"]
    names = ("open_interest", "value", "top_accounts_ratio", "top_positions_ratio", "accounts_ratio", "taker_ratio")
    assert rows.select(pl.col(names).fill_nan(None)).rows() == [
        (500.0, 50_000.0, 1.1, 1.2, 1.3, 0.9),
        (501.0, 50_100.0, None, None, None, None),
    ]
    assert rows["ts_ns"].to_list() == [NS, NS + 300 * 10**9]


@pytest.mark.parametrize("time", ["yesterday", "2023-11-31 00:00:00", "14/11/2023 22:15"])
@pytest.mark.parametrize("header", ["timestamp,percentage,depth,notional\n", METRICS], ids=["bands", "metrics"])
def test_a_text_that_is_no_time_is_refused_in_words(header: str, time: str, tmp_path: Path) -> None:
    cells = ",1" * header.count(",")
    path = written(tmp_path, "BTCUSDT-x-2023-11-14.csv", f"{header}{time}{cells}\n")
    with pytest.raises(DataError):
        import_file(path, tmp_path / "store", Request("binance", "binance-usdm"), print)


def test_funding_rates(tmp_path: Path) -> None:
    text = f"calc_time,funding_interval_hours,last_funding_rate\n{MS},8,-0.0001\n{MS + 28_800_000},4,0.0003\n"
    rows = frames(binance.read, written(tmp_path, "BTCUSDT-fundingRate-2023-11.csv", text))["funding"]
    assert rows.select("ts_ns", "funding_ns", "rate", "interval_s").rows() == [
        (NS, NS, -0.0001, 28_800),
        (NS + 28_800 * 10**9, NS + 28_800 * 10**9, 0.0003, 14_400),
    ]


def test_liquidations_by_what_was_filled(tmp_path: Path) -> None:
    header = (
        "time,side,order_type,time_in_force,original_quantity,price,average_price,"
        "order_status,last_fill_quantity,accumulated_fill_quantity\n"
    )
    lines = f"{MS},SELL,LIMIT,IOC,9,99,98.5,FILLED,1,8\n{MS},BUY,LIMIT,IOC,1,103,102,FILLED,1,1\n"
    path = written(tmp_path, "BTCUSDT-liquidationSnapshot-2023-11-14.csv", header + lines)
    rows = frames(binance.read, path)["liquidations"]
    assert rows.select("row", "side", "price", "size").rows() == [(2, -1, 98.5, 8.0), (3, 1, 102.0, 1.0)]


def test_the_symbol_comes_from_the_name_or_the_user(tmp_path: Path) -> None:
    line = f"51,100.5,2,201,{MS},True,True\n"
    for name, symbol in (
        ("1000SHIBUSDT-trades-2023-11.csv", "1000SHIBUSDT"),
        ("BTCUSDT_231229-trades-2023-11.csv", "BTCUSDT_231229"),
    ):
        assert frames(binance.read, written(tmp_path, name, line))["trades"]["symbol"].to_list() == [symbol]
    path = written(tmp_path, "mine.csv", line)
    assert frames(binance.read, path, Options(symbol="XRPUSDT"))["trades"]["symbol"].to_list() == ["XRPUSDT"]
    with pytest.raises(SchemaError, match="add --symbol"):
        frames(binance.read, path)


def test_rows_that_cannot_be_read_are_rejected_with_their_line(tmp_path: Path) -> None:
    good, bad = f"51,100.5,2,201,{MS},True", f"52,dear,2,201,{MS},True"
    header = "id,price,qty,quote_qty,time,is_buyer_maker"
    text = f"{header}\n{good}\n{bad}\n53,1,2\n54,100.5,2,201,{MS},perhaps\n"
    path = written(tmp_path, "BTCUSDT-trades.csv", text)
    faults = {fault.row: fault.reason for fault in rejected(binance.read, path)}
    assert faults == {
        3: "price is 'dear', which is no Float64",
        4: "3 fields where the header has 6",
        5: "is_buyer_maker is 'perhaps', which is no Boolean",
    }
    assert frames(binance.read, path)["trades"]["row"].to_list() == [2]


def test_a_missing_column_and_an_unknown_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no column time"):
        frames(binance.read, written(tmp_path, "BTCUSDT-a.csv", "id,price,qty,is_buyer_maker\n1,2,3,true\n"))
    with pytest.raises(SchemaError, match="of no file of the archive"):
        frames(binance.read, written(tmp_path, "BTCUSDT-b.csv", "date,mood\n1,2\n"))
    with pytest.raises(FormatError, match="is no time between 1990 and 2200"):
        frames(binance.read, written(tmp_path, "BTCUSDT-c.csv", "51,100.5,2,201,17,True,True\n"))


@pytest.mark.parametrize("unit", [None, "ms"])
def test_a_stamp_in_another_unit_is_not_believed(unit: str | None, tmp_path: Path) -> None:
    """Months in ms and in µs that were glued together, and a unit that the user got wrong."""
    first = "" if unit else f"51,100.5,2,201,{MS},True,True\n"
    path = written(tmp_path, "BTCUSDT-trades.csv", f"{first}52,100.5,2,201,1735700000000000,True,True\n")
    with pytest.raises(DataError):
        import_file(path, tmp_path / "store", Request("binance", "binance-spot", Options(unit=unit)), print)


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
@pytest.mark.parametrize("name", ["BTCUSDT-15m-2020-03.zip", "BTCUSDT-15m-2021-05.zip", "BTCUSDT-1m-2024-03-30_um.csv"])
def test_real_klines_hold_their_sums(name: str, tmp_path: Path) -> None:
    path = RAW / name
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            text = archive.read(archive.namelist()[0]).decode()
    else:
        text = path.read_text()
    cells = [line.split(",") for line in text.splitlines() if line[:1].isdigit()]
    report = import_file(path, tmp_path, Request("binance", "binance-spot"), print)
    assert report.rows == len(cells)
    assert not report.rejected
    bar_s = 60 if "-1m-" in name else 900
    bars = Store(tmp_path).scan(Series(venue="binance-spot", symbol="BTCUSDT", bar_s=bar_s))
    for column, at in (("open", 1), ("close", 4), ("volume", 5), ("quote_volume", 7), ("buy_volume", 9)):
        assert bars[column].sum() == pytest.approx(sum(float(row[at]) for row in cells), rel=1e-12)
    assert bars["ts_ns"].to_list() == [int(row[0]) * 1_000_000 for row in cells]
