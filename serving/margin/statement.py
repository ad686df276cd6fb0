"""From charges to a statement that adds up to the cent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from serving.margin.charge import Charge, allocated
from serving.margin.money import split, up
from serving.margin.objects import Component, PositionMargin

FloatArray = NDArray[np.float64]
ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Row:
    """What a line of the statement stands for: a position, or an order."""

    instrument: str
    mode: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """Requirement, its components and each row's part; both add up to it."""

    initial: Decimal
    maintenance: Decimal
    components: tuple[Component, ...]
    positions: tuple[PositionMargin, ...]


def statement(charges: Sequence[Charge], rows: Sequence[Row]) -> Statement:
    """Round every component up to the cent and give its cents to the rows.

    Initial margin below maintenance is raised to it by a component ``maintenance floor``.

    Parameters
    ----------
    charges : named parts of the requirement, each with one number a row.
    rows : what the numbers belong to.

    Examples
    --------
    >>> rows = [Row("A", "cross", Decimal(1)), Row("B", "cross", Decimal(-1))]
    >>> said = statement([Charge("scan", np.array([10.0, -3.333]), np.array([8.0, 0.0]))], rows)
    >>> said.initial, said.maintenance, [str(p.initial) for p in said.positions]
    (Decimal('8.00'), Decimal('8.00'), ['11.33', '-3.33'])
    """
    named = _with_floor(charges, len(rows))
    initial = {c.name: _cents(c.initial, c.name) for c in named}
    maintenance = {c.name: _cents(c.maintenance, c.name) for c in named}
    components = tuple(
        Component(name=name, initial=sum(initial[name], ZERO), maintenance=sum(maintenance[name], ZERO))
        for name in initial
    )
    positions = tuple(_position(row, i, initial, maintenance) for i, row in enumerate(rows))
    return Statement(
        _sum(c.initial for c in components), _sum(c.maintenance for c in components), components, positions
    )


def _with_floor(charges: Sequence[Charge], count: int) -> list[Charge]:
    """Add what initial margin lacks of maintenance, after rounding."""
    kept = [c for c in charges if c.initial.any() or c.maintenance.any()]
    initial = _sum(_total(c.initial, c.name) for c in kept)
    maintenance = _sum(_total(c.maintenance, c.name) for c in kept)
    lacking = max(maintenance, ZERO) - initial
    if lacking > 0:
        each = sum((c.maintenance for c in kept), np.zeros(count))
        kept.append(Charge("maintenance floor", allocated(float(lacking), each), np.zeros(count)))
    return kept


def _total(amounts: FloatArray, name: str) -> Decimal:
    return up(float(np.add.reduce(amounts)), name)


def _cents(amounts: FloatArray, name: str) -> tuple[Decimal, ...]:
    """Cents of each row, which add up to the sum rounded up."""
    return split(_total(amounts, name), amounts)


def _position(
    row: Row, at: int, initial: dict[str, tuple[Decimal, ...]], maintenance: dict[str, tuple[Decimal, ...]]
) -> PositionMargin:
    return PositionMargin(
        instrument=row.instrument,
        mode=row.mode,
        quantity=row.quantity,
        initial=_sum(cents[at] for cents in initial.values()),
        maintenance=_sum(cents[at] for cents in maintenance.values()),
        components={name: cents[at] for name, cents in initial.items() if cents[at] or maintenance[name][at]},
    )


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)
