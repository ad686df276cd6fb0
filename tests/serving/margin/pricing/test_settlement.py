"""Averages against simulated paths, exact moments by quadrature, and their limits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import dblquad

from features.errors import PriceError
from features.measures.window import FloatArray
from serving.margin.pricing.averaging import YEAR_S, averaging_variance, averaging_years
from serving.margin.pricing.black import black_value
from serving.margin.pricing.settlement import Unfixed, effective_forward, unfixed_option


def simulated_averages(vol: float, left_s: float, window_s: float, paths: int = 40_000, steps: int = 120) -> FloatArray:
    """Averages over the last part of driftless lognormal paths of forward 1, midpoints of equal steps, antithetic."""
    rng, averaged = np.random.default_rng(11), min(left_s, window_s)
    shocks = rng.standard_normal((paths // 2, steps + 1))
    shocks = np.concatenate([shocks, -shocks])
    step = averaged / steps
    seconds = np.full(steps + 1, step)
    seconds[0], seconds[1] = left_s - averaged, step / 2
    variance = vol**2 * seconds / YEAR_S
    logs = np.cumsum(np.sqrt(variance) * shocks - variance / 2, axis=1)
    average: FloatArray = np.exp(logs[:, 1:]).mean(axis=1)
    return average


def priced(option: Unfixed, forward: float, vol: float, is_call: bool) -> float:
    plain = black_value(forward, option.strike, vol, option.years, is_call)
    return float(option.share * plain + option.cash)


@pytest.mark.parametrize(("left_s", "fixed"), [(7200.0, 0.0), (1800.0, 0.0), (600.0, 2 / 3)])
@pytest.mark.parametrize("is_call", [True, False])
def test_options_on_an_average_are_worth_their_simulated_payoff(left_s: float, fixed: float, is_call: bool) -> None:
    vol, strike, known = 1.2, 1.001, 1.003
    settled = fixed * known + (1 - fixed) * simulated_averages(vol, left_s, 1800.0)
    payoff = np.maximum(np.where(is_call, 1, -1) * (settled - strike), 0)
    option = unfixed_option(strike, vol, is_call, left_s, fixed, known)
    error = payoff.std() / np.sqrt(payoff.size)
    assert abs(priced(option, 1.0, vol, is_call) - payoff.mean()) < 4 * error
    plain = black_value(effective_forward(1.0, fixed, known), strike, vol, left_s / YEAR_S, is_call)
    assert abs(plain - payoff.mean()) > 4 * error  # the settlement at the last price is another option


def test_second_moment_is_that_of_the_double_integral() -> None:
    vol, left, window = 3.0, 0.9, 0.6  # years, so that no term is small

    def product(u: float, v: float) -> float:
        return float(np.exp(vol**2 * min(u, v)) / window**2)

    moment = 2 * dblquad(product, left - window, left, left - window, lambda v: v, epsabs=1e-10)[0]
    assert_allclose(averaging_variance(vol, left * YEAR_S, window * YEAR_S), np.log(moment), rtol=1e-8)


def test_variance_falls_by_two_thirds_of_the_window() -> None:
    left = np.array([10.0, 900.0, 1800.0, 3600.0, 86_400.0])
    share = averaging_variance(0.7, left) / (0.7**2 * left / YEAR_S)
    assert_allclose(share, 1 - np.minimum(left, 1800) * 2 / 3 / left, rtol=1e-4)
    np.testing.assert_array_equal(averaging_variance(0.7, left, 0.0), 0.7**2 / YEAR_S * left)


def test_series_meets_the_closed_form() -> None:
    seconds = YEAR_S * np.array([1 - 1e-9, 1 + 1e-9])
    assert_allclose(np.diff(averaging_variance(1.0, seconds, seconds)), 0, atol=1e-9)
    assert np.all(np.diff(averaging_variance(1.0, YEAR_S * np.linspace(0, 3, 50), 1e12)) > 0)


def test_time_equivalent_is_continuous_down_to_no_vol() -> None:
    assert_allclose(averaging_years(0.0, 3600.0), averaging_years(1e-6, 3600.0), rtol=1e-9)


def test_what_is_fixed_cannot_be_shocked() -> None:
    shocked = np.array([50.0, 100.0, 200.0])
    np.testing.assert_array_equal(effective_forward(shocked, 1.0, 97.0), [97, 97, 97])
    np.testing.assert_array_equal(effective_forward(shocked, 0.0, 97.0), shocked)
    done = unfixed_option([90.0, 110.0], 0.5, [True, False], 0.0, 1.0, 97.0)
    np.testing.assert_array_equal(done.share, [0, 0])
    np.testing.assert_array_equal(done.cash, [7, 13])


@pytest.mark.parametrize("is_call", [True, False])
def test_a_strike_below_the_fixed_part_is_certain(is_call: bool) -> None:
    option = unfixed_option(40.0, 0.9, is_call, 600.0, 2 / 3, 90.0)
    expected = effective_forward(80.0, 2 / 3, 90.0) - 40.0 if is_call else 0.0
    assert priced(option, 80.0, 0.9, is_call) == pytest.approx(float(expected), rel=1e-14, abs=0)


def test_parity_inside_the_window() -> None:
    strike = np.array([20.0, 95.0, 100.0, 140.0])
    call, put = (unfixed_option(strike, 1.5, side, 1000.0, 0.4, 99.0) for side in (True, False))
    value = [o.share * black_value(102.0, o.strike, 1.5, o.years, c) + o.cash for o, c in ((call, True), (put, False))]
    assert_allclose(value[0] - value[1], effective_forward(102.0, 0.4, 99.0) - strike, rtol=1e-13)


def test_faults_are_named() -> None:
    with pytest.raises(PriceError, match=r"fixed_frac is 1\.2"):
        effective_forward(100.0, 1.2, 100.0)
    with pytest.raises(PriceError, match="average is nan"):
        effective_forward(100.0, 0.2, np.nan)
    with pytest.raises(PriceError, match="before the averaging window begins"):
        unfixed_option(100.0, 0.5, True, 3600.0, 0.1, 100.0)
    with pytest.raises(PriceError, match=r"seconds_left is -1\.0; settle"):
        averaging_variance(0.5, -1.0)
