"""Raw SVI in compiled loops: one total variance, many volatilities, the density factor."""

import math

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import MarketError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled
def variance_terms(a: float, b: float, rho: float, m: float, sigma: float, k: float) -> tuple[float, float, float]:
    """Total variance of raw SVI at one log moneyness, and its first and second derivatives."""
    shift = k - m
    root = math.sqrt(shift * shift + sigma * sigma)
    first = b * (rho + shift / root)
    return a + b * (rho * shift + root), first, b * sigma * sigma / (root * root * root)


@compiled
def density_factor(a: float, b: float, rho: float, m: float, sigma: float, k: float) -> float:
    """Gatheral's g at one log moneyness; minus infinity where total variance is not positive."""
    w, first, second = variance_terms(a, b, rho, m, sigma, k)
    if not w > 0.0:
        return -math.inf
    lean = 1.0 - 0.5 * k * first / w
    return lean * lean - 0.25 * first * first * (1.0 / w + 0.25) + 0.5 * second


@compiled
def _svi_vol(params: FloatArray, expiry: IntArray, k: FloatArray, years: FloatArray) -> FloatArray:
    out = np.empty(k.shape)
    for p in range(k.shape[1]):
        e = expiry[p]
        a, b, rho, m, sigma = params[e, 0], params[e, 1], params[e, 2], params[e, 3], params[e, 4]
        per_year = 1.0 / years[e]
        for s in range(k.shape[0]):
            shift = k[s, p] - m
            out[s, p] = math.sqrt((a + b * (rho * shift + math.sqrt(shift * shift + sigma * sigma))) * per_year)
    return out


def svi_vol(params: FloatArray, expiry: IntArray, k: FloatArray, years: FloatArray) -> FloatArray:
    r"""Black volatilities of many options under many scenarios.

    .. math:: v_{sp} = \sqrt{w_{e(p)}(k_{sp}) / T_{e(p)}}

    Parameters
    ----------
    params : array of shape (e, 5)
        Raw SVI of each expiry in total variance: a, b, rho, m, sigma (see ``RawSvi``, which checks them).
    expiry : integer array of shape (p,)
        The row of ``params`` of each option.
    k : array of shape (s, p)
        log(strike / forward) under each scenario. NaN propagates.
    years : array of shape (e,)
        Time to each expiry in years of 365 days.

    Returns
    -------
    array of shape (s, p)
        Annualised volatility, a fraction.

    Raises
    ------
    MarketError
        If shapes disagree, a row is asked for that is not there, or a time is not positive.

    Examples
    --------
    >>> flat = np.array([[0.04, 0.0, 0.0, 0.0, 0.1]])
    >>> svi_vol(flat, np.array([0, 0]), np.array([[-0.5, 0.5]]), np.array([0.25]))
    array([[0.4, 0.4]])
    """
    _check(params, expiry, k, years)
    rows = (np.ascontiguousarray(params, dtype=np.float64), np.ascontiguousarray(expiry, dtype=np.int64))
    result: FloatArray = _svi_vol(*rows, np.ascontiguousarray(k, dtype=np.float64), np.asarray(years, dtype=np.float64))
    return result


def _check(params: FloatArray, expiry: IntArray, k: FloatArray, years: FloatArray) -> None:
    if params.ndim != 2 or params.shape[1] != 5 or years.shape != params.shape[:1]:
        raise MarketError(f"params {params.shape} and years {years.shape}: give (e, 5) and (e,)")
    if k.ndim != 2 or expiry.shape != k.shape[1:]:
        raise MarketError(f"k {k.shape} and expiry {expiry.shape}: give (s, p) and (p,)")
    if expiry.size and not (expiry.min() >= 0 and expiry.max() < len(params)):
        raise MarketError(f"expiry rows {expiry.min()} to {expiry.max()} of {len(params)}: name a row that is there")
    if not (np.isfinite(years).all() and (years > 0).all()):
        raise MarketError("time to expiry must be positive and finite; settle expired options before")
