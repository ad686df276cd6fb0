"""Presets and parameter files: every fault names the file and the key."""

from decimal import Decimal

import pytest

from features.errors import SettingError
from serving.margin.rules import binance, deribit_linear, dydx, fixed_rate, vega
from serving.margin.rules.published import parameters, preset


def test_unknown_preset_is_refused() -> None:
    with pytest.raises(SettingError, match="no preset of rule 'moon'"):
        preset("moon", fixed_rate.Parameters)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("initial_rate = ", fixed_rate.Parameters, "Invalid value"),
        ("initial_rate = 0.1", fixed_rate.Parameters, "missing required field `maintenance_rate`"),
        ("initial_rate = 0.1\nmaintenance_rate = 0.2", fixed_rate.Parameters, "exceeds initial_rate"),
        ("initial_rate = nan\nmaintenance_rate = 0.2", fixed_rate.Parameters, "initial_rate is NaN"),
        ("initial_rate = 0.1\nmaintenance_rate = 0.1\nleverage = 0.5", fixed_rate.Parameters, "leverage is 0.5"),
        ("[markets]\nX = [{ floor = 0 }]", binance.Parameters, "max_leverage"),
        ("[markets]\nX = [{ floor = 1, max_leverage = 5 }]", binance.Parameters, "binance: X: brackets: the first"),
        ("leverage = nan\n[markets]", binance.Parameters, "leverage is NaN"),
        ("default = []\n[markets]", binance.Parameters, "default: brackets: 0 floors"),
        ("scaling = { search = nan, initial = 2, release = 3 }\n[markets]", vega.Parameters, "search is NaN"),
        ("leverage = 0.1\n[markets]", binance.Parameters, "leverage is 0.1"),
        ("[markets]\nX = { initial_base = 0.02 }", deribit_linear.Parameters, "maintenance_base"),
        (
            "[markets]\nX = { initial_margin_ppm = 1_000_001, maintenance_fraction_ppm = 1 }",
            dydx.Parameters,
            "initial_margin_ppm is 1000001",
        ),
    ],
)
def test_faults_name_the_file_and_the_key(text: str, kind: type, says: str) -> None:
    with pytest.raises(SettingError, match=f"mine.toml: .*{says}"):
        parameters(text, kind, "mine.toml")


def test_decimals_keep_their_digits() -> None:
    text = "initial_rate = 0.1000000000000000000001\nmaintenance_rate = 0.05"
    found = parameters(text, fixed_rate.Parameters, "mine.toml")
    assert found.initial_rate == Decimal("0.1000000000000000000001")
