"""Families of the order book; N is a number of levels (``ofi_5_60s``) or a notional (``log_cost_100000_60s``)."""

from collections.abc import Callable

import numpy as np

from features.families.family import Family, Look, Sum, log_mean, mean, positive, slope
from features.terms import Floats, Term, channel


def _skewed(_look: Look, a: Floats, b: Floats) -> Floats:
    return (a - b) / positive(a + b)


def _flow(look: Look, flow: Floats, bids: Floats, asks: Floats) -> Floats:
    return flow / positive((bids + asks) / look.rows)


def _resilience(look: Look, x: Floats, y: Floats, xy: Floats, xx: Floats) -> Floats:
    return 1.0 - slope(look.rows - 1, x, y, xy, xx)


def _notional(bids: Floats, asks: Floats, mid: Floats) -> Floats:
    return (bids + asks) * mid


def _of_pairs(number: int, value: Callable[[Floats, Floats], Floats]) -> Term:
    """A function of the log depth of a row and of the row before."""
    return Term((f"log_size_{number}",), lambda x: value(x[:-1], x[1:]), span=2)


def _resilience_of(number: int) -> Family:
    sums = (
        Sum(_of_pairs(number, lambda x, _: x)),
        Sum(_of_pairs(number, lambda _, y: y)),
        Sum(_of_pairs(number, np.multiply)),
        Sum(_of_pairs(number, lambda x, _: x * x)),
    )
    told = "1 − slope of ln(D_bid + D_ask) on itself a row before"
    return Family(told, "share recovered per row", sums, _resilience, least_rows=4)


def _depth_of(number: int) -> Family:
    term = Term((f"depth_bid_{number}", f"depth_ask_{number}", "mid"), _notional)
    return Family("ln of mean (D_bid + D_ask) mid over N levels", "log quote currency", (Sum(term),), log_mean)


def _imbalance_of(number: int) -> Family:
    return Family(
        "mean (D_bid − D_ask)/(D_bid + D_ask) over N levels",
        "share, −1 to 1",
        (Sum(channel(f"imbalance_{number}")),),
        mean,
    )


def _ofi_of(number: int) -> Family:
    parts = (f"ofi_{number}", f"depth_bid_{number}", f"depth_ask_{number}")
    return Family("Σ OFI / mean (D_bid + D_ask) over N levels", "depths", tuple(Sum(channel(p)) for p in parts), _flow)


def _cost_of(number: int) -> Family:
    parts = Term((f"cost_buy_{number}", f"cost_sell_{number}"), lambda buy, sell: (buy + sell) / 2)
    return Family(
        "ln of mean cost to trade N of quote currency by walking the book",
        "log fraction of mid",
        (Sum(parts),),
        log_mean,
    )


def _cost_skew_of(number: int) -> Family:
    parts = (f"cost_buy_{number}", f"cost_sell_{number}")
    return Family(
        "(buy − sell)/(buy + sell) of the costs to trade N",
        "share, −1 to 1",
        tuple(Sum(channel(p)) for p in parts),
        _skewed,
    )


_MICROPRICE = Term(("microprice_frac",), lambda x: 1e4 * x)
_SLOPES = (Sum(channel("slope_bid")), Sum(channel("slope_ask")))
BOOK_FAMILIES: dict[str, Family] = {
    "log_spread": Family("ln of mean (a − b)/m", "log fraction of mid", (Sum(channel("spread_frac")),), log_mean),
    "microprice": Family("1e4 × mean (microprice − m)/m", "basis points", (Sum(_MICROPRICE),), mean),
    "slope_skew": Family("(S_bid − S_ask)/(S_bid + S_ask) of the book's slopes", "share, −1 to 1", _SLOPES, _skewed),
    "log_slope": Family("ln of mean (S_bid + S_ask)", "log slope", _SLOPES, log_mean),
}
BOOK_FAMILIES_OF_N: dict[str, Callable[[int], Family]] = {
    "imbalance": _imbalance_of,
    "log_cost": _cost_of,
    "cost_skew": _cost_skew_of,
    "log_depth": _depth_of,
    "ofi": _ofi_of,
    "resilience": _resilience_of,
}
