r"""Derivatives of the Black-76 value, by the forward and by the spot that drives it.

With :math:`D = e^{-rT}`, :math:`s = \sigma\sqrt T`, :math:`d_{1,2} = \ln(F/K)/s \pm s/2` and θ = +1 for a call,
−1 for a put:

========== ================================================= =====================================
delta      :math:`D\,\theta\,\Phi(\theta d_1)`               per unit of the forward
gamma      :math:`D\,\varphi(d_1) / (F s)`                   per unit of the forward, squared
vega       :math:`D\,F\,\varphi(d_1)\sqrt T`                 per 1.00 of vol (100 vol points)
theta      :math:`r V - D\,F\,\varphi(d_1)\,\sigma/(2\sqrt T)` per year that passes, forward and vol held
rho        :math:`-T V`                                      per 1.00 of the rate, forward held
vanna      :math:`-D\,\varphi(d_1)\,d_2/\sigma`              of delta per 1.00 of vol
volga      :math:`\text{vega}\; d_1 d_2/\sigma`              of vega per 1.00 of vol
========== ================================================= =====================================

The forward is what the market quotes, so it is held where the rate or time moves; `by_spot` turns all of these into
derivatives where :math:`F = S e^{cT}` moves with the spot, with the rate (c = r − yield) and with time.

References
----------
Black (1976), "The pricing of commodity contracts"; Haug (2007), "The Complete Guide to Option Pricing Formulas", ch. 2.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from features.compiled import compiled
from features.measures.window import FloatArray
from serving.margin.pricing.black import RANGES, BoolArray, time_value
from serving.margin.pricing.checks import LARGEST, POSITIVE, refuse
from serving.margin.pricing.normal import LOWEST, cdf, pdf

FLAT = 0.3989422804014327  # density at 0


class Greeks(NamedTuple):
    """Value and derivatives of one option, arrays of one shape; units as in the table of the module."""

    value: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray
    vanna: FloatArray
    volga: FloatArray


@compiled
def _at_the_limit(
    forward: float, strike: float, vol: float, root: float, sign: float
) -> tuple[float, float, float, float, float, float]:
    """Delta, gamma, vega, decay, vanna, volga where nothing is uncertain any more, undiscounted."""
    if forward != strike:
        return (sign if sign * (forward - strike) > 0 else 0.0), 0.0, 0.0, 0.0, 0.0, 0.0
    vega = forward * FLAT * root
    decay = 0.5 * forward * FLAT * vol / root if vol > 0.0 else 0.0
    return sign * 0.5, np.inf, vega, decay, 0.5 * FLAT * root, 0.0


@compiled
def _derivatives(
    forward: float, strike: float, vol: float, root: float, sign: float, moneyness: float
) -> tuple[float, float, float, float, float, float]:
    """Delta, gamma, vega, decay, vanna, volga, undiscounted."""
    stdev = vol * root
    if not stdev > 0.0:
        return _at_the_limit(forward, strike, vol, root, sign)
    middle = moneyness / stdev
    upper, lower = middle + 0.5 * stdev, middle - 0.5 * stdev
    if abs(upper) > -LOWEST:  # the density is 0, and 0 times what follows may be 0 times infinity
        return sign * cdf(sign * upper), 0.0, 0.0, 0.0, 0.0, 0.0
    density = pdf(upper)
    vega = forward * density * root
    decay = 0.5 * forward * density * vol / root
    volga = vega * root * (upper / stdev * lower)
    return sign * cdf(sign * upper), density / (forward * stdev), vega, decay, -density * root * (lower / stdev), volga


@compiled
def _value(forward: float, strike: float, stdev: float, sign: float, moneyness: float) -> float:
    """Undiscounted value."""
    middle, half = -abs(moneyness) / stdev, 0.5 * stdev
    small, large = min(forward, strike), max(forward, strike)
    return max(sign * (forward - strike), 0.0) + time_value(small, large, middle + half, middle - half)


@compiled
def _each(
    forward: FloatArray, strike: FloatArray, vol: FloatArray, years: FloatArray, rate: FloatArray, is_call: BoolArray,
    out: FloatArray,
) -> None:  # fmt: skip
    for i in range(forward.size):
        root, sign = math.sqrt(years[i]), 1.0 if is_call[i] else -1.0
        discount, moneyness = math.exp(-rate[i] * years[i]), math.log(forward[i] / strike[i])
        value = discount * _value(forward[i], strike[i], vol[i] * root, sign, moneyness)
        delta, gamma, vega, decay, vanna, volga = _derivatives(
            forward[i], strike[i], vol[i], root, sign, moneyness
        )  # fmt: skip
        out[0, i], out[1, i], out[2, i], out[3, i] = value, discount * delta, discount * gamma, discount * vega
        out[4, i], out[5, i] = rate[i] * value - discount * decay, -years[i] * value
        out[6, i], out[7, i] = discount * vanna, discount * volga


def black_greeks(
    forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, is_call: ArrayLike,
    rate: ArrayLike = 0.0,
) -> Greeks:  # fmt: skip
    """Value and derivatives of European options on a forward, the forward held (module's table).

    Parameters
    ----------
    forward, strike, vol, years, is_call, rate : arrays or numbers that broadcast to one shape
        Prices in one currency; annualised vol; years of 365 days; continuously compounded rate of discounting.
        Vol 0 or years 0 gives the limits: delta 0, ±1/2 (at the money) or ±1, discounted, and all else 0, except at
        the money, where gamma is infinite and, at expiry, theta minus infinity: there is no number for them.

    Returns
    -------
    Greeks
        Arrays of the common shape.

    Raises
    ------
    PriceError
        If an input is NaN, infinite or out of range.

    Examples
    --------
    >>> greeks = black_greeks(100.0, [90.0, 110.0], 0.6, 0.25, is_call=[False, True])
    >>> greeks.delta.round(6), greeks.vega.round(6)
    (array([-0.308115,  0.433409]), array([17.59268 , 19.668586]))
    """
    names = ("forward", "strike", "vol", "years", "rate")
    inputs = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (forward, strike, vol, years, rate, is_call)))
    for name, array in zip(names, inputs, strict=False):
        low, high = RANGES.get(name, (-LARGEST, LARGEST))
        refuse(name, array, low, high, "give a finite rate per year" if name == "rate" else "")
    refuse("discount", np.exp(-inputs[4] * inputs[3]), POSITIVE, LARGEST, "give a finite rate per year")
    forwards, strikes, vols, times, rates, calls = (np.array(x, np.float64).reshape(-1) for x in inputs)
    out = np.empty((len(Greeks._fields), forwards.size))
    _each(forwards, strikes, vols, times, rates, calls != 0.0, out)
    return Greeks(*(row.reshape(inputs[0].shape) for row in out))


def by_spot(greeks: Greeks, forward: ArrayLike, spot: ArrayLike, years: ArrayLike) -> Greeks:
    r"""Derivatives where the forward is driven by the spot, :math:`F = S e^{cT}` with c taken from both prices.

    .. math:: \Delta_S = \Delta \frac FS,\; \Gamma_S = \Gamma \frac{F^2}{S^2},\; \Theta_S = \Theta - cF\Delta,\;
        \rho_S = \rho + T F \Delta,\; \text{vanna}_S = \text{vanna} \frac FS

    Parameters
    ----------
    greeks : Greeks
        As `black_greeks` gives them.
    forward, spot, years : arrays or numbers that broadcast against them
        Spot positive. At years 0 the carry is 0.

    Returns
    -------
    Greeks
        Delta and gamma per unit of spot; rho per 1.00 of a rate that moves discounting and forward, the yield held;
        theta with spot, rate and yield held.

    Raises
    ------
    PriceError
        If a price or a time is NaN, infinite or out of range.
    """
    forwards, spots, times = (np.asarray(x, np.float64) for x in (forward, spot, years))
    refuse("forward", forwards, *RANGES["forward"])
    refuse("spot", spots, *RANGES["forward"], "give a positive spot price")
    refuse("years", times, *RANGES["years"])
    growth = forwards / spots
    carry = np.log(growth) / np.where(times > 0, times, np.inf)
    return greeks._replace(
        delta=greeks.delta * growth,
        gamma=greeks.gamma * growth**2,
        theta=greeks.theta - carry * forwards * greeks.delta,
        rho=greeks.rho + times * forwards * greeks.delta,
        vanna=greeks.vanna * growth,
    )
