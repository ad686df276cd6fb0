"""The figure before a trade: an account's sums are kept, a trade adds to a handful of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.errors import ForecastError
from serving.margin.objects import Account
from serving.margin.scenarios.vol import DAYS_PER_YEAR
from serving.margin.sensitivity.account import CROSS, SensitivityMarket, product_of
from serving.margin.sensitivity.crypto_correlations import LABELS
from serving.margin.sensitivity.exposures import at_vertices
from serving.margin.sensitivity.kernel import BASIS_COLUMN, CURVATURE, DELTA, FIRST_VEGA, Tables, tables, worst_total

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FastMarket:
    """A market with the sums of one contract of every instrument, computed once for all accounts."""

    market: SensitivityMarket

    @cached_property
    def tables(self) -> Tables:
        """The calibration as arrays."""
        return tables(self.market.calibration)

    @cached_property
    def at(self) -> tuple[int, ...]:
        """Row of each instrument's underlying in the calibration."""
        names = self.market.calibration.ranges.underlyings
        own = [names.index(name) for name in self.market.market.underlyings]
        return tuple(own[u] for u in self.market.market.underlying)

    @cached_property
    def unit(self) -> FloatArray:
        """Sums of one long contract, shape (n, 3 + vertices)."""
        own = self.market.exposures
        out = np.zeros((len(own.delta), FIRST_VEGA + len(LABELS)))
        out[:, DELTA], out[:, BASIS_COLUMN] = own.delta, own.delta * own.days / DAYS_PER_YEAR
        out[:, CURVATURE] = own.bend
        for row in np.flatnonzero(self.market.market.options.is_option):
            for label, share in at_vertices(float(own.days[row])):
                out[row, FIRST_VEGA + LABELS.index(label)] = own.vega[row] * share
        return out


@dataclass(frozen=True, slots=True)
class Sums:
    """Of the positions of one product, shape (u, 3 + vertices) each.

    ``whole``: of all of them. ``rest``: without the options held long, which are worth ``long_usd``.
    ``held``: contracts by instrument.
    """

    whole: FloatArray
    rest: FloatArray
    long_usd: float
    held: Mapping[int, float]
    margin: float


@dataclass(frozen=True, slots=True)
class FastAccount:
    """An account's sensitivity margin that can be added to; it never changes, adding gives a new one."""

    market: FastMarket
    products: Mapping[str, Sums]

    @property
    def total(self) -> float:
        """Sensitivity margin, USD."""
        return math.fsum(own.margin for own in self.products.values())

    def added(self, symbol: str, quantity: float, product: str = CROSS) -> "FastAccount":
        """The account after a trade of a signed number of contracts.

        Raises
        ------
        ForecastError
            If the quantity is not finite.
        UnknownInstrumentError, MarketError, ExpiredError
            If the market does not have the instrument or cannot price it.
        """
        row = self.market.market.market.row(symbol)
        if not math.isfinite(quantity):
            raise ForecastError(f"{symbol}: quantity is {quantity}, not a finite number; give a number")
        found = _added(self.market, self.products.get(product), [(row, quantity)])
        return FastAccount(self.market, {**self.products, product: _margined(self.market, found)})

    def what_if(self, symbol: str, quantity: float, product: str = CROSS) -> tuple[float, float]:
        """Margin after a trade and its difference from now, USD."""
        after = self.added(symbol, quantity, product).total
        return after, after - self.total


def fast_account(account: Account, market: FastMarket) -> FastAccount:
    """Sums of an account's positions; their order changes them by rounding at most."""
    found: dict[str, list[tuple[int, float]]] = {}
    for position in account.positions:
        row = market.market.market.row(position.instrument)
        found.setdefault(product_of(position), []).append((row, float(position.quantity)))
    return FastAccount(market, {name: _margined(market, _added(market, None, own)) for name, own in found.items()})


def _added(market: FastMarket, old: Sums | None, trades: Sequence[tuple[int, float]]) -> Sums:
    """Add contracts (row, quantity) to a product's sums; the margin is still that of the old sums."""
    if old is None:
        nothing = np.zeros(market.tables.weights.shape)
        old = Sums(nothing, nothing, 0.0, {}, 0.0)
    whole, rest, long_usd, held = old.whole.copy(), old.rest.copy(), old.long_usd, dict(old.held)
    priced = market.market.market
    for row, quantity in trades:
        before, at, unit, change = held.get(row, 0.0), market.at[row], market.unit[row], quantity
        held[row] = after = before + quantity
        if priced.options.is_option[row]:
            change = min(after, 0.0) - min(before, 0.0)
            long_usd += (max(after, 0.0) - max(before, 0.0)) * float(priced.mark_usd[row])
        whole[at] += quantity * unit
        rest[at] += change * unit
    return Sums(whole, rest, long_usd, held, old.margin)


def _margined(market: FastMarket, own: Sums) -> Sums:
    """The same sums with their margin: no more than that of the rest and the whole value of the long options."""
    margin = worst_total(own.whole, market.tables)
    if own.long_usd > 0.0:
        margin = min(margin, worst_total(own.rest, market.tables) + own.long_usd)
    if not math.isfinite(margin):
        raise ForecastError("sensitivity margin is not finite; no margin is made of it: correct the inputs")
    return Sums(own.whole, own.rest, own.long_usd, own.held, margin)
