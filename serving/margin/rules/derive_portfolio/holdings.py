"""An account of the engine as Derive sees it: one market an underlying, and cash."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.errors import SettingError
from serving.margin.charge import FloatArray
from serving.margin.instrument_terms import USD
from serving.margin.objects import Account, Instrument, Position
from serving.margin.priced_market import PricedMarket
from serving.margin.rules.derive_portfolio.portfolio import Expiry, Options, Perpetual

CASH = "USDC"  # where no position says in what it settles


@dataclass(frozen=True, slots=True)
class MarketHoldings:
    """Positions in one underlying.

    ``option_rows``, ``linear_rows``, ``spot_rows``: which positions of the account they
    are; ``spot_amounts``: spot that is held, in units of the underlying.
    """

    name: str
    spot: float
    confidence: float
    expiries: tuple[Expiry, ...]
    options: Options
    option_rows: tuple[int, ...]
    perpetuals: tuple[Perpetual, ...]
    linear_rows: tuple[int, ...]
    spot_amounts: tuple[float, ...]
    spot_rows: tuple[int, ...]

    def notional(self, positions: int) -> FloatArray:
        """Absolute size of each position at spot, shape (positions,); 0 for those in other underlyings."""
        rows = np.array((*self.option_rows, *self.linear_rows, *self.spot_rows), dtype=np.int64)
        units = (*self.options.amount, *(p.amount for p in self.perpetuals), *self.spot_amounts)
        return scattered(np.abs(np.array(units, dtype=np.float64)) * self.spot, rows, positions)


@dataclass(frozen=True, slots=True)
class Cash:
    """Cash of an account: units of the assets that its positions settle in, less what is owed.

    ``price``: the lowest price in USD of these assets, for the peg; ``usd``: the highest, and
    at least 1, at which a requirement becomes USD: a cash asset that falls makes none smaller.
    """

    amount: float
    price: float
    usd: float
    assets: frozenset[str]


def market_holdings(account: Account, market: PricedMarket) -> tuple[MarketHoldings, ...]:
    """Sort positions by underlying, in order of first appearance.

    An inverse contract counts as the units of the underlying that its USD value moves
    with; a future and spot sold count as perpetuals.

    Raises
    ------
    UnknownInstrumentError, ExpiredError, MarketError
        If the market cannot price a position.
    """
    terms = [market.snapshot.instruments[market.row(p.instrument)] for p in account.positions]
    names = dict.fromkeys(instrument.underlying for instrument in terms)
    return tuple(_one(name, account.positions, terms, market) for name in names)


def cash_of(account: Account, market: PricedMarket) -> Cash:
    """Cash: collateral and debts in what the positions settle in, other debts at their price.

    Raises
    ------
    SettingError
        If a position settles in an asset that is not stable: the rule has none.
    MarketError
        If the market has no price of an asset.
    """
    assets = _settlement(account, market)
    prices = [market.asset_usd(asset) for asset in assets] or [1.0]
    lowest = min(prices)
    highest = max(1.0, *prices)
    held = sum(float(c.quantity) for c in account.collateral if c.asset in assets)
    if USD not in assets:  # a dollar buys what it buys of the cash asset, at its dearest
        held += sum(float(c.quantity) / highest for c in account.collateral if c.asset == USD)
    owed = sum(
        float(d.quantity) * (1.0 if d.asset in assets else market.asset_usd(d.asset) / lowest) for d in account.debts
    )
    return Cash(held - owed, lowest, highest, assets | {USD})


def _settlement(account: Account, market: PricedMarket) -> frozenset[str]:
    """Assets that linear positions settle in."""
    assets = set()
    for position in account.positions:
        instrument = market.snapshot.instruments[market.row(position.instrument)]
        if instrument.contract == "linear":
            assets.add(instrument.settlement)
    known = market.snapshot.assets
    for asset in sorted(assets - {USD}):
        market.asset_usd(asset)
        if not known[asset].stable:
            raise SettingError(
                f"Derive settles in a stable asset and {asset} is none; mark it stable or use another rule"
            )
    if not assets and CASH in known:
        assets.add(CASH)
    return frozenset(assets or {USD})


def _one(name: str, positions: Sequence[Position], terms: Sequence[Instrument], market: PricedMarket) -> MarketHoldings:
    """Positions of one underlying."""
    mine = [i for i, instrument in enumerate(terms) if instrument.underlying == name]
    options = tuple(i for i in mine if terms[i].is_option)
    spot = tuple(i for i in mine if terms[i].kind == "spot" and positions[i].quantity >= 0)
    linear = tuple(i for i in mine if i not in options and i not in spot)
    dates = sorted({terms[i].expiry_ns or 0 for i in options})
    underlying = market.snapshot.underlyings[name]
    return MarketHoldings(
        name=name,
        spot=float(underlying.spot),
        confidence=underlying.confidence or 0.0,
        expiries=tuple(
            _expiry(date, [i for i in options if terms[i].expiry_ns == date], terms, market) for date in dates
        ),
        options=_options(options, dates, positions, terms, market),
        option_rows=options,
        perpetuals=tuple(_perpetual(positions[i], terms[i], market) for i in linear),
        linear_rows=linear,
        spot_amounts=tuple(float(positions[i].quantity * terms[i].multiplier) for i in spot),
        spot_rows=spot,
    )


def _expiry(date: int, held: Sequence[int], terms: Sequence[Instrument], market: PricedMarket) -> Expiry:
    """Feeds of one expiry, trusted as the least of the forward, the smile and the quotes of what is held."""
    first, snapshot = terms[held[0]], market.snapshot
    market.row(first.symbol)  # what cannot be priced is refused
    underlying = snapshot.underlyings[first.underlying]
    settled = next((s for s in underlying.settled if s.expiry_ns == date), None)
    fixed, average = (0.0, 0.0) if settled is None else (settled.fixed_frac, float(settled.average))
    feed = next(f for f in underlying.forwards if f.expiry_ns == date)
    smiles = [s.confidence for s in underlying.smiles if s.expiry_ns == date and s.confidence is not None]
    quotes = [snapshot.quotes[terms[i].symbol].confidence or 0.0 for i in held]
    return Expiry(
        seconds=(date - snapshot.as_of_ns) / NS_PER_S,
        fixed=fixed * average,
        variable=(1 - fixed) * float(feed.price),
        rate=feed.rate,
        confidence=min([c for c in (feed.confidence, *smiles, *quotes) if c is not None], default=1.0),
    )


def _options(
    held: Sequence[int],
    dates: Sequence[int],
    positions: Sequence[Position],
    terms: Sequence[Instrument],
    market: PricedMarket,
) -> Options:
    rows = np.array([market.row(terms[i].symbol) for i in held], dtype=np.int64)
    expiry = np.array([dates.index(terms[i].expiry_ns or 0) for i in held], dtype=np.int64)
    amount = np.array([float(positions[i].quantity * terms[i].multiplier) for i in held], dtype=np.float64)
    strike = np.array([float(terms[i].strike or 0) for i in held], dtype=np.float64)
    return Options(expiry, strike, amount, market.options.vol[rows], market.options.is_call[rows])


def _perpetual(position: Position, instrument: Instrument, market: PricedMarket) -> Perpetual:
    """Units of the underlying that the position's USD value moves with, and its profit since entry."""
    row, size = market.row(instrument.symbol), float(position.quantity * instrument.multiplier)
    mark = float(market.mark[row])
    quote = market.snapshot.quotes[instrument.symbol]
    entry = mark if position.entry_price is None else float(position.entry_price)
    if instrument.contract == "linear":
        return Perpetual(size, mark, quote.confidence or 0.0, (mark - entry) * size)
    if not entry > 0:
        raise SettingError(f"{instrument.symbol}: an inverse position needs an entry price above 0, or none")
    return Perpetual(size / mark, mark, quote.confidence or 0.0, (mark / entry - 1) * size)


def scattered(values: FloatArray, rows: NDArray[np.int64], positions: int) -> FloatArray:
    """Sum values by the position they belong to; those of row -1 belong to none."""
    out = np.zeros(positions)
    for value, row in zip(values, rows, strict=True):
        if row >= 0:
            out[row] += value
    return out
