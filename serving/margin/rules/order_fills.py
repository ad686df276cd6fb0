r"""Open orders under a rule that looks at positions alone: its requirement at the worst combination of fills.

.. math:: charge = \max_F \left(R(F) + \sum_{o \in F} g_o\right) - R(\varnothing) \ge 0

over the sets F of orders that fill at the mark, with R the rule's requirement of the positions
that are held then and g the loss of a fill at the order's price against the mark. R of a rule on scenarios is
a largest loss, convex in every position, so that it is worst where the orders of one side of an instrument fill all
or not at all: they go together (SPAN's credits are not convex: a partial fill may ask a little more). With up to
``EXACT`` such sides every combination is tried, beyond that the search climbs from four starts, one side at a time,
and says so.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import product
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.margin.charge import Charge, allocated, total
from serving.margin.objects import Account

FloatArray = NDArray[np.float64]
Rule = Callable[[Account], Sequence[Charge]]
Fill = tuple[bool, ...]
NAME: Final = "open orders"
EXACT: Final = 6
ROUNDS: Final = 4


@dataclass(frozen=True, slots=True)
class Side:
    """All orders of one side of one instrument: row of its position, signed contracts, loss by filling, USD."""

    row: int
    contracts: Decimal
    gap_usd: float


def order_charge(account: Account, gap_usd: FloatArray, rule: Rule) -> tuple[Charge, bool]:
    """What open orders add at their worst, given to the rows that fill then; and whether every fill was tried.

    Parameters
    ----------
    account : with a cross position, of 0 where none is held, in every instrument that has an order.
    gap_usd : array of shape (orders,), loss by filling at the order's price, not negative.
    rule : charges of an account without orders.
    """
    sides = _sides(account, gap_usd)

    @cache
    def cost(fill: Fill) -> tuple[float, float]:
        gap = sum(side.gap_usd for side, fills in zip(sides, fill, strict=True) if fills)
        initial, maintenance = total(rule(_filled(account, sides, fill)))
        return initial + gap, maintenance + gap

    rows = len(account.positions)
    initial = _part(sides, lambda fill: cost(fill)[0], rows)
    maintenance = _part(sides, lambda fill: cost(fill)[1], rows)
    return Charge(NAME, initial, maintenance), len(sides) <= EXACT


def of_held(account: Account, rule: Rule) -> list[Charge]:
    """Charges of the positions that are not 0, in rows of all: a market that nothing is held in counts for no rule."""
    rows = [i for i, position in enumerate(account.positions) if position.quantity]
    if len(rows) == len(account.positions):
        return list(rule(account))
    held = msgspec.structs.replace(account, positions=tuple(account.positions[i] for i in rows))

    def spread(parts: FloatArray) -> FloatArray:
        whole = np.zeros(len(account.positions))
        whole[rows] = parts
        return whole

    return [Charge(c.name, spread(c.initial), spread(c.maintenance)) for c in rule(held)]


def _sides(account: Account, gap_usd: FloatArray) -> list[Side]:
    """Orders of one side of an instrument as one."""
    row = {position.instrument: i for i, position in enumerate(account.positions)}
    found: dict[tuple[int, bool], Side] = {}
    for order, gap in zip(account.orders, gap_usd.tolist(), strict=True):
        key = row[order.instrument], order.side == "buy"
        before = found.get(key, Side(key[0], Decimal(0), 0.0))
        signed = order.quantity if key[1] else -order.quantity
        found[key] = Side(key[0], before.contracts + signed, before.gap_usd + gap)
    return list(found.values())


def _filled(account: Account, sides: Sequence[Side], fill: Fill) -> Account:
    """The account after fills at the mark, without orders."""
    quantity = [position.quantity for position in account.positions]
    for side, fills in zip(sides, fill, strict=True):
        quantity[side.row] += side.contracts if fills else 0
    replace = msgspec.structs.replace
    positions = tuple(replace(p, quantity=q) for p, q in zip(account.positions, quantity, strict=True))
    return replace(account, positions=positions, orders=())


def _part(sides: Sequence[Side], cost: Callable[[Fill], float], rows: int) -> FloatArray:
    """Charge for one margin by row: by what each side that fills would add alone."""
    none = (False,) * len(sides)
    every = product((False, True), repeat=len(sides)) if len(sides) <= EXACT else _climbed(sides, cost)
    worst = max(every, key=cost)
    share, filling = np.zeros(rows), np.zeros(rows)
    for i, side in enumerate(sides):
        if worst[i]:
            filling[side.row] = 1.0
            share[side.row] += max(cost(tuple(j == i for j in range(len(sides)))) - cost(none), 0.0)
    return allocated(max(cost(worst) - cost(none), 0.0), share if share.any() else filling)


def _climbed(sides: Sequence[Side], cost: Callable[[Fill], float]) -> Iterable[Fill]:
    """No fill, and the dearest fills within one turn of a side from all, from all buys and from all sells."""
    buys = tuple(side.contracts > 0 for side in sides)
    none = (False,) * len(sides)
    yield none
    for fill in (none, (True,) * len(sides), buys, tuple(not b for b in buys)):
        for _ in range(ROUNDS):
            before = fill
            for i in range(len(sides)):
                turned = (*fill[:i], not fill[i], *fill[i + 1 :])
                fill = max(fill, turned, key=cost)
            if fill == before:
                break
        yield fill
