import math

import mpmath
import numpy as np
import pytest

from features.errors import MarketError
from serving.margin.surface.kernel import svi_vol
from serving.margin.surface.svi import RawSvi

SMILE = RawSvi(a=0.012, b=0.11, rho=-0.35, m=0.04, sigma=0.21)
K = np.array([-1.3, -0.2, 0.0, 0.04, 0.3, 2.0])


def exact(k: mpmath.mpf) -> mpmath.mpf:
    shift = k - mpmath.mpf(SMILE.m)
    root = mpmath.sqrt(shift**2 + mpmath.mpf(SMILE.sigma) ** 2)
    return SMILE.a + SMILE.b * (SMILE.rho * shift + root)


def test_derivatives_are_those_of_many_digits() -> None:
    for k, first, second in zip(K, SMILE.slope(K), SMILE.curvature(K), strict=True):
        assert first == pytest.approx(float(mpmath.diff(exact, k)), rel=1e-12)
        assert second == pytest.approx(float(mpmath.diff(exact, k, 2)), rel=1e-9)


def test_g_is_the_density_of_black_prices() -> None:
    """Breeden and Litzenberger: the density of the strike is the second derivative of the undiscounted call."""

    def call(strike: mpmath.mpf) -> mpmath.mpf:
        w = exact(mpmath.log(strike))
        d1 = (-mpmath.log(strike) + w / 2) / mpmath.sqrt(w)
        return mpmath.ncdf(d1) - strike * mpmath.ncdf(d1 - mpmath.sqrt(w))

    w = SMILE.total_variance(K)
    lower = -K / np.sqrt(w) - np.sqrt(w) / 2
    density = SMILE.density_factor(K) * np.exp(-(lower**2) / 2) / np.sqrt(2 * np.pi * w)
    with mpmath.workdps(40):
        for k, value in zip(K, density, strict=True):
            strike = mpmath.exp(k)
            assert value == pytest.approx(float(mpmath.diff(call, strike, 2) * strike), rel=1e-9)


def test_the_least_variance_is_the_least() -> None:
    k = np.linspace(-2, 2, 400_001)
    assert SMILE.least_variance == pytest.approx(SMILE.total_variance(k).min(), rel=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a": math.nan}, "a is nan"),
        ({"m": math.inf}, "m is inf"),
        ({"b": -0.1}, "b must not"),
        ({"rho": 1.0}, "rho must"),
        ({"sigma": 0.0}, "sigma must"),
        ({"a": -0.1}, "least total variance"),
        ({"b": 3.0, "rho": -0.5}, "annualised variance"),
    ],
)
def test_parameters_that_no_smile_has_are_refused(change: dict[str, float], words: str) -> None:
    fields = {"a": 0.012, "b": 0.11, "rho": -0.35, "m": 0.04, "sigma": 0.21} | change
    with pytest.raises(MarketError, match=words):
        RawSvi(**fields)


@pytest.mark.parametrize("years", [0.0, -1.0, math.nan])
def test_no_volatility_without_time(years: float) -> None:
    with pytest.raises(MarketError, match="years to expiry"):
        SMILE.vol(K, years)


def test_many_volatilities_are_those_of_each_slice() -> None:
    other = RawSvi(a=0.05, b=0.02, rho=0.5, m=-0.1, sigma=0.4)
    params, years = np.array([SMILE.array, other.array]), np.array([0.1, 0.6])
    expiry, k = np.array([1, 0, 1]), np.linspace(-0.5, 0.5, 12).reshape(4, 3)
    found = svi_vol(params, expiry, k, years)
    for p, (svi, time) in enumerate([(other, 0.6), (SMILE, 0.1), (other, 0.6)]):
        np.testing.assert_allclose(found[:, p], svi.vol(k[:, p], time), rtol=1e-15)
    assert np.isnan(svi_vol(params, expiry, np.full((1, 3), np.nan), years)).all()


@pytest.mark.parametrize(
    ("params", "expiry", "k", "years", "words"),
    [
        (np.ones((1, 4)), [0], np.zeros((1, 1)), [1.0], "params"),
        (np.ones((1, 5)), [0, 0], np.zeros((1, 1)), [1.0], "expiry"),
        (np.ones((1, 5)), [1], np.zeros((1, 1)), [1.0], "row"),
        (np.ones((1, 5)), [-1], np.zeros((1, 1)), [1.0], "row"),
        (np.ones((1, 5)), [0], np.zeros((1, 1)), [0.0], "time to expiry"),
        (np.ones((1, 5)), [0], np.zeros((1, 1)), [math.nan], "time to expiry"),
    ],
)
def test_volatilities_of_wrong_shapes_are_refused(
    params: np.ndarray, expiry: list[int], k: np.ndarray, years: list[float], words: str
) -> None:
    with pytest.raises(MarketError, match=words):
        svi_vol(params, np.array(expiry), k, np.array(years))
