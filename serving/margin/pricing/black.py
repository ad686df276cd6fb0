"""Black-76: the value of European options on a forward, at one market or at every scenario."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from features.compiled import compiled
from features.errors import PriceError
from features.measures.window import FloatArray
from serving.margin.pricing.checks import LARGEST, POSITIVE, all_between, of_shape, refuse
from serving.margin.pricing.normal import CENTRE, LOWEST, far, near

BoolArray = NDArray[np.bool_]
RANGES = {
    "forward": (POSITIVE, LARGEST), "strike": (POSITIVE, LARGEST), "years": (0.0, LARGEST),
    "discount": (POSITIVE, LARGEST), "factor": (0.0, LARGEST), "log_factor": (-np.inf, LARGEST), "vol": (0.0, LARGEST),
}  # fmt: skip


@compiled
def time_value(small: float, large: float, upper: float, lower: float) -> float:
    """``small`` Φ(upper) − ``large`` Φ(lower) of the out-of-the-money side, lower <= 0; NaN counts as -infinity."""
    if not upper > LOWEST:
        return 0.0
    first = near(upper) if upper > -CENTRE else far(upper)
    second = near(lower) if lower > -CENTRE else far(lower)
    return max(small * first - large * second, 0.0)


@compiled
def _prepared(forward: FloatArray, strike: FloatArray, years: FloatArray, is_call: BoolArray) -> FloatArray:
    """Per option: log moneyness, square root of time, sign of the payoff."""
    rows = np.empty((3, forward.size))
    for p in range(forward.size):
        rows[0, p] = math.log(forward[p] / strike[p])
        rows[1, p] = math.sqrt(years[p])
        rows[2, p] = 1.0 if is_call[p] else -1.0
    return rows


@compiled
def _revalue(
    forward: FloatArray, strike: FloatArray, years: FloatArray, is_call: BoolArray, discount: FloatArray,
    factor: FloatArray, log_factor: FloatArray, vol: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Two passes over a row: the first has no branch and no table, so it is vectorised; the second looks up."""
    count = forward.size
    moneyness, root, sign = _prepared(forward, strike, years, is_call)
    small, large, upper, lower = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    for s in range(factor.shape[0]):
        for p in range(count):
            shocked, stdev = forward[p] * factor[s, p], vol[s, p] * root[p]
            middle, half = -abs(moneyness[p] + log_factor[s, p]) / stdev, 0.5 * stdev
            upper[p], lower[p] = middle + half, middle - half
            small[p], large[p] = min(shocked, strike[p]), max(shocked, strike[p])
            out[s, p] = max(sign[p] * (shocked - strike[p]), 0.0)
        for p in range(count):
            out[s, p] = (out[s, p] + time_value(small[p], large[p], upper[p], lower[p])) * discount[p]


@compiled
def _sound(
    forward: FloatArray, strike: FloatArray, years: FloatArray, discount: FloatArray,
    factor: FloatArray, log_factor: FloatArray, vol: FloatArray,
) -> bool:  # fmt: skip
    """Whether every input is within RANGES."""
    options = all_between(forward, POSITIVE, LARGEST) and all_between(strike, POSITIVE, LARGEST)
    options = options and all_between(years, 0.0, LARGEST) and all_between(discount, POSITIVE, LARGEST)
    shocks = all_between(factor, 0.0, LARGEST) and all_between(log_factor, -np.inf, LARGEST)
    return options and shocks and all_between(vol, 0.0, LARGEST)


def revalue_options(
    forward: FloatArray, strike: FloatArray, years: FloatArray, is_call: BoolArray, discount: FloatArray,
    factor: FloatArray, log_factor: FloatArray, vol: FloatArray, out: FloatArray | None = None,
) -> FloatArray:  # fmt: skip
    r"""Value options in every scenario: Black-76 on the shocked forward with the shocked vol.

    .. math:: V = D\,\bigl[\max(\theta(F - K), 0) + \min(F, K)\,\Phi(m + \tfrac{s}{2})
        - \max(F, K)\,\Phi(m - \tfrac{s}{2})\bigr], \quad
        m = -\frac{|\ln (F/K)|}{s}, \; s = \sigma\sqrt{T}, \; \theta = \pm 1

    that is intrinsic value plus the value of the out-of-the-money option of the same strike (put-call parity), so that
    no time value is lost beside a large intrinsic value.

    Parameters
    ----------
    forward, strike, years, is_call, discount : arrays of shape (options,)
        Prices in one currency, forward unshocked; years of 365 days, 0 or more; discount factor to the payment.
    factor, log_factor, vol : arrays of shape (scenarios, options)
        Shocked forward / forward (0 or more), its natural logarithm (so that none is taken here; -inf for 0), and the
        annualised vol in the scenario. Vol 0 or years 0 gives the discounted intrinsic value exactly.
    out : contiguous array of shape (scenarios, options), optional
        Where to write; a large array of its own would cost a fresh page of memory per 512 values.

    Returns
    -------
    array of shape (scenarios, options)
        Value of one option on one unit, not a difference. The same bits whatever rows or columns are priced beside it.

    Raises
    ------
    PriceError
        If an input is NaN, infinite, out of range or of another shape.

    References
    ----------
    Black (1976), "The pricing of commodity contracts", J. Financial Economics 3.

    Examples
    --------
    >>> one, call = np.array([100.0]), np.array([True])
    >>> factor = np.array([[1.0], [1.2], [0.0]])
    >>> vol = np.array([[0.8], [0.8], [0.8]])
    >>> with np.errstate(divide="ignore"):
    ...     log_factor = np.log(factor)
    >>> revalue_options(one, one, one / 400, call, one / 100, factor, log_factor, vol).round(6).T
    array([[15.851942, 29.188095,  0.      ]])
    """
    shape = factor.shape
    if len(shape) != 2:
        raise PriceError(f"factor has shape {shape}; give (scenarios, options)")
    given = (forward, strike, years, discount, factor, log_factor, vol)
    wanted = (shape[1:],) * 4 + (shape,) * 3
    arrays = [of_shape(*each) for each in zip(RANGES, given, wanted, strict=True)]
    if is_call.shape != shape[1:] or is_call.dtype != np.bool_:
        raise PriceError(f"is_call has shape {is_call.shape}, {is_call.dtype}; give one bool per option")
    if not _sound(*arrays):
        for name, array in zip(RANGES, arrays, strict=True):
            refuse(name, array, *RANGES[name])
    room = np.empty(shape) if out is None else out
    if of_shape("out", room, shape) is not room:
        raise PriceError("out is no contiguous, writable array of doubles; give np.empty((scenarios, options))")
    forwards, strikes, times, discounts, factors, logs, vols = arrays
    _revalue(forwards, strikes, times, np.array(is_call), discounts, factors, logs, vols, room)
    return room


def black_value(
    forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, is_call: ArrayLike,
    discount: ArrayLike = 1.0,
) -> FloatArray:  # fmt: skip
    """Value European options on a forward: `revalue_options` at one market, with broadcasting.

    Parameters
    ----------
    forward, strike, vol, years, is_call, discount : arrays or numbers that broadcast to one shape
        As in `revalue_options`.

    Returns
    -------
    array of the common shape
        In the currency of forward and strike, per unit.

    Raises
    ------
    PriceError
        If an input is NaN, infinite or out of range.

    Examples
    --------
    >>> black_value(100.0, [90.0, 100.0, 110.0], 0.6, 0.25, is_call=True).round(6)
    array([17.01288 , 11.923538,  8.141012])
    """
    floats = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (forward, strike, years, discount, vol)))
    calls, first = np.broadcast_arrays(np.asarray(is_call, np.bool_), floats[0])
    shape = np.broadcast_shapes(calls.shape, first.shape)
    flat_forward, flat_strike, flat_years, flat_discount, flat_vol = (
        np.broadcast_to(x, shape).reshape(-1) for x in floats
    )
    unmoved = np.ones((1, flat_forward.size))
    value = revalue_options(
        flat_forward, flat_strike, flat_years, calls.reshape(-1), flat_discount, unmoved, unmoved - 1.0, flat_vol[None]
    )
    return value.reshape(shape)
