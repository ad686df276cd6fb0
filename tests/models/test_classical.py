"""GARCH against published figures and arch's own forecasts; log-HAR and EWMA against slow versions."""

import numpy as np
import pandas as pd
import pytest
from arch import arch_model
from arch.data import sp500

from features.clock import parse_utc
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from features.pipeline import compute_panel
from features.spec import FeatureSpec
from models.base import LEVELS, Forecast
from models.classical.ewma import Ewma, average
from models.classical.garch import GarchParameters, GarchT, estimate, next_variance, variance_ahead
from models.classical.log_har import LogHar, regressors
from models.diurnal import Diurnal

# arch.data.sp500, 100 x percentage change of Adj Close, GARCH(1,1)-normal: published figures.
MU, OMEGA, ALPHA, BETA, LOG_LIKELIHOOD = 0.056353, 0.017507, 0.102150, 0.885206, -6936.7185
FIVE_STEPS = [3.59647, 3.56850, 3.54089, 3.51362, 3.48670]


@pytest.fixture(scope="module")
def sp500_returns() -> np.ndarray:
    prices = sp500.load()["Adj Close"]
    returns: np.ndarray = 100 * prices.pct_change().dropna().to_numpy()
    assert len(returns) == 5030
    return returns


def test_garch_reproduces_the_published_sp500_figures(sp500_returns: np.ndarray) -> None:
    p = estimate(sp500_returns, student_t=False, with_mean=True)
    assert [p.mean, p.omega, p.alpha, p.beta] == pytest.approx([MU, OMEGA, ALPHA, BETA], rel=2e-4)
    assert p.log_likelihood == pytest.approx(LOG_LIKELIHOOD, abs=1e-3)
    ahead = variance_ahead(next_variance(sp500_returns, p), p, 5)
    assert ahead[-1] == pytest.approx(FIVE_STEPS, rel=2e-4)


def test_the_recursion_equals_archs(sp500_returns: np.ndarray) -> None:
    model = arch_model(sp500_returns, mean="Zero", vol="GARCH", dist="t", rescale=False)
    result = model.fit(disp="off")
    p = estimate(sp500_returns, student_t=True, with_mean=False)
    assert p.log_likelihood == pytest.approx(result.loglikelihood, rel=1e-9)
    assert p.degrees == pytest.approx(result.params["nu"], rel=1e-6)
    np.testing.assert_allclose(
        next_variance(sp500_returns, p)[:-1], np.square(result.conditional_volatility[1:]), rtol=1e-5
    )


def test_variance_ahead_equals_a_slow_recursion_and_survives_integration() -> None:
    p = GarchParameters(0.0, 0.02, 0.1, 0.85, 5.0, 1.0, 0.0)
    expected, value = [], 3.0
    for _ in range(10):
        expected.append(value)
        value = p.omega + (p.alpha + p.beta) * value
    np.testing.assert_allclose(variance_ahead(np.array([3.0]), p, 10)[0], expected)
    integrated = GarchParameters(0.0, 0.02, 0.1, 0.9, 5.0, 1.0, 0.0)
    np.testing.assert_allclose(variance_ahead(np.array([3.0]), integrated, 24)[0], 3.0 + 0.02 * np.arange(24))


def test_garch_sums_its_steps_by_the_clock(panel: Panel) -> None:
    model = GarchT().fit(panel.until(parse_utc("2020-06-01")))
    variance = model.forecast(panel).variance
    p = model.parameters
    returns = 100 * panel.column("log_return_1h") / np.sqrt(model.diurnal.behind(panel.origin_ns, 1))
    row = 3_000
    steps = variance_ahead(next_variance(returns, p), p, 4)[row]
    hours = panel.origin_ns[row] // 3_600_000_000_000 + np.arange(4)
    assert variance[row, 1] == pytest.approx((steps * model.diurnal.weight[hours % 168]).sum() / 1e4)


def test_garch_leaves_gaps_out(bars: pd.DataFrame) -> None:
    """Three weeks without bars: neither the silence nor the move that ends it is a return."""
    start, stop = parse_utc("2020-05-01"), parse_utc("2020-05-22")
    holed = bars[(bars["ts_ns"] < start) | (bars["ts_ns"] >= stop)].reset_index(drop=True)
    whole, gapped = (compute_panel(b, "BTCUSDT", FeatureSpec()) for b in (bars, holed))
    fitted = [GarchT().fit(p) for p in (whole, gapped)]
    assert fitted[1].parameters.beta == pytest.approx(fitted[0].parameters.beta, abs=0.05)
    variance = [m.forecast(p).variance[-24:] for m, p in zip(fitted, (whole, gapped), strict=True)]
    np.testing.assert_allclose(variance[1], variance[0], rtol=0.25)
    first, last = gapped.first_row_from(start) + 2, gapped.first_row_from(stop)
    hour = fitted[1].forecast(gapped).variance[first:last, 0]
    weight = fitted[1].diurnal.ahead(gapped.origin_ns[first:last], 1)
    np.testing.assert_allclose(hour / weight, hour[0] / weight[0], rtol=1e-9)  # held through the gap


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
