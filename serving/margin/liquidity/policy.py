"""The numbers that a liquidity charge depends on beside the market."""

import math
from dataclasses import dataclass

from features.errors import SettingError


@dataclass(frozen=True, slots=True)
class LiquidityPolicy:
    """How a position is taken to be closed.

    ``impact``: Y of the square-root law, of order one in every market measured, Bitcoin among them
    (Tóth et al. 2011, Donier and Bonart 2015).
    ``risk_z``: how many standard deviations of the price while slices wait are charged; 2.326 is the
    99 % quantile of the normal law, the confidence of the requirement.
    ``participation``: largest share of the volume that slices take; a tenth is a usual ceiling of
    execution desks (judgement: no venue publishes one).
    ``missing_depth_frac``: share of the book taken to remain where no quantile of depth was forecast;
    a tenth, since depth fell by more than 90 % on 10 October 2025 (FTI Consulting).
    ``missing_book_multiplier``: on impact and risk where there is no book to look at; judgement.
    ``missing_half_spread_frac``: half spread, of the price, where one side of the book is missing;
    1 %, of the size seen on that day ("from single-digit basis points to double-digit percentages").
    ``missing_volume_usd``: volume of a day taken where none is known; less than listed perpetuals trade.
    ``missing_half_spread_vol``: half spread of options in volatility where none is known; 0.10 is
    ten points, judgement.

    Raises
    ------
    SettingError
        If a number is out of its range.

    References
    ----------
    Tóth, Lempérière, Deremble, de Lataillade, Kockelkoren & Bouchaud (2011), "Anomalous price impact
    and the critical nature of liquidity in financial markets", Physical Review X 1, 021006.
    Donier & Bonart (2015), "A million metaorder analysis of market impact on the Bitcoin", arXiv 1412.4503.
    """

    impact: float = 1.0
    risk_z: float = 2.326
    participation: float = 0.10
    missing_depth_frac: float = 0.10
    missing_book_multiplier: float = 2.0
    missing_half_spread_frac: float = 0.01
    missing_volume_usd: float = 100_000.0
    missing_half_spread_vol: float = 0.10

    def __post_init__(self) -> None:
        """Refuse numbers that could make a charge too low or senseless."""
        rules = {
            "impact": 0 < self.impact < math.inf,
            "risk_z": 0 < self.risk_z < math.inf,
            "participation": 0 < self.participation <= 1,
            "missing_depth_frac": 0 <= self.missing_depth_frac <= 1,
            "missing_book_multiplier": 1 <= self.missing_book_multiplier < math.inf,
            "missing_half_spread_frac": 0 <= self.missing_half_spread_frac < 1,
            "missing_volume_usd": 0 < self.missing_volume_usd < math.inf,
            "missing_half_spread_vol": 0 <= self.missing_half_spread_vol < math.inf,
        }
        wrong = [f"{name}={getattr(self, name)}" for name, holds in rules.items() if not holds]
        if wrong:
            raise SettingError(f"liquidity policy: {', '.join(wrong)} out of range; see the policy's documentation")
