"""The market as it would be if one underlying had moved: what stands on it is re-marked, all else is as today."""

from decimal import Decimal
from typing import Final

import msgspec

from serving.margin.instrument_terms import settlement_usd
from serving.margin.objects import AssetPrice, Instrument, MarketSnapshot, Quote, Underlying
from serving.margin.priced_market import PricedMarket, price_market

UNMARKED: Final = Decimal(0)


def moved_market(market: MarketSnapshot, name: str, factor: float) -> MarketSnapshot:
    """Scale the spot, the forwards, the book and the marks of one underlying; options are valued at their volatility.

    Parameters
    ----------
    market : as it is; the instruments that are wanted, since each option is valued anew.
    name : the underlying that moves.
    factor : new price over old, above 0.
    """
    ratio = Decimal(repr(factor))
    priced = price_market(market)
    moved = [i for i in market.instruments if i.underlying == name and i.symbol in market.quotes]
    shifted = msgspec.structs.replace(
        market,
        underlyings={**market.underlyings, name: _moved_underlying(market.underlyings[name], ratio)},
        assets={asset: _moved_asset(price, name, ratio) for asset, price in market.assets.items()},
        quotes=market.quotes | {i.symbol: _moved_quote(i, market.quotes[i.symbol], priced, ratio) for i in moved},
    )
    return _marked(shifted, name, priced)


def _moved_underlying(terms: Underlying, ratio: Decimal) -> Underlying:
    replace = msgspec.structs.replace
    return replace(
        terms,
        spot=terms.spot * ratio,
        forwards=tuple(replace(f, price=f.price * ratio) for f in terms.forwards),
        bids=tuple(replace(level, price=level.price * ratio) for level in terms.bids),
        asks=tuple(replace(level, price=level.price * ratio) for level in terms.asks),
    )


def _moved_asset(price: AssetPrice, name: str, ratio: Decimal) -> AssetPrice:
    if price.underlying != name:
        return price
    return msgspec.structs.replace(price, price_usd=price.price_usd * ratio)


def _moved_quote(terms: Instrument, quote: Quote, priced: PricedMarket, ratio: Decimal) -> Quote:
    """A scaled quote; an option keeps its volatility and waits for its mark."""
    index = None if quote.index is None else quote.index * ratio
    row = priced.symbols[terms.symbol]
    if not terms.is_option or row in priced.faults:
        share = Decimal(repr(float(priced.share[row])))  # below 1 while a settlement average is running
        return msgspec.structs.replace(quote, mark=quote.mark * (1 + share * (ratio - 1)), index=index)
    return msgspec.structs.replace(quote, mark=UNMARKED, index=index, vol=float(priced.options.vol[row]))


def _marked(market: MarketSnapshot, name: str, before: PricedMarket) -> MarketSnapshot:
    """Mark the options of an underlying at their value, as far from it as they are today.

    While the mark is nought, what an option is owed at is its value.
    """
    priced, quotes = price_market(market), dict(market.quotes)
    for terms in market.instruments:
        row = priced.symbols[terms.symbol]
        if terms.is_option and terms.underlying == name and row not in before.faults:
            coin = terms.contract == "inverse"
            unit = float(market.underlyings[name].spot) if coin else settlement_usd(terms, market)
            model = before.owed_usd[row] + before.worth_usd[row] / before.pays[row] - before.mark_usd[row]
            moved = max(float(priced.owed_usd[row] + before.mark_usd[row] - model), 0.0)
            mark = Decimal(repr(moved / (float(terms.multiplier) * unit)))
            quotes[terms.symbol] = msgspec.structs.replace(quotes[terms.symbol], mark=mark)
    return msgspec.structs.replace(market, quotes=quotes)
