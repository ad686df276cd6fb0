"""One contract of an instrument as numbers: what it is worth and what moves it, or why it cannot be priced."""

from typing import Final

import numpy as np

from features.errors import ExpiredError, MarketError
from serving.margin.objects import Instrument, MarketSnapshot, Underlying
from serving.margin.option_vols import vol_of
from serving.margin.pricing.settlement import unfixed_option

YEAR_S: Final = 365 * 86_400
YEAR_NS: Final = YEAR_S * 10**9
USD: Final = "USD"
FARTHEST: Final = 1.0  # log distance of a mark or forward from the spot: beyond it one of them is wrong
CARRY_A_YEAR: Final = 1.0


# usd_per_point, share, mark, mark_usd, is_option, forward, strike, years, is_call, discount, vol, certain_usd
NOTHING: Final = (0.0, 0.0, float("nan"), 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
Row = tuple[float, float, float, float, float, float, float, float, float, float, float, float]


def terms_of(instrument: Instrument, snapshot: MarketSnapshot) -> Row:
    """One row of the market's table."""
    underlying = _underlying(instrument, snapshot)
    years = _years(instrument, snapshot.as_of_ns)
    quote = snapshot.quotes.get(instrument.symbol)
    if quote is None:
        raise MarketError(f"{instrument.symbol}: the market has no quote of it; add its mark to quotes")
    mark = float(quote.mark)
    if instrument.is_option:
        return _option(instrument, underlying, snapshot, years)
    if not mark > 0:
        raise MarketError(f"{instrument.symbol}: mark is {quote.mark}; a {instrument.kind} needs one above 0")
    spot = float(underlying.spot)
    _refuse_apart(instrument.symbol, "mark", mark, spot, years)
    if quote.index is not None:
        _refuse_apart(instrument.symbol, "index", float(quote.index), spot)
    size = float(instrument.multiplier)
    share = 1.0 - _settled(instrument, underlying)[0]
    if instrument.contract == "inverse":
        # quantity contracts of `size` USD: (1/P0 - 1/P1) coin at the price P1 is (P1/P0 - 1) x size USD.
        return (size / mark, share, mark, size, 0.0, mark, 1.0, years, 0.0, 1.0, 0.0, 0.0)
    usd = size * settlement_usd(instrument, snapshot)
    return (usd, share, mark, usd * mark, 0.0, mark, 1.0, years, 0.0, 1.0, 0.0, 0.0)


def _option(instrument: Instrument, underlying: Underlying, snapshot: MarketSnapshot, years: float) -> Row:
    forward = next((f for f in underlying.forwards if f.expiry_ns == instrument.expiry_ns), None)
    if forward is None:
        raise MarketError(
            f"{instrument.symbol}: {instrument.underlying} has no forward of its expiry {instrument.expiry_ns}; "
            "add it to forwards"
        )
    _refuse_apart(instrument.symbol, "forward", float(forward.price), float(underlying.spot), years)
    quote = snapshot.quotes[instrument.symbol]
    discount = float(np.exp(-max(forward.rate, 0.0) * years))
    coin_settled = instrument.contract == "inverse"
    usd = float(instrument.multiplier) * (1.0 if coin_settled else settlement_usd(instrument, snapshot))
    mark = float(quote.mark) * (float(underlying.spot) if coin_settled else 1.0)
    strike, call = float(instrument.strike or 0), instrument.option == "call"
    fixed, average = _settled(instrument, underlying)
    price = fixed * average + (1 - fixed) * float(forward.price)
    vol = vol_of(instrument, quote, underlying, price, years, discount, mark)
    if not fixed:
        return (usd, 1.0, mark, usd * mark, 1.0, price, strike, years, float(call), discount, vol, 0.0)
    window_s = next(s.window_s for s in underlying.settled if s.expiry_ns == instrument.expiry_ns)
    rest = unfixed_option(strike, vol, call, years * YEAR_S, fixed, average, window_s)
    own = usd * float(rest.share)
    return (
        own, 1.0, mark, usd * mark, 1.0, float(forward.price), float(rest.strike), float(rest.years), float(call),
        discount, vol, usd * discount * float(rest.cash),
    )  # fmt: skip


def _years(instrument: Instrument, as_of_ns: int) -> float:
    """Years to expiry; 0 for what has none."""
    if instrument.expiry_ns is None:
        return 0.0
    if instrument.expiry_ns <= as_of_ns:
        raise ExpiredError(
            f"{instrument.symbol}: expired {(as_of_ns - instrument.expiry_ns) / 1e9:g} s before the market was taken; "
            "settle it and take the position away"
        )
    return (instrument.expiry_ns - as_of_ns) / YEAR_NS


def _underlying(instrument: Instrument, snapshot: MarketSnapshot) -> Underlying:
    if instrument.underlying not in snapshot.underlyings:
        raise MarketError(f"{instrument.symbol}: the market has no underlying {instrument.underlying}; add it")
    return snapshot.underlyings[instrument.underlying]


def _settled(instrument: Instrument, underlying: Underlying) -> tuple[float, float]:
    """What of the settlement average is fixed, and at which mean."""
    for settled in underlying.settled:
        if settled.expiry_ns == instrument.expiry_ns:
            return settled.fixed_frac, float(settled.average)
    return 0.0, 0.0


def settlement_usd(instrument: Instrument, snapshot: MarketSnapshot) -> float:
    """USD per unit of what a contract settles in.

    A stablecoin below its peg counts as 1, so that its fall makes no position look smaller.
    """
    price = quoted_usd(snapshot, instrument.settlement)
    asset = snapshot.assets.get(instrument.settlement)
    if asset is not None and asset.underlying == instrument.underlying:
        raise MarketError(
            f"{instrument.symbol}: linear, but it settles in {instrument.settlement}, the coin of its underlying; "
            "a contract that is settled in coin is inverse: correct its terms"
        )
    if asset is None or asset.underlying is not None:
        return price
    if not asset.stable:
        raise MarketError(
            f"{instrument.symbol}: it settles in {instrument.settlement}, which is neither stable nor follows an "
            "underlying; say stable: true of a stablecoin, or which underlying it follows"
        )
    return max(price, 1.0)


def _refuse_apart(symbol: str, what: str, price: float, spot: float, years: float = 0.0) -> None:
    """Refuse a price that is too far from the spot to be one of the same market."""
    if abs(np.log(price / spot)) > FARTHEST + CARRY_A_YEAR * years:
        raise MarketError(
            f"{symbol}: its {what} {price:g} and the spot {spot:g} of its underlying are too far apart to be of one "
            "market; correct the one that is wrong"
        )


def pays(instrument: Instrument, snapshot: MarketSnapshot) -> float:
    """Quoted over counted price of what a contract settles in."""
    asset = snapshot.assets.get(instrument.settlement)
    if asset is None or not asset.stable or instrument.contract == "inverse":
        return 1.0
    return min(float(asset.price_usd), 1.0)


def quoted_usd(snapshot: MarketSnapshot, asset: str) -> float:
    """Price of an asset as quoted, above 0; of the dollar 1."""
    found = snapshot.assets.get(asset)
    if found is None:
        if asset == USD:
            return 1.0
        raise MarketError(f"asset {asset}: the market has no price of it; add it to assets")
    if not found.price_usd > 0:
        raise MarketError(f"asset {asset}: price_usd is {found.price_usd}; what settles in it needs one above 0")
    return float(found.price_usd)
