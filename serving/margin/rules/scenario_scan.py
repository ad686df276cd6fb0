"""What rules on scenarios share: the positions, their worst loss per underlying, and the table of scenarios."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.margin.holdings import Book, book_of
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.policy import MarginPolicy, ScenarioPolicy
from serving.margin.priced_market import PricedMarket, price_market
from serving.margin.scenarios.scenario_set import ScenarioSet, scenario_set
from serving.margin.unit_greeks import UnitGreeks, unit_greeks
from serving.margin.units import unit_pnl

FloatArray = NDArray[np.float64]


class Shock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scenario of a venue: relative move of spot and of volatility at 30 days, and the share that counts."""

    spot: float
    vol: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Scan:
    """Positions of an account and their profit in each scenario.

    ``pnl``, shape (s, p): USD, weighted. ``worst``, shape (p,): loss of each position in the worst
    scenario of its underlying, 0 for all of an underlying that loses in none.
    """

    market: PricedMarket
    book: Book
    greeks: UnitGreeks
    pnl: FloatArray
    worst: FloatArray

    @property
    def delta_usd(self) -> FloatArray:
        """Delta of each position, USD, shape (p,)."""
        held = self.book.positions
        return self.greeks.delta_usd[held.instrument] * held.quantity

    def by_underlying(self, amounts: FloatArray) -> FloatArray:
        """Sum of positions' amounts per underlying, shape (u,)."""
        width = len(self.market.underlyings)
        total: FloatArray = np.bincount(self.book.positions.underlying, weights=amounts, minlength=width).astype(
            np.float64
        )
        return total


def shocks(table: Sequence[Shock], width: int) -> ScenarioSet:
    """A venue's table of scenarios, the same for u underlyings."""
    spread = np.ones((1, width))
    return scenario_set(
        [f"spot {shock.spot:+.0%}, vol {shock.vol:+.0%}" for shock in table],
        np.array([[shock.spot] for shock in table]) * spread,
        np.array([[shock.vol] for shock in table]) * spread,
        np.array([[shock.weight] for shock in table]) * spread,
    )


def scan(account: Account, market: MarketSnapshot, scenarios: ScenarioSet, terms: ScenarioPolicy) -> Scan:
    """Value all positions of an account, cross and isolated, in every scenario; open orders are not looked at.

    Raises
    ------
    UnknownInstrumentError, ExpiredError, MarketError, AccountError
        If a position cannot be priced.
    """
    priced = price_market(market)
    bare = msgspec.structs.replace(account, orders=())
    book = book_of(bare, account.positions, priced, MarginPolicy())
    held = book.positions
    pnl = unit_pnl(priced, scenarios, terms)[:, held.instrument] * held.quantity
    return Scan(priced, book, unit_greeks(priced), pnl, worst_parts(pnl, held.underlying, len(priced.underlyings)))


def worst_parts(pnl: FloatArray, underlying: NDArray[np.int64], width: int) -> FloatArray:
    """Loss of each position in its underlying's worst scenario, shape (p,): Euler's allocation of the maximum."""
    parts = np.zeros(pnl.shape[1])
    for u in range(width):
        rows = np.flatnonzero(underlying == u)
        if not len(rows):
            continue
        total = np.add.reduce(pnl[:, rows], axis=1)
        worst = int(np.argmin(total))
        if total[worst] < 0:
            parts[rows] = -pnl[worst, rows]
    return parts
