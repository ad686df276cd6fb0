"""The Markov chain and EM against statsmodels and a simulated truth."""

import numpy as np
import pytest
from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

from features.clock import parse_utc
from features.errors import ConvergenceError, SettingError, ShortHistoryError
from features.panel import Panel
from models.classical.har_regime import HarRegime
from models.classical.hidden_chain import filter_forward, smooth_backward
from models.classical.regimes import Regimes, estimate

TRUTH = Regimes(np.array([[0.0, 0.9], [2.0, 0.3]]), np.array([0.5, 1.5]), np.array([[0.97, 0.03], [0.08, 0.92]]))


def simulated(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(12)
    state = np.zeros(n, dtype=int)
    for t in range(1, n):
        state[t] = rng.random() < TRUTH.transition[state[t - 1], 1]
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = (x * TRUTH.coefficients[state]).sum(axis=1) + TRUTH.spread[state] * rng.normal(size=n)
    return x, y, state


def test_filter_smoother_and_likelihood_equal_statsmodels() -> None:
    x, y, _ = simulated(600)
    density = TRUTH.log_density(x, y)
    filtered, likelihood = filter_forward(density, TRUTH.transition, TRUTH.stationary)
    smoothed, steps = smooth_backward(filtered, TRUTH.transition)
    peer = MarkovRegression(y, k_regimes=2, trend="n", exog=x, switching_variance=True)
    (b0, b1), (c0, c1) = TRUTH.coefficients
    parameters = [TRUTH.transition[0, 0], TRUTH.transition[1, 0], b0, c0, b1, c1, *np.square(TRUTH.spread)]
    result = peer.smooth(parameters)
    assert likelihood == pytest.approx(result.llf, rel=1e-9)
    np.testing.assert_allclose(filtered, result.filtered_marginal_probabilities, atol=1e-9)
    np.testing.assert_allclose(smoothed, result.smoothed_marginal_probabilities, atol=1e-9)
    np.testing.assert_allclose(steps.sum(axis=1), smoothed[:-1].sum(axis=0))
    np.testing.assert_allclose(steps.sum(axis=0), smoothed[1:].sum(axis=0))


def test_em_finds_the_truth_and_no_more_likely_parameters_exist_nearby() -> None:
    x, y, state = simulated(20_000)
    first = 0.8 * np.eye(2)[(y > np.median(y)).astype(int)] + 0.1
    found = estimate(x, y, first)
    np.testing.assert_allclose(found.coefficients, TRUTH.coefficients, atol=0.06)
    np.testing.assert_allclose(found.spread, TRUTH.spread, atol=0.05)
    np.testing.assert_allclose(found.transition, TRUTH.transition, atol=0.012)
    assert found.log_likelihood > filter_forward(TRUTH.log_density(x, y), TRUTH.transition, TRUTH.stationary)[1]
    right = (found.filtered(x, y).argmax(axis=1) == state).mean()
    assert right > 0.93


def test_an_unknown_hour_moves_the_chain_and_no_more() -> None:
    x, y, _ = simulated(50)
    y[30] = np.nan
    filtered = TRUTH.filtered(x, y)
    np.testing.assert_allclose(filtered[30], filtered[29] @ TRUTH.transition)


def test_a_regime_that_empties_is_refused() -> None:
    x, y, _ = simulated(500)
    first = np.column_stack([np.full(500, 0.999), np.full(500, 0.001)])
    with pytest.raises(ConvergenceError, match="take fewer regimes"):
        estimate(x, y, first)


@pytest.fixture(scope="module")
def fitted(panel: Panel) -> HarRegime:
    return HarRegime().fit(panel.until(parse_utc("2020-06-01")))


def test_the_forecast_is_the_formula(panel: Panel, fitted: HarRegime) -> None:
    row = 4_000
    chance = fitted.chance(panel)[row]
    lookbacks = [panel.column(f"log_rv_{k}h")[row] for k in (1, 4, 24, 168, 720)]
    clocks = [fitted.diurnal.behind(panel.origin_ns[row : row + 1], k)[0] for k in (1, 4, 24, 168, 720)]
    x = np.array([1.0, *(np.array(lookbacks) - np.log(clocks))])
    slopes = fitted.slope[2].reshape(2, 6)
    usual = 8 * fitted.diurnal.ahead(panel.origin_ns[row : row + 1], 8)[0]
    expected = usual * np.exp(chance[0] * x @ slopes[0] + chance[1] * x @ slopes[1]) * (chance @ fitted.smear[2])
    assert fitted.forecast(panel).variance[row, 2] == pytest.approx(expected)
    assert fitted.chance(panel).std(axis=0).min() > 0.02  # else the regimes say nothing


def test_forecasts_of_the_training_are_nearly_unbiased(panel: Panel, fitted: HarRegime) -> None:
    past = panel.until(parse_utc("2020-06-01"))
    ratio = past.targets.realised_variance / fitted.forecast(past).variance
    np.testing.assert_allclose(np.nanmean(ratio, axis=0), 1.0, atol=0.02)


def test_what_cannot_be_is_refused(panel: Panel) -> None:
    with pytest.raises(SettingError, match="n_regimes=4; choose 2 or 3"):
        HarRegime(n_regimes=4)
    with pytest.raises(SettingError, match="call fit first"):
        HarRegime().chance(panel)
    with pytest.raises(ShortHistoryError, match="give a longer history"):
        HarRegime().fit(panel.until(int(panel.origin_ns[0]) + 1))
