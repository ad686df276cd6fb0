"""HARs in levels against statsmodels; their guards against hours unlike those of the past."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from features.clock import parse_utc
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from models.classical.har import Har, averages
from models.classical.har_semivariance import HarSemivariance
from models.classical.har_wls import HarWls
from models.classical.harq import Harq
from models.classical.levels import GUARD, GuardedLine, LevelLine, fit_guarded, fit_level
from models.classical.lookbacks import outcome_rates, usual_hours

MODELS = [Har(), HarWls(), Harq(), HarSemivariance()]
IN_UNITS = 1e6  # statsmodels' rank test reads variances of a few millionths as nothing


@pytest.fixture(scope="module")
def past(panel: Panel) -> Panel:
    return panel.until(parse_utc("2020-08-01"))


def data(past: Panel, model: Har | HarWls, h: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = averages(past, model.diurnal), outcome_rates(past, model.diurnal)[:, h]
    known = np.isfinite(y)
    return IN_UNITS * x[known], IN_UNITS * y[known]


@pytest.mark.parametrize("h", range(4))
def test_har_equals_ordinary_least_squares(past: Panel, h: int) -> None:
    model = Har().fit(past)
    x, y = data(past, model, h)
    line = model.lines[h]
    assert isinstance(line, LevelLine)
    expected = sm.OLS(y, sm.add_constant(x)).fit().params
    np.testing.assert_allclose(line.coefficients[1:], expected[1:], rtol=1e-6, atol=1e-8)
    assert line.coefficients[0] * IN_UNITS == pytest.approx(expected[0], rel=1e-6)


@pytest.mark.parametrize("h", range(4))
def test_har_wls_equals_weighted_least_squares(past: Panel, h: int) -> None:
    model = HarWls().fit(past)
    x, y = data(past, model, h)
    least = np.maximum(np.quantile(y, 0.001), x.min(axis=1) / 2)
    fitted = np.clip(sm.OLS(y, sm.add_constant(x)).fit().fittedvalues, least, y.max())
    for _ in range(2):
        weighted = sm.WLS(y, sm.add_constant(x), weights=fitted**-2.0).fit()
        fitted = np.clip(weighted.fittedvalues, least, y.max())
    line = model.lines[h]
    assert isinstance(line, LevelLine)
    np.testing.assert_allclose(line.coefficients[1:], weighted.params[1:], rtol=1e-6, atol=1e-8)
    variance = model.forecast(past).variance[:, h] * IN_UNITS
    clock = usual_hours(past, model.diurnal)[:, h]
    known = np.isfinite(past.targets.realised_variance[:, h])
    np.testing.assert_allclose(variance[known], fitted * clock[known], rtol=1e-6)


def test_harq_finds_a_planted_attenuation() -> None:
    """y = (0.8 - 0.3 q) x with multiplicative noise: the slopes, within four standard errors of theirs."""
    rng = np.random.default_rng(4)
    x, q = np.exp(rng.normal(size=20_000)), rng.uniform(0.6, 1.4, 20_000)
    y = (0.8 - 0.3 * q) * x * rng.gamma(4.0, 0.25, 20_000)
    line = fit_guarded(np.column_stack([x, q * x]), y, 1)
    assert line.coefficients[1:] == pytest.approx([0.8, -0.3], abs=0.06)
    assert np.mean(y / line.at(np.column_stack([x, q * x]))) == pytest.approx(1.0, abs=0.02)
    assert np.mean(y[q > 1.3] / line.plain.at(x[q > 1.3, None])) < 0.9  # which the plain line gets wrong


@pytest.mark.parametrize("model", [Harq(), HarSemivariance()])
def test_richer_lines_equal_weighted_least_squares(past: Panel, model: Harq | HarSemivariance) -> None:
    fitted = model.fit(past)
    x, y = fitted.regressors(past, fitted.diurnal), outcome_rates(past, fitted.diurnal)[:, 1]
    assert x.shape[1] == 5 + (2 if isinstance(model, Harq) else 3)  # what the default spec has
    known = np.isfinite(y)
    plain = HarWls().fit(past).forecast(past).variance[:, 1] / usual_hours(past, fitted.diurnal)[:, 1]
    design = sm.add_constant(IN_UNITS * x[known])
    expected = sm.WLS(IN_UNITS * y[known], design, weights=plain[known] ** -2.0).fit()
    line = fitted.lines[1]
    assert isinstance(line, GuardedLine)
    np.testing.assert_allclose(line.coefficients[1:], expected.params[1:], rtol=1e-5, atol=1e-7)
    rate = fitted.forecast(past).variance[:, 1] / usual_hours(past, fitted.diurnal)[:, 1]
    assert (rate <= plain * GUARD * (1 + 1e-9)).all()
    assert (rate >= plain / GUARD * (1 - 1e-9)).all()


def test_semivariances_are_parts_of_the_whole(past: Panel) -> None:
    model = HarSemivariance(lookbacks_h=(24,)).fit(past)
    x = model.regressors(past, model.diurnal)
    np.testing.assert_allclose(x[:, 5], x[:, 2] * past.column("downside_24h"))
    assert (x[:, 5] < x[:, 2]).all()


def test_a_line_stays_within_what_was_seen() -> None:
    x = np.linspace(1.0, 2.0, 101)[:, None]
    line = fit_level(x, x[:, 0] ** 2, weighted=False)
    assert line.at(np.array([[3.0]])) == pytest.approx(4.0)
    assert line.at(np.array([[100.0]])) == pytest.approx(50.0)  # a storm that the past did not know
    falling = LevelLine(np.array([1.0, 0.1, -1.0]), least=0.01, most=4.0)
    assert falling.at(np.array([[0.5, 2.0], [0.001, 2.0]])) == pytest.approx([0.25, 0.01])


@pytest.mark.parametrize("model", MODELS)
def test_forecasts_survive_a_crash_and_an_outage(panel: Panel, past: Panel, model: Har | HarWls) -> None:
    """Every look-back a hundred times its highest, then the shortest two at their floor."""
    wild = panel.values.copy()
    columns = [panel.spec.features.index(f"log_rv_{k}h") for k in (1, 4, 24, 168, 720)]
    wild[-10:, columns] += np.float32(np.log(100.0))
    wild[-5:, columns[:2]] = -20.72
    fitted = model.fit(past)
    variance = fitted.forecast(replace(panel, values=wild)).variance
    usual = usual_hours(panel, fitted.diurnal)
    highest = np.nanmax(outcome_rates(past, fitted.diurnal), axis=0)
    assert (variance[-10:] <= GUARD * highest * usual[-10:] * (1 + 1e-9)).all()
    assert (variance[-5:] > fitted.forecast(panel).variance[-5:]).all()  # an outage amid a crash is no calm
    np.testing.assert_array_equal(variance[:-10], fitted.forecast(panel).variance[:-10])


@pytest.mark.parametrize(("model", "family"), [(Harq(), "rq_ratio"), (HarSemivariance(), "downside")])
def test_a_missing_feature_is_named(past: Panel, model: Harq | HarSemivariance, family: str) -> None:
    kept = tuple(n for n in past.spec.features if not n.startswith(family))
    columns = [past.spec.features.index(n) for n in kept]
    poor = replace(past, spec=replace(past.spec, features=kept), values=past.values[:, columns])
    with pytest.raises(SettingError, match=f"needs at least one of {family}_1h, {family}_4h"):
        model.fit(poor)
    with pytest.raises(SettingError, match=rf"needs {family}_4h; add"):
        replace(model, lookbacks_h=(4,)).fit(poor)


@pytest.mark.parametrize("model", MODELS)
def test_a_panel_without_outcomes_is_refused(panel: Panel, model: Har | HarWls) -> None:
    with pytest.raises(ShortHistoryError, match="give a longer history"):
        model.fit(panel.until(int(panel.origin_ns[0]) + 1))
