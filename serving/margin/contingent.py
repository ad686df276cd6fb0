"""Contingencies of one account: short options, basis, funding, a fallen stablecoin, doubtful and old prices.

Four of them are a sum over positions of a rate times the size of the position; the
rates are computed once for a market, for one contract long and one short.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from serving.margin.aggregate import Holding
from serving.margin.charge import Charge
from serving.margin.contingencies.basis import basis_rates, offset_charge
from serving.margin.contingencies.depeg import depeg
from serving.margin.contingencies.feeds import low_confidence, stale_price
from serving.margin.contingencies.funding import funding
from serving.margin.contingencies.short_options import short_option_minimum
from serving.margin.objects import AssetPrice, Instrument, MarketSnapshot, Quote, Underlying
from serving.margin.policy import MarginPolicy
from serving.margin.priced_market import PricedMarket
from serving.margin.ranges import Ranges
from serving.margin.unit_greeks import UnitGreeks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contingent:
    """What contingencies look at, of one contract of every instrument, shape (n,) each.

    ``rates``: by name of the contingency, USD of one contract long and of one short; those that charge
    nothing in this market are left out. ``units``: of the underlying, of an option; else 0. ``delta_usd``:
    of one contract. ``strike``: index of the underlying, expiry and strike. ``expiry``: of the underlying
    and expiry. ``basis_rate``: of an offset. ``remarks``: what had to be assumed.
    """

    rates: dict[str, tuple[FloatArray, FloatArray]]
    units: FloatArray
    delta_usd: FloatArray
    strike: IntArray
    expiry: IntArray
    basis_rate: FloatArray
    remarks: tuple[tuple[str, ...], ...]


def contingent_of(market: PricedMarket, greeks: UnitGreeks, ranges: Ranges, policy: MarginPolicy) -> Contingent:
    """Prepare the contingencies of every instrument."""
    listed = market.snapshot.instruments
    strikes: dict[object, int] = {}
    expiries: dict[object, int] = {}
    strike = [strikes.setdefault((i.underlying, i.expiry_ns, i.strike), len(strikes)) for i in listed]
    expiry = [expiries.setdefault((i.underlying, i.expiry_ns), len(expiries)) for i in listed]
    return Contingent(
        _rates(market, ranges, policy),
        np.array([float(i.multiplier) if i.is_option else 0.0 for i in listed], dtype=np.float64),
        greeks.delta_usd,
        np.array(strike, dtype=np.int64),
        np.array(expiry, dtype=np.int64),
        basis_rates(market.options.years, np.array([float(i.kind == "spot") for i in listed]), policy.basis),
        tuple(_remarks(i, market.snapshot, policy) for i in listed),
    )


def _rates(market: PricedMarket, ranges: Ranges, policy: MarginPolicy) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Charges that are proportional to the size of a position, of one contract each way."""
    snapshot, listed = market.snapshot, market.snapshot.instruments
    missing_age_s = max([policy.feeds.missing_age_s, *_ages(snapshot)])
    doubts = np.array([_doubt(i, snapshot, missing_age_s) for i in listed], dtype=np.float64).reshape(-1, 3)
    stable, confidence, age_s = doubts[:, 0].copy(), doubts[:, 1].copy(), doubts[:, 2].copy()
    spot = market.usd_per_point * market.spot[market.underlying]
    notional = np.where(market.options.is_option, spot, market.mark_usd)
    rates = [_funding_rate(i, snapshot) for i in listed]
    paid, unknown = np.array([r or 0.0 for r in rates], dtype=np.float64), np.array([r is None for r in rates])
    dearest = replace(policy.funding, missing_rate_8h=max(policy.funding.missing_rate_8h, *np.abs(paid).tolist(), 0.0))
    perpetual = np.array([float(i.kind == "perpetual") for i in listed], dtype=np.float64)
    width = np.maximum(ranges.down, ranges.up)[market.underlying]
    horizon = np.full(len(listed), float(ranges.horizon_s))
    charges: dict[str, Callable[[FloatArray], FloatArray]] = {
        "funding": lambda n: funding(n * perpetual, paid, dearest, unknown),
        "stablecoin": lambda n: depeg(n, stable, policy.depeg),
        "feed confidence": lambda n: low_confidence(n, confidence, policy.feeds),
        "old prices": lambda n: stale_price(n, width, age_s, horizon, policy.feeds),
    }
    both = {name: (charge(notional), charge(-notional)) for name, charge in charges.items()}
    return {name: (long, short) for name, (long, short) in both.items() if long.any() or short.any()}


def _ages(snapshot: MarketSnapshot) -> list[float]:
    """Ages of all feeds that say theirs: one that says none may be as old as the oldest."""
    ages = [x.age_s for x in snapshot.quotes.values()] + [x.age_s for x in snapshot.underlyings.values()]
    ages += [x.age_s for x in snapshot.assets.values()]
    return [age for age in ages if age is not None]


def _funding_rate(instrument: Instrument, snapshot: MarketSnapshot) -> float | None:
    quote = snapshot.quotes.get(instrument.symbol)
    return None if quote is None else quote.funding_rate_8h


def _doubt(instrument: Instrument, snapshot: MarketSnapshot, missing_age_s: float) -> tuple[float, float, float]:
    """Price of the stablecoin it settles in, worst confidence and greatest age of what it is valued with."""
    feeds = _feeds(instrument, snapshot)
    quote, underlying = snapshot.quotes.get(instrument.symbol), snapshot.underlyings.get(instrument.underlying)
    confidences = [0.0 if x.confidence is None else x.confidence for _, x in feeds]
    ages = [missing_age_s if x.age_s is None else x.age_s for _, x in feeds]
    if underlying is not None and instrument.is_option:
        own = quote is not None and quote.vol is not None  # the smile is not looked at then
        curve = (f.confidence for f in underlying.forwards if f.expiry_ns == instrument.expiry_ns)
        smiles = (s.confidence for s in underlying.smiles if s.expiry_ns == instrument.expiry_ns and not own)
        confidences += [c for c in (*curve, *smiles) if c is not None]
    asset = snapshot.assets.get(instrument.settlement)
    stable = float(asset.price_usd) if asset is not None and asset.stable else 1.0
    return stable, min(confidences, default=0.0), max(ages, default=0.0)


def _feeds(instrument: Instrument, snapshot: MarketSnapshot) -> list[tuple[str, AssetPrice | Quote | Underlying]]:
    """Feeds that an instrument is valued with, by what they are of."""
    found = (
        (f"asset {instrument.settlement}", snapshot.assets.get(instrument.settlement)),
        (f"quote of {instrument.symbol}", snapshot.quotes.get(instrument.symbol)),
        (f"underlying {instrument.underlying}", snapshot.underlyings.get(instrument.underlying)),
    )
    return [(name, feed) for name, feed in found if feed is not None]


def _remarks(instrument: Instrument, snapshot: MarketSnapshot, policy: MarginPolicy) -> tuple[str, ...]:
    """What had to be assumed of an instrument's feeds and of its volatility."""
    notes = []
    for name, feed in _feeds(instrument, snapshot):
        if feed.age_s is None:
            notes.append(f"{name}: age_s is not known; taken as {policy.feeds.missing_age_s:g} s")
        if feed.confidence is None:
            notes.append(f"{name}: confidence is not known; taken as 0")
    quote = snapshot.quotes.get(instrument.symbol)
    if quote is not None and instrument.kind == "perpetual" and quote.funding_rate_8h is None:
        notes.append(
            f"{instrument.symbol}: funding_rate_8h is not known; {policy.funding.missing_rate_8h:g} is charged"
        )
    if quote is not None and instrument.is_option and quote.vol is None:
        notes.append(f"{instrument.symbol}: no quoted vol; the higher of its smile's and its mark's is used")
    return tuple(notes)


def contingent_charges(
    terms: Contingent, market: PricedMarket, rows: Holding, held: int, policy: MarginPolicy
) -> list[Charge]:
    """Charges by row; orders count as if they were filled, where that is not less.

    Parameters
    ----------
    rows : positions, then orders.
    held : number of positions.
    """
    at, q = rows.instrument, rows.quantity
    size, long = np.abs(q), q > 0
    charges = [*_between(terms, market, rows, held, policy)]
    for name, (of_long, of_short) in terms.rates.items():
        part = size * np.where(long, of_long[at], of_short[at])
        charges.append(Charge(name, part, part))
    return [c for c in charges if not c.is_nothing]


def _basis(terms: Contingent, rows: Holding, delta: FloatArray, held: int) -> FloatArray:
    """Basis at the worst of a few fills of each underlying: none, all, all on one side, each order alone."""
    at, orders = rows.instrument, range(held, len(delta))
    fixed = rows.underlying, terms.expiry[at], terms.basis_rate[at]
    if not orders:
        return offset_charge(delta, *fixed)
    ordered = np.arange(len(delta)) >= held
    kept = [~ordered, np.full(len(delta), True), ~ordered | (delta > 0), ~ordered | (delta < 0)]
    kept += [~ordered | (np.arange(len(delta)) == o) for o in orders]
    charged = np.array([offset_charge(np.where(keep, delta, 0.0), *fixed) for keep in kept])
    width = int(rows.underlying.max()) + 1
    sums = np.array([np.bincount(rows.underlying, weights=parts, minlength=width) for parts in charged])
    worst: FloatArray = charged[np.argmax(sums, axis=0)[rows.underlying], np.arange(len(delta))]
    return worst


def _between(terms: Contingent, market: PricedMarket, rows: Holding, held: int, policy: MarginPolicy) -> list[Charge]:
    """Charges that depend on what positions are to each other."""
    at, q, charges = rows.instrument, rows.quantity, []
    delta, units = terms.delta_usd[at] * q, terms.units[at] * q
    units[held:] = np.minimum(units[held:], 0.0)
    spread = _basis(terms, rows, delta, held)
    if spread.any():
        charges.append(Charge("basis", spread, spread))
    if units.min(initial=0.0) < 0:
        spot = market.spot[rows.underlying]
        charges.append(
            Charge("short options", *short_option_minimum(units, terms.strike[at], spot, policy.short_options))
        )
    return charges
