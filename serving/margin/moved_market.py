"""The market as it would be if one underlying had moved: what stands on it is re-marked, all else is as today."""

from decimal import Decimal

import msgspec

from serving.margin.objects import Instrument, MarketSnapshot, Quote, Underlying
from serving.margin.priced_market import PricedMarket, price_market
from serving.margin.pricing.black import black_value


def moved_market(market: MarketSnapshot, name: str, factor: float) -> MarketSnapshot:
    """Scale the spot, the forwards, the book and the marks of one underlying; options are valued at their volatility.

    Parameters
    ----------
    market : as it is; the instruments that are wanted, since each option is valued anew.
    name : the underlying that moves.
    factor : new price over old, above 0.
    """
    ratio = Decimal(repr(factor))
    moved = _moved_underlying(market.underlyings[name], ratio)
    assets = {
        asset: msgspec.structs.replace(price, price_usd=price.price_usd * ratio) if price.underlying == name else price
        for asset, price in market.assets.items()
    }
    priced = price_market(market)
    shifted = msgspec.structs.replace(market, underlyings={**market.underlyings, name: moved}, assets=assets)
    quotes = {
        i.symbol: _requoted(i, market.quotes[i.symbol], priced, shifted, ratio)
        if i.underlying == name
        else market.quotes[i.symbol]
        for i in market.instruments
        if i.symbol in market.quotes
    }
    return msgspec.structs.replace(shifted, quotes=quotes)


def _moved_underlying(terms: Underlying, ratio: Decimal) -> Underlying:
    replace = msgspec.structs.replace
    return replace(
        terms,
        spot=terms.spot * ratio,
        forwards=tuple(replace(f, price=f.price * ratio) for f in terms.forwards),
        bids=tuple(replace(level, price=level.price * ratio) for level in terms.bids),
        asks=tuple(replace(level, price=level.price * ratio) for level in terms.asks),
    )


def _requoted(terms: Instrument, quote: Quote, priced: PricedMarket, moved: MarketSnapshot, ratio: Decimal) -> Quote:
    """Quote at the moved price; what cannot be priced keeps its own."""
    index = None if quote.index is None else quote.index * ratio
    row = priced.symbols[terms.symbol]
    if not terms.is_option or row in priced.faults:
        return msgspec.structs.replace(quote, mark=quote.mark * ratio, index=index)
    options = priced.options
    vol = float(options.vol[row])
    forward = float(options.forward[row]) * (1 + float(priced.share[row]) * (float(ratio) - 1))
    value = float(
        black_value(forward, options.strike[row], vol, options.years[row], options.is_call[row], options.discount[row])
    )
    if terms.contract == "inverse":
        value /= float(moved.underlyings[terms.underlying].spot)
    return msgspec.structs.replace(quote, mark=Decimal(repr(value)), index=index, vol=vol)
