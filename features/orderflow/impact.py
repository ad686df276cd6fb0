"""Price impact and recovery over windows of rows.

Each takes windows of shape (..., n), rows oldest first, and answers shape (...). NaN propagates.
"""

import numpy as np

from features.orderflow.levels import FloatArray, ratio


def _need(rows: FloatArray, fewest: int, measure: str) -> None:
    """Refuse windows with fewer than ``fewest`` rows."""
    n = rows.shape[-1]
    if n < fewest:
        raise ValueError(f"{measure} needs at least {fewest} rows, got {n}; use a longer window")


def _line(x: FloatArray, y: FloatArray) -> FloatArray:
    """Slope of the least-squares line with intercept along the last axis; NaN where x does not vary."""
    # Tested on x itself: the mean of equal numbers is not always that number, and leaves a square of rounding.
    varies = x.max(axis=-1) != x.min(axis=-1)
    dx, dy = (v - v.mean(axis=-1, keepdims=True) for v in (x, y))
    slope = ratio((dx * dy).sum(axis=-1), np.square(dx).sum(axis=-1))
    return np.where(varies, slope, np.nan)[()]


def kyle_lambda(returns: FloatArray, signed_volume: FloatArray) -> FloatArray:
    r"""Return that a unit of net bought volume brings: slope of a regression with intercept.

    .. math:: r_i = \alpha + \lambda \, x_i + \varepsilon_i

    Parameters
    ----------
    returns : array of shape (..., n), log returns of the rows.
    signed_volume : array of shape (..., n), volume bought less volume sold in the same rows.

    Returns
    -------
    array of shape (...)
        Return per unit of volume; NaN where the signed volume does not vary.

    Raises
    ------
    ValueError
        If there are fewer than 2 rows.

    References
    ----------
    Kyle (1985), "Continuous auctions and insider trading", Econometrica 53(6), whose lambda it estimates.

    Examples
    --------
    >>> kyle_lambda(np.array([0.01, 0.03, -0.01]), np.array([0.0, 1.0, -1.0])).round(6)
    np.float64(0.02)
    """
    _need(returns, 2, "Kyle's lambda")
    return _line(signed_volume, returns)


def amihud(returns: FloatArray, quote_volume: FloatArray) -> FloatArray:
    r"""Illiquidity: mean absolute return per quote currency traded, over the rows with volume.

    .. math:: ILLIQ = \frac{1}{N} \sum_{i: v_i > 0} \frac{|r_i|}{v_i}, \quad N = \#\{i: v_i > 0\}

    Parameters
    ----------
    returns : array of shape (..., n), log returns of the rows.
    quote_volume : array of shape (..., n), quote currency traded in the same rows, >= 0.

    Returns
    -------
    array of shape (...)
        1 / quote currency; NaN for a window without volume.

    Raises
    ------
    ValueError
        If there is no row.

    References
    ----------
    Amihud (2002), "Illiquidity and stock returns", J. of Financial Markets 5(1).

    Examples
    --------
    >>> amihud(np.array([0.01, 0.5, -0.02]), np.array([100.0, 0.0, 400.0])).round(6)
    np.float64(7.5e-05)
    """
    _need(returns, 1, "Amihud's measure")
    traded = quote_volume != 0
    each = np.where(traded, ratio(np.abs(returns), quote_volume), 0.0 * returns)  # a NaN return counts in any row
    return ratio(each.sum(axis=-1), traded.sum(axis=-1))[()]


def resilience(depth: FloatArray) -> FloatArray:
    r"""Part of a shock to the depth that is gone one row later: one less the autoregression of its logarithm.

    .. math:: \ln D_{i+1} = \alpha + \phi \ln D_i + \varepsilon_i, \quad \rho = 1 - \phi

    0: a shock stays; 1: the book is refilled at once; above 1: it overshoots.

    Parameters
    ----------
    depth : array of shape (..., n), depth of the rows of a regular grid.

    Returns
    -------
    array of shape (...)
        Per row step; NaN where the depth does not vary or is not positive. The estimate of phi is biased
        by about ``-(1 + 3 phi) / n`` (Kendall 1954), so short windows look more resilient than they are.

    Raises
    ------
    ValueError
        If there are fewer than 3 rows.

    References
    ----------
    Kempf, Mayston, Gehde-Trapp & Yadav (2015), "Resiliency: a dynamic view of liquidity", CFR Working
    Paper 15-04: resiliency is the rate at which liquidity returns to its mean; theirs is of the level of
    depth, with more lags.

    Examples
    --------
    >>> resilience(np.exp(np.array([1.0, 0.5, 0.25, 0.125]))).round(6)
    np.float64(0.5)
    """
    _need(depth, 3, "resilience")
    log_depth = np.log(np.where(depth > 0, depth, np.nan))
    recovery: FloatArray = 1.0 - _line(log_depth[..., :-1], log_depth[..., 1:])
    return recovery


def roll_spread(returns: FloatArray) -> FloatArray:
    r"""Effective spread from the bounce of trade prices: from the covariance of consecutive returns.

    .. math:: S = 2 \sqrt{-\mathrm{cov}(r_i, r_{i-1})}

    The covariance is a mean over the n - 1 pairs, each member less the mean of its own n - 1 returns.

    Parameters
    ----------
    returns : array of shape (..., n), log returns of trade prices.

    Returns
    -------
    array of shape (...)
        Fraction of price, both ways; NaN where the covariance is not negative: the model does not hold.

    Raises
    ------
    ValueError
        If there are fewer than 3 returns.

    References
    ----------
    Roll (1984), "A simple implicit measure of the effective bid-ask spread in an efficient market",
    J. of Finance 39(4).

    Examples
    --------
    >>> roll_spread(np.array([0.01, -0.01, 0.01, -0.01, 0.01])).round(6)
    np.float64(0.02)
    """
    _need(returns, 3, "Roll's spread")
    now, before = (r - r.mean(axis=-1, keepdims=True) for r in (returns[..., 1:], returns[..., :-1]))
    covariance = (now * before).mean(axis=-1)
    return 2.0 * np.sqrt(np.where(covariance < 0, -covariance, np.nan))[()]
