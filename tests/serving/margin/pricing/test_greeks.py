"""Derivatives against mpmath, QuantLib's calculator and its European engine."""

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import QuantLib as ql  # noqa: N813

from features.errors import PriceError
from serving.margin.pricing.black import black_value
from serving.margin.pricing.greeks import Greeks, black_greeks, by_spot

CASES = [
    (forward, vol, years, rate, call)
    for forward in (55.0, 92.0, 100.0, 180.0)
    for vol, years in ((0.3, 0.02), (0.8, 0.5), (1.5, 2.0))
    for rate in (0.0, 0.07)
    for call in (True, False)
]
ORDERS = {"delta": (1, 0, 0, 0), "gamma": (2, 0, 0, 0), "vega": (0, 1, 0, 0), "vanna": (1, 1, 0, 0),
          "volga": (0, 2, 0, 0), "theta": (0, 0, 1, 0), "rho": (0, 0, 0, 1)}  # fmt: skip


def formula(call: bool) -> Callable[..., mpmath.mpf]:
    """Textbook value by forward, vol, years, rate; strike 100."""
    sign = 1 if call else -1

    def value(f: mpmath.mpf, vol: mpmath.mpf, years: mpmath.mpf, rate: mpmath.mpf) -> mpmath.mpf:
        stdev = vol * mpmath.sqrt(years)
        upper = mpmath.log(f / 100) / stdev + stdev / 2
        undiscounted = sign * (f * mpmath.ncdf(sign * upper) - 100 * mpmath.ncdf(sign * (upper - stdev)))
        return mpmath.exp(-rate * years) * undiscounted

    return value


@pytest.mark.parametrize(("forward", "vol", "years", "rate", "call"), CASES[::3])
def test_derivatives_of_the_formula(forward: float, vol: float, years: float, rate: float, call: bool) -> None:
    greeks = black_greeks(forward, 100.0, vol, years, call, rate)
    with mpmath.workdps(40):
        point = tuple(map(mpmath.mpf, (forward, vol, years, rate)))
        for name, order in ORDERS.items():
            slope = float(mpmath.diff(formula(call), point, order))
            expected = -slope if name == "theta" else slope
            assert float(getattr(greeks, name)) == pytest.approx(expected, rel=2e-13, abs=1e-13), name


@pytest.mark.parametrize(("forward", "vol", "years", "rate", "call"), CASES)
def test_quantlibs_calculator(forward: float, vol: float, years: float, rate: float, call: bool) -> None:
    spot, discount = 97.0, np.exp(-rate * years)
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if call else ql.Option.Put, 100.0)
    peer = ql.BlackCalculator(payoff, forward, vol * np.sqrt(years), discount)
    held = black_greeks(forward, 100.0, vol, years, call, rate)
    moved = by_spot(held, forward, spot, years)
    assert float(held.value) == pytest.approx(peer.value(), rel=1e-10, abs=1e-11)
    assert float(held.delta) == pytest.approx(peer.deltaForward(), rel=1e-10, abs=1e-11)
    assert float(held.gamma) == pytest.approx(peer.gammaForward(), rel=1e-10, abs=1e-11)
    assert float(held.vega) == pytest.approx(peer.vega(years), rel=1e-10, abs=1e-11)
    assert float(moved.delta) == pytest.approx(peer.delta(spot), rel=1e-10, abs=1e-11)
    assert float(moved.gamma) == pytest.approx(peer.gamma(spot), rel=1e-10, abs=1e-11)
    assert float(moved.theta) == pytest.approx(peer.theta(spot, years), rel=1e-10, abs=1e-11)
    assert float(moved.rho) == pytest.approx(peer.rho(years), rel=1e-10, abs=1e-11)


def test_quantlibs_engine_on_spot_rate_and_yield() -> None:
    spot, rate, dividend, vol, days = 100.0, 0.06, 0.02, 0.65, 73
    today, counter = ql.Date(1, 6, 2026), ql.Actual365Fixed()
    ql.Settings.instance().evaluationDate = today
    flat = (ql.YieldTermStructureHandle(ql.FlatForward(today, each, counter)) for each in (dividend, rate))
    surface = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), vol, counter))
    process = ql.BlackScholesMertonProcess(ql.QuoteHandle(ql.SimpleQuote(spot)), *flat, surface)
    payoff = ql.PlainVanillaPayoff(ql.Option.Put, 110.0)
    option = ql.VanillaOption(payoff, ql.EuropeanExercise(today + days))
    option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
    years, forward = days / 365, spot * np.exp((rate - dividend) * days / 365)
    ours = by_spot(black_greeks(forward, 110.0, vol, years, False, rate), forward, spot, years)
    theirs = (option.NPV(), option.delta(), option.gamma(), option.vega(), option.theta(), option.rho())
    np.testing.assert_allclose([float(x) for x in ours[:6]], theirs, rtol=1e-11)


def test_put_and_call_share_all_but_what_parity_gives() -> None:
    forward, vol = np.array([[60.0], [100.0], [170.0]]), np.array([0.2, 0.9, 2.5])
    call, put = (black_greeks(forward, 100.0, vol, 0.3, side, 0.05) for side in (True, False))
    discount = np.exp(-0.05 * 0.3)
    np.testing.assert_allclose(call.delta - put.delta, discount, rtol=1e-14)
    np.testing.assert_allclose(
        call.rho - put.rho, np.broadcast_to(-0.3 * discount * (forward - 100), (3, 3)), atol=1e-12
    )
    for name in ("gamma", "vega", "vanna", "volga"):
        np.testing.assert_array_equal(getattr(call, name), getattr(put, name))


def test_value_is_the_pricing_functions() -> None:
    forward = np.linspace(20, 300, 57)
    greeks = black_greeks(forward, 100.0, 0.7, 0.1, False, 0.04)
    np.testing.assert_array_equal(greeks.value, black_value(forward, 100.0, 0.7, 0.1, False, np.exp(-0.004)))


@pytest.mark.parametrize(("vol", "years"), [(0.0, 0.5), (0.8, 0.0), (0.0, 0.0), (1e-200, 0.5)])
def test_limits_away_from_the_money(vol: float, years: float) -> None:
    greeks = black_greeks([90.0, 110.0], 100.0, vol, years, is_call=True)
    np.testing.assert_array_equal(greeks.value, [0, 10])
    np.testing.assert_array_equal(greeks.delta, [0, 1])
    for name in ("gamma", "vega", "theta", "vanna", "volga"):
        np.testing.assert_array_equal(getattr(greeks, name), [0, 0], err_msg=name)


def test_limits_at_the_money_are_those_approached() -> None:
    limit, close = (black_greeks(100.0, 100.0, vol, 0.25, is_call=False) for vol in (0.0, 1e-9))
    for name in ("delta", "vega", "vanna", "volga"):
        assert float(getattr(limit, name)) == pytest.approx(float(getattr(close, name)), rel=1e-6, abs=1e-7)
    expired = black_greeks(100.0, 100.0, 0.5, 0.0, is_call=True)
    assert np.isposinf(limit.gamma)
    assert np.isneginf(expired.theta)


def test_bad_input_is_named() -> None:
    with pytest.raises(PriceError, match=r"vol\[1\] is nan"):
        black_greeks(100.0, 100.0, [0.5, np.nan], 1.0, is_call=True)
    with pytest.raises(PriceError, match="rate is inf"):
        black_greeks(100.0, 100.0, 0.5, 1.0, is_call=True, rate=np.inf)
    with pytest.raises(PriceError, match=r"spot is 0\.0"):
        by_spot(Greeks(*np.zeros(8)), 100.0, 0.0, 1.0)
