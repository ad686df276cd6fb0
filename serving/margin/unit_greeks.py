"""Delta and vega of one contract of every instrument."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.margin.priced_market import PricedMarket
from serving.margin.pricing.greeks import black_greeks

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UnitGreeks:
    """Of one long contract, shape (n,) each.

    ``delta``: units of the underlying that it gains as. ``delta_usd``: that times the spot.
    ``vega_usd``: USD per 1.00 of volatility.
    """

    delta: FloatArray
    delta_usd: FloatArray
    vega_usd: FloatArray


def unit_greeks(market: PricedMarket) -> UnitGreeks:
    """Greeks of every instrument at the market; 0 where an instrument has no price."""
    options = market.options
    spot = market.spot[market.underlying]
    delta_usd, vega = market.mark_usd * market.share, np.zeros(len(spot))
    rows = np.flatnonzero(options.is_option)
    if len(rows):
        terms = (getattr(options, name)[rows] for name in ("forward", "strike", "vol", "years", "is_call"))
        greeks = black_greeks(*terms)
        usd = market.usd_per_point[rows] * options.discount[rows]
        delta_usd[rows] = usd * greeks.delta * options.forward[rows] * market.share[rows]
        vega[rows] = usd * greeks.vega
    return UnitGreeks(delta_usd / spot, delta_usd, vega)
