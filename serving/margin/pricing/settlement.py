r"""Settlement at an average: what an expiry's last W seconds do to a forward, an option and its variance.

A contract settles at the average of its index over the last W seconds (time-weighted). Before the window nothing is
fixed, but an average moves less than its last price; inside it the part w of the average is known and can no longer be
shocked:

.. math:: A = w\,\bar A + (1 - w)\,U, \qquad E[A] = w\,\bar A + (1 - w)\,F

with U the average still to come, whose variance `serving.margin.pricing.averaging` gives. The call on A struck at K is
1 − w calls on U struck at (K − w Ā)/(1 − w), exactly.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from features.errors import PriceError
from features.measures.window import FloatArray
from serving.margin.pricing.averaging import WINDOW_S, averaging_years
from serving.margin.pricing.black import RANGES, BoolArray
from serving.margin.pricing.checks import LARGEST, POSITIVE, refuse


class Unfixed(NamedTuple):
    """The plain option on the part of an average that is not fixed yet: an option is ``share`` of it plus ``cash``.

    Attributes
    ----------
    share : array
        Options on the unfixed average per option, 1 − w.
    strike : array
        Their strike; where the fixed part exceeds the strike already, the smallest positive one that is priced.
    years : array
        Time that gives the average's variance at the option's vol.
    cash : array
        What is certain, undiscounted, in the currency of the price.
    """

    share: FloatArray
    strike: FloatArray
    years: FloatArray
    cash: FloatArray


def _fraction(fixed_frac: ArrayLike) -> FloatArray:
    """Checked share of the average that is fixed."""
    fixed = np.asarray(fixed_frac, np.float64)
    refuse("fixed_frac", fixed, 0.0, 1.0, "give the share of the average that is fixed, in [0, 1]")
    return fixed


def effective_forward(forward: ArrayLike, fixed_frac: ArrayLike, average: ArrayLike) -> FloatArray:
    r"""Expected settlement price, :math:`w \bar A + (1 - w) F`; a shock moves ``forward`` only.

    Parameters
    ----------
    forward, fixed_frac, average : arrays that broadcast
        Shocked forward of 0 or more, share of the average that is fixed, average of that share (any price where the
        share is 0).

    Raises
    ------
    PriceError
        If a number is NaN, infinite or out of range.

    Examples
    --------
    >>> effective_forward([90.0, 100.0, 110.0], 0.5, 101.0)
    array([ 95.5, 100.5, 105.5])
    """
    fixed, free, known = _fraction(fixed_frac), np.asarray(forward, np.float64), np.asarray(average, np.float64)
    refuse("forward", free, 0.0, LARGEST, "give a forward of 0 or more")
    refuse("average", known, 0.0, LARGEST, "give the average of the prices fixed so far")
    price: FloatArray = fixed * known + (1 - fixed) * free
    return price


def unfixed_option(
    strike: ArrayLike, vol: ArrayLike, is_call: ArrayLike, seconds_left: ArrayLike,
    fixed_frac: ArrayLike = 0.0, average: ArrayLike = 0.0, window_s: ArrayLike = WINDOW_S,
) -> Unfixed:  # fmt: skip
    r"""Turn an option on an average into the plain option that `revalue_options` prices at the shocked forward.

    .. math:: \max(\theta (A - K), 0) = (1 - w) \max(\theta (U - K'), 0), \qquad K' = \frac{K - w \bar A}{1 - w}

    and where K' <= 0, or all is fixed, what remains is certain.

    Parameters
    ----------
    strike, vol, is_call, seconds_left, fixed_frac, average, window_s : arrays that broadcast
        As in `averaging_variance` and `effective_forward`; strike above 0.

    Returns
    -------
    Unfixed
        Arrays of the common shape.

    Raises
    ------
    PriceError
        If a number is NaN, infinite or out of range, or part of the average is fixed though the window has not begun.

    Examples
    --------
    >>> half = unfixed_option(100.0, 0.8, True, 900.0, fixed_frac=0.5, average=98.0)
    >>> float(half.share), float(half.strike), float(half.cash)
    (0.5, 102.0, 0.0)
    """
    fixed, known, strikes = _fraction(fixed_frac), np.asarray(average, np.float64), np.asarray(strike, np.float64)
    refuse("strike", strikes, *RANGES["strike"])
    refuse("average", known, 0.0, LARGEST, "give the average of the prices fixed so far")
    _refuse_early(fixed, np.asarray(seconds_left, np.float64), np.asarray(window_s, np.float64))
    years = averaging_years(vol, seconds_left, window_s)
    calls: BoolArray = np.asarray(is_call, np.bool_)
    rest = strikes - fixed * known
    free = np.where(fixed < 1, 1 - fixed, 1.0)
    certain_call = np.where(calls, np.maximum(-rest, 0.0), np.where(fixed < 1, 0.0, np.maximum(rest, 0.0)))
    effective = np.where(fixed < 1, np.maximum(rest / free, POSITIVE), strikes)
    return Unfixed(*np.broadcast_arrays(1 - fixed, effective, years, certain_call))


def _refuse_early(fixed: FloatArray, seconds_left: FloatArray, window_s: FloatArray) -> None:
    """Raise where a share of the average is fixed before the window has begun."""
    if np.any((fixed > 0) & (seconds_left >= window_s) & (seconds_left > 0)):
        raise PriceError("fixed_frac is above 0 before the averaging window begins; give 0, or the right window_s")
