"""What the feeds of a market say: quotes, forwards, smiles, levels of a book, settlement averages."""

from decimal import Decimal
from itertools import pairwise
from typing import Final

import msgspec

from features.errors import MarketError
from serving.margin.objects.checks import (
    finite,
    fraction,
    not_negative,
    positive,
    volatility,
)

LONGEST_WINDOW_S: Final = 86_400.0


def check_feed(age_s: float | None, confidence: float | None, what: str) -> None:
    """Refuse an age or a confidence that is none; one that is left out is not known, which counts as bad."""
    if age_s is not None:
        not_negative(age_s, f"{what}: age_s", MarketError)
    if confidence is not None:
        fraction(confidence, f"{what}: confidence", MarketError)


class Quote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices of one instrument.

    ``mark``: in the quote currency per unit (an option settled in coin: in coin per
    unit of the underlying). ``vol``: implied volatility of an option, annualised;
    without it the smile's, without that the mark's. ``open_interest``: contracts.
    ``volume_24h_usd``: traded in the last day. ``funding_rate_8h``: of the mark, paid
    by the long. ``age_s``: of the mark, seconds. ``confidence``: of the feed in it. What of these is left
    out is not known, and charged as the policy says of what is missing.
    """

    mark: Decimal
    index: Decimal | None = None
    vol: float | None = None
    open_interest: Decimal | None = None
    volume_24h_usd: Decimal | None = None
    funding_rate_8h: float | None = None
    age_s: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        not_negative(self.mark, "quote: mark", MarketError)
        if self.index is not None:
            positive(self.index, "quote: index", MarketError)
        if self.vol is not None:
            volatility(self.vol, "quote: vol", MarketError)
        for field in ("open_interest", "volume_24h_usd"):
            if getattr(self, field) is not None:
                not_negative(getattr(self, field), f"quote: {field}", MarketError)
        if self.funding_rate_8h is not None:
            finite(self.funding_rate_8h, "quote: funding_rate_8h", MarketError)
        check_feed(self.age_s, self.confidence, "quote")


class Forward(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Forward price of one expiry and the annual rate at which its payments are discounted.

    ``confidence``: of a feed of its own; without it the spot's.
    """

    expiry_ns: int
    price: Decimal
    rate: float = 0.0
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        positive(self.price, f"forward of {self.expiry_ns}: price", MarketError)
        finite(self.rate, f"forward of {self.expiry_ns}: rate", MarketError)
        if abs(self.rate) > 1:
            raise MarketError(f"forward of {self.expiry_ns}: rate is {self.rate} a year; give a fraction (0.05 is 5 %)")
        check_feed(None, self.confidence, f"forward of {self.expiry_ns}")


class Svi(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    r"""Raw SVI: total variance :math:`w(k) = a + b(\rho(k-m) + \sqrt{(k-m)^2+\sigma^2})` at k = log(strike/forward)."""

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        for field in ("a", "b", "rho", "m", "sigma"):
            finite(getattr(self, field), f"svi: {field}", MarketError)


class Smile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Implied volatility of one expiry: an SVI slice, or quoted strikes with their volatilities.

    ``half_spread_vol``: half the usual distance of bid and ask in volatility (0.01 is a point).
    ``confidence``: of a feed of its own; without it the spot's.
    """

    expiry_ns: int
    svi: Svi | None = None
    strikes: tuple[float, ...] = ()
    vols: tuple[float, ...] = ()
    half_spread_vol: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse a smile that says nothing or contradicts itself."""
        what = f"smile of {self.expiry_ns}"
        if (self.svi is None) != bool(self.strikes):
            raise MarketError(f"{what}: give either svi or strikes with vols")
        if len(self.strikes) != len(self.vols):
            raise MarketError(f"{what}: {len(self.strikes)} strikes but {len(self.vols)} vols; give one vol a strike")
        if any(b <= a for a, b in pairwise(self.strikes)):
            raise MarketError(f"{what}: strikes must rise; sort them and give each once")
        for strike in self.strikes:
            positive(strike, f"{what}: a strike", MarketError)
        for vol in self.vols:
            volatility(vol, f"{what}: a vol", MarketError)
        if self.half_spread_vol is not None:
            not_negative(self.half_spread_vol, f"{what}: half_spread_vol", MarketError)
        check_feed(None, self.confidence, what)


class Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One level of an order book: price and size in units of the underlying."""

    price: Decimal
    size: Decimal

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        positive(self.price, "book level: price", MarketError)
        not_negative(self.size, "book level: size", MarketError)


class SettlementAverage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of the settlement average of one expiry is already fixed, and at which mean price.

    ``window_s``: seconds before expiry over which the average is taken.
    """

    expiry_ns: int
    fixed_frac: float
    average: Decimal
    window_s: float = 1800.0

    def __post_init__(self) -> None:
        """Refuse shares outside [0, 1]."""
        fraction(self.fixed_frac, f"settlement of {self.expiry_ns}: fixed_frac", MarketError)
        positive(self.average, f"settlement of {self.expiry_ns}: average", MarketError)
        positive(self.window_s, f"settlement of {self.expiry_ns}: window_s", MarketError)
        if self.window_s > LONGEST_WINDOW_S:
            raise MarketError(
                f"settlement of {self.expiry_ns}: window_s is {self.window_s}; give seconds, a day at most"
            )
