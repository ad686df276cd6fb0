"""A configuration says what is wrong with it."""

from pathlib import Path

import pytest

from backtests.config import BacktestConfig, load_backtest
from features.errors import DataError, MissingFileError, SettingError
from features.specs import find_spec
from models.calibration import Calibration

GOOD = """
symbols = ["A", "B"]
spec = "five_minutes"
test_from = "2021-01-01"
test_to = "2021-06-30T23:00"
baseline = "har"
[schedule]
window_months = 12
[calibration]
bias_rows = 1000
[[models]]
name = "har"
forecaster = "log_har"
[[models]]
name = "ewma"
forecaster = "ewma"
tail = "normal"
schedule = {refit_months = 3}
[[models]]
name = "mean"
combine = ["har", "ewma"]
"""


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_model_overrides_keys_of_the_schedule(tmp_path: Path) -> None:
    config = load_backtest(written(tmp_path, GOOD))
    schedules = {entry.name: config.schedule_of(entry) for entry in config.models}
    assert (schedules["har"].refit_months, schedules["har"].window_months) == (1, 12)
    assert (schedules["ewma"].refit_months, schedules["ewma"].window_months) == (3, 12)
    assert config.calibration == Calibration(bias_rows=1000)
    assert (config.test_from_ns - config.lead_from_ns) / 86_400e9 == 540


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('forecaster = "log_har"', 'forecaster = "hra"', "unknown forecaster 'hra'; known: "),
        ('tail = "normal"', 'tail = "fat"', "unknown tail 'fat'; known: "),
        ('baseline = "har"', 'baseline = "garch"', "baseline 'garch' is none of the models"),
        ('name = "ewma"', 'name = "har"', "model har stands there twice"),
        ('["har", "ewma"]', '["har", "later"]', "mean combines later, which must stand above it"),
        ('name = "har"', 'name = "har"\ntail = "members"', "har: the tail members is a combination's"),
        ('["har", "ewma"]', "[]", "mean: name either a forecaster or the rows that it combines"),
        ("window_months = 12", "window = 12", "schedule.window: Extra inputs are not permitted"),
        ("refit_months = 3", "refit = 3", "Extra inputs are not permitted"),
        ("refit_months = 3", "refit_months = 0", "greater than or equal to 1"),
        ("2021-06-30T23:00", "2020-06-30", "the test from 2021-01-01 to 2020-06-30 is empty"),
        ("2021-06-30T23:00", "soon", "'soon' is not an ISO-8601 time"),
        ('name = "mean"', 'name = "me an"', "String should match pattern"),
        ('["A", "B"]', "[]", "at least 1 item"),
        ("bias_rows", "bias", "calibration.bias"),
        ("[schedule]", "[schedule", "is no TOML"),
    ],
)
def test_a_fault_names_itself_and_its_file(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(SettingError) as caught:
        load_backtest(written(tmp_path, GOOD.replace(old, new)))
    assert told in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(MissingFileError, match=r"or one of .*referee"):
        load_backtest("nowhere.toml")


def test_a_narrowed_comparison_keeps_what_its_models_need(tmp_path: Path) -> None:
    config = load_backtest(written(tmp_path, GOOD))
    narrow = config.narrowed("2021-02-01", None, ["B"], ["ewma"])
    assert [entry.name for entry in narrow.models] == ["har", "ewma"]
    assert (narrow.symbols, narrow.test_from, narrow.test_to) == (("B",), "2021-02-01", config.test_to)
    assert [entry.name for entry in config.narrowed(None, None, [], ["mean"]).models] == ["har", "ewma", "mean"]
    assert config.narrowed(None, None, [], []) == config
    with pytest.raises(DataError, match="is empty"):
        config.narrowed("2022-01-01", None, [], [])
    with pytest.raises(DataError, match="unknown model 'garch'"):
        config.narrowed(None, None, [], ["garch"])


def test_the_packaged_configuration_is_the_protocols() -> None:
    config: BacktestConfig = load_backtest("referee")
    spec = find_spec(config.spec)
    assert (config.test_from, config.test_to) == ("2021-01-01T00:00Z", "2025-06-29T23:00Z")
    assert set(config.symbols) == {"BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT"}
    assert (spec.bar_s, spec.every_s, spec.horizons_s) == (300, 3_600, (3_600, 14_400, 28_800, 86_400))
