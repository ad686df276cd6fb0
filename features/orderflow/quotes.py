"""As-of join of quotes to trades: the mid that a trade met, and the one some time later.

Times are int64 nanoseconds UTC, ascending, of quotes and trades on one clock: the exchange's and the
recorder's may be seconds apart, and a join across them finds the mid after the trade. A quote at the trade's
own instant is taken as its consequence, so what prevails is the last quote strictly before.
"""

import numpy as np

from features.clock import NS_PER_S
from features.errors import TimeOrderError
from features.orderflow.levels import FloatArray, IntArray


def in_order(ts_ns: IntArray, name: str) -> None:
    """Refuse times that step back.

    Raises
    ------
    TimeOrderError
        If one does; the message names the first.

    Examples
    --------
    >>> in_order(np.array([5, 5, 4]), "quote_ns")
    Traceback (most recent call last):
    features.errors.TimeOrderError: quote_ns steps back at index 2 (4 after 5); sort it
    """
    back = np.flatnonzero(np.diff(ts_ns) < 0)
    if len(back):
        i = int(back[0]) + 1
        raise TimeOrderError(f"{name} steps back at index {i} ({ts_ns[i]} after {ts_ns[i - 1]}); sort it")


def prevailing(quote_ns: IntArray, trade_ns: IntArray) -> IntArray:
    """Index of the last quote strictly before each trade; -1 where there is none.

    Parameters
    ----------
    quote_ns : array of shape (q,), ns, ascending.
    trade_ns : array of shape (n,), ns, in any order.

    Raises
    ------
    TimeOrderError
        If ``quote_ns`` steps back.

    Examples
    --------
    >>> prevailing(np.array([10, 20, 20, 30]), np.array([10, 20, 21])).tolist()
    [-1, 0, 2]
    """
    in_order(quote_ns, "quote_ns")
    return np.searchsorted(quote_ns, trade_ns, side="left").astype(np.int64) - 1


def prevailing_mid(quote_ns: IntArray, mid: FloatArray, trade_ns: IntArray) -> FloatArray:
    """Mid of the last quote strictly before each trade, quote currency; NaN where there is none.

    Examples
    --------
    >>> prevailing_mid(np.array([10, 20]), np.array([100.0, 102.0]), np.array([10, 20, 21])).tolist()
    [nan, 100.0, 102.0]
    """
    index = prevailing(quote_ns, trade_ns)
    return np.append(mid, np.nan)[index]  # -1 is the NaN


def later_mid(quote_ns: IntArray, mid: FloatArray, trade_ns: IntArray, delay_s: float) -> FloatArray:
    """Mid that prevails ``delay_s`` after each trade, quote currency: known only then, a target and no feature.

    NaN where there is none or where the quotes end before: the last of them need not hold any longer.

    Examples
    --------
    >>> quote_ns, mid = np.array([0, 500_000_000, 2_000_000_000]), np.array([100.0, 101.0, 99.0])
    >>> later_mid(quote_ns, mid, np.array([400_000_000, 1_500_000_000]), delay_s=1.0).tolist()
    [101.0, nan]
    """
    later_ns = trade_ns + round(delay_s * NS_PER_S)
    end_ns = quote_ns[-1] if len(quote_ns) else np.iinfo(np.int64).min
    return np.where(later_ns <= end_ns, prevailing_mid(quote_ns, mid, later_ns), np.nan)
