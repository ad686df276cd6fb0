"""Files of forecasts: whole, read back pair by pair, and every defect told as it is."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from backtests.forecast_file import EXCURSIONS, SHORTFALL_LEVELS, ForecastWriter, read_forecasts
from backtests.forecast_rows import ForecastFiles, defects_of, usable
from backtests.scoring_losses import NUMBERS
from features.clock import HOUR_NS, parse_utc
from features.errors import ForecastError, FormatError, MissingFileError, SchemaError, SettingError
from models.base import LEVELS, Forecast
from tests.backtests.trial_forecasts import law_of

HORIZONS_S = (3_600, 14_400, 28_800, 86_400)
START = parse_utc("2021-01-01")


def made(seed: int, n: int = 50) -> Forecast:
    """Student's laws at n origins of 60 hours, not one after the other."""
    rng = np.random.default_rng(seed)
    hours = np.sort(rng.choice(n + 10, n, replace=False))
    variance = 1e-4 * np.exp(rng.standard_normal((n, 4)))
    return Forecast(START + hours * HOUR_NS, HORIZONS_S, variance, LEVELS, *law_of(variance, 4.0))


def write(path: Path, models: dict[str, Forecast], symbols: tuple[str, ...] = ("BTCUSDT", "SOLUSDT")) -> Path:
    with ForecastWriter(path) as file:
        for name, forecast in models.items():
            for symbol in symbols:
                file.write(name, symbol, forecast)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "forecasts.parquet", {"a": made(1), "b": made(2)})


def test_all_digits_come_back_from_a_file_in_double_precision(tmp_path: Path) -> None:
    forecast = made(3)
    with ForecastWriter(tmp_path / "f.parquet", shortfall_levels=LEVELS, is_double=True) as file:
        file.write("a", "BTCUSDT", forecast)
        file.write("b", "BTCUSDT", forecast.rows(5))
    again = read_forecasts(tmp_path / "f.parquet", "a", "BTCUSDT")
    assert (again.horizons_s, again.levels) == (HORIZONS_S, LEVELS)
    for name in ("origin_ns", "variance", "quantiles", "shortfall"):
        np.testing.assert_array_equal(getattr(again, name), getattr(forecast, name))
    assert len(read_forecasts([tmp_path / "f.parquet"], "b", "BTCUSDT").origin_ns) == len(forecast.origin_ns) - 5


def test_columns_row_groups_and_types_are_the_protocols(path: Path) -> None:
    schema, metadata = pq.read_schema(path), pq.read_metadata(path)
    wanted = ["instrument", "origin_ms", "horizon_s", "model", *NUMBERS]
    assert schema.names == wanted
    assert {str(schema.field(name).type) for name in NUMBERS} == {"float"}
    assert [str(schema.field(name).type) for name in ("origin_ms", "horizon_s")] == ["int64", "int32"]
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [200] * 4
    frame = pl.read_parquet(path).filter((pl.col("model") == "b") & (pl.col("instrument") == "SOLUSDT"))
    forecast = made(2)
    assert frame["origin_ms"].to_list() == np.repeat(forecast.origin_ns // 1_000_000, 4).tolist()
    assert frame["horizon_s"].to_list() == list(HORIZONS_S) * 50
    for level in SHORTFALL_LEVELS:
        expected = forecast.shortfall[:, :, LEVELS.index(level)].ravel().astype(np.float32)
        np.testing.assert_array_equal(frame[f"es_{level:g}"].to_numpy(), expected)


def test_rounding_to_single_precision_breaks_no_rule(path: Path) -> None:
    rows = ForecastFiles([path]).read("a", "BTCUSDT")
    counts = defects_of(rows, HORIZONS_S, LEVELS, SHORTFALL_LEVELS)
    assert counts.pop("rows") == 200
    assert set(counts.values()) == {0}
    assert len(usable(rows, NUMBERS)) == 200


def test_excursions_are_kept_where_there_are_any(tmp_path: Path) -> None:
    forecast = made(4)
    excursions = {name: np.full((50, 4), k + 0.5) for k, name in enumerate(EXCURSIONS)}
    with ForecastWriter(tmp_path / "x.parquet", has_excursions=True) as file:
        with pytest.raises(SettingError, match="the forecast came with none"):
            file.write("a", "BTCUSDT", forecast)
        file.write("a", "BTCUSDT", forecast, excursions)
    rows = ForecastFiles([tmp_path / "x.parquet"]).read("a", "BTCUSDT")
    assert rows.select(EXCURSIONS).unique().rows() == [(0.5, 1.5, 2.5, 3.5)]


def test_a_file_that_fails_leaves_the_former_one(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(SettingError, match="no forecast at level"), ForecastWriter(path, (*LEVELS, 0.999)) as file:
        file.write("c", "BTCUSDT", made(5))
    with pytest.raises(ForecastError, match="no forecast was written"), ForecastWriter(path):
        pass
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_what_a_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    forecast = made(6)
    tiny = np.full((50, 4), 1e-60)
    small = Forecast(forecast.origin_ns, HORIZONS_S, tiny, LEVELS, *law_of(tiny))
    late = Forecast(forecast.origin_ns + 1, HORIZONS_S, forecast.variance, LEVELS, *law_of(forecast.variance))
    with ForecastWriter(tmp_path / "f.parquet") as file:
        file.write("a", "BTCUSDT", forecast)
        for refused, told, error in (
            (small, "too small or large for single precision", ForecastError),
            (late, "no whole millisecond", ForecastError),
        ):
            with pytest.raises(error, match=told):
                file.write("b", "BTCUSDT", refused)
        with pytest.raises(SettingError, match="written before"):
            file.write("a", "BTCUSDT", forecast)
    assert ForecastFiles([tmp_path / "f.parquet"]).pairs == {("a", "BTCUSDT")}


def test_files_of_any_layout_are_read_alike(path: Path, tmp_path: Path) -> None:
    """Rows of all pairs in small mixed groups, doubles, names as categories, split over two files of a folder."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    frame = pl.read_parquet(path).with_columns(
        pl.col("model").cast(pl.Categorical), pl.col("variance").cast(pl.Float64)
    )
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    shuffled.head(300).write_parquet(folder / "1.parquet", row_group_size=70)
    shuffled.tail(500).write_parquet(folder / "2.parquet", row_group_size=70)
    plain, mixed = ForecastFiles([path]), ForecastFiles([folder])
    assert mixed.pairs == plain.pairs
    assert (mixed.models, mixed.instruments) == (["a", "b"], ["BTCUSDT", "SOLUSDT"])
    for pair in plain.pairs:
        expected = plain.read(*pair)
        assert mixed.read(*pair).sort("origin_ms", "horizon_s").equals(expected)
        origin_ms = int(expected["origin_ms"][80])
        cut = mixed.read(*pair, origin_ms, origin_ms + 7_200_000, horizon_s=28_800)
        wanted = expected.filter(
            pl.col("origin_ms").is_between(origin_ms, origin_ms + 7_200_000), pl.col("horizon_s") == 28_800
        )
        assert cut.sort("origin_ms").equals(wanted)


def broken(rows: pl.DataFrame, at: int, **values: float) -> pl.DataFrame:
    """The rows with other values in one of them."""
    here = pl.int_range(pl.len()) == at
    changed = [
        pl.when(here).then(value).otherwise(pl.col(n)).cast(rows.schema[n]).alias(n) for n, value in values.items()
    ]
    return rows.with_columns(changed)


DEFECTS: list[tuple[str, dict[str, float]]] = [
    ("off_hour_origins", {"origin_ms": START // 1_000_000 + 60_000}),
    ("unknown_horizons", {"horizon_s": 7_200}),
    ("non_finite_rows", {"q_0.5": float("nan")}),
    ("non_finite_rows", {"es_0.99": float("inf")}),
    ("non_positive_variance", {"variance": 0.0}),
    ("quantile_crossings", {"q_0.75": -1.0}),
    ("es_inside_quantile", {"es_0.01": 0.0}),
    ("es_inside_quantile", {"es_0.975": 0.0}),
]


@pytest.mark.parametrize(("defect", "values"), DEFECTS)
def test_each_defect_is_counted_once_and_as_such(path: Path, defect: str, values: dict[str, float]) -> None:
    rows = broken(ForecastFiles([path]).read("a", "BTCUSDT"), 17, **values)
    counts = defects_of(rows, HORIZONS_S, LEVELS, SHORTFALL_LEVELS)
    assert {name: n for name, n in counts.items() if n} == {"rows": 200, defect: 1}
    is_dropped = defect in ("non_finite_rows", "non_positive_variance")
    assert len(usable(rows, NUMBERS)) == 200 - is_dropped


def test_of_repeats_the_first_counts_though_it_be_unusable(path: Path) -> None:
    rows = ForecastFiles([path]).read("a", "BTCUSDT")
    twice = pl.concat([broken(rows, 0, variance=-1.0), rows.head(3).with_columns(variance=pl.lit(9.0))])
    assert defects_of(twice, HORIZONS_S, LEVELS, SHORTFALL_LEVELS)["duplicates"] == 3
    left = usable(twice, NUMBERS)
    assert len(left) == 199
    assert (left["variance"] < 9).all()


def test_what_is_no_file_of_forecasts_is_refused_in_words(path: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no file of forecasts is there"):
        ForecastFiles([tmp_path / "none.parquet"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match="no file of forecasts is there"):
        ForecastFiles([tmp_path / "empty"])
    (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FormatError, match="no whole Parquet file"):
        ForecastFiles([tmp_path / "cut.parquet"])
    frame = pl.read_parquet(path)
    frame.drop("model").write_parquet(tmp_path / "other.parquet")
    with pytest.raises(SchemaError, match="no column model"):
        ForecastFiles([tmp_path / "other.parquet"])
    frame.with_columns(pl.col("q_0.5").cast(pl.String)).write_parquet(tmp_path / "text.parquet")
    with pytest.raises(SchemaError, match=r"q_0\.5 holds .*string, which is no number"):
        ForecastFiles([tmp_path / "text.parquet"])
    frame.drop("q_0.25").write_parquet(tmp_path / "few.parquet")
    with pytest.raises(SchemaError, match=r"no column q_0\.25"):
        ForecastFiles([tmp_path / "few.parquet"]).require(NUMBERS)


def test_a_forecast_is_read_whole_or_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no forecasts of c of BTCUSDT; the files have a of BTCUSDT, a of SOLUSDT"):
        read_forecasts(path, "c", "BTCUSDT")
    with pytest.raises(SchemaError, match=r"no column es_0\.005.*shortfall_levels"):
        read_forecasts(path, "a", "BTCUSDT")
    whole = tmp_path / "whole.parquet"
    with ForecastWriter(whole, shortfall_levels=LEVELS) as file:
        file.write("a", "BTCUSDT", made(7))
    frame = pl.read_parquet(whole)
    for name, rows in (("one", frame.slice(1)), ("all", frame.filter(pl.int_range(pl.len()) % 5 != 0))):
        rows.write_parquet(tmp_path / f"{name}.parquet")
        with pytest.raises(ForecastError, match="not every origin has all horizons"):
            read_forecasts(tmp_path / f"{name}.parquet", "a", "BTCUSDT")
