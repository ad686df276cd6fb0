"""Order flow and liquidity: books, trades and carry as arrays in, arrays out; no files, no clock.

Books are a matrix of shape (n, 4 K) on a regular grid (:mod:`features.orderflow.levels`);
:func:`sweep` gives all their columns at once, the functions beside it one each.
"""

from features.orderflow.carry import (
    basis_frac,
    funding_annual,
    hour_of_week,
    open_interest_change,
    seasonal_volume,
)
from features.orderflow.columns import BOOK_COLUMNS, Meaning, book_columns
from features.orderflow.fused import sweep
from features.orderflow.impact import amihud, kyle_lambda, resilience, roll_spread
from features.orderflow.levels import ASK, BID
from features.orderflow.pressure import order_flow_imbalance
from features.orderflow.quotes import later_mid, prevailing, prevailing_mid
from features.orderflow.shape import depth, depth_notional, imbalance, slope
from features.orderflow.spreads import effective_spread_frac, price_impact_frac, realised_spread_frac
from features.orderflow.touch import microprice, microprice_frac, mid, spread_frac
from features.orderflow.toxicity import vpin
from features.orderflow.trades import signed_volume, tick_sign, trade_intensity, trade_sign
from features.orderflow.walk import depth_within, trade_cost

TRADE_MEASURES: dict[str, Meaning] = {
    "tick_sign": Meaning("sgn of the last pᵢ − pᵢ₋₁ ≠ 0", "−1, 0, +1", "Lee & Ready 1991"),
    "trade_sign": Meaning("side, else sgn(p − m), else tick sign", "−1, 0, +1", "Lee & Ready 1991"),
    "effective_spread_frac": Meaning("2 s (p − m) / m", "fraction of mid", "Huang & Stoll 1996"),
    "realised_spread_frac": Meaning("2 s (p − m′) / m, m′ = later mid", "fraction of mid", "Huang & Stoll 1996"),
    "price_impact_frac": Meaning("2 s (m′ − m) / m", "fraction of mid", "Huang & Stoll 1996"),
    "signed_volume": Meaning("s q", "base units", "tape"),
    "trade_intensity": Meaning("#{trades in [t − w, t)} / w", "1 / s", "tape"),
}
FLOW_MEASURES: dict[str, Meaning] = {
    "vpin": Meaning("mean over B equal-volume buckets of |2 Vᵇᵘʸ / V − 1|", "in [0, 1]", "Easley et al. 2012"),
    "kyle_lambda": Meaning("OLS slope of rᵢ on signed volume, with intercept", "1 / base unit", "Kyle 1985"),
    "amihud": Meaning("mean of |rᵢ| / quote volumeᵢ over rows with volume", "1 / quote currency", "Amihud 2002"),
    "resilience": Meaning("1 − φ, ln Dᵢ₊₁ = α + φ ln Dᵢ + ε", "per row", "Kempf, Mayston, Gehde-Trapp & Yadav 2015"),
    "roll_spread": Meaning("2 √(−cov(rᵢ, rᵢ₋₁))", "fraction of price", "Roll 1984"),
}
CARRY_MEASURES: dict[str, Meaning] = {
    "basis_frac": Meaning("F / S − 1", "fraction of index", "prices of one instant"),
    "funding_annual": Meaning("f · 31 536 000 s / Δ", "1 / year", "365 days, simple"),
    "open_interest_change": Meaning("ln Oₜ / Oₜ₋₁", "log change per row", "open interest"),
    "hour_of_week": Meaning("⌊hours since Monday 00:00 UTC⌋", "0 to 167", "clock"),
    "seasonal_volume": Meaning("vₜ / mean vₛ, same hour of an earlier week", "1 is usual", "volume"),
}

# fmt: off
__all__ = [
    "ASK", "BID", "BOOK_COLUMNS", "CARRY_MEASURES", "FLOW_MEASURES", "TRADE_MEASURES", "Meaning", "amihud",
    "basis_frac", "book_columns", "depth", "depth_notional", "depth_within", "effective_spread_frac",
    "funding_annual", "hour_of_week", "imbalance", "kyle_lambda", "later_mid", "microprice", "microprice_frac",
    "mid", "open_interest_change", "order_flow_imbalance", "prevailing", "prevailing_mid",
    "price_impact_frac", "realised_spread_frac", "resilience", "roll_spread", "seasonal_volume", "signed_volume",
    "slope", "spread_frac", "sweep", "tick_sign", "trade_cost", "trade_intensity", "trade_sign", "vpin",
]
# fmt: on
