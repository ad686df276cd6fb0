"""Contingencies of one account: short options, basis, funding, a fallen stablecoin, doubtful and old prices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.margin.charge import Charge
from serving.margin.contingencies.basis import basis
from serving.margin.contingencies.depeg import depeg
from serving.margin.contingencies.feeds import low_confidence, stale_price
from serving.margin.contingencies.funding import funding
from serving.margin.contingencies.short_options import short_option_minimum
from serving.margin.holdings import Book
from serving.margin.objects import Instrument, MarketSnapshot
from serving.margin.policy import MarginPolicy
from serving.margin.priced_market import PricedMarket
from serving.margin.ranges import Ranges
from serving.margin.unit_greeks import UnitGreeks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Feeds:
    """What contingencies look at, of one contract of every instrument, shape (n,) each.

    ``notional_usd``: at spot. ``units``: of the underlying, of an option; else 0. ``strike``: index of the
    underlying, expiry and strike. ``expiry``: of the underlying and expiry. ``stable``: price of the
    stablecoin it settles in, 1 for other assets. ``confidence``, ``age_s``: of the worst and the oldest
    price that it is valued with. ``loss_frac``: range of its underlying. ``spot``: 1 for spot, else 0.
    """

    notional_usd: FloatArray
    units: FloatArray
    strike: IntArray
    expiry: IntArray
    funding_rate_8h: FloatArray
    stable: FloatArray
    confidence: FloatArray
    age_s: FloatArray
    loss_frac: FloatArray
    perpetual: BoolArray
    spot: FloatArray


def feeds_of(market: PricedMarket, ranges: Ranges) -> Feeds:
    """Gather the feeds of every instrument once."""
    snapshot = market.snapshot
    listed = snapshot.instruments
    strikes: dict[object, int] = {}
    expiries: dict[object, int] = {}
    strike = [strikes.setdefault((i.underlying, i.expiry_ns, i.strike), len(strikes)) for i in listed]
    expiry = [expiries.setdefault((i.underlying, i.expiry_ns), len(expiries)) for i in listed]
    doubts = np.array([_doubt(i, snapshot) for i in listed], dtype=np.float64).reshape(-1, 3)
    linear = ~market.options.is_option
    spot = market.spot[market.underlying]
    units = np.array([float(i.multiplier) if i.is_option else 0.0 for i in listed], dtype=np.float64)
    width = np.maximum(ranges.down, ranges.up)[market.underlying]
    return Feeds(
        np.where(linear, market.mark_usd, market.usd_per_point * spot),
        units,
        np.array(strike, dtype=np.int64),
        np.array(expiry, dtype=np.int64),
        np.array([_funding_rate(i, snapshot) for i in listed], dtype=np.float64),
        doubts[:, 0],
        doubts[:, 1],
        doubts[:, 2],
        width,
        np.array([i.kind == "perpetual" for i in listed], dtype=np.bool_),
        np.array([float(i.kind == "spot") for i in listed], dtype=np.float64),
    )


def _funding_rate(instrument: Instrument, snapshot: MarketSnapshot) -> float:
    quote = snapshot.quotes.get(instrument.symbol)
    return 0.0 if quote is None else quote.funding_rate_8h


def _doubt(instrument: Instrument, snapshot: MarketSnapshot) -> tuple[float, float, float]:
    """Price of the stablecoin it settles in, worst confidence and greatest age of what it is valued with."""
    asset, quote = snapshot.assets.get(instrument.settlement), snapshot.quotes.get(instrument.symbol)
    underlying = snapshot.underlyings.get(instrument.underlying)
    confidences = [x.confidence for x in (asset, quote, underlying) if x is not None]
    ages = [x.age_s for x in (asset, quote, underlying) if x is not None]
    if underlying is not None and instrument.is_option:
        curve = [f.confidence for f in underlying.forwards if f.expiry_ns == instrument.expiry_ns]
        smiles = [s.confidence for s in underlying.smiles if s.expiry_ns == instrument.expiry_ns]
        confidences += [*curve, *smiles]
    stable = float(asset.price_usd) if asset is not None and asset.stable else 1.0
    return stable, min(confidences, default=0.0), max(ages, default=0.0)


def contingent_charges(
    feeds: Feeds, greeks: UnitGreeks, market: PricedMarket, book: Book, policy: MarginPolicy
) -> list[Charge]:
    """Charges of one account, by row; orders count as if they were filled, where that is not less."""
    rows = book.rows
    at, q = rows.instrument, rows.quantity
    held = np.arange(len(q)) < len(book.positions.quantity)
    notional = feeds.notional_usd[at] * q
    delta = np.where(held, greeks.delta_usd[at] * q, 0.0)
    units = feeds.units[at] * np.where(held, q, np.minimum(q, 0.0))
    spot = market.spot[rows.underlying]
    years = market.options.years[at]
    horizon = np.full(len(q), float(policy.scan.mpor_s))
    short_initial, short_maintenance = short_option_minimum(units, feeds.strike[at], spot, policy.short_options)
    same = {
        "basis": basis(delta, rows.underlying, feeds.expiry[at], years, feeds.spot[at], policy.basis),
        "funding": funding(np.where(feeds.perpetual[at], notional, 0.0), feeds.funding_rate_8h[at], policy.funding),
        "stablecoin": depeg(notional, feeds.stable[at], policy.depeg),
        "feed confidence": low_confidence(notional, feeds.confidence[at], policy.feeds),
        "old prices": stale_price(notional, feeds.loss_frac[at], feeds.age_s[at], horizon, policy.feeds),
    }
    charges = [Charge("short options", short_initial, short_maintenance)]
    charges += [Charge(name, part, part) for name, part in same.items()]
    return [c for c in charges if c.initial.any() or c.maintenance.any()]
