"""What it costs to close options: half the spread in volatility on the net vega of each expiry."""

import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError
from serving.margin.liquidity.policy import LiquidityPolicy

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def vega_spread(
    vega_usd: FloatArray,
    expiry: IntArray,
    half_spread_vol: FloatArray,
    missing: NDArray[np.bool_] | None = None,
    policy: LiquidityPolicy | None = None,
) -> FloatArray:
    r"""Charge of each position, whose sum is that of the account.

    .. math:: \sum_e s_e \left| \sum_{i \in e} \nu_i \right|, \quad
              \text{position } i: \; s_e \, \nu_i \operatorname{sign} \sum_{j \in e} \nu_j

    A position that offsets the net vega of its expiry has a negative part.

    Parameters
    ----------
    vega_usd : USD per 1.00 of volatility, signed, shape (p,).
    expiry : index of each position's expiry, shape (p,).
    half_spread_vol : half spread of each expiry, fraction of volatility (0.01 is a point), shape (e,).
    missing : where the half spread of an expiry is not known, shape (e,); the policy's default is taken,
        or what is given where that is wider.
    policy : defaults.

    Raises
    ------
    MarketError
        If a number is not finite or a spread is negative.

    Examples
    --------
    >>> vega_spread(np.array([100.0, -40.0, -10.0]), np.array([0, 0, 1]), np.array([0.01, 0.02]))
    array([ 1. , -0.4,  0.2])
    """
    spread = np.asarray(half_spread_vol, dtype=np.float64)
    if missing is not None:
        default = (policy or LiquidityPolicy()).missing_half_spread_vol
        spread = np.where(missing, np.maximum(np.where(np.isfinite(spread), spread, default), default), spread)
    if not (np.isfinite(vega_usd).all() and np.isfinite(spread).all() and (spread >= 0).all()):
        raise MarketError("vega spread: a vega or half spread is not finite, or negative; mark unknown spreads missing")
    net = np.bincount(expiry, weights=vega_usd, minlength=len(spread))
    return vega_usd * (spread * np.sign(net))[expiry]
