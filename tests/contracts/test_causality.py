"""Every feature and every forecaster, through one question: does the future change the past?"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from features.clock import HOUR_NS, parse_utc
from features.families.calendar import CALENDAR_FAMILIES
from features.panel import Panel
from features.pipeline import compute_panel
from features.spec import DEFAULT_FEATURES, FeatureSpec
from models import FORECASTERS, POOLED
from models.base import LEVELS, Forecast, Forecaster, PooledForecaster, outward
from models.calibration import Calibration, calibrate
from models.classical import law
from models.neural.forecaster import NeuralForecaster

CUT = "2020-07-10T13:00"
NAMES = sorted({*FORECASTERS, *POOLED})


def fitted(name: str, past: Panel) -> Forecaster | PooledForecaster:
    """An entry of either table, fitted on one instrument."""
    return POOLED[name]().fit([past]) if name in POOLED else FORECASTERS[name]().fit(past)


def other_future(bars: pd.DataFrame, cut_ns: int) -> pd.DataFrame:
    """The same bars up to a cut, and a wilder market after it."""
    changed = bars.copy()
    later = changed["ts_ns"] >= cut_ns
    factor = np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.02, int(later.sum()))))
    for column in ("open", "high", "low", "close"):
        changed.loc[later, column] *= factor
    changed.loc[later, "high"] *= 1.01
    changed.loc[later, "volume"] *= 3.0
    return changed


@pytest.fixture(scope="module")
def panels(bars: pd.DataFrame) -> tuple[Panel, Panel]:
    cut_ns = parse_utc(CUT)
    spec = FeatureSpec()
    return compute_panel(bars, "BTCUSDT", spec), compute_panel(other_future(bars, cut_ns), "BTCUSDT", spec)


@pytest.mark.parametrize("name", DEFAULT_FEATURES)
def test_a_feature_does_not_see_the_future(name: str, panels: tuple[Panel, Panel]) -> None:
    cut = panels[0].first_row_from(parse_utc(CUT)) + 1  # what was known at the cut itself is still the past
    before, after = (panel.column(name) for panel in panels)
    np.testing.assert_array_equal(before[:cut], after[:cut])
    if name not in CALENDAR_FAMILIES:
        assert (before[cut:] != after[cut:]).any()  # else the test could not fail


def check_causal(model: Forecaster | PooledForecaster, panels: tuple[Panel, Panel], calibration: Calibration) -> None:
    """Fail if forecasts up to the cut, raw or calibrated, depend on what came after it."""
    cut = panels[0].first_row_from(parse_utc(CUT)) + 1
    raw = [model.forecast(panel) for panel in panels]
    calibrated = [calibrate(r, panel, calibration) for r, panel in zip(raw, panels, strict=True)]
    for before, after in (raw, calibrated):
        np.testing.assert_allclose(before.variance[:cut], after.variance[:cut], rtol=1e-9)
        np.testing.assert_allclose(before.quantiles[:cut], after.quantiles[:cut], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(before.shortfall[:cut], after.shortfall[:cut], rtol=1e-9, atol=1e-12)
        assert (before.variance[cut:] != after.variance[cut:]).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_classical_forecast_does_not_see_the_future(
    name: str, panels: tuple[Panel, Panel], brief_calibration: Calibration
) -> None:
    check_causal(fitted(name, panels[0].until(parse_utc("2020-06-01"))), panels, brief_calibration)


def test_the_network_does_not_see_the_future(
    network: NeuralForecaster, panels: tuple[Panel, Panel], brief_calibration: Calibration
) -> None:
    check_causal(network, panels, brief_calibration)


@dataclass(frozen=True)
class Peeking:
    """A planted leak: the variance of the hour that follows."""

    def fit(self, _panel: Panel) -> "Peeking":
        return self

    def forecast(self, panel: Panel) -> Forecast:
        rate = np.exp(panel.column("log_rv_1h"))
        return law.normal(panel, np.repeat(np.roll(rate, -1)[:, None], 4, axis=1))


def test_a_planted_leak_is_caught(panels: tuple[Panel, Panel], brief_calibration: Calibration) -> None:
    with pytest.raises(AssertionError):
        check_causal(Peeking(), panels, brief_calibration)


def test_calibration_uses_only_windows_that_had_ended(panel: Panel, brief_calibration: Calibration) -> None:
    """Outcomes that were not known at a row leave the row alone: the same from the panel as it stood then."""
    raw = FORECASTERS["log_har"]().fit(panel).forecast(panel)
    whole = calibrate(raw, panel, brief_calibration)
    for row in (2_000, 3_011):
        then = panel.until(int(panel.origin_ns[row]))
        cut = calibrate(raw.rows(0, row + 1), then, brief_calibration)
        np.testing.assert_allclose(cut.quantiles[row], whole.quantiles[row], rtol=1e-9)
        np.testing.assert_allclose(cut.variance[row], whole.variance[row], rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_every_forecaster_answers_a_proper_law(name: str, panel: Panel, brief_calibration: Calibration) -> None:
    past = panel.until(parse_utc("2020-06-01"))
    forecast = calibrate(fitted(name, past).forecast(panel), panel, brief_calibration)
    assert forecast.variance.shape == (len(panel), 4)
    assert forecast.levels == LEVELS
    assert (np.diff(forecast.quantiles, axis=2) >= 0).all()
    assert (outward(LEVELS) * (forecast.shortfall - forecast.quantiles) >= 0).all()
    assert (np.diff(forecast.variance.mean(axis=0)) > 0).all()  # a longer horizon is riskier


@pytest.fixture(scope="module")
def doubled(bars: pd.DataFrame) -> Panel:
    """A market of twice the log returns."""
    frame = bars.copy()
    for column in ("open", "high", "low", "close"):
        frame[column] = (frame[column] / 7_000.0) ** 2
    return compute_panel(frame, "BTCUSDT", FeatureSpec())


@pytest.mark.parametrize("name", NAMES)
def test_every_forecaster_scales_with_the_market(name: str, panel: Panel, doubled: Panel) -> None:
    """Twice the log returns: four times the variance (a law that no unit or floor may break)."""
    forecasts = [
        fitted(name, one.until(parse_utc("2020-06-01"))).forecast(one).variance[-1_000:] for one in (panel, doubled)
    ]
    close = 0.1 if name.startswith("lgbm") else 0.02  # a value at a split's edge may fall to its other side
    np.testing.assert_allclose(forecasts[1], 4 * forecasts[0], rtol=close)
    np.testing.assert_allclose(forecasts[1].mean(axis=0), 4 * forecasts[0].mean(axis=0), rtol=0.005)


@pytest.mark.parametrize("name", NAMES)
def test_fitting_uses_only_windows_that_had_ended(name: str, panels: tuple[Panel, Panel]) -> None:
    """The purge: the wilder market begins an hour after the fit, inside windows that are still open."""
    now_ns = parse_utc(CUT) - HOUR_NS
    spec_of, forecasts = panels[0], []
    for panel in panels:
        past = panel.until(now_ns)
        open_windows = np.isfinite(panel.rows(0, len(past)).targets.log_return) & np.isnan(past.targets.log_return)
        assert open_windows.sum() == 1 + 4 + 8 + 24
        forecasts.append(fitted(name, past).forecast(spec_of).variance)
    np.testing.assert_array_equal(forecasts[0], forecasts[1])
