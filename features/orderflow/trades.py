"""Trades: who was the aggressor, how much it was, how many there were.

Signs are int8 as in the tables: +1 bought, -1 sold, 0 not decided.
"""

import numpy as np

from features.clock import NS_PER_S
from features.errors import SettingError
from features.orderflow.levels import FloatArray, IntArray, SignArray
from features.orderflow.quotes import in_order


def tick_sign(price: FloatArray) -> SignArray:
    """Tick test: the sign of the last change of price up to each trade; 0 before the first change.

    Parameters
    ----------
    price : array of shape (n,), trades in order; a NaN is not decided and is passed over.

    References
    ----------
    Lee & Ready (1991), "Inferring trade direction from intraday data", J. of Finance 46(2), section I.

    Examples
    --------
    >>> tick_sign(np.array([100.0, 100.0, 101.0, 101.0, 99.0])).tolist()
    [0, 0, 1, 1, -1]
    """
    known = ~np.isnan(price)
    seen = price[known]
    move = np.sign(np.diff(seen, prepend=seen[:1]))
    last = np.maximum.accumulate(np.where(move != 0, np.arange(len(move)), 0))
    sign: SignArray = np.zeros(len(price), dtype=np.int8)
    sign[known] = move[last]
    return sign


def trade_sign(price: FloatArray, mid: FloatArray, side: SignArray) -> SignArray:
    """Aggressor of each trade: the side given, else above or below the prevailing mid, else the tick test.

    Parameters
    ----------
    price : array of shape (n,), trades in order.
    mid : array of shape (n,)
        The mid strictly before each trade (:func:`features.orderflow.quotes.prevailing_mid`); NaN: none.
    side : array of shape (n,), +1, -1, or 0 where the venue does not tell.

    Returns
    -------
    array of shape (n,)
        0 where nothing decides.

    References
    ----------
    Lee & Ready (1991), "Inferring trade direction from intraday data", J. of Finance 46(2); without their
    delay of five seconds, which made up for late trade reports.

    Examples
    --------
    >>> price, mid = np.array([100.0, 101.0, 100.5, 100.0]), np.array([np.nan, 100.5, 100.5, 99.0])
    >>> trade_sign(price, mid, np.array([0, 0, 0, -1], dtype=np.int8)).tolist()
    [0, 1, -1, -1]
    """
    quoted = np.nan_to_num(np.sign(price - mid)).astype(np.int8)
    guessed = np.where(quoted != 0, quoted, tick_sign(price))
    return np.where(side != 0, side, guessed).astype(np.int8)


def signed_volume(size: FloatArray, sign: SignArray) -> FloatArray:
    """Size bought (+) or sold (-) by the aggressor, base units; a trade that is not decided counts for neither: 0.

    Examples
    --------
    >>> signed_volume(np.array([2.0, 3.0, 5.0]), np.array([1, -1, 0], dtype=np.int8)).tolist()
    [2.0, -3.0, 0.0]
    """
    signed: FloatArray = size * sign
    return signed


def trade_intensity(trade_ns: IntArray, at_ns: IntArray, window_s: float) -> FloatArray:
    """Trades per second in the window before each instant, ``[t - window, t)``: what is known at t.

    Parameters
    ----------
    trade_ns : array of shape (n,), ns, ascending.
    at_ns : array of shape (m,), ns.
    window_s : length of the window, > 0.

    Raises
    ------
    TimeOrderError
        If ``trade_ns`` steps back.
    SettingError
        If the window is not positive.

    Examples
    --------
    >>> trade_intensity(np.array([1, 2, 3]) * NS_PER_S, np.array([3, 5]) * NS_PER_S, window_s=2.0).tolist()
    [1.0, 0.5]
    """
    if not window_s > 0:
        raise SettingError(f"a window of trades has a positive length, got {window_s} s")
    in_order(trade_ns, "trade_ns")
    until, since = (np.searchsorted(trade_ns, edge) for edge in (at_ns, at_ns - round(window_s * NS_PER_S)))
    return (until - since) / window_s
