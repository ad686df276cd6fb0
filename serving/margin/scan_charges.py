"""The scan as charges: worst scenarios, credit between underlyings, joint paths, open orders, what has no price."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.margin.aggregate import Holding, summed
from serving.margin.charge import Charge, allocated
from serving.margin.holdings import Book
from serving.margin.orders import order_losses
from serving.margin.policy import PathPolicy
from serving.margin.prepared import Prepared, Stress
from serving.margin.scan_loss import Profits, ScanLoss, path_contributions, scan_loss

FloatArray = NDArray[np.float64]
HOLE: Final = "incomplete forecast"


@dataclass(frozen=True, slots=True)
class Scanned:
    """One margin's scan of one account: its loss and each row's part of every component, shape (rows,)."""

    loss: ScanLoss
    parts: dict[str, FloatArray]


def scanned(stress: Stress, book: Book, policy: PathPolicy) -> Scanned:
    """Scan one account over one period of risk and give every component to the rows that cause it."""
    held = profits(stress, book)
    loss = scan_loss(held, stress.paths, policy, filled(stress, book), fills(held, stress, book))
    worst = _worst_parts(stress, book, loss)
    parts = {
        "scan": worst,
        HOLE: worst * stress.hole[book.rows.underlying],
        "inter-underlying credit": np.zeros(len(book.unpriced)),
        "joint paths": np.zeros(len(book.unpriced)),
        "no price": book.unpriced,
    }
    if loss.credit:
        parts["inter-underlying credit"] = _credit_parts(stress, loss, parts["scan"], book.rows)
    if loss.excess and stress.path_unit is not None and stress.paths is not None:
        shares = path_contributions(
            _row_profits(stress.path_unit, book), book.rows.underlying, stress.paths.orders[loss.law], policy.es_level
        )
        parts["joint paths"] = allocated(loss.excess, shares)
    elif loss.excess:
        parts["joint paths"] = allocated(loss.excess, np.maximum(parts["scan"], 0.0))
    return Scanned(loss, parts)


def profits(stress: Stress, book: Book) -> Profits:
    """USD profit of the positions by scenario and underlying, and on the joint paths."""
    width = len(stress.ranges.underlyings)
    paths = None if stress.path_unit is None else summed(stress.path_unit, book.positions, width)
    grid, wider = (summed(unit, book.positions, width) for unit in (stress.unit, stress.wider))
    return Profits(grid, wider, paths)


def filled(stress: Stress, book: Book) -> Profits | None:
    """The same with every order filled where that hurts; None without orders."""
    return with_orders(profits(stress, book), stress, book) if len(book.orders.quantity) else None


def fills(held: Profits, stress: Stress, book: Book) -> list[FloatArray]:
    """Profits on the joint paths with all orders filled, with the buying and with the selling ones."""
    quantity = book.orders.quantity
    if held.paths is None or stress.path_unit is None or not len(quantity):
        return []
    width = held.paths.shape[1]
    sides = (quantity, np.maximum(quantity, 0.0), np.minimum(quantity, 0.0))
    orders = (Holding(book.orders.instrument, book.orders.underlying, side) for side in sides)
    return [held.paths + summed(stress.path_unit, side, width) for side in orders]


def with_orders(held: Profits, stress: Stress, book: Book) -> Profits:
    """Profits less what orders lose where they lose."""
    width = len(stress.ranges.underlyings)
    grid = held.grid - order_losses(stress.unit, book.orders, book.gap_usd, width)
    wider = held.wider - order_losses(stress.wider, book.orders, book.gap_usd, width)
    if held.paths is None or stress.path_unit is None:
        return Profits(grid, wider, None)
    return Profits(grid, wider, held.paths - order_losses(stress.path_unit, book.orders, book.gap_usd, width))


def _worst_parts(stress: Stress, book: Book, loss: ScanLoss) -> FloatArray:
    """Loss of every row in the worst scenario of its underlying; an order's only where filling hurts."""
    rows = book.rows
    worst = loss.worst[rows.underlying]
    parts = np.where(worst >= 0, -rows.quantity * stress.unit[worst, rows.instrument], 0.0)
    held = len(book.positions.quantity)
    parts[held:] = np.where(worst[held:] >= 0, np.maximum(parts[held:] + book.gap_usd, 0.0), 0.0)
    return parts


def _row_profits(unit: FloatArray, book: Book) -> FloatArray:
    """USD profit of each row on each path; of an order what it loses by filling, where it loses."""
    rows, held = book.rows, len(book.positions.quantity)
    each: FloatArray = unit[:, rows.instrument] * rows.quantity
    each[:, held:] = np.minimum(each[:, held:] - book.gap_usd, 0.0)
    return each


def _credit_parts(stress: Stress, loss: ScanLoss, scan: FloatArray, rows: Holding) -> FloatArray:
    """Each covered underlying's share of the credit, then by row as the scan is."""
    covered = np.zeros(len(loss.losses), dtype=bool) if stress.paths is None else stress.paths.covered
    return -allocated(loss.credit, np.where(covered[rows.underlying], scan, 0.0))


def scan_charges(prepared: Prepared, book: Book) -> tuple[list[Charge], Scanned, Scanned]:
    """Charges of the scan for both margins, and what they come from."""
    initial = scanned(prepared.initial, book, prepared.policy.paths)
    maintenance = scanned(prepared.maintenance, book, prepared.policy.paths)
    charges = [Charge(name, part, maintenance.parts[name]) for name, part in initial.parts.items()]
    return [c for c in charges if c.name == "scan" or not c.is_nothing], initial, maintenance
