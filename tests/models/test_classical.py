"""Log-HAR and EWMA against slow versions; what no forecast may be."""

import numpy as np
import pytest

from features.clock import parse_utc
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from models.base import LEVELS, Forecast
from models.classical.ewma import Ewma, average
from models.classical.log_har import LogHar, regressors
from models.diurnal import Diurnal


def test_log_har_equals_plain_least_squares(panel: Panel) -> None:
    model = LogHar().fit(panel)
    for h, hours in enumerate((1, 4, 8, 24)):
        x = np.column_stack([np.ones(len(panel)), regressors(panel, model.diurnal)])
        usual = hours * model.diurnal.ahead(panel.origin_ns, hours)
        y = np.log(panel.targets.realised_variance[:, h] / usual)
        known = np.isfinite(y)
        beta, *_ = np.linalg.lstsq(x[known], y[known], rcond=None)
        smear = np.exp(y[known] - x[known] @ beta).mean()
        np.testing.assert_allclose(model.slope[h], beta[1:], rtol=1e-6, atol=1e-9)
        assert model.intercept[h] == pytest.approx(beta[0] + np.log(smear))
        forecast = np.exp(model.log_variance(panel)[:, h])
        np.testing.assert_allclose(forecast, smear * np.exp(x @ beta) * usual, rtol=1e-6)


def test_log_har_survives_json(panel: Panel) -> None:
    model = LogHar().fit(panel)
    again = LogHar.from_json(model.to_json())
    np.testing.assert_array_equal(model.log_variance(panel), again.log_variance(panel))


def test_ewma_equals_a_slow_loop(panel: Panel) -> None:
    flat = Diurnal(np.ones(168))
    hourly = np.exp(panel.column("log_rv_1h"))
    value = np.exp(panel.column("log_rv_168h")[0])
    decay = 0.5 ** (1 / 8.0)
    slow = []
    for rv in hourly[:200]:
        value = decay * value + (1 - decay) * rv
        slow.append(value)
    np.testing.assert_allclose(average(panel, flat, 8.0)[:200], slow)


def test_ewma_prefers_the_half_life_with_the_least_loss(panel: Panel) -> None:
    past = panel.until(parse_utc("2020-06-01"))
    model = Ewma().fit(past)
    for h, hours in enumerate((1, 4, 8, 24)):
        realised = past.targets.realised_variance[:, h]
        known = np.isfinite(realised)
        losses = []
        for half_life in model.half_lives_h:
            f = (average(past, model.diurnal, half_life) * hours * model.diurnal.ahead(past.origin_ns, hours))[known]
            ratio = realised[known] / (f * (realised[known] / f).mean())
            losses.append((ratio - np.log(ratio) - 1).mean())
        assert model.chosen_h[h] == model.half_lives_h[int(np.argmin(losses))]
        assert max(losses) > 1.01 * min(losses)


@pytest.mark.parametrize("model", [LogHar(), Ewma()])
def test_a_panel_without_outcomes_is_refused(model: LogHar | Ewma, panel: Panel) -> None:
    with pytest.raises(ShortHistoryError, match="give a longer history"):
        model.fit(panel.until(int(panel.origin_ns[0]) + 1))


def good_law() -> dict[str, object]:
    levels = np.array(LEVELS)
    quantiles = np.tile(levels - 0.5, (2, 1, 1))
    return {
        "origin_ns": np.array([0, 1]),
        "horizons_s": (3_600,),
        "variance": np.ones((2, 1)),
        "levels": LEVELS,
        "quantiles": quantiles,
        "shortfall": quantiles + np.where(levels > 0.5, 1.0, -1.0),
    }


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("variance", np.ones((2, 2)), "shape"),
        ("variance", np.array([[1.0], [np.nan]]), "finite"),
        ("variance", np.array([[1.0], [0.0]]), "positive"),
        ("quantiles", np.tile(np.array(LEVELS)[::-1], (2, 1, 1)), "cross"),
        ("shortfall", np.zeros((2, 1, 11)), "inside"),
    ],
)
def test_an_impossible_forecast_is_refused(field: str, value: np.ndarray, message: str) -> None:
    Forecast(**good_law())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        Forecast(**good_law() | {field: value})  # type: ignore[arg-type]


def test_an_unknown_level_names_the_known() -> None:
    with pytest.raises(SettingError, match=r"level 0\.02; known: 0\.005, 0\.01"):
        Forecast(**good_law()).level_index(0.02)  # type: ignore[arg-type]
