"""What an account holds, market by market, and the feeds it is valued from."""

from dataclasses import dataclass, field

import numpy as np

from features.errors import AccountError, MarketError
from serving.margin.charge import FloatArray
from serving.margin.objects.checks import finite, fraction, not_negative, positive
from serving.margin.pricing.black import revalue_options
from serving.margin.rules.derive_portfolio.portfolio import Expiry, Options, Perpetual, no_options


@dataclass(frozen=True, slots=True)
class Market:
    """Holdings in one underlying.

    ``base``: units of spot held, trusted no more than ``base_confidence``; ``base_counts``:
    whether the venue takes it as collateral at all. ``confidence`` of an expiry here is the
    least of its forward and volatility feeds: this rule does not discount, so the rate's
    does not count.
    """

    spot: float
    spot_confidence: float = 1.0
    expiries: tuple[Expiry, ...] = ()
    options: Options = field(default_factory=no_options)
    perpetuals: tuple[Perpetual, ...] = ()
    base: float = 0.0
    base_confidence: float = 1.0
    base_counts: bool = True

    def __post_init__(self) -> None:
        """Refuse options whose expiry has no feeds, and numbers that are none."""
        positive(self.spot, "spot", MarketError)
        fraction(self.spot_confidence, "spot_confidence", MarketError)
        not_negative(self.base, "base", AccountError)
        fraction(self.base_confidence, "base_confidence", MarketError)
        missing = (self.options.expiry < 0) | (self.options.expiry >= len(self.expiries))
        if missing.any():
            raise MarketError(f"option {int(missing.argmax())} has no feeds of its expiry; give forward and vol")

    @property
    def marks(self) -> FloatArray:
        """Value of each option held, undiscounted, shape (p,)."""
        options = self.options
        unmoved = np.ones((1, len(options)))
        at = options.expiry
        forward = np.array([e.forward for e in self.expiries])[at]
        years = np.array([e.years for e in self.expiries])[at]
        one, none = unmoved[0], np.zeros((1, len(options)))
        value = revalue_options(forward, options.strike, years, options.is_call, one, unmoved, none, options.vol[None])
        marks: FloatArray = value[0] * options.amount
        return marks


@dataclass(frozen=True, slots=True)
class StandardAccount:
    """Cash and markets. Money is in the cash asset; ``stable_price``: its price in USD."""

    cash: float
    stable_price: float
    markets: tuple[Market, ...] = ()

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        finite(self.cash, "cash", AccountError)
        positive(self.stable_price, "stable_price", MarketError)
