"""A market snapshot as arrays: what one contract of every instrument is worth and what moves it.

An instrument that cannot be priced (no mark, no forward, no volatility, expired)
carries its fault with it, and only an account that holds it meets the fault.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import DataError, MarketError, UnknownInstrumentError
from serving.margin.instrument_terms import NOTHING, pays, quoted_usd, terms_of
from serving.margin.objects import MarketSnapshot
from serving.margin.pricing.black import black_value

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


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
        return quoted_usd(self.snapshot, asset)


def strike_moves(market: PricedMarket) -> FloatArray:
    """Relative moves of spot that bring a forward to the strike of an option on it, shape (k, u), filled up with 0."""
    terms, found = market.options, [set[float]() for _ in market.underlyings]
    for row in np.flatnonzero(terms.is_option & (market.share > 0)).tolist():
        move = (float(terms.strike[row]) / float(terms.forward[row]) - 1.0) / float(market.share[row])
        found[int(market.underlying[row])].add(move)
    out = np.zeros((max(map(len, found)), len(found)))
    for u, moves in enumerate(found):
        out[: len(moves), u] = sorted(moves)
    return out


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
            rows.append(terms_of(instrument, snapshot))
        except DataError as fault:
            faults[i] = fault
            rows.append(NOTHING)
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(NOTHING))
    columns = [np.ascontiguousarray(table[:, i]) for i in range(len(NOTHING))]
    forward, strike, years, discount, vol = (columns[i] for i in (5, 6, 7, 9, 10))
    value = black_value(forward, strike, vol, years, columns[8] > 0, discount)
    option = OptionTerms(columns[4] > 0, forward, strike, years, columns[8] > 0, discount, vol, value)
    model = np.where(option.is_option, columns[0] * value + columns[11], columns[3])
    paying = np.array([pays(instrument, snapshot) for instrument in snapshot.instruments], dtype=np.float64)
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
        paying,
        np.minimum(columns[3], model) * paying,
        np.maximum(columns[3], model),
        option,
        faults,
    )
