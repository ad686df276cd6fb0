"""One side of a stressed market: prepared once for a snapshot, asked by every account."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from features.errors import ForecastError, MarketError
from serving.margin.liquidity.policy import LiquidityPolicy
from serving.margin.objects.checks import not_negative, positive

FloatArray = NDArray[np.float64]
LEAST_VOLUME_USD: Final = 1.0  # what does not trade cannot be sold; a number keeps the charge finite
Closing = Literal["sell", "buy"]


@dataclass(frozen=True, slots=True)
class StressedSide:
    """What stands against an order to close, and how the price moves while it waits.

    ``distance``: USD between the mark and each level, rising, shape (levels,).
    ``size``: what is left of each level under stress, units of the underlying, shape (levels,).
    ``half_spread``: USD per unit. ``price``: mark, USD. ``vol_day``: volatility of a day, fraction.
    ``volume_day``: units traded in a day. ``notes``: what had to be assumed.
    """

    distance: FloatArray
    size: FloatArray
    half_spread: float
    price: float
    vol_day: float
    volume_day: float
    policy: LiquidityPolicy
    notes: tuple[str, ...] = ()


def stressed_side(
    closing: Closing,
    bids: FloatArray,
    asks: FloatArray,
    price: float,
    vol_day: float,
    volume_usd: float | None,
    depth_frac: float | None,
    policy: LiquidityPolicy,
) -> StressedSide:
    r"""Take the side of a book that an order to close hits, thinned to a low quantile of its depth.

    .. math:: d_i = \max(\pm (p - p_i), s), \quad s = (ask - bid) / 2, \quad size_i \leftarrow \min(f, 1) \, size_i

    Distances are measured from the mark, where positions are valued: a book that stands away from
    the mark costs the difference, one that stands better than the mark earns nothing.

    Parameters
    ----------
    closing : ``sell`` closes a long position into the bids, ``buy`` a short one into the asks.
    bids, asks : best first, price and size in columns, shape (levels, 2); where the side to hit has no
        depth the whole is priced by impact, with a multiplier and a note.
    price : mark of the underlying, USD.
    vol_day : forecast volatility of the log return of 24 hours, fraction.
    volume_usd : forecast volume of 24 hours, USD; none or 0 takes the policy's default with a note.
    depth_frac : forecast low quantile of depth, as a share of today's; above 1 counts as 1.
    policy : impact, participation and defaults.

    Raises
    ------
    MarketError, ForecastError
        If a number is not finite, the book is crossed or not sorted, or a volatility is not above 0.

    Examples
    --------
    >>> bids, asks = np.array([[99.0, 5.0], [98.0, 5.0]]), np.array([[101.0, 5.0]])
    >>> side = stressed_side("sell", bids, asks, 100.0, 0.03, 1e6, 0.2, LiquidityPolicy())
    >>> side.distance, side.size, side.half_spread
    (array([1., 2.]), array([1., 1.]), 1.0)
    """
    positive(price, "liquidity: price", MarketError)
    positive(vol_day, "liquidity: vol_day", ForecastError)
    bids, asks = _levels(bids, "bids", -1), _levels(asks, "asks", 1)
    notes: list[str] = []
    half_spread = _half_spread(bids, asks, price, policy, notes)
    volume_day = _volume_day(volume_usd, price, policy, notes)
    remains = _remains(depth_frac, policy, notes)
    sign, hit = (1, bids) if closing == "sell" else (-1, asks)
    distance, size = np.maximum(sign * (price - hit[:, 0]), half_spread), hit[:, 1] * remains
    if not np.add.reduce(size) > 0:
        distance = size = np.empty(0)
        half_spread, vol_day = _without_book(half_spread, vol_day, price, policy, notes)
    return StressedSide(distance, size, half_spread, price, vol_day, volume_day, policy, tuple(notes))


def _levels(book: FloatArray, what: str, sign: int) -> FloatArray:
    """Levels that hold something, after a look at every number and at their order."""
    book = np.asarray(book, dtype=np.float64).reshape(-1, 2)
    if not (np.isfinite(book).all() and (book[:, 0] > 0).all() and (book[:, 1] >= 0).all()):
        raise MarketError(
            f"{what}: a price or size is not finite, or negative; take a new snapshot or leave the book out"
        )
    if (np.diff(book[:, 0]) * sign <= 0).any():
        raise MarketError(f"{what} are not sorted from best to worst; sort them and give each price once")
    return book[book[:, 1] > 0]


def _half_spread(bids: FloatArray, asks: FloatArray, price: float, policy: LiquidityPolicy, notes: list[str]) -> float:
    """Half the distance of the best prices; the default where one is missing."""
    if not (len(bids) and len(asks)):
        notes.append("liquidity: a side of the book is missing; half spread by the policy's default")
        return policy.missing_half_spread_frac * price
    bid, ask = float(bids[0, 0]), float(asks[0, 0])
    if bid >= ask:
        raise MarketError(f"best bid {bid} is not below best ask {ask}: crossed; take a new snapshot or leave it out")
    return (ask - bid) / 2


def _volume_day(volume_usd: float | None, price: float, policy: LiquidityPolicy, notes: list[str]) -> float:
    """Units traded in a day; the default where none is known."""
    if volume_usd is not None:
        not_negative(volume_usd, "liquidity: volume_usd", MarketError)
        if volume_usd < LEAST_VOLUME_USD:
            notes.append(f"liquidity: a volume of {volume_usd:g} USD; taken as {LEAST_VOLUME_USD:g}")
        return max(volume_usd, LEAST_VOLUME_USD) / price
    notes.append("liquidity: volume is not known; taken by the policy's default")
    return policy.missing_volume_usd / price


def _remains(depth_frac: float | None, policy: LiquidityPolicy, notes: list[str]) -> float:
    """Share of the book that is left under stress; a forecast of more depth adds none."""
    if depth_frac is None:
        notes.append("liquidity: depth is not forecast; stressed by the policy's default")
        return policy.missing_depth_frac
    not_negative(depth_frac, "liquidity: depth_frac", ForecastError)
    return min(depth_frac, 1.0)


def _without_book(
    half_spread: float, vol_day: float, price: float, policy: LiquidityPolicy, notes: list[str]
) -> tuple[float, float]:
    """Half spread and volatility by which the whole is priced: impact and risk are both linear in volatility."""
    notes.append("liquidity: no depth to walk; the whole is priced by impact with the policy's multiplier")
    return max(half_spread, policy.missing_half_spread_frac * price), vol_day * policy.missing_book_multiplier
