"""The state of the market that a margin is computed from, at one instant."""

from decimal import Decimal
from itertools import pairwise
from typing import Final

import msgspec

from features.errors import MarketError
from serving.margin.objects.checks import (
    instant,
    money,
    named,
    not_negative,
    positive,
    unique,
)
from serving.margin.objects.feeds import Forward, Level, Quote, SettlementAverage, Smile, check_feed
from serving.margin.objects.instruments import Instrument

SETTLEMENT_SLACK: Final = 0.02  # of the window: a sample or two


class Underlying(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One underlying: spot, forward curve, smiles, order book, size of its market.

    ``bids`` and ``asks``: best first. ``age_s`` and ``confidence``: of the spot feed.
    """

    spot: Decimal
    forwards: tuple[Forward, ...] = ()
    smiles: tuple[Smile, ...] = ()
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    settled: tuple[SettlementAverage, ...] = ()
    open_interest_usd: Decimal | None = None
    volume_24h_usd: Decimal | None = None
    market_cap_usd: Decimal | None = None
    age_s: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse crossed books, unsorted ladders and numbers that are none."""
        positive(self.spot, "underlying: spot", MarketError)
        for field in ("open_interest_usd", "volume_24h_usd", "market_cap_usd"):
            if getattr(self, field) is not None:
                money(getattr(self, field), f"underlying: {field}", MarketError)
        check_feed(self.age_s, self.confidence, "underlying")
        for field in ("forwards", "smiles", "settled"):
            unique((item.expiry_ns for item in getattr(self, field)), f"underlying: {field} of", MarketError)
        self._refuse_crossed()

    def _refuse_crossed(self) -> None:
        if self.bids and self.asks and self.bids[0].price >= self.asks[0].price:
            raise MarketError(
                f"underlying: best bid {self.bids[0].price} is not below best ask {self.asks[0].price}; "
                "the book is crossed: take a new snapshot or leave it out"
            )
        if any(b.price >= a.price for a, b in pairwise(self.bids)):
            raise MarketError("underlying: bids must fall from best to worst; sort them and give each price once")
        if any(b.price <= a.price for a, b in pairwise(self.asks)):
            raise MarketError("underlying: asks must rise from best to worst; sort them and give each price once")


class AssetPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Price in USD of an asset of settlement or collateral; ``stable``: it is meant to be worth 1.

    ``underlying``: the underlying whose price it follows, if any (BTC posted against BTC positions).
    ``volume_24h_usd``: traded in the last day. ``deposits_usd``: what all accounts have posted of it;
    from ``scale_start_usd`` on it counts for less.
    """

    price_usd: Decimal
    stable: bool = False
    underlying: str | None = None
    volume_24h_usd: Decimal | None = None
    deposits_usd: Decimal | None = None
    scale_start_usd: Decimal | None = None
    age_s: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        not_negative(self.price_usd, "asset: price_usd", MarketError)
        for field in ("volume_24h_usd", "deposits_usd", "scale_start_usd"):
            if getattr(self, field) is not None:
                money(getattr(self, field), f"asset: {field}", MarketError)
        check_feed(self.age_s, self.confidence, "asset")


class MarketSnapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The market at one instant. USD itself needs no asset price.

    ``as_of_ns``: UTC nanoseconds; ages are measured from it.

    Raises
    ------
    MarketError
        If an instrument is given twice or a quote is of an instrument that is not given.
    """

    as_of_ns: int
    instruments: tuple[Instrument, ...]
    quotes: dict[str, Quote]
    underlyings: dict[str, Underlying]
    assets: dict[str, AssetPrice] = {}

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        unique((i.symbol for i in self.instruments), "market: instrument", MarketError)
        known = {i.symbol for i in self.instruments}
        for symbol in self.quotes:
            if symbol not in known:
                raise MarketError(f"market: a quote of {symbol}, which is no instrument; add its terms to instruments")
        for name in (*self.underlyings, *self.assets):
            named(name, "market: a name", MarketError)
        self._refuse_early_settlement()
        instant(self.as_of_ns, "market: as_of_ns", MarketError)

    def _refuse_early_settlement(self) -> None:
        """What of a settlement average is fixed cannot be more than the time that has passed of its window."""
        for name, underlying in self.underlyings.items():
            for settled in underlying.settled:
                left = (settled.expiry_ns - self.as_of_ns) / 1e9
                passed = min(max(1 - left / settled.window_s, 0.0), 1.0)
                if settled.fixed_frac > passed + SETTLEMENT_SLACK:
                    raise MarketError(
                        f"market: {name}: of the settlement of {settled.expiry_ns} {settled.fixed_frac} is fixed, but "
                        f"{passed:.3f} of its window of {settled.window_s:g} s has passed; correct fixed_frac"
                    )
