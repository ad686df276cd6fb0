"""Impact and recovery against statsmodels, loops, and paths whose truth is known."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.lib.stride_tricks import sliding_window_view
from statsmodels.tsa.ar_model import AutoReg

from features.orderflow import amihud, kyle_lambda, resilience, roll_spread

RNG = np.random.default_rng(12)
RETURNS, FLOW = RNG.normal(0, 1e-3, (6, 80)), RNG.normal(5.0, 40.0, (6, 80))
QUOTE_VOLUME = RNG.exponential(1e6, (6, 80)) * (RNG.random((6, 80)) < 0.7)
DEPTH = np.exp(RNG.normal(2.0, 0.4, (6, 80)))


def test_lambda_is_the_slope_of_statsmodels() -> None:
    expected = [sm.OLS(r, sm.add_constant(x)).fit().params[1] for r, x in zip(RETURNS, FLOW, strict=True)]
    np.testing.assert_allclose(kyle_lambda(RETURNS, FLOW), expected, rtol=1e-10)


def test_lambda_of_a_market_that_moves_by_it() -> None:
    truth, n = 3e-6, 4_000
    rng = np.random.default_rng(3)
    flow, noise = rng.normal(10.0, 50.0, n), 1e-4
    returns = 2e-5 + truth * flow + rng.normal(0, noise, n)
    assert kyle_lambda(returns, flow) == pytest.approx(truth, abs=4 * noise / (50.0 * np.sqrt(n)))
    assert kyle_lambda(-returns, flow) == pytest.approx(-kyle_lambda(returns, flow))
    assert kyle_lambda(returns + 0.7, flow - 1_000) == pytest.approx(kyle_lambda(returns, flow), rel=1e-9)


@pytest.mark.parametrize("constant", [0.0, 0.1, -3.3, 1e9])
def test_lambda_of_a_constant_flow_is_not_a_number(constant: float) -> None:
    assert np.isnan(kyle_lambda(RETURNS, np.full_like(RETURNS, constant))).all()


def test_amihud_against_a_loop() -> None:
    slow = []
    for returns, volumes in zip(RETURNS, QUOTE_VOLUME, strict=True):
        traded = [abs(r) / v for r, v in zip(returns, volumes, strict=True) if v > 0]
        slow.append(sum(traded) / len(traded))
        assert 0 < len(traded) < 80
    np.testing.assert_allclose(amihud(RETURNS, QUOTE_VOLUME), slow, rtol=1e-13)
    np.testing.assert_allclose(amihud(2 * RETURNS, 5 * QUOTE_VOLUME), 0.4 * np.array(slow), rtol=1e-13)


def test_amihud_without_volume_is_not_a_number() -> None:
    volume = QUOTE_VOLUME.copy()
    volume[2] = 0.0
    assert np.isnan(amihud(RETURNS, volume)).tolist() == [False, False, True, False, False, False]


def test_resilience_is_one_less_the_autoregression_of_statsmodels() -> None:
    expected = [1 - AutoReg(np.log(d), 1, trend="c").fit().params[1] for d in DEPTH]
    np.testing.assert_allclose(resilience(DEPTH), expected, rtol=1e-9)
    np.testing.assert_allclose(resilience(1_000 * DEPTH), expected, rtol=1e-9)  # contracts for coins


@pytest.mark.parametrize("truth", [0.05, 0.3, 1.0])
def test_resilience_of_a_depth_that_recovers_so(truth: float) -> None:
    n, phi, shocks = 20_000, 1 - truth, np.random.default_rng(4).normal(0, 0.2, 20_000)
    log_depth = np.empty(n)
    log_depth[0] = 3.0
    for i in range(1, n):
        log_depth[i] = 3.0 + phi * (log_depth[i - 1] - 3.0) + shocks[i]
    error = np.sqrt((1 - phi**2) / n)
    assert resilience(np.exp(log_depth)) == pytest.approx(truth, abs=4 * error + (1 + 3 * phi) / n)


def test_resilience_of_depths_without_a_logarithm_or_a_move_is_not_a_number() -> None:
    for depth in (np.full(20, 0.1), np.array([1.0, 2.0, 0.0, 3.0]), np.array([1.0, 2.0, -1.0, 3.0])):
        assert np.isnan(resilience(depth))


def test_roll_spread_of_a_bouncing_price() -> None:
    """Trades at value +- S/2 with fair coins have a covariance of -S^2/4; the error is seen from 200 paths."""
    spread, sigma, rng = 2e-3, 3e-4, np.random.default_rng(5)
    value = np.cumsum(rng.normal(0, sigma, (200, 3_000)), axis=1)
    price = value + spread / 2 * rng.choice([-1.0, 1.0], value.shape)
    found = roll_spread(np.diff(price, axis=1))
    assert found.mean() == pytest.approx(spread, abs=4 * found.std() / np.sqrt(200) + 1e-6)
    assert found.std() < 0.05 * spread


def test_roll_spread_against_the_covariance_of_numpy() -> None:
    for returns in RETURNS:
        covariance = np.cov(returns[1:], returns[:-1], ddof=0)[0, 1]
        expected = 2 * np.sqrt(-covariance) if covariance < 0 else np.nan
        np.testing.assert_allclose(roll_spread(returns), expected, rtol=1e-12)
    assert np.isnan(roll_spread(np.full(10, 0.125)))
    assert np.isnan(roll_spread(np.array([1.0, 2.0, 3.0, 4.0])))  # a trend has a positive covariance


MEASURES = {
    "kyle_lambda": lambda i: kyle_lambda(RETURNS[i], FLOW[i]),
    "amihud": lambda i: amihud(RETURNS[i], QUOTE_VOLUME[i]),
    "resilience": lambda i: resilience(DEPTH[i]),
    "roll_spread": lambda i: roll_spread(RETURNS[i]),
}


@pytest.mark.parametrize("name", MEASURES)
def test_windows_are_taken_one_by_one(name: str) -> None:
    np.testing.assert_allclose([MEASURES[name](i) for i in range(6)], MEASURES[name](slice(None)), rtol=1e-12)


def test_rolling_windows_are_views_that_are_taken() -> None:
    x, r = sliding_window_view(FLOW[0], 20), sliding_window_view(RETURNS[0], 20)
    assert kyle_lambda(r, x)[7] == pytest.approx(kyle_lambda(RETURNS[0, 7:27], FLOW[0, 7:27]), rel=1e-12)


@pytest.mark.parametrize("hole", [0, 40, 79])
def test_what_is_not_known_propagates(hole: int) -> None:
    def spoiled(rows: np.ndarray) -> np.ndarray:
        return np.where(np.arange(80) == hole, np.nan, rows)

    assert np.isnan(kyle_lambda(spoiled(RETURNS), FLOW)).all()
    assert np.isnan(kyle_lambda(RETURNS, spoiled(FLOW))).all()
    assert np.isnan(amihud(spoiled(RETURNS), QUOTE_VOLUME)).all()
    assert np.isnan(amihud(RETURNS, spoiled(QUOTE_VOLUME))).all()
    assert np.isnan(resilience(spoiled(DEPTH))).all()
    assert np.isnan(roll_spread(spoiled(RETURNS))).all()


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda: kyle_lambda(np.ones(1), np.ones(1)), "Kyle's lambda needs at least 2 rows, got 1"),
        (lambda: amihud(np.ones(0), np.ones(0)), "Amihud's measure needs at least 1 rows, got 0"),
        (lambda: resilience(np.ones(2)), "resilience needs at least 3 rows, got 2"),
        (lambda: roll_spread(np.ones(2)), "Roll's spread needs at least 3 rows, got 2"),
    ],
)
def test_short_windows_are_refused(ask, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=match):
        ask()
