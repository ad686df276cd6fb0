"""From charges to a statement that adds up to the cent."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from serving.margin.charge import Charge, allocated
from serving.margin.money import CENT, cents, up, usd
from serving.margin.objects import Component, PositionMargin

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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
    kept = [c for c in charges if not c.is_nothing]
    names = [c.name for c in kept]
    both = _table([c.initial for c in kept] + [c.maintenance for c in kept], len(rows))
    initial, maintenance = both[: len(kept)], both[len(kept) :]
    lacking = max(int(maintenance.sum()), 0) - int(initial.sum())
    if lacking > 0:
        names.append("maintenance floor")
        initial, maintenance = _floored(initial, maintenance, lacking)
    components = tuple(
        Component(name=name, initial=usd(int(i)), maintenance=usd(int(m)))
        for name, i, m in zip(names, initial.sum(axis=1), maintenance.sum(axis=1), strict=True)
    )
    positions = _positions(rows, names, initial, maintenance.sum(axis=0).tolist())
    return Statement(usd(int(initial.sum())), usd(int(maintenance.sum())), components, positions)


def _positions(
    rows: Sequence[Row], names: Sequence[str], initial: IntArray, maintenance: list[int]
) -> tuple[PositionMargin, ...]:
    """Each row's part, in all and by component; ``initial``: cents by component and row, ``maintenance``: by row."""
    parts: list[dict[str, Decimal]] = [{} for _ in rows]
    for name, line in zip(names, initial.tolist(), strict=True):
        for own, amount in zip(parts, line, strict=True):
            if amount:
                own[name] = amount * CENT
    sums = zip(rows, parts, initial.sum(axis=0).tolist(), maintenance, strict=True)
    return tuple(
        [
            PositionMargin(
                instrument=row.instrument,
                mode=row.mode,
                quantity=row.quantity,
                initial=whole * CENT,
                maintenance=kept * CENT,
                components=own,
            )
            for row, own, whole, kept in sums
        ]
    )


def _floored(initial: IntArray, maintenance: IntArray, lacking: int) -> tuple[IntArray, IntArray]:
    """Give what initial margin lacks of maintenance to the rows as maintenance is; in cents."""
    shares = allocated(lacking / 100, maintenance.sum(axis=0).astype(np.float64))
    more = cents([usd(lacking)], shares[None, :])
    return np.vstack([initial, more]), np.vstack([maintenance, np.zeros_like(more)])


def _table(parts: Sequence[FloatArray], count: int) -> IntArray:
    """Cents by component and row; each component's add up to its sum rounded up; shape (components, rows)."""
    totals = [up(float(np.add.reduce(part)), "a part of the requirement") for part in parts]
    return cents(totals, np.array(parts, dtype=np.float64).reshape(len(parts), count))
