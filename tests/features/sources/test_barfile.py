"""Bars of any maker, by rows written by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from features.errors import DataError, FormatError, SchemaError, SettingError
from features.importing import Request, import_file
from features.intake.batch import Note, Options
from features.sources import barfile
from tests.reading import frames, rejected

SYMBOL = Options(symbol="BTCUSDT")
S = 1_700_000_100  # a whole quarter of an hour
NS, STEP = S * 10**9, 900 * 10**9
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
OPENS = [NS + i * STEP for i in range(4)]


def table(stamps: list[object], time: str = "ts_ms", **columns: list[object]) -> pl.DataFrame:
    n = len(stamps)
    prices = {"open": [10.0 + i for i in range(n)], "high": [20.0] * n, "low": [5.0] * n, "close": [11.0] * n}
    return pl.DataFrame({time: stamps, **prices, "volume": [3.0] * n, **columns})


def csv(folder: Path, frame: pl.DataFrame | str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text(frame if isinstance(frame, str) else frame.write_csv())
    return path


def stamps_of(path: Path, options: Options = SYMBOL) -> list[int]:
    (bars,) = frames(barfile.read, path, options).values()
    return bars["ts_ns"].to_list()


def notes(path: Path, options: Options = SYMBOL) -> list[str]:
    return [item.text for item in barfile.read(path, options) if isinstance(item, Note)]


HEADERS = [
    "ts_ms,open,high,low,close,volume,quote_volume,trades,buy_volume",
    "Open time,Open,High,Low,Close,Volume,Quote asset volume,Number of trades,Taker buy base asset volume",
    "t,o,h,l,c,v,turnover,n,taker_buy_volume",
    "TIMESTAMP,OPEN,HIGH,LOW,CLOSE,VOL,Volume Quote,Count,taker_buy_base_volume",
    " date , open , high , low , close , base_volume , quote_volume , num_trades , buy_volume",
]


@pytest.mark.parametrize("header", HEADERS)
def test_columns_are_found_by_their_usual_names_in_any_case(header: str, tmp_path: Path) -> None:
    path = csv(tmp_path, f"{header}\n{S}000,10,20,5,11,3,33,7,2\n{S + 900}000,11,20,5,11,3,33,7,2\n")
    bars = frames(barfile.read, path, SYMBOL)["bars"]
    assert bars.row(0) == ("BTCUSDT", 2, NS, 10.0, 20.0, 5.0, 11.0, 3.0, 33.0, 7.0, 2.0)
    assert not rejected(barfile.read, path, SYMBOL)


def test_the_order_of_columns_does_not_matter_and_others_are_passed_over(tmp_path: Path) -> None:
    frame = table([S, S + 900], "ts_s", mood=["good", "bad"])
    path = csv(tmp_path, frame.select(reversed(frame.columns)))
    bars = frames(barfile.read, path, SYMBOL)["bars"]
    assert bars.select("ts_ns", "open", "volume").row(1) == (NS + STEP, 11.0, 3.0)
    assert bars["quote_volume"].is_nan().all()


WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "csv": lambda frame, path: frame.write_csv(path),
    "parquet": lambda frame, path: frame.write_parquet(path),
    "feather": lambda frame, path: frame.write_ipc(path, compat_level=pl.CompatLevel.oldest()),
}


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("unit", UNITS)
def test_times_are_told_by_their_size_in_every_form(form: str, unit: str, tmp_path: Path) -> None:
    path = tmp_path / "bars.of.any.name"
    WRITERS[form](table([ts * UNITS[unit] // 10**9 for ts in OPENS], "time"), path)
    assert stamps_of(path) == OPENS
    assert stamps_of(path, Options(symbol="BTCUSDT", unit=unit)) == OPENS


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("precision", ["ms", "us", "ns"])
def test_datetimes_of_columnar_files_are_utc(zone: str | None, precision: str, tmp_path: Path) -> None:
    moments = pl.Series(OPENS).cast(pl.Datetime("ns")).cast(pl.Datetime(precision))  # type: ignore[arg-type]
    if zone:
        moments = moments.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    path = tmp_path / "bars.parquet"
    table([0] * 4).drop("ts_ms").with_columns(date=moments).write_parquet(path)
    assert stamps_of(path) == OPENS


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%f+00:00"])
def test_iso_texts_are_utc(form: str, tmp_path: Path) -> None:
    texts: list[object] = [datetime.fromtimestamp(ts // 10**9, UTC).strftime(form) for ts in OPENS]
    assert stamps_of(csv(tmp_path, table(texts, "Date"))) == OPENS


def test_days_are_midnights_and_offsets_count(tmp_path: Path) -> None:
    days: list[object] = ["2023-11-14", "2023-11-15"]
    first = int(datetime(2023, 11, 14, tzinfo=UTC).timestamp()) * 10**9
    assert stamps_of(csv(tmp_path, table(days, "date"))) == [first, first + 86_400 * 10**9]
    moved: list[object] = ["2023-11-14T23:15:00+01:00", "2023-11-14T17:30:00.000-05:00"]
    assert stamps_of(csv(tmp_path, table(moved, "date"))) == OPENS[:2]


@pytest.mark.parametrize(("name", "unit"), [("ts_ms", None), ("time", "ms"), ("ts_s", "s")])
def test_a_unit_that_the_stamps_contradict_is_told(name: str, unit: str | None, tmp_path: Path) -> None:
    path = csv(tmp_path, table([ts // 10**3 for ts in OPENS], name))
    with pytest.raises(SettingError, match="only in us; give --unit us"):
        frames(barfile.read, path, Options(symbol="BTCUSDT", unit=unit))


def test_a_stamp_of_no_unit_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is no time between 1990 and 2200"):
        frames(barfile.read, csv(tmp_path, table([12, 13], "time")), SYMBOL)


def test_a_later_stamp_of_another_unit_is_not_believed(tmp_path: Path) -> None:
    path = csv(tmp_path, table([S * 1_000, (S + 900) * 1_000_000], "time"))
    with pytest.raises(DataError):
        import_file(path, tmp_path / "store", Request("bars", "venue", SYMBOL), print)


def test_a_file_that_is_newest_first_is_turned_round(tmp_path: Path) -> None:
    path = csv(tmp_path, table([ts // 10**9 for ts in reversed(OPENS)], "unix"))
    assert stamps_of(path) == OPENS
    assert frames(barfile.read, path, SYMBOL)["bars"]["row"].to_list() == [5, 4, 3, 2]
    assert notes(path) == ["the file is newest first; its rows were turned round"]


def test_a_file_out_of_order_is_refused(tmp_path: Path) -> None:
    shuffled: list[object] = [OPENS[i] // 10**9 for i in (0, 2, 1, 3)]
    path = csv(tmp_path, table(shuffled, "ts_s"))
    with pytest.raises(DataError, match="row 4"):
        import_file(path, tmp_path / "store", Request("bars", "venue", SYMBOL), print)


CLOSED = "bars were stamped at their close; now at their open"


@pytest.mark.parametrize(("unit", "late"), [("ms", 10**6), ("us", 10**3), ("s", 10**9), ("ns", 1)])
@pytest.mark.parametrize("stamp", [None, "close"])
def test_stamps_one_unit_before_a_full_bar_are_closes(unit: str, late: int, stamp: str | None, tmp_path: Path) -> None:
    path = csv(tmp_path, table([(ts + STEP - late) * UNITS[unit] // 10**9 for ts in OPENS], "time"))
    options = Options(symbol="BTCUSDT", stamp=stamp)
    assert stamps_of(path, options) == OPENS
    assert notes(path, options) == [CLOSED]


def test_full_bars_are_opens_unless_the_user_or_their_name_says_closes(tmp_path: Path) -> None:
    ends: list[object] = [(ts + STEP) // 10**9 for ts in OPENS]
    path = csv(tmp_path, table(ends, "time"))
    assert stamps_of(path) == [ts + STEP for ts in OPENS]
    assert stamps_of(path, Options(symbol="BTCUSDT", stamp="open")) == [ts + STEP for ts in OPENS]
    assert stamps_of(path, Options(symbol="BTCUSDT", stamp="close")) == OPENS
    named = csv(tmp_path, table(ends, "close_time"))
    assert stamps_of(named) == OPENS
    assert notes(named) == [CLOSED]
    assert stamps_of(named, Options(symbol="BTCUSDT", stamp="open")) == [ts + STEP for ts in OPENS]


def test_a_bar_that_is_absent_does_not_change_the_length(tmp_path: Path) -> None:
    path = csv(tmp_path, table([(OPENS[i] + STEP) // 10**9 for i in (0, 1, 3)], "close_time"))
    assert stamps_of(path) == [OPENS[i] for i in (0, 1, 3)]


def test_a_single_bar_stamped_at_its_close(tmp_path: Path) -> None:
    path = csv(tmp_path, table([S + 900], "ts_s"))
    assert stamps_of(path, Options(symbol="BTCUSDT", stamp="close", bar_s=900)) == [NS]


def test_stamps_that_are_all_the_same_are_refused_in_words(tmp_path: Path) -> None:
    path = csv(tmp_path, table([S] * 3, "ts_s"))
    with pytest.raises(DataError, match="repeats"):
        import_file(path, tmp_path / "store", Request("bars", "venue", SYMBOL), print)


def test_the_length_may_be_told(tmp_path: Path) -> None:
    path = csv(tmp_path, table([S, S + 3_600], "ts_s"))
    assert list(frames(barfile.read, path, Options(symbol="BTCUSDT", bar_s=900))) == ["bars_900s"]
    report = import_file(
        path, tmp_path / "store", Request("bars", "venue", Options(symbol="BTC/USDT", bar_s=900)), print
    )
    assert [(s.folder, s.rows) for s in report.streams] == [("kind=bars_900s/venue=venue/symbol=BTC-USDT", 2)]


def test_cells_that_are_none_are_rejected_with_their_row(tmp_path: Path) -> None:
    text = f"""\
ts_s,open,high,low,close,volume
{S},10,20,5,11,3
soon,10,20,5,11,3
{S + 1800},10,n/a,5,11,3
{S + 2700},10,20,5
{S + 3600},10,20,5,11,3
"""
    path = csv(tmp_path, text)
    assert {(fault.row, fault.reason) for fault in rejected(barfile.read, path, SYMBOL)} == {
        (3, "ts_s is 'soon', which is no time"),
        (4, "high is 'n/a', which is no number"),
        (5, "4 fields where the header has 6"),
    }
    assert frames(barfile.read, path, SYMBOL)["bars"]["row"].to_list() == [2, 6]
    asked = Request("bars", "venue", Options(symbol="BTCUSDT", bar_s=900), on_error="quarantine")
    report = import_file(path, tmp_path / "store", asked, print)
    assert (report.rows, report.rejected) == (2, 3)


@pytest.mark.parametrize(
    "cells",
    ["10,20,5,,3", "10,20,5,11,", "10,9,5,11,3", "10,20,10.5,11,3", "0,20,0,11,3", "10,20,5,11,-1", "10,inf,5,11,3"],
)
def test_bars_that_contradict_themselves_are_refused(cells: str, tmp_path: Path) -> None:
    path = csv(
        tmp_path, f"ts_s,open,high,low,close,volume\n{S},10,20,5,11,3\n{S + 900},{cells}\n{S + 1800},10,20,5,11,3\n"
    )
    with pytest.raises(DataError, match="row 3"):
        import_file(path, tmp_path / "store", Request("bars", "venue", SYMBOL), print)
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="add --symbol"):
        frames(barfile.read, csv(tmp_path, table([S], "ts_s")))
    with pytest.raises(SchemaError, match=r"no column for time, low, volume; found .*mood, open"):
        frames(barfile.read, csv(tmp_path, "mood,open,high,close\n1,2,3,4\n"), SYMBOL)
    with pytest.raises(FormatError, match="has a header but no rows"):
        frames(barfile.read, csv(tmp_path, "ts_s,open,high,low,close,volume\n"), SYMBOL)


@pytest.mark.parametrize("name", ["open_time", "close_time"])
def test_klines_of_binance_are_plain_bars_too(name: str, tmp_path: Path) -> None:
    header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
    lines = [f"{ts // 10**6},10,20,5,11,3,{(ts + STEP) // 10**6 - 1},33,7,2,22,0" for ts in OPENS]
    path = csv(tmp_path, "\n".join([header, *lines, ""]))
    if name == "close_time":
        path = csv(tmp_path, pl.read_csv(path).drop("open_time"))
    bars = frames(barfile.read, path, SYMBOL)["bars"]
    assert bars["ts_ns"].to_list() == OPENS
    assert bars.select("volume", "quote_volume", "trades", "buy_volume").row(0) == (3.0, 33.0, 7.0, 2.0)


def test_fractions_of_seconds_are_exact(tmp_path: Path) -> None:
    texts: list[object] = [f"{S}.123456789", f"{S + 60}.5"]
    assert stamps_of(csv(tmp_path, table(texts, "time"))) == [NS + 123_456_789, NS + 60 * 10**9 + 500_000_000]


def test_a_big_file_is_read_whole(tmp_path: Path) -> None:
    first = datetime(2020, 1, 1, tzinfo=UTC)
    texts: list[object] = [(first + timedelta(minutes=i)).isoformat() for i in range(3_000)]
    path = tmp_path / "bars.parquet"
    table(texts, "date").write_parquet(path, row_group_size=700)
    bars = frames(barfile.read, path, SYMBOL)["bars"]
    assert bars["row"].to_list() == list(range(1, 3_001))
    assert bars["ts_ns"].diff().drop_nulls().unique().to_list() == [60 * 10**9]
