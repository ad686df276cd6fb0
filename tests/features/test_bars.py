"""Bad files are refused with what, where and the remedy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.bars import bar_length_s, to_bars
from features.errors import (
    DataError,
    FormatError,
    MissingFileError,
    PriceError,
    SchemaError,
    ShortHistoryError,
    TimeOrderError,
)
from features.sources import barfile, sample


def raw_bars(n: int = 6) -> pd.DataFrame:
    close = 100.0 + np.arange(n)
    return pd.DataFrame(
        {
            "ts_ms": 1_577_836_800_000 + 900_000 * np.arange(n),
            "open": close,
            "high": close + 2,
            "low": close - 2,
            "close": close + 1,
            "volume": 5.0,
        }
    )


def changed(column: str, row: int, value: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row, column] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda f: f.drop(columns="close"), SchemaError, ["no column close;", "rename the columns to ts_ms,"]),
        (lambda f: f.rename(columns={"ts_ms": "Open time"}), SchemaError, ["ts_ms", "Open time"]),
        (lambda f: f.assign(open="dear"), SchemaError, ["row 0", "'dear'"]),
        (lambda f: f.iloc[::-1], TimeOrderError, ["row 1", "2020-01-01T01:00:00Z", "goes back", "sort"]),
        (lambda f: pd.concat([f, f.tail(1)]), TimeOrderError, ["row 6", "repeats", "one row per bar"]),
        (changed("close", 3, np.nan), PriceError, ["row 3", "2020-01-01T00:45:00Z", "close is nan"]),
        (changed("open", 2, 0.0), PriceError, ["row 2", "open is 0.0", "positive"]),
        (changed("low", 2, -1.0), PriceError, ["row 2", "low is -1.0"]),
        (changed("close", 4, np.inf), PriceError, ["row 4", "finite"]),
        (changed("high", 1, 90.0), PriceError, ["row 1", "high is 90.0", "at least open and close"]),
        (changed("low", 1, 103.0), PriceError, ["row 1", "low is 103.0", "at most open and close"]),
        (changed("high", 3, 99_000.0), PriceError, ["row 3", "high is 99000.0", "within 10 times"]),
        (changed("low", 3, 0.5), PriceError, ["row 3", "within 10 times"]),
        (changed("volume", 5, -1.0), PriceError, ["row 5", "volume"]),
        (
            lambda f: f.assign(**{c: f[c] * (1 + 999 * (f.index == 3)) for c in ("open", "high", "low", "close")}),
            PriceError,
            ["row 3", "10 times"],
        ),
        (lambda f: f.iloc[:0], ShortHistoryError, ["no rows"]),
    ],
)
def test_wrong_bars_are_refused_with_place_and_remedy(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], error: type[DataError], words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.csv"
    spoil(raw_bars()).to_csv(path, index=False)
    with pytest.raises(error) as caught:
        barfile.read_frame(path)
    for word in ["mine.csv", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("unit", ["ts_ns", "ts_us", "ts_ms", "ts_s"])
def test_the_name_of_the_time_column_is_its_unit(unit: str) -> None:
    scale = {"ts_ns": 10**6, "ts_us": 10**3, "ts_ms": 1, "ts_s": 1e-3}[unit]
    raw = raw_bars().rename(columns={"ts_ms": unit})
    raw[unit] = (raw[unit] * scale).astype("int64")
    assert to_bars(raw, "bars")["ts_ns"].iloc[1] == 1_577_837_700_000_000_000


def test_files_that_are_absent_or_no_table(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv: no such file"):
        barfile.read_frame(tmp_path / "none.csv")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 not really")
    with pytest.raises(FormatError, match="cannot be read"):
        barfile.read_frame(broken)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(FormatError, match="cannot be read"):
        barfile.read_frame(empty)


def test_csv_and_parquet_give_the_same_bars(tmp_path: Path) -> None:
    raw = raw_bars()
    raw.to_csv(tmp_path / "a.csv", index=False)
    raw.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(barfile.read_frame(tmp_path / "a.csv"), barfile.read_frame(tmp_path / "a.parquet"))


def test_bar_length_is_the_commonest_step_and_the_grid_is_kept() -> None:
    frame = to_bars(raw_bars(), "bars")
    assert bar_length_s(frame.drop(index=2), "bars") == 900
    frame["ts_ns"] += 1_000_000_000 * (frame.index == 3)
    with pytest.raises(TimeOrderError, match=r"row 3 .* off the grid of 900 s"):
        bar_length_s(frame, "bars")
    with pytest.raises(ShortHistoryError):
        bar_length_s(frame.head(1), "bars")


def test_the_packaged_sample_is_what_its_card_says() -> None:
    frame = sample.read()
    assert len(frame) == 100_002
    assert bar_length_s(frame, "sample") == 900
    gaps = np.diff(frame["ts_ns"].to_numpy()) // 900_000_000_000 - 1
    assert (gaps > 0).sum() == 14
    assert gaps.max() == 23  # 5 h 45 min
    folder = sample.PATH.parent
    assert {p.name for p in folder.iterdir()} >= {"LICENSE", "NOTICE", "DATA_CARD.md"}


@pytest.mark.parametrize(
    ("column", "first"), [("ts_ms", 1_577_836_800_000_000), ("ts_s", 1_577_836_800_000), ("ts_us", 1)]
)
def test_a_column_named_by_the_wrong_unit_is_refused(column: str, first: int) -> None:
    raw = raw_bars().rename(columns={"ts_ms": column})
    raw[column] = first + 900 * np.arange(len(raw))
    with pytest.raises(TimeOrderError, match=f"row 0: {column}={first} is no time"):
        to_bars(raw, "bars")


def test_fractions_of_a_time_unit_are_refused() -> None:
    raw = raw_bars().rename(columns={"ts_ms": "ts_s"})
    raw["ts_s"] = raw["ts_s"] / 1_000 + 0.5
    with pytest.raises(SchemaError, match="not a whole number"):
        to_bars(raw, "bars")
