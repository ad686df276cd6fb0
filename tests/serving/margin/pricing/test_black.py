"""Option values against mpmath, QuantLib and the law of put-call parity."""

import mpmath
import numpy as np
import pytest
import QuantLib as ql  # noqa: N813  # as its own examples do

from features.errors import PriceError
from features.measures.window import FloatArray
from serving.margin.pricing.black import BoolArray, black_value, revalue_options

RNG = np.random.default_rng(20_26)


def exact(forward: float, strike: float, stdev: float, is_call: bool) -> float:
    """The value of the textbook formula with 60 digits."""
    with mpmath.workdps(60):
        f, k, s, sign = mpmath.mpf(forward), mpmath.mpf(strike), mpmath.mpf(stdev), 1 if is_call else -1
        upper = mpmath.log(f / k) / s + s / 2
        return float(sign * (f * mpmath.ncdf(sign * upper) - k * mpmath.ncdf(sign * (upper - s))))


def portfolio(
    count: int, scenarios: int
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray, FloatArray, FloatArray]:
    forward = RNG.uniform(50, 150, count)
    strike = forward * np.exp(RNG.normal(0, 0.5, count))
    factor = np.exp(RNG.normal(0, 0.3, (scenarios, count)))
    return forward, strike, RNG.uniform(0.001, 2, count), RNG.random(count) < 0.5, np.full(count, 0.97), factor


def test_value_is_exact_to_1e_15_of_the_larger_price_and_relative_out_of_the_money() -> None:
    moneyness, stdev = RNG.normal(0, 0.7, 400), np.exp(RNG.uniform(-5, 1, 400))
    forward, calls = np.exp(moneyness), RNG.random(400) < 0.5
    truth = np.array([exact(*case) for case in zip(forward, np.ones(400), stdev, calls, strict=True)])
    value = black_value(forward, 1.0, stdev, 1.0, calls)
    np.testing.assert_allclose(value, truth, rtol=0, atol=1e-15 * np.maximum(forward, 1).max())
    small = (truth > 1e-20) & (truth < 1e-6)
    assert small.sum() > 10
    np.testing.assert_allclose(value[small], truth[small], rtol=1e-11)


def test_revaluation_is_quantlibs_black_formula() -> None:
    forward, strike, years, calls, discount, factor = portfolio(40, 30)
    vol = RNG.uniform(0.2, 2.0, factor.shape)
    values = revalue_options(forward, strike, years, calls, discount, factor, np.log(factor), vol)
    for s, p in np.ndindex(factor.shape):
        kind = ql.Option.Call if calls[p] else ql.Option.Put
        stdev = vol[s, p] * np.sqrt(years[p])
        peer = ql.blackFormula(kind, strike[p], forward[p] * factor[s, p], stdev, discount[p])
        assert values[s, p] == pytest.approx(peer, rel=1e-12, abs=1e-12)


def test_put_call_parity_and_bounds() -> None:
    forward, strike, years, calls, discount, factor = portfolio(60, 20)
    vol = RNG.uniform(0.0, 3.0, factor.shape)
    shocks = (factor, np.log(factor), vol)
    call = revalue_options(forward, strike, years, np.ones_like(calls), discount, *shocks)
    put = revalue_options(forward, strike, years, np.zeros_like(calls), discount, *shocks)
    shocked = forward * factor
    np.testing.assert_allclose(call - put, discount * (shocked - strike), rtol=0, atol=1e-13 * shocked.max())
    assert np.all((call >= discount * np.maximum(shocked - strike, 0)) & (call <= discount * shocked * (1 + 1e-15)))


def test_nothing_uncertain_gives_intrinsic_exactly() -> None:
    forward, strike, years, calls, discount, factor = portfolio(50, 9)
    intrinsic = np.maximum(np.where(calls, 1, -1) * (forward * factor - strike), 0) * discount
    still, moving = np.zeros_like(factor), np.ones_like(factor)
    at_expiry = revalue_options(forward, strike, 0 * years, calls, discount, factor, np.log(factor), moving)
    without_vol = revalue_options(forward, strike, years, calls, discount, factor, np.log(factor), still)
    np.testing.assert_array_equal(at_expiry, intrinsic)
    np.testing.assert_array_equal(without_vol, intrinsic)
    assert black_value(100.0, 100.0, 0.0, 1.0, is_call=True) == 0.0


def test_a_price_of_zero_leaves_the_put_its_strike() -> None:
    gone = np.zeros((1, 2))
    values = revalue_options(
        np.full(2, 100.0), np.full(2, 80.0), np.ones(2), np.array([True, False]), np.full(2, 0.5), gone, gone - np.inf,
        gone + 1,
    )  # fmt: skip
    np.testing.assert_array_equal(values, [[0.0, 40.0]])


def test_a_value_does_not_depend_on_its_neighbours() -> None:
    """Bits are equal for one column alone, so an account in a batch is margined as it is alone."""
    forward, strike, years, calls, discount, factor = portfolio(13, 7)
    vol = RNG.uniform(0.2, 2.0, factor.shape)
    together = revalue_options(forward, strike, years, calls, discount, factor, np.log(factor), vol)
    for p in range(13):
        one = slice(p, p + 1)
        alone = revalue_options(
            forward[one], strike[one], years[one], calls[one], discount[one],
            factor[:, one], np.log(factor)[:, one], vol[:, one],
        )  # fmt: skip
        np.testing.assert_array_equal(alone, together[:, one])


NAMES = ("forward", "strike", "years", "discount", "factor", "log_factor", "vol")
BAD = [(name, bad) for name in NAMES for bad in (np.nan, np.inf, -1.0) if (name, bad) != ("log_factor", -1.0)]


@pytest.mark.parametrize(("name", "bad"), BAD)
def test_what_is_no_number_is_refused_by_name(name: str, bad: float) -> None:
    forward, strike, years, calls, discount, factor = portfolio(5, 3)
    given = {
        "forward": forward, "strike": strike, "years": years, "is_call": calls, "discount": discount,
        "factor": factor, "log_factor": np.log(factor), "vol": np.full(factor.shape, 0.5),
    }  # fmt: skip
    given[name] = given[name].copy()
    given[name].reshape(-1)[-1] = bad
    with pytest.raises(PriceError, match=rf"^{name}\[.*; (give|settle)"):
        revalue_options(**given)


def test_shapes_are_checked() -> None:
    forward, strike, years, calls, discount, factor = portfolio(5, 3)
    with pytest.raises(PriceError, match=r"vol has shape \(2, 5\)"):
        revalue_options(forward, strike, years, calls, discount, factor, np.log(factor), factor[:2])
    with pytest.raises(PriceError, match="is_call"):
        revalue_options(forward, strike, years, calls[:4], discount, factor, np.log(factor), factor)
    with pytest.raises(PriceError, match="factor has shape"):
        revalue_options(forward, strike, years, calls, discount, factor[0], np.log(factor), factor)


def test_frozen_and_strided_inputs_give_the_same_bits() -> None:
    forward, strike, years, calls, discount, factor = portfolio(6, 4)
    vol = np.full(factor.shape, 0.7)
    plain = revalue_options(forward, strike, years, calls, discount, factor, np.log(factor), vol)
    for array in (forward, strike, factor):
        array.setflags(write=False)
    again = revalue_options(
        forward, strike, years, calls, discount, np.asfortranarray(factor), np.log(factor), np.broadcast_to(0.7, (4, 6))
    )
    np.testing.assert_array_equal(plain, again)


def test_results_are_written_where_asked() -> None:
    forward, strike, years, calls, discount, factor = portfolio(6, 4)
    given = (forward, strike, years, calls, discount, factor, np.log(factor), np.full(factor.shape, 0.7))
    room = np.empty((4, 6))
    assert revalue_options(*given, out=room) is room
    np.testing.assert_array_equal(room, revalue_options(*given))
    with pytest.raises(PriceError, match="out is no contiguous"):
        revalue_options(*given, out=np.empty((6, 4)).T)
    with pytest.raises(PriceError, match="out has shape"):
        revalue_options(*given, out=np.empty((6, 4)))
