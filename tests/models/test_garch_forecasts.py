"""Forecasts of the GARCH family and of realised GARCH: their sums, gaps, moments ahead, and what they refuse."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from arch import arch_model
from scipy.stats import norm

from features.clock import parse_utc
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from features.pipeline import compute_panel
from features.spec import FeatureSpec
from models import FORECASTERS
from models.base import LEVELS
from models.classical.garch import (
    EgarchT,
    Garch,
    GarchParameters,
    GarchT,
    GjrT,
    egarch_ahead,
    log_moments,
    next_variance,
    variance_ahead,
    variances,
)
from models.classical.garch.forecaster import returns_percent, shown
from models.classical.realised_garch import (
    RealisedGarch,
    RealisedParameters,
    estimate_realised,
    log_likelihood,
    news_moments,
)
from models.classical.realised_garch import variance_ahead as realised_ahead
from models.tails import normal_quantiles

NAMES = ("garch_t", "gjr_t", "egarch_t", "realised_garch")


@pytest.fixture(scope="module")
def past(panel: Panel) -> Panel:
    return panel.until(parse_utc("2020-06-01"))


def test_variance_ahead_equals_a_slow_recursion_and_survives_integration() -> None:
    p = GarchParameters(0.0, 0.02, 0.1, 0.80, 5.0, 1.0, 0.0, gamma=0.1)
    expected, value = [], 3.0
    for _ in range(10):
        expected.append(value)
        value = p.omega + (p.alpha + p.gamma / 2 + p.beta) * value
    np.testing.assert_allclose(variance_ahead(np.array([3.0]), p, 10)[0], expected)
    integrated = GarchParameters(0.0, 0.02, 0.1, 0.9, 5.0, 1.0, 0.0)
    np.testing.assert_allclose(variance_ahead(np.array([3.0]), integrated, 24)[0], 3.0 + 0.02 * np.arange(24))


def test_gjr_ahead_is_archs() -> None:
    returns = np.random.default_rng(0).standard_t(6, 1_500)
    model = arch_model(returns, mean="Zero", p=1, o=1, q=1, rescale=False).fix([0.02, 0.05, 0.06, 0.90])
    first = float(np.average(returns[:75] ** 2, weights=0.94 ** np.arange(75)))
    p = GarchParameters(0.0, 0.02, 0.05, 0.90, np.inf, first, 0.0, gamma=0.06)
    ours = variance_ahead(next_variance(returns, p)[-1:], p, 24)
    np.testing.assert_allclose(ours, model.forecast(horizon=24, reindex=False).variance, rtol=1e-9)


def test_egarchs_moments_are_those_of_the_normal_law_on_normal_residuals() -> None:
    r"""E exp(c g(z)) of a normal z in closed form (Nelson 1991)."""
    p = GarchParameters(0.0, 0.01, 0.2, 0.95, np.inf, 1.0, 0.0, gamma=-0.1)
    residual = norm.ppf((np.arange(400_000) + 0.5) / 400_000)
    for i, moment in enumerate(log_moments(residual, p, 12)):
        up, down = p.beta**i * (p.alpha + p.gamma), p.beta**i * (p.alpha - p.gamma)
        exact = np.exp(up**2 / 2) * norm.cdf(up) + np.exp(down**2 / 2) * norm.cdf(down)
        assert moment == pytest.approx(np.log(exact) - p.beta**i * p.alpha * np.sqrt(2 / np.pi), abs=2e-5)


def test_egarch_ahead_is_the_mean_of_simulated_paths() -> None:
    p = GarchParameters(0.0, 0.02, 0.3, 0.9, np.inf, 1.0, 0.0, gamma=-0.1)
    rng = np.random.default_rng(4)
    residual = rng.standard_normal(100_000)
    log, means = np.full(200_000, np.log(2.0)), []
    for _ in range(6):
        means.append(np.exp(log).mean())
        z = rng.choice(residual, len(log))
        log = p.omega + p.alpha * (np.abs(z) - np.sqrt(2 / np.pi)) + p.gamma * z + p.beta * log
    ahead = egarch_ahead(np.array([2.0]), p, log_moments(residual, p, 6), 6)
    np.testing.assert_allclose(ahead[0], means, rtol=5e-3)
    assert ahead[0, 5] > 1.05 * np.exp(p.omega * 5 + np.log(2.0) * p.beta**5)  # the moments count


@pytest.mark.parametrize("model", [GarchT(), GjrT(), EgarchT()])
def test_a_horizon_sums_its_steps_by_the_clock(model: Garch, panel: Panel, past: Panel) -> None:
    fitted = model.fit(past)
    variance = fitted.forecast(panel).variance
    p, egarch, row = fitted.parameters, model.family == "egarch", 3_000
    assert shown(panel)[row]
    seen = returns_percent(panel, fitted.diurnal)[: row + 1][shown(panel)[: row + 1]]
    following = next_variance(seen, p, egarch=egarch)[-1:]
    steps = egarch_ahead(following, p, fitted.moments, 4) if egarch else variance_ahead(following, p, 4)
    hours = panel.origin_ns[row] // 3_600_000_000_000 + np.arange(4)
    weights = fitted.diurnal.weight[hours % 168]
    assert variance[row, 1] == pytest.approx((steps * weights).sum() / 1e4)
    assert variance[row, 0] == pytest.approx(following[0] * weights[0] / 1e4)
    assert p.log_likelihood > -np.inf
    assert (p.gamma != 0) == (model.family != "garch")


@pytest.mark.parametrize("name", NAMES)
def test_gaps_are_left_out(name: str, bars: pd.DataFrame) -> None:
    """Three weeks without bars: neither the silence nor the move that ends it is a return."""
    start, stop = parse_utc("2020-05-01"), parse_utc("2020-05-22")
    holed = bars[(bars["ts_ns"] < start) | (bars["ts_ns"] >= stop)].reset_index(drop=True)
    whole, gapped = (compute_panel(b, "BTCUSDT", FeatureSpec()) for b in (bars, holed))
    fitted = [FORECASTERS[name]().fit(p) for p in (whole, gapped)]
    betas = [m.parameters.beta for m in fitted]  # type: ignore[attr-defined]
    assert betas[1] == pytest.approx(betas[0], abs=0.05)
    variance = [m.forecast(p).variance[-24:] for m, p in zip(fitted, (whole, gapped), strict=True)]
    np.testing.assert_allclose(variance[1], variance[0], rtol=0.25)
    first, last = gapped.first_row_from(start) + 2, gapped.first_row_from(stop)
    hour = fitted[1].forecast(gapped).variance[first:last, 0]
    weight = fitted[1].diurnal.ahead(gapped.origin_ns[first:last], 1)  # type: ignore[attr-defined]
    np.testing.assert_allclose(hour / weight, hour[0] / weight[0], rtol=1e-9)  # held through the gap


def test_a_second_fit_begins_at_the_first(past: Panel) -> None:
    model = GjrT().fit(past)
    again = model.fit(past)
    np.testing.assert_allclose(again.parameters.vector(), model.parameters.vector(), rtol=2e-4, atol=1e-6)


def test_the_law_is_a_setting(panel: Panel, past: Panel) -> None:
    fitted = Garch(law="normal").fit(past)
    forecast = fitted.forecast(panel)
    scale = np.sqrt(forecast.variance[5, 2])
    np.testing.assert_allclose(forecast.quantiles[5, 2] / scale, normal_quantiles(LEVELS))
    assert fitted.parameters.degrees == np.inf
    with pytest.raises(SettingError, match="skew_t"):
        Garch(law="skew_t")


@pytest.mark.parametrize("name", NAMES)
def test_origins_that_are_not_hourly_are_refused(name: str, panel: Panel) -> None:
    quarter = replace(panel, spec=FeatureSpec(every_s=900))
    with pytest.raises(SettingError, match="an origin every 900 s; choose a spec with every_s = 3600"):
        FORECASTERS[name]().fit(quarter)
    with pytest.raises(SettingError, match="every_s"):
        FORECASTERS[name]().forecast(quarter)


@pytest.mark.parametrize("name", NAMES)
def test_a_short_history_is_refused(name: str, panel: Panel) -> None:
    with pytest.raises(ShortHistoryError, match="needs 500 hours with trades, the panel has"):
        FORECASTERS[name]().fit(panel.rows(0, 400))


def test_longer_horizons_than_egarch_was_fitted_for_are_refused() -> None:
    p = GarchParameters(0.0, 0.01, 0.2, 0.95, np.inf, 1.0, 0.0)
    with pytest.raises(SettingError, match="fitted for 4 hours ahead, not 5"):
        egarch_ahead(np.ones(1), p, np.zeros(3), 5)


TRUTH = RealisedParameters(0.06, 0.6, 0.33, -0.1, 1.05, -0.05, 0.08, 0.25, 0.0, 0.0)


def simulated(n: int, p: RealisedParameters = TRUTH) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    z, u = rng.standard_normal(n), np.sqrt(p.noise) * rng.standard_normal(n)
    log_rv, log_variance, h = np.empty(n), np.empty(n), p.first
    for i in range(n):
        log_variance[i] = h
        log_rv[i] = p.xi + p.phi * h + p.tau1 * z[i] + p.tau2 * (z[i] ** 2 - 1) + u[i]
        h = p.omega + p.beta * h + p.gamma * log_rv[i]
    return np.exp(log_variance / 2) * z, log_rv


def test_realised_garch_finds_the_truth() -> None:
    p = estimate_realised(*simulated(40_000))
    for name, tolerance in (
        ("omega", 0.01), ("beta", 0.01), ("gamma", 0.01), ("xi", 0.05), ("phi", 0.05), ("tau1", 0.01),
        ("tau2", 0.01), ("noise", 0.01),
    ):  # fmt: skip
        assert getattr(p, name) == pytest.approx(getattr(TRUTH, name), abs=tolerance), name


def test_realised_garchs_likelihood_is_the_slow_sum_and_its_gradient_the_slope() -> None:
    returns, log_rv = simulated(600)
    point = np.array([0.05, 0.65, 0.28])
    value, slope, p = log_likelihood(point, returns, log_rv, 0.2)
    slow, h = 0.0, 0.2
    for r, x in zip(returns, log_rv, strict=True):
        z = r / np.exp(h / 2)
        expected = p.xi + p.phi * h + p.tau1 * z + p.tau2 * (z * z - 1)
        slow += norm.logpdf(r, 0, np.exp(h / 2)) + norm.logpdf(x, expected, np.sqrt(p.noise))
        h = point[0] + point[1] * h + point[2] * x
    assert value == pytest.approx(slow, rel=1e-10)
    for i in range(3):
        step = np.zeros(3)
        step[i] = 1e-6
        ends = [log_likelihood(point + side * step, returns, log_rv, 0.2)[0] for side in (1, -1)]
        assert slope[i] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-3)


def test_realised_garch_ahead_is_the_mean_of_simulated_paths() -> None:
    """With the closed moment of normal news, E exp(c (tau1 z + tau2 (z² - 1) + u))."""
    p = replace(TRUTH, tau1=-0.3, tau2=0.2, noise=0.6)
    moments = news_moments(*simulated(200_000, p), p, 5)
    for i, moment in enumerate(moments):
        c = p.gamma * p.persistence**i
        shrink = 1 - 2 * c * p.tau2
        exact = c * c * (p.tau1**2 / shrink + p.noise) / 2 - c * p.tau2 - np.log(shrink) / 2
        assert moment == pytest.approx(exact, abs=2e-3)
    rng = np.random.default_rng(3)
    h, means = np.full(300_000, 0.5), []
    for _ in range(5):
        means.append(np.exp(h).mean())
        z, u = rng.standard_normal((2, len(h)))
        log_rv = p.xi + p.phi * h + p.tau1 * z + p.tau2 * (z * z - 1) + np.sqrt(p.noise) * u
        h = p.omega + p.beta * h + p.gamma * log_rv
    np.testing.assert_allclose(realised_ahead(np.array([0.5]), p, moments)[0], means, rtol=5e-3)


def test_realised_garch_is_not_asked_before_it_has_learned(panel: Panel) -> None:
    with pytest.raises(ShortHistoryError, match="fit it before"):
        RealisedGarch().forecast(panel)


def test_realised_garch_knows_more_than_garch(panel: Panel, past: Panel) -> None:
    """On what came after the fit; one factor debiases each."""
    first, losses = len(past), []
    realised = panel.targets.realised_variance[first:]
    for model in (RealisedGarch(), GarchT()):
        ratio = realised / model.fit(past).forecast(panel).variance[first:]
        ratio = ratio[np.isfinite(ratio).all(axis=1)]
        ratio /= ratio.mean(axis=0)
        losses.append((ratio - np.log(ratio) - 1).mean(axis=0))
    assert (losses[0][:2] < 0.97 * losses[1][:2]).all()


def test_the_state_before_any_move_is_the_backcast(panel: Panel, past: Panel) -> None:
    fitted = GarchT().fit(past)
    values = np.array(panel.values)
    values[:50, panel.spec.features.index("log_rv_1h")] = -60.0
    silent = replace(panel, values=values)
    p = fitted.parameters
    hour = fitted.forecast(silent).variance[:51, 0] * 1e4 / fitted.diurnal.ahead(panel.origin_ns[:51], 1)
    np.testing.assert_allclose(hour, p.backcast, rtol=1e-9)  # row 50 is the first after the silence: left out too
    assert variances(np.zeros(0), p)[0] == pytest.approx(p.omega + p.persistence * p.backcast)
