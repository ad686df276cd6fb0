"""A model from a file: its path read as it is, no look ahead, and every fault of the file told."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import ForecastError, FormatError, SettingError, ShortHistoryError
from features.families.variance import VARIANCE_FLOOR
from features.panel import Panel
from features.spec import FeatureSpec
from features.targets import Targets
from models import FORECASTERS
from models.foundation import Foundation
from models.neural.inputs import InputConfig, Reader
from models.state import from_state, to_state
from tests.tiny_foundation import CONTEXT, STEPS, weights, write

SPEC = FeatureSpec(horizons_s=(3_600, 28_800, 172_800), features=tuple(f"log_rv_{k}h" for k in (1, 4, 24, 168, 720)))
HOUR_NS = 3_600 * 10**9


def panel_of(n: int = 400, hole: int | None = None) -> Panel:
    """Hours of a slowly moving variance; after row ``hole`` origins go on two days later."""
    rng = np.random.default_rng(0)
    level = np.empty(n)
    level[0] = -9.0
    for i in range(1, n):
        level[i] = -9.0 + 0.95 * (level[i - 1] + 9.0) + rng.normal(0, 0.3)
    rows = np.arange(n) + (0 if hole is None else 48 * (np.arange(n) >= hole))
    hours = np.array([1, 8, 48])
    variance = np.exp(level[:, None] + np.log(hours) + rng.normal(0, 0.2, (n, 3)))
    targets = Targets(*[variance] * 5)
    values = np.repeat(level[:, None], 5, axis=1).astype(np.float32)
    return Panel("BTCUSDT", SPEC, (438_000 + rows) * HOUR_NS, values, targets, np.zeros(n, dtype=bool))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("foundation") / "tiny.onnx")


@pytest.fixture(scope="module")
def model(path: Path) -> Foundation:
    return Foundation(str(path), context=CONTEXT)


def expected_log_sums(series: np.ndarray) -> np.ndarray:
    """Of the tiny model, from the hours of one context: sums over 1, 8 and 24 steps, for it goes no further."""
    path = series @ weights().astype(float)
    return np.array([np.log(np.exp(path[:m]).sum()) for m in (1, 8, STEPS)])


def test_the_path_is_the_networks_and_the_line_is_least_squares(model: Foundation) -> None:
    panel = panel_of()
    fitted = model.fit(panel)
    hours = panel.column("log_rv_1h")
    sums = []
    for row in range(len(panel)):
        seen = hours[max(0, row - CONTEXT + 1) : row + 1]
        sums.append(expected_log_sums(np.concatenate([np.full(CONTEXT - len(seen), seen[0]), seen])))
    x, y = np.array(sums), np.log(panel.targets.realised_variance)
    np.testing.assert_allclose(fitted.log_sums(panel), x, atol=1e-5)
    for h in range(3):
        slope, intercept = np.polyfit(x[:, h], y[:, h], 1)
        smearing = np.exp(y[:, h] - slope * x[:, h] - intercept).mean()
        assert fitted.slope[h] == pytest.approx(slope, rel=1e-4)
        assert fitted.intercept[h] == pytest.approx(intercept + np.log(smearing), abs=1e-3)
    forecast = fitted.forecast(panel)
    np.testing.assert_allclose(forecast.variance.mean(axis=0), panel.targets.realised_variance.mean(axis=0), rtol=0.15)
    assert np.corrcoef(np.log(forecast.variance[:, 0]), y[:, 0])[0, 1] > 0.8


def test_the_middle_of_quantiles_is_read(path: Path, model: Foundation, tmp_path: Path) -> None:
    wide = Foundation(str(write(tmp_path / "wide.onnx", quantiles=5)), context=CONTEXT, output_name="levels")
    panel = panel_of()
    np.testing.assert_allclose(wide.fit(panel).slope, model.fit(panel).slope, rtol=1e-5)


def test_neither_the_future_nor_the_other_side_of_a_hole_is_read(model: Foundation) -> None:
    panel, cut = panel_of(hole=150), 250
    fitted = model.fit(panel)
    values = panel.values.copy()
    values[cut:] += 1.0
    changed = fitted.forecast(replace(panel, values=values)).variance
    whole = fitted.forecast(panel).variance
    np.testing.assert_array_equal(changed[:cut], whole[:cut])
    assert (changed[cut:] != whole[cut:]).all()
    np.testing.assert_allclose(fitted.forecast(panel.rows(150, 400)).variance, whole[150:], rtol=1e-6)


def test_what_is_not_known_is_carried_forward_and_never_back(model: Foundation) -> None:
    panel = panel_of()
    fitted = model.fit(panel)
    values = panel.values.copy()
    values[200:203, 0] = [np.nan, np.log(VARIANCE_FLOOR), np.nan]
    filled = panel.values.copy()
    filled[200:203] = filled[199]
    gapped, carried = (fitted.log_sums(replace(panel, values=v)) for v in (values, filled))
    np.testing.assert_array_equal(gapped, carried)
    values = panel.values.copy()
    values[:3] = np.nan
    late = replace(panel, values=values)
    assert np.isnan(fitted.log_sums(late)).all(axis=1).tolist() == [True] * 3 + [False] * 397
    model.fit(late)
    with pytest.raises(ShortHistoryError, match="no log_rv_1h is known at or before the origin 2019-12-20T00:00:00Z"):
        fitted.forecast(late)


def test_as_a_companion_and_as_a_state(model: Foundation, path: Path) -> None:
    panel = panel_of(600)
    fitted = model.fit(panel)
    again = from_state(to_state(fitted))
    np.testing.assert_array_equal(again.forecast(panel).variance, fitted.forecast(panel).variance)
    options = {"foundation": {"path": str(path), "context": CONTEXT}}
    reader = Reader.fit(InputConfig(companions=options), [panel])
    assert [name for name in reader.names if name.startswith("foundation")] == [
        f"foundation {horizon_s} s" for horizon_s in SPEC.horizons_s
    ]
    assert "BTCUSDT" in reader.companions
    assert isinstance(reader.companions["BTCUSDT"]["foundation"], Foundation)


def test_a_file_that_is_not_what_was_fitted_with_is_refused(tmp_path: Path) -> None:
    path, panel = write(tmp_path / "model.onnx"), panel_of()
    fitted = Foundation(str(path), context=CONTEXT).fit(panel)
    other = replace(fitted, path=str(write(tmp_path / "other.onnx", factor=1.1)))
    with pytest.raises(SettingError, match="was fitted with"):
        other.forecast(panel)
    with pytest.raises(SettingError, match="has no file"):
        replace(fitted, path=str(tmp_path / "gone.onnx")).forecast(panel)


@pytest.mark.parametrize("given", ["", "nowhere.onnx", "."])
def test_a_file_that_is_not_there_is_told(given: str) -> None:
    with pytest.raises(SettingError, match="set the option path"):
        FORECASTERS["foundation"](path=given).fit(panel_of())


def test_files_that_are_no_such_network_are_refused(path: Path, tmp_path: Path) -> None:
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"junk")
    with pytest.raises(FormatError, match="is no ONNX network"):
        Foundation(str(junk), context=CONTEXT).fit(panel_of())
    with pytest.raises(FormatError, match="correct the options"):
        Foundation(str(path), context=CONTEXT + 1).fit(panel_of())
    with pytest.raises(FormatError, match="correct the options"):
        Foundation(str(path), context=CONTEXT, output_name="levels").fit(panel_of())
    even = write(tmp_path / "even.onnx", quantiles=4)
    with pytest.raises(FormatError, match="an odd number"):
        Foundation(str(even), context=CONTEXT).fit(panel_of())
    wild = write(tmp_path / "wild.onnx", factor=np.inf)
    with pytest.raises(ForecastError, match="not finite"):
        Foundation(str(wild), context=CONTEXT).fit(panel_of())
    with pytest.raises(SettingError, match="choose the steps"):
        Foundation(context=0)


def test_the_package_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(SettingError, match="pip install onnxruntime"):
        Foundation(str(write(tmp_path / "unopened.onnx", factor=0.5)), context=CONTEXT).fit(panel_of())


def test_a_history_that_is_too_short_is_refused(model: Foundation) -> None:
    with pytest.raises(ShortHistoryError, match="more than 10 ended windows"):
        model.fit(panel_of(10))
    with pytest.raises(ShortHistoryError, match="fit it before"):
        model.forecast(panel_of(10))
