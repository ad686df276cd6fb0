"""Tables of any maker: the same rows from CSV, Parquet and Feather, and times in any writing."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import FormatError, MissingFileError, SettingError
from features.intake import columns, stream
from features.intake.batch import Rejected
from features.intake.columns import chunks, found, numbers, stamps
from features.intake.units import UNITS_NS

FILE = Path("file.csv")
NOON_S = 1_700_000_000
FRAME = pl.DataFrame({"ts_ms": [NOON_S * 1_000 + i for i in range(50)], "price": [100 + i / 4 for i in range(50)]})


def ns(values: list[object], unit: str | None = None, name: str = "time") -> list[int | None]:
    return stamps(FILE, pl.Series(name, values, strict=False), unit).to_list()


@pytest.mark.parametrize(("unit", "scale"), UNITS_NS.items())
def test_numbers_and_texts_of_every_unit_are_the_same_instant(unit: str, scale: int) -> None:
    second = NOON_S * 1_000_000_000
    stamp = second // scale
    for told in (None, unit):
        for name in ("time", f"ts_{unit}", f"TS_{unit.upper()}"):
            assert ns([stamp, stamp + 1], told, name) == [second, second + scale]
            assert ns([str(stamp), str(stamp + 1)], told, name) == [second, second + scale]


def test_every_nanosecond_of_a_text_counts() -> None:
    assert ns(["1700000000123456789"]) == [1_700_000_000_123_456_789]
    assert ns([1_700_000_000_123_456_789]) == [1_700_000_000_123_456_789]


@pytest.mark.parametrize(("unit", "name"), [("s", "time"), (None, "ts_s"), ("us", "time"), (None, "ts_ns")])
def test_a_unit_that_the_size_contradicts_is_refused(unit: str | None, name: str) -> None:
    with pytest.raises(SettingError, match=r"file\.csv: column .* only in ms; give --unit ms, or rename"):
        ns([NOON_S * 1_000], unit, name)


def test_the_users_unit_stands_above_the_columns_name() -> None:
    assert ns([NOON_S * 1_000], "ms", "ts_s") == [NOON_S * 1_000_000_000]


@pytest.mark.parametrize("stamp", [0, 17, -NOON_S])
def test_what_is_no_time_of_our_age_is_refused(stamp: int) -> None:
    with pytest.raises(FormatError, match=r"file\.csv: column time: .* is no time between 1990 and 2200"):
        ns([stamp])


def test_cells_that_are_no_time_are_null() -> None:
    assert ns([str(NOON_S), "soon", None, ""]) == [NOON_S * 1_000_000_000, None, None, None]
    assert ns(["2023-11-14T22:13:20Z", "soon", None, ""]) == [NOON_S * 1_000_000_000, None, None, None]
    assert ns([None, None]) == [None, None]


def test_iso_texts_keep_their_fractions_and_offsets() -> None:
    texts = ["2023-11-14 22:13:20.123456789", "2023-11-14T23:13:20.5+01:00", "2023-11-14"]
    second = NOON_S * 1_000_000_000
    assert ns(list(texts)) == [second + 123_456_789, second + 500_000_000, second - 80_000 * 1_000_000_000]


@settings(deadline=None)
@given(st.integers(NOON_S, 2 * NOON_S), st.integers(0, 999_999))
def test_floats_of_seconds_are_right_to_the_microsecond(second: int, micros: int) -> None:
    stamp = float(Decimal(second) + Decimal(micros) / 1_000_000)
    (found_ns,) = ns([stamp])
    assert found_ns is not None
    assert abs(found_ns - (second * 1_000_000_000 + micros * 1_000)) <= 1_000


def test_floats_of_milliseconds_keep_their_fraction() -> None:
    assert ns([NOON_S * 1_000 + 0.5]) == [NOON_S * 1_000_000_000 + 500_000]


def test_a_text_of_seconds_with_decimals_is_exact() -> None:
    assert ns(["1625184005.549"]) == [1_625_184_005_549_000_000]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_datetimes_of_every_unit_and_zone(unit: Literal["ms", "us", "ns"], zone: str | None) -> None:
    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    series = pl.Series("t", [moment]).cast(pl.Datetime(unit, "UTC"))
    series = series.dt.replace_time_zone(None) if zone is None else series.dt.convert_time_zone(zone)
    assert stamps(FILE, series, None).to_list() == [NOON_S * 1_000_000_000]


def test_dates_are_their_midnights() -> None:
    assert ns([date(2023, 11, 14), None]) == [(NOON_S - 80_000) * 1_000_000_000, None]


def test_a_length_of_time_is_no_time() -> None:
    with pytest.raises((FormatError, SettingError)):
        ns([timedelta(seconds=1)])


@settings(deadline=None)
@given(st.lists(st.integers(NOON_S, 2 * NOON_S), min_size=2, max_size=6), st.integers(1, 5))
def test_chunks_of_any_size_give_the_same_times(values: list[int], size: int) -> None:
    texts = [str(value) for value in values]
    pieces = [ns(list(texts[i : i + size])) for i in range(0, len(texts), size)]
    assert [instant for piece in pieces for instant in piece] == ns(list(texts))


@pytest.mark.parametrize("kind", ["parquet", "feather", "ipc", "csv", "csv.gz"])
def test_a_table_is_the_same_in_every_form(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table"
    arrow = FRAME.to_arrow()
    if kind == "parquet":
        pq.write_table(arrow, path)
    elif kind in ("feather", "ipc"):
        pyarrow.feather.write_feather(arrow, path, compression="lz4" if kind == "feather" else "uncompressed")
    else:
        FRAME.write_csv(path, compression="gzip" if kind == "csv.gz" else "uncompressed", check_extension=False)
    monkeypatch.setattr(columns, "BATCH_ROWS", 16)
    monkeypatch.setattr(stream.blocks, "__defaults__", (300,))
    held = list(chunks(path))
    assert len(held) > 2
    frames = [item.cast({"ts_ms": pl.Int64, "price": pl.Float64}) for item in held if isinstance(item, pl.DataFrame)]
    whole = pl.concat(frames)
    assert whole["row"].to_list() == list(range(2, 52) if "csv" in kind else range(1, 51))
    assert whole.select(FRAME.columns).equals(FRAME)


def test_lines_of_a_text_that_do_not_fit_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,x\n2\n3,y\n")
    frame, bad = sorted(chunks(path), key=lambda item: isinstance(item, Rejected))
    assert isinstance(frame, pl.DataFrame)
    assert frame.select("a", "b", "row").rows() == [("1", "x", 2), ("3", "y", 4)]
    assert bad == Rejected(3, "1 fields where the header has 2", "2")


@pytest.mark.parametrize("magic", [b"PAR1", b"ARROW1", b"FEA1"])
def test_a_damaged_table_is_named(magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.bin"
    path.write_bytes(magic + b"\x00" * 40)
    with pytest.raises(FormatError, match=r"table\.bin: is damaged"):
        list(chunks(path))


@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_a_truncated_parquet_is_named(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    FRAME.write_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(FormatError, match=r"table\.parquet: is damaged .* fetch it again"):
        list(chunks(path))


def test_a_missing_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv: no such file"):
        list(chunks(tmp_path / "none.csv"))


def test_the_first_alias_that_is_there_is_taken() -> None:
    names = {"time": ("ts", "time"), "size": ("size",)}
    assert found([" Time ", "TS", "other"], names) == {"time": "TS"}


def test_cells_that_are_no_number_are_null() -> None:
    assert numbers(pl.Series(["1", "x", "2.5", "", None])).to_list() == [1.0, None, 2.5, None, None]
    assert numbers(pl.Series([1, None])).to_list() == [1.0, None]
