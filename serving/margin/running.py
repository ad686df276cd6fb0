"""An account whose requirement is kept up to date: of a trade only what it touches is computed again.

The figures are those of the statement before they are rounded to the cent: the fast
answer before a trade. The statement itself is :func:`serving.margin.quote.quote`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import AccountError
from serving.margin.aggregate import Holding
from serving.margin.closing_costs import ClosingCost, added_by_size, closing_cost, sizes, vega_charge
from serving.margin.contingent import contingent_charges
from serving.margin.debts import debt_charges
from serving.margin.expired import NAME
from serving.margin.holdings import Book, book_of, refuse_absurd
from serving.margin.objects import Account
from serving.margin.prepared import Prepared, Stress
from serving.margin.quote import netted
from serving.margin.scan_charges import HOLE, fills, profits, with_orders
from serving.margin.scan_loss import Profits, ScanLoss, scan_loss

FloatArray = NDArray[np.float64]
LARGEST_CONTRACTS: Final = 1e12


@dataclass(frozen=True, slots=True)
class Figures:
    """Requirement by component, USD, unrounded: initial and maintenance margin."""

    components: dict[str, tuple[float, float]]

    @property
    def maintenance(self) -> float:
        """Maintenance margin."""
        return sum(maintenance for _, maintenance in self.components.values())

    @property
    def initial(self) -> float:
        """Initial margin, never below maintenance."""
        return max(sum(initial for initial, _ in self.components.values()), self.maintenance)


@dataclass(frozen=True, slots=True)
class Running:
    """Cross positions and orders of an account with their sums.

    ``initial``, ``maintenance``: USD profit of the positions over both periods of risk.
    ``costs``: of closing, by underlying. ``debts``: charge for them, initial and maintenance, USD.
    ``before``: the same account as if no forecast had expired; None where none has.
    """

    prepared: Prepared
    book: Book
    initial: Profits
    maintenance: Profits
    costs: tuple[ClosingCost, ...]
    debts: tuple[float, float]
    before: "Running | None" = None

    def after(self, symbol: str, contracts: float) -> "Running":
        """The account after one trade at the mark.

        Parameters
        ----------
        symbol : instrument.
        contracts : signed.

        Raises
        ------
        AccountError
            If the quantity is not finite or absurd.
        UnknownInstrumentError, MarketError, ExpiredError
            If the instrument cannot be priced.
        """
        if not abs(contracts) <= LARGEST_CONTRACTS:
            raise AccountError(f"trade in {symbol}: {contracts} contracts; give a finite, sensible number")
        row = self.prepared.market.row(symbol)
        u = int(self.prepared.market.underlying[row])
        book = _traded(self.book, row, u, contracts)
        self._refuse_absurd(book, row, u, symbol)
        prepared = self.prepared
        size = sizes(prepared.closing, book.rows, len(book.positions.quantity), len(self.costs))
        costs = list(self.costs)
        costs[u] = closing_cost(prepared.closing, prepared.market, u, size, prepared.policy)
        initial = _moved(self.initial, prepared.initial, row, u, contracts)
        maintenance = _moved(self.maintenance, prepared.maintenance, row, u, contracts)
        before = None if self.before is None else self.before.after(symbol, contracts)
        return Running(prepared, book, initial, maintenance, tuple(costs), self.debts, before)

    def _refuse_absurd(self, book: Book, row: int, u: int, symbol: str) -> None:
        """Refuse a trade after which the position is larger than the policy's largest."""
        prepared = self.prepared
        quantity = float(book.positions.quantity[book.positions.instrument == row].sum())
        spot = float(prepared.market.spot[u] * prepared.market.usd_per_point[row])
        if abs(quantity) * max(abs(float(prepared.market.mark_usd[row])), spot) > prepared.policy.largest_position_usd:
            refuse_absurd(book, prepared.market, (symbol,) * len(book.unpriced), prepared.policy)

    def figures(self) -> Figures:
        """The requirement as it stands, by component."""
        now = self._figures()
        if self.before is None:
            return now
        sums = (np.array(list(found.components.values())).sum(axis=0) for found in (now, self.before.figures()))
        lack = np.maximum(-np.subtract(*sums), 0.0)
        return Figures(now.components | {NAME: (float(lack[0]), float(lack[1]))})

    def _figures(self) -> Figures:
        prepared = self.prepared
        paths = prepared.policy.paths
        losses = []
        for held, stress in ((self.initial, prepared.initial), (self.maintenance, prepared.maintenance)):
            filled = with_orders(held, stress, self.book) if len(self.book.orders.quantity) else None
            losses.append(scan_loss(held, stress.paths, paths, filled, fills(held, stress, self.book)))
        initial, maintenance = losses

        def both(part: Callable[[ScanLoss], float]) -> tuple[float, float]:
            return part(initial), part(maintenance)

        extra = [added_by_size(self.costs, loss, margin) for margin, loss in enumerate(losses)]
        liquidity = sum(c.liquidity for c in self.costs)
        unpriced = float(np.add.reduce(self.book.unpriced))
        found = {
            "scan": both(lambda loss: float(np.add.reduce(loss.losses))),
            HOLE: (
                float(initial.losses @ prepared.initial.hole),
                float(maintenance.losses @ prepared.maintenance.hole),
            ),
            "inter-underlying credit": both(lambda loss: -loss.credit),
            "joint paths": both(lambda loss: loss.excess),
            "no price": (unpriced, unpriced),
            "debts": self.debts,
            "liquidity": (liquidity, liquidity),
            "time to close": (float(np.add.reduce(extra[0][0])), float(np.add.reduce(extra[1][0]))),
            "concentration": (float(np.add.reduce(extra[0][1])), float(np.add.reduce(extra[1][1]))),
        }
        return Figures(found | self._of_rows())

    def _of_rows(self) -> dict[str, tuple[float, float]]:
        """Components that are sums over positions: cheap enough to be computed whole."""
        prepared, rows, held = self.prepared, self.book.rows, len(self.book.positions.quantity)
        charges = contingent_charges(prepared.contingent, prepared.market, rows, held, prepared.policy)
        vega = float(np.add.reduce(vega_charge(prepared.closing, rows, held, prepared.policy)))
        sums = {c.name: c.sums for c in charges}
        return sums | {"spread of options": (vega, vega)}


def running(account: Account, prepared: Prepared) -> Running:
    """Sum an account's cross positions and orders once.

    Raises
    ------
    AccountError, UnknownInstrumentError, ExpiredError, MarketError
        As :func:`serving.margin.quote.quote`.
    """
    return _running(netted(account), prepared)


def _running(account: Account, prepared: Prepared) -> Running:
    cross = tuple(p for p in account.positions if p.mode == "cross")
    book = book_of(account, cross, prepared.market, prepared.policy)
    closing, market, policy = prepared.closing, prepared.market, prepared.policy
    width = len(market.underlyings)
    size = sizes(closing, book.rows, len(book.positions.quantity), width)
    costs = tuple(closing_cost(closing, market, u, size, policy) for u in range(width))
    owed = [float(np.add.reduce(part)) for part in debt_charges(account, prepared)]
    grids = profits(prepared.initial, book), profits(prepared.maintenance, book)
    before = None if prepared.before is None else _running(account, prepared.before)
    return Running(prepared, book, *grids, costs, (owed[0], owed[1]), before)


def _traded(book: Book, row: int, u: int, contracts: float) -> Book:
    """Positions with one grown, or one more, which at the mark has neither profit nor fault."""
    held = book.positions
    found = np.flatnonzero((held.instrument == row) & (held.quantity != 0))
    if len(found):
        quantity = held.quantity.copy()
        quantity[found[0]] += contracts
        return replace(book, positions=Holding(held.instrument, held.underlying, quantity))
    more = Holding(np.append(held.instrument, row), np.append(held.underlying, u), np.append(held.quantity, contracts))
    unpriced = np.insert(book.unpriced, len(held.quantity), 0.0)
    return replace(book, positions=more, unpriced=unpriced, unrealised=np.append(book.unrealised, 0.0))


def _moved(pnl: Profits, stress: Stress, row: int, u: int, contracts: float) -> Profits:
    """Sums over scenarios and paths after a trade in one instrument."""
    grid, wider, paths = pnl.grid.copy("K"), pnl.wider.copy("K"), pnl.paths
    grid[:, u] += contracts * stress.unit[:, row]
    wider[:, u] += contracts * stress.wider[:, row]
    if paths is not None and stress.path_unit is not None:
        paths = paths.copy("K")
        paths[:, u] += contracts * stress.path_unit[:, row]
    return Profits(grid, wider, paths)
