"""Quoted volatilities of one expiry, and what of them a fit can use."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

NARROWEST = 0.0025  # half a spread, in volatility: tighter quotes are no more exact than the clock and the forward
LARGEST_VOL = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class SmileQuotes:
    """Quotes of one expiry, arrays of shape (n,), annualised volatilities as fractions.

    ``k``: log(strike / forward). ``bid``, ``ask``, ``mark``: NaN or 0 where there is none; a venue that shows bid 0
    says that nobody pays for time value there, so only the ask binds. ``mark``: the venue's own, used with little
    weight where a side is missing.
    """

    k: FloatArray
    bid: FloatArray
    ask: FloatArray
    mark: FloatArray

    def __post_init__(self) -> None:
        """Refuse arrays of different shapes and volatilities in percent."""
        shapes = {np.shape(x) for x in (self.k, self.bid, self.ask, self.mark)}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise MarketError(f"quotes of one expiry have shapes {sorted(shapes)}; give four arrays of one length")
        known = np.concatenate([self.bid, self.ask, self.mark])
        known = known[np.isfinite(known)]
        if known.size and float(np.median(known)) > LARGEST_VOL:
            raise MarketError(f"a median volatility of {np.median(known):g}; give fractions, not per cent")


@dataclass(frozen=True, slots=True, eq=False)
class Usable:
    """What a fit works on: a target and half a spread for each quote, the range that must hold it, and notes.

    ``firm``: quotes with both sides; the others are indicative (the mark, with the width of the open side).
    """

    k: FloatArray
    vol: FloatArray
    half: FloatArray
    low: FloatArray
    high: FloatArray
    firm: BoolArray
    notes: tuple[str, ...]

    @property
    def weight(self) -> FloatArray:
        """Weights whose squares add to one, inverse to the spread: half the spread counts the same at every strike."""
        weight = 1 / self.half
        result: FloatArray = weight / np.sqrt(np.add.reduce(weight**2))
        return result


def usable(quotes: SmileQuotes) -> Usable:
    """Sort quotes into firm, indicative and useless; strikes rise in the answer."""
    order = np.argsort(quotes.k, kind="stable")
    k, bid, ask, mark = (
        np.asarray(x, dtype=np.float64)[order] for x in (quotes.k, quotes.bid, quotes.ask, quotes.mark)
    )
    bid, ask, mark = (np.where(np.isfinite(x) & (x > 0), x, np.nan) for x in (bid, ask, mark))
    crossed = bid > ask  # false where either is missing
    firm = (bid <= ask) & np.isfinite(k)
    kept = np.isfinite(k) & ~crossed & (firm | np.isfinite(mark))
    vol = np.where(firm, (bid + ask) / 2, mark)
    low, high = np.where(np.isfinite(bid), bid, 0.0), np.where(np.isfinite(ask), ask, np.inf)
    half = np.where(np.isfinite(ask), (high - low) / 2, vol)
    half = np.maximum(np.where(np.isfinite(half), half, 1.0), NARROWEST)
    notes = _notes(len(k), int(crossed.sum()), int((~kept & ~crossed).sum()), int((kept & ~firm).sum()))
    return Usable(k[kept], vol[kept], half[kept], low[kept], high[kept], firm[kept], notes)


def _notes(count: int, crossed: int, empty: int, indicative: int) -> tuple[str, ...]:
    said = (
        (crossed, f"{crossed} of {count} quotes left out: bid above ask"),
        (empty, f"{empty} of {count} quotes left out: no two sides and no mark"),
        (indicative, f"{indicative} of {count} quotes have one side: the mark, at the weight of the open side"),
    )
    return tuple(text for number, text in said if number)
