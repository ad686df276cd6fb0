"""A market snapshot as arrays: what one contract of every instrument is worth and what moves it.

An instrument that cannot be priced (no mark, no forward, no volatility, expired)
carries its fault with it, and only an account that holds it meets the fault.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import DataError, ExpiredError, MarketError, UnknownInstrumentError
from serving.margin.objects import Instrument, MarketSnapshot, Underlying
from serving.margin.option_vols import vol_of
from serving.margin.pricing.black import black_value
from serving.margin.pricing.settlement import unfixed_option

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
YEAR_S: Final = 365 * 86_400
YEAR_NS: Final = YEAR_S * 10**9
USD: Final = "USD"
FARTHEST: Final = 1.0  # log distance of a mark or forward from the spot: beyond it one of them is wrong
CARRY_A_YEAR: Final = 1.0


@dataclass(frozen=True, slots=True)
class OptionTerms:
    """Arrays of the n instruments that matter to options; 1 or 0 where an instrument is none.

    ``value``: Black's, discounted, per unit of the underlying.
    """

    is_option: BoolArray
    forward: FloatArray
    strike: FloatArray
    years: FloatArray
    is_call: BoolArray
    discount: FloatArray
    vol: FloatArray
    value: FloatArray


@dataclass(frozen=True, slots=True)
class PricedMarket:
    """n instruments on u underlyings, in the order of the snapshot.

    ``usd_per_point``, shape (n,): USD that one contract gains when its price rises by 1.
    ``share``, shape (n,): share of a move of spot that reaches the price; below 1 only for a
    future while its settlement average is running: an option is then the plain one on what
    is not fixed, with ``usd_per_point`` of it. ``mark``: quoted price, NaN at a fault.
    ``mark_usd``: value (options) or notional (everything else) of one contract. ``paid``: whether
    it is paid for when bought (options, spot), so that it is worth something. ``pays``:
    share of a profit that its settlement asset is worth, below 1 in a fallen stablecoin,
    in which losses count whole. ``worth_usd``, ``owed_usd``: what one option held or owed
    counts for, the lower and the higher of its mark and its value.
    """

    snapshot: MarketSnapshot
    symbols: dict[str, int]
    underlyings: tuple[str, ...]
    spot: FloatArray
    underlying: IntArray
    usd_per_point: FloatArray
    share: FloatArray
    mark: FloatArray
    mark_usd: FloatArray
    paid: BoolArray
    pays: FloatArray
    worth_usd: FloatArray
    owed_usd: FloatArray
    options: OptionTerms
    faults: dict[int, DataError]

    def row(self, symbol: str) -> int:
        """Index of an instrument that can be priced.

        Raises
        ------
        UnknownInstrumentError, MarketError, ExpiredError
            If the market does not have it or cannot price it.
        """
        row = self.symbols.get(symbol)
        if row is None:
            known = ", ".join(sorted(self.symbols)[:8]) or "none"
            raise UnknownInstrumentError(
                f"{symbol}: the market snapshot has no such instrument; add its terms and quote (known: {known}, ...)"
            )
        if row in self.faults:
            raise self.faults[row]
        return row

    def asset_usd(self, asset: str) -> float:
        """Price of an asset, USD, as quoted.

        Raises
        ------
        MarketError
            If the market has none above 0.
        """
        return _quoted_usd(self.snapshot, asset)


def price_market(snapshot: MarketSnapshot) -> PricedMarket:
    """Price every instrument of a snapshot once.

    Raises
    ------
    MarketError
        If the market has no underlying at all.
    """
    if not snapshot.underlyings:
        raise MarketError("market: no underlyings; give the spot and forwards of at least one")
    underlyings = tuple(sorted(snapshot.underlyings))  # a record's keys are sorted: so is what it is replayed from
    index = {name: i for i, name in enumerate(underlyings)}
    rows, faults = [], {}
    for i, instrument in enumerate(snapshot.instruments):
        try:
            rows.append(_terms(instrument, snapshot))
        except DataError as fault:
            faults[i] = fault
            rows.append(_NOTHING)
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(_NOTHING))
    columns = [np.ascontiguousarray(table[:, i]) for i in range(len(_NOTHING))]
    forward, strike, years, discount, vol = (columns[i] for i in (5, 6, 7, 9, 10))
    value = black_value(forward, strike, vol, years, columns[8] > 0, discount)
    option = OptionTerms(columns[4] > 0, forward, strike, years, columns[8] > 0, discount, vol, value)
    model = np.where(option.is_option, columns[0] * value + columns[11], columns[3])
    pays = np.array([_pays(instrument, snapshot) for instrument in snapshot.instruments], dtype=np.float64)
    return PricedMarket(
        snapshot,
        {instrument.symbol: i for i, instrument in enumerate(snapshot.instruments)},
        underlyings,
        np.array([float(snapshot.underlyings[name].spot) for name in underlyings]),
        np.array([index.get(instrument.underlying, 0) for instrument in snapshot.instruments], dtype=np.int64),
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        option.is_option | np.array([i.kind == "spot" for i in snapshot.instruments], dtype=np.bool_),
        pays,
        np.minimum(columns[3], model) * pays,
        np.maximum(columns[3], model),
        option,
        faults,
    )


# usd_per_point, share, mark, mark_usd, is_option, forward, strike, years, is_call, discount, vol, certain_usd
_NOTHING: Final = (0.0, 0.0, float("nan"), 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
Row = tuple[float, float, float, float, float, float, float, float, float, float, float, float]


def _terms(instrument: Instrument, snapshot: MarketSnapshot) -> Row:
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
    price = _quoted_usd(snapshot, instrument.settlement)
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


def _pays(instrument: Instrument, snapshot: MarketSnapshot) -> float:
    """Quoted over counted price of what a contract settles in."""
    asset = snapshot.assets.get(instrument.settlement)
    if asset is None or not asset.stable or instrument.contract == "inverse":
        return 1.0
    return min(float(asset.price_usd), 1.0)


def _quoted_usd(snapshot: MarketSnapshot, asset: str) -> float:
    found = snapshot.assets.get(asset)
    if found is None:
        if asset == USD:
            return 1.0
        raise MarketError(f"asset {asset}: the market has no price of it; add it to assets")
    if not found.price_usd > 0:
        raise MarketError(f"asset {asset}: price_usd is {found.price_usd}; what settles in it needs one above 0")
    return float(found.price_usd)
