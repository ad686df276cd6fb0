"""The Black-76 vol that a price implies, to the last digits that the price carries."""

import math

import numpy as np
from numpy.typing import ArrayLike

from features.compiled import compiled
from features.errors import PriceError
from features.measures.window import FloatArray
from serving.margin.pricing.black import RANGES, BoolArray
from serving.margin.pricing.checks import LARGEST, POSITIVE, refuse
from serving.margin.pricing.normalised import implied_stdev


@compiled
def log_ratio(small: float, large: float) -> float:
    """ln(small/large), exact to the last bits where both are nearly equal."""
    return math.log1p((small - large) / large) if 2.0 * small > large else math.log(small / large)


@compiled
def _each(value: FloatArray, forward: FloatArray, strike: FloatArray, years: FloatArray, out: FloatArray) -> None:
    """Vols from values of the out-of-the-money options; NaN where there is none."""
    for i in range(value.size):
        small, large = min(forward[i], strike[i]), max(forward[i], strike[i])
        unit = math.sqrt(small) * math.sqrt(large)
        stdev = implied_stdev(log_ratio(small, large), value[i] / unit, (small - value[i]) / unit)
        out[i] = stdev / math.sqrt(years[i])


def _out_of_the_money(price: FloatArray, forward: FloatArray, strike: FloatArray, is_call: BoolArray) -> FloatArray:
    """Price of the option of the other side, by put-call parity, where this one is in the money."""
    return price - np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0)


def _refuse_first(
    vol: FloatArray, price: FloatArray, value: FloatArray, forward: FloatArray, strike: FloatArray
) -> None:
    """Raise for the first row without a vol: what is wrong with its price."""
    missing = np.argwhere(np.isnan(vol))
    if not len(missing):
        return
    row = tuple(int(i) for i in missing[0])
    bound = min(forward[row], strike[row])
    fault = "is not a number; leave the row out"
    if value[row] < 0:
        fault = f"is {-value[row]} below intrinsic value; correct the quote or leave the row out"
    elif value[row] == 0:
        fault = "has no time value and says nothing of the vol; give the out-of-the-money option of the same strike"
    elif value[row] >= bound:
        fault = f"has a time value of {value[row]}, not below its bound {bound}; correct the quote or leave the row out"
    place = f"[{', '.join(map(str, row))}]" if row else ""
    raise PriceError(f"price{place} = {price[row]} (forward {forward[row]}, strike {strike[row]}) {fault}")


def implied_vol(
    price: ArrayLike, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, is_call: ArrayLike, *,
    time_value: bool = False, strict: bool = True,
) -> FloatArray:  # fmt: skip
    r"""Annualised Black-76 vol that gives an option its undiscounted price.

    .. math:: \sigma = s / \sqrt T, \quad b(\ln(F/K), s) = \text{price} / \sqrt{FK}

    solved as `serving.margin.pricing.normalised` states, in one to three steps. The error is some units in the last
    place times the price's own condition number, :math:`b / (s\,b'(s))`: at the money below 1e-14 relative up to a
    total standard deviation s of 5, 1e-12 at 9, then growing as :math:`e^{s^2/8}` because the price saturates at its
    bound: at s = 17 it is the bound and carries no vol at all. Nothing is lost towards s = 1e-6 or prices of 1e-300.

    Parameters
    ----------
    price, forward, strike, years, is_call : arrays or numbers that broadcast to one shape
        Undiscounted prices (value / discount factor) in the currency of forward and strike; years of 365 days, above 0.
    time_value : bool
        Whether ``price`` is what the option is worth above intrinsic value, that is the price of the out-of-the-money
        option of the same strike. Deep in the money the price itself has lost these digits.
    strict : bool
        Whether a price that implies no vol raises; else its row is NaN. Forwards, strikes and times always raise.

    Returns
    -------
    array of the common shape

    Raises
    ------
    PriceError
        If a price is NaN, not above intrinsic value or not below its bound (forward for a call, strike for a put), or a
        forward, strike or time is NaN, infinite or not positive; the message names the row and the remedy.

    References
    ----------
    Jäckel (2015), "Let's Be Rational", Wilmott.

    Examples
    --------
    >>> implied_vol([11.923538474048499, 4.0], 100.0, [100.0, 105.0], 0.25, [True, False], strict=False)
    array([0.6, nan])
    """
    given = (price, forward, strike, years, is_call)
    prices, forwards, strikes, times, sides = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in given))
    refuse("forward", forwards, *RANGES["forward"])
    refuse("strike", strikes, *RANGES["strike"])
    refuse("years", times, POSITIVE, LARGEST, "leave out options at expiry: they imply no vol")
    value = prices if time_value else _out_of_the_money(prices, forwards, strikes, sides != 0.0)
    out = np.empty(value.size)
    flat = (np.array(x, np.float64).reshape(-1) for x in (value, forwards, strikes, times))
    flat_value, flat_forward, flat_strike, flat_years = flat
    _each(flat_value, flat_forward, flat_strike, flat_years, out)
    vol = out.reshape(value.shape)
    if strict:
        _refuse_first(vol, prices, value, forwards, strikes)
    return vol
