"""Forwards where the chain gives none: from put-call parity, else from the carry of other expiries."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError

FloatArray = NDArray[np.float64]

NEAREST = 5  # strikes around the forward that parity is read from


def implied_forward(
    strikes: FloatArray, calls: FloatArray, puts: FloatArray, settled: Literal["coin", "usd"] = "coin"
) -> float:
    r"""The forward at which calls and puts of one expiry agree, the median over the strikes nearest to it.

    .. math:: C - P = 1 - K/F \; \text{(in coin)}, \qquad C - P = F - K \; \text{(in USD, not discounted)}

    Parameters
    ----------
    strikes, calls, puts : arrays of shape (n,); prices of the same strike, NaN where there is none.
    settled : what prices are in; in USD multiply them by the growth of money to expiry first.

    Raises
    ------
    MarketError
        If no strike has both a call and a put: use ``carried``.

    Examples
    --------
    >>> f = implied_forward(np.array([90.0, 100.0]), np.array([0.16, 0.10]), np.array([0.0171428571, 0.0523809524]))
    >>> round(f, 4)
    105.0
    """
    both = np.isfinite(strikes) & np.isfinite(calls) & np.isfinite(puts) & (strikes > 0)
    strike, gap = strikes[both], (calls - puts)[both]
    price = strike / (1 - gap) if settled == "coin" else strike + gap
    strike, gap, price = (x[np.isfinite(price) & (price > 0)] for x in (strike, gap, price))
    if not len(price):
        raise MarketError("no strike has a call and a put; take the forward from other expiries (carried)")
    near = np.argsort(np.abs(gap), kind="stable")[:NEAREST]
    return float(np.median(price[near]))


def carried(years: FloatArray, forwards: FloatArray, spot: float | None = None) -> FloatArray:
    r"""Fill missing forwards: :math:`\log F` linear in time between known ones and from the spot at time 0.

    After the last known forward its average growth from the spot goes on; without a spot the last growth between
    known forwards does, and a single known forward is everyone's.

    Parameters
    ----------
    years : array of shape (e,), rising.
    forwards : array of shape (e,), NaN where not known.
    spot : price now, if known.

    Raises
    ------
    MarketError
        If nothing is known.

    Examples
    --------
    >>> carried(np.array([0.25, 0.5, 1.0]), np.array([101.0, np.nan, np.nan]), 100.0).round(3)
    array([101.  , 102.01, 104.06])
    """
    known = np.isfinite(forwards) & (forwards > 0)
    times, logs = years[known], np.log(forwards[known])
    if spot is not None and np.isfinite(spot) and spot > 0:
        times, logs = np.concatenate([[0.0], times]), np.concatenate([[np.log(spot)], logs])
    if not len(times):
        raise MarketError("no forward and no spot; give one of them")
    out: FloatArray = np.interp(years, times, logs)
    if len(times) > 1:
        first = 0 if spot is not None else len(times) - 2
        growth = (logs[-1] - logs[first]) / (times[-1] - times[first])
        out = np.where(years > times[-1], logs[-1] + growth * (years - times[-1]), out)
    return np.where(known, forwards, np.exp(out))
