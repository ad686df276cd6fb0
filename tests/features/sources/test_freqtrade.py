"""Freqtrade's files, made by hand."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from math import nan
from pathlib import Path

import polars as pl
import pytest

from features.errors import FormatError, MissingFileError, SchemaError
from features.intake.batch import Note, Options
from features.sources import freqtrade
from tests.reading import frames

RAW = Path(__file__).parents[4] / "shared/data/raw/freqtrade_feather"
T0 = 1_700_000_040  # a whole minute
NS = 1_000_000_000
COLUMNS = ["open", "high", "low", "close", "volume"]


def candles(step_s: int, *rows: tuple[float, ...], unit: str = "ns") -> pl.DataFrame:
    stamps = [datetime.fromtimestamp(T0 + i * step_s, tz=UTC) for i in range(len(rows))]
    dates = pl.Series("date", stamps, dtype=pl.Datetime(unit, "UTC"))  # type: ignore[arg-type]  # a literal
    return pl.DataFrame(list(rows), schema=COLUMNS, orient="row").with_columns(dates).select("date", *COLUMNS)


def bars(path: Path, kind: str) -> list[tuple[object, ...]]:
    return frames(freqtrade.read, path)[kind].select("row", "symbol", "ts_ns", *COLUMNS).rows()


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_candles_take_their_length_from_the_name(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "BTC_USDT_USDT-1m-futures.feather"
    candles(60, (100.0, 102.0, 99.0, 101.0, 5.0), (101.0, 101.0, 101.0, 101.0, 0.0), unit=unit).write_ipc(path)
    assert bars(path, "bars_60s") == [
        (1, "BTC_USDT_USDT", T0 * NS, 100.0, 102.0, 99.0, 101.0, 5.0),
        (2, "BTC_USDT_USDT", (T0 + 60) * NS, 101.0, 101.0, 101.0, 101.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("length", "seconds"), [("5m", 300), ("1h", 3600), ("8h", 28800), ("1d", 86400), ("1w", 604800)]
)
def test_every_length(tmp_path: Path, length: str, seconds: int) -> None:
    path = tmp_path / f"ETH_BTC-{length}.parquet"
    candles(seconds, (1.0, 1.0, 1.0, 1.0, 1.0)).write_parquet(path)
    assert bars(path, f"bars_{seconds}s") == [(1, "ETH_BTC", T0 * NS, 1.0, 1.0, 1.0, 1.0, 1.0)]


@pytest.mark.parametrize("kind", ["mark", "index"])
def test_mark_and_index_are_symbols_of_their_own_without_volume(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"BTC_USDT_USDT-8h-{kind}.arrow"
    candles(28800, (100.0, 102.0, 99.0, 101.0, nan)).write_ipc(path)
    assert bars(path, "bars_28800s") == [(1, f"BTC_USDT_USDT.{kind}", T0 * NS, 100.0, 102.0, 99.0, 101.0, 0.0)]


def test_a_candle_of_trades_without_volume_breaks_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "BTC_USDT-1m.feather"
    candles(60, (100.0, 102.0, 99.0, 101.0, nan)).write_ipc(path)
    assert frames(freqtrade.read, path)["bars_60s"]["volume"].is_nan().all()


def funding(folder: Path, step_s: int) -> Path:
    path = folder / "BTC_USDT_USDT-8h-funding_rate.feather"
    frame = candles(step_s, *((rate, 0.0, 0.0, 0.0, 0.0) for rate in (0.0001, -0.0002, 0.0003)))
    frame.with_columns(pl.col("date") + pl.duration(milliseconds=2)).write_ipc(path)
    return path


def test_funding_rates(tmp_path: Path) -> None:
    rates = frames(freqtrade.read, funding(tmp_path, 28800))["funding"]
    assert rates.select("ts_ns", "funding_ns", "rate", "interval_s").rows()[:2] == [
        (T0 * NS + 2_000_000, T0 * NS, 0.0001, 28800),
        ((T0 + 28800) * NS + 2_000_000, (T0 + 28800) * NS, -0.0002, 28800),
    ]


def test_funding_rates_at_other_steps_than_the_name_says(tmp_path: Path) -> None:
    path = funding(tmp_path, 14400)
    assert frames(freqtrade.read, path)["funding"]["interval_s"].to_list() == [0, 0, 0]
    (note,) = (item for item in freqtrade.read(path, Options()) if isinstance(item, Note))
    assert "commonly 14400 s" in note.text


@pytest.mark.parametrize(("ending", "pack"), [("json", bytes), ("json.gz", gzip.compress)])
def test_lists_of_lists(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"ADA_USDT-5m.{ending}"
    rows = [[T0 * 1000, 1, 2.5, 0.5, 2, 7], [(T0 + 300) * 1000, 2, 2, 2, 2, None]]
    path.write_bytes(pack(json.dumps(rows).encode()))
    found = bars(path, "bars_300s")
    assert found[0] == (1, "ADA_USDT", T0 * NS, 1.0, 2.5, 0.5, 2.0, 7.0)
    assert found[1][-1] is None


def test_trades(tmp_path: Path) -> None:
    path = tmp_path / "ADA_USDT-trades.json"
    rows = [[T0 * 1000, "77", None, "sell", 1.5, 2, 3.0], [T0 * 1000 + 5, "a-1", None, "buy", 1.5, 4, 6.0]]
    path.write_text(json.dumps(rows))
    trades = frames(freqtrade.read, path)["trades"]
    assert trades.select("row", "ts_ns", "seq", "id", "side", "price", "size").rows() == [
        (1, T0 * NS, 77, "", -1, 1.5, 2.0),
        (2, T0 * NS + 5_000_000, -1, "a-1", 1, 1.5, 4.0),
    ]


def test_an_empty_list_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ADA_USDT-5m.json"
    path.write_text("[]")
    assert not frames(freqtrade.read, path)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("candles.feather", "is not named as freqtrade"),
        ("BTC_USDT-1M.feather", "is not named as freqtrade"),
        ("BTC_USDT_USDT-1h-premiumIndex.feather", "premiumIndex is not read"),
        ("BTC_USDT-1h.h5", "convert-data"),
        ("BTC_USDT-1h.feather", "cannot be read as .feather"),
        ("BTC_USDT-1h.parquet", "cannot be read as .parquet"),
        ("BTC_USDT-1h.json", "cannot be read as .json"),
    ],
)
def test_files_that_are_not_freqtrades_are_refused(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).write_text("no table\n")
    with pytest.raises(FormatError, match=told):
        frames(freqtrade.read, tmp_path / name)


def test_columns_and_times_that_are_wrong_are_told(tmp_path: Path) -> None:
    path = tmp_path / "BTC_USDT-1h.feather"
    with pytest.raises(MissingFileError):
        frames(freqtrade.read, path)
    frame = candles(3600, (1.0, 1.0, 1.0, 1.0, 1.0))
    frame.drop("close").write_ipc(path)
    with pytest.raises(SchemaError, match="no column close; found date, open"):
        frames(freqtrade.read, path)
    frame.with_columns(date=pl.lit("today")).write_ipc(path)
    with pytest.raises(SchemaError, match="column date is String"):
        frames(freqtrade.read, path)
    frame.with_columns(date=pl.lit(17)).write_ipc(path)
    with pytest.raises(FormatError, match="column date: 17 is no time"):
        frames(freqtrade.read, path)


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_files_give_every_candle() -> None:
    minutes = RAW / "BTC_USDT_USDT-1m-futures.feather"
    found = frames(freqtrade.read, minutes)["bars_60s"]
    frame = pl.read_ipc(minutes)
    assert found.select(COLUMNS).equals(frame.select(COLUMNS))
    assert found["ts_ns"].diff().drop_nulls().unique().to_list() == [60 * NS]
    rates = frames(freqtrade.read, RAW / "BTC_USDT_USDT-8h-funding_rate.feather")["funding"]
    assert len(rates) == 89
    assert set(rates["funding_ns"] % (28800 * NS)) == {0}
    assert set(rates["interval_s"]) == {28800}
    marks = frames(freqtrade.read, RAW / "BTC_USDT_USDT-8h-mark.feather")["bars_28800s"]
    assert set(marks["symbol"]) == {"BTC_USDT_USDT.mark"}
    assert len(marks) == 89
