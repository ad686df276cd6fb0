"""Implied vol against sixty digits of mpmath, QuantLib, and what a price can say at all."""

import mpmath
import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from numpy.testing import assert_allclose

from features.errors import PriceError
from features.measures.window import FloatArray
from serving.margin.pricing.black import black_value
from serving.margin.pricing.implied import implied_vol
from serving.margin.pricing.mills import mills, mills_rise, mills_slope
from serving.margin.pricing.normalised import implied_stdev, normalised_black

MONEYNESS = [0.0, -1e-12, -1e-9, -1e-6, -1e-4, -0.003, -0.05, -0.3, -0.9, -1.1, -3.0, -10.0, -14.0]
STDEVS = 10.0 ** np.arange(-6, 1.01, 0.25)


def normalised(x: float, s: float) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Textbook value over sqrt(FK), and what it lacks to the bound."""
    a, b = mpmath.mpf(x), mpmath.mpf(s)
    value = mpmath.exp(a / 2) * mpmath.ncdf(a / b + b / 2) - mpmath.exp(-a / 2) * mpmath.ncdf(a / b - b / 2)
    return value, mpmath.exp(a / 2) - value


def grid() -> list[tuple[float, float, float, float, float]]:
    """Log moneyness, standard deviation, value, lacking, and the condition number of s by the value."""
    rows = []
    with mpmath.workdps(60):
        for x in MONEYNESS:
            for s in map(float, STDEVS):
                value, lacking = normalised(x, s)
                if float(value) > 1e-300:
                    density = mpmath.npdf(mpmath.mpf(x) / s) * mpmath.exp(-(mpmath.mpf(s) ** 2) / 8)
                    rows.append((x, s, float(value), float(lacking), float(value / (s * density))))
    return rows


GRID = grid()


def test_normalised_value_is_exact_as_far_as_its_exponent() -> None:
    for x, s, value, _, _ in GRID:
        exponent = (x / s) ** 2 / 2
        assert normalised_black(x, s) == pytest.approx(value, rel=4e-15 + 4e-16 * exponent)


def test_the_solver_loses_nothing() -> None:
    """Given value and complement each to 16 digits, the standard deviation is right to 5e-15."""
    assert len(GRID) > 230
    worst = max(abs(implied_stdev(x, value, lacking) / s - 1) for x, s, value, lacking, _ in GRID)
    assert worst < 5e-15


def test_from_a_price_the_error_is_the_rounding_of_the_price() -> None:
    """Through the public function, strike 1, from the value rounded to a double: 1e-12 wherever the price allows it."""
    checked = 0
    for x, s, _, _, _ in GRID:
        forward = float(np.exp(x))
        with mpmath.workdps(60):
            exact_x = float(mpmath.log(mpmath.mpf(forward)))
            value, _ = normalised(mpmath.log(mpmath.mpf(forward)), s)
            price = value * mpmath.sqrt(mpmath.mpf(forward))
            density = mpmath.npdf(mpmath.mpf(exact_x) / s) * mpmath.exp(-(mpmath.mpf(s) ** 2) / 8)
            condition = float(value / (s * density))
        if not 1e-300 < float(price) < forward:
            continue
        vol = float(implied_vol(float(price), forward, 1.0, 1.0, is_call=True))
        assert abs(vol / s - 1) <= 4e-15 + 4e-16 * condition
        if condition < 1e3:
            assert abs(vol / s - 1) < 1e-12
            checked += 1
    assert checked > 200


def test_deep_in_the_money_from_time_value() -> None:
    vols = np.array([0.05, 0.2, 0.9])
    time_value = black_value(300.0, 100.0, vols, 0.8, is_call=False)
    assert np.all(300.0 - 100.0 + time_value[:1] == 200.0)  # the call's price has forgotten it
    assert_allclose(implied_vol(time_value, 300.0, 100.0, 0.8, is_call=True, time_value=True), vols, rtol=1e-11)
    assert_allclose(implied_vol(time_value, 300.0, 100.0, 0.8, is_call=False), vols, rtol=1e-11)


def test_quantlibs_implied_standard_deviation() -> None:
    forward = np.array([80.0, 100.0, 130.0])
    price = np.array([2.5, 9.0, 33.0])
    ours = implied_vol(price, forward, 100.0, 0.25, is_call=True)
    peer = [
        ql.blackFormulaImpliedStdDev(ql.Option.Call, 100.0, f, p, 1.0, 0.0, 0.4, 1e-14, 1000) / 0.5
        for f, p in zip(forward.tolist(), price.tolist(), strict=True)
    ]
    assert_allclose(ours, peer, rtol=1e-11)


def test_round_trip_over_shapes_and_sides() -> None:
    rng = np.random.default_rng(3)
    strike = np.exp(rng.normal(0, 0.4, (7, 50)))
    vol, years, calls = rng.uniform(0.2, 3, (7, 50)), rng.uniform(1e-3, 2, (7, 1)), strike > 1
    back = implied_vol(black_value(1.0, strike, vol, years, calls), 1.0, strike, years, calls, strict=False)
    seen = black_value(1.0, strike, vol, years, calls) > 1e-200
    assert seen.mean() > 0.8
    assert_allclose(back[seen], vol[seen], rtol=1e-10)


@pytest.mark.parametrize(
    ("price", "fault"),
    [
        (4.9, r"price\[1\] = 4.9 \(forward 105.0, strike 100.0\) is 0.09.* below intrinsic value; correct"),
        (5.0, "no time value .* give the out-of-the-money option"),
        (105.0, r"not below its bound 100.0; correct"),
        (np.nan, "is not a number; leave the row out"),
        (np.inf, "not below its bound"),
    ],
)
def test_prices_that_imply_nothing(price: float, fault: str) -> None:
    prices = [20.0, price]
    with pytest.raises(PriceError, match=fault):
        implied_vol(prices, 105.0, 100.0, 0.5, is_call=True)
    lenient = implied_vol(prices, 105.0, 100.0, 0.5, is_call=True, strict=False)
    np.testing.assert_array_equal(np.isnan(lenient), [False, True])


@pytest.mark.parametrize(("name", "bad"), [("forward", 0.0), ("strike", np.nan), ("years", 0.0)])
def test_market_faults_raise_even_where_rows_may_be_missing(name: str, bad: float) -> None:
    given = {"forward": 100.0, "strike": 100.0, "years": 1.0} | {name: bad}
    with pytest.raises(PriceError, match=f"^{name} is"):
        implied_vol(10.0, given["forward"], given["strike"], given["years"], is_call=True, strict=False)


def ratio(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mills' ratio and its slope."""
    with mpmath.workdps(50):
        points = [mpmath.mpf(v) for v in z]
        ratios = [mpmath.ncdf(v) / mpmath.npdf(v) for v in points]
        slopes = [1 + v * r for v, r in zip(points, ratios, strict=True)]
        return np.array([float(r) for r in ratios]), np.array([float(r) for r in slopes])


def test_mills_ratio_its_slope_and_its_rise() -> None:
    rng = np.random.default_rng(5)
    z = np.concatenate([-np.exp(rng.uniform(-3, 6, 150)), rng.uniform(-16.1, 0.5, 150), [-16.0, 0.0, 0.5]])
    ratios, slopes = ratio(z)
    assert_allclose([mills(v) for v in z], ratios, rtol=3e-15)
    assert_allclose([mills_slope(v) for v in z], slopes, rtol=3e-15)
    with mpmath.workdps(50):
        for middle, half in zip(-np.exp(rng.uniform(-5, 3, 60)), 10.0 ** rng.uniform(-7, 0.5, 60), strict=True):
            top, bottom = (mpmath.mpf(middle) + sign * mpmath.mpf(half) for sign in (1, -1))
            rise = mpmath.ncdf(top) / mpmath.npdf(top) - mpmath.ncdf(bottom) / mpmath.npdf(bottom)
            assert mills_rise(middle, half) == pytest.approx(float(rise), rel=1e-14)
