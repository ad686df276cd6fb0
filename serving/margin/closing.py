"""What the market and the forecasts say of closing an account, prepared once for all accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.margin.liquidity import StressedSide, stressed_side
from serving.margin.objects import ForecastSet, Level
from serving.margin.policy import MarginPolicy
from serving.margin.priced_market import PricedMarket
from serving.margin.ranges import Ranges, ranges_of
from serving.margin.unit_greeks import UnitGreeks, unit_greeks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Closing:
    """What the market and the forecasts say of closing, prepared once.

    ``sides``: by underlying, what stands against selling and against buying. ``widths``, shape (2, u, h): range
    down and up over each of ``horizons_s``, of which the first is the liquidation time. ``mpor_s``: period of risk of
    initial margin. ``holed``: which underlyings' ranges rest on a fallback, shape (u,). ``expiry``, shape
    (n,): index of each instrument's expiry. ``half_spread_vol``: of each expiry, NaN where it is not known.
    """

    greeks: UnitGreeks
    sides: tuple[tuple[StressedSide, StressedSide], ...]
    mpor_s: int
    horizons_s: FloatArray
    widths: FloatArray
    holed: BoolArray
    expiry: IntArray
    half_spread_vol: FloatArray


def closing_of(market: PricedMarket, ranges: Ranges, forecasts: Sequence[ForecastSet], policy: MarginPolicy) -> Closing:
    """Prepare both sides of every book and the ranges over longer horizons."""
    as_of_ns = market.snapshot.as_of_ns
    least = policy.scan.liquidation_s
    known = {t.horizon_s for f in forecasts for t in f.tails} | {ranges.horizon_s}
    horizons = (least, *sorted(h for h in known if h > least))
    found = [ranges_of(market.underlyings, forecasts, as_of_ns, policy, h) for h in horizons]
    widths = np.stack([np.maximum.accumulate([getattr(r, side) for r in found], axis=0).T for side in ("down", "up")])
    sides = tuple(_sides(market, u, ranges, forecasts, policy) for u in range(len(market.underlyings)))
    expiry, half = _expiries(market)
    times = np.array(horizons, dtype=np.float64)
    lacking = frozenset(name for r in found if r.horizon_s <= ranges.horizon_s for name in r.holed)
    holed = np.array([name in lacking for name in market.underlyings], dtype=bool)
    return Closing(unit_greeks(market), sides, ranges.horizon_s, times, widths, holed, expiry, half)


def _sides(
    market: PricedMarket, u: int, ranges: Ranges, forecasts: Sequence[ForecastSet], policy: MarginPolicy
) -> tuple[StressedSide, StressedSide]:
    name = market.underlyings[u]
    terms = market.snapshot.underlyings[name]
    width = max(float(ranges.down[u]), float(ranges.up[u]))
    sigma = float(ranges.sigma[u])
    # Without a forecast, or an old one, the range itself stands for one standard deviation: dearer, never cheaper.
    vol_day = (sigma if name in ranges.fresh else width) * sqrt(DAY_S / ranges.horizon_s)
    fractions = [t.depth_frac for f in forecasts for t in f.tails if t.underlying == name and t.depth_frac is not None]
    volume = None if terms.volume_24h_usd is None else float(terms.volume_24h_usd)
    bids, asks = _ladder(terms.bids), _ladder(terms.asks)
    return (
        stressed_side(
            "sell", bids, asks, float(terms.spot), vol_day, volume, min(fractions, default=None), policy.liquidity
        ),
        stressed_side(
            "buy", bids, asks, float(terms.spot), vol_day, volume, min(fractions, default=None), policy.liquidity
        ),
    )


def _ladder(levels: Sequence[Level]) -> FloatArray:
    return np.array([[float(x.price), float(x.size)] for x in levels], dtype=np.float64).reshape(-1, 2)


def _expiries(market: PricedMarket) -> tuple[IntArray, FloatArray]:
    """Index of (underlying, expiry) by instrument, and the half spread in volatility of each."""
    keys: dict[tuple[str, int], int] = {}
    index = [keys.setdefault((i.underlying, i.expiry_ns or 0), len(keys)) for i in market.snapshot.instruments]
    smiles = {
        (name, smile.expiry_ns): smile.half_spread_vol
        for name, terms in market.snapshot.underlyings.items()
        for smile in terms.smiles
    }
    found = [smiles.get(key) for key in keys]
    return np.array(index, dtype=np.int64), np.array([np.nan if x is None else x for x in found], dtype=np.float64)
