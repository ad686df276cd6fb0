"""What a trade would change: only what the trade touches is computed again."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.errors import AccountError
from serving.margin.objects import Account, MarginResult, Position
from serving.margin.objects.checks import finite

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a comparison, USD."""

    name: str
    before: Decimal
    after: Decimal

    @property
    def difference(self) -> Decimal:
        """After less before."""
        return self.after - self.before


def traded(account: Account, trades: Mapping[str, Decimal]) -> Account:
    """The account after trades at the mark: cross positions grow, shrink, turn, appear or go.

    The requirement of a quote of it is that of the account after the trades; its levels are not: what the trades
    cost and realise is not moved. A trade at the mark leaves the equity as it was before.

    Parameters
    ----------
    trades : signed contracts by instrument.

    Raises
    ------
    AccountError
        If a quantity is not finite, or the account holds an instrument isolated.

    Examples
    --------
    >>> held = Account(account_id="a", positions=(Position(instrument="X", quantity=Decimal(2)),))
    >>> [(p.instrument, int(p.quantity)) for p in traded(held, {"X": Decimal(-2), "Y": Decimal(1)}).positions]
    [('Y', 1)]
    """
    for symbol, quantity in trades.items():
        finite(quantity, f"trade in {symbol}: quantity", AccountError)
    apart = {p.instrument for p in account.positions if p.mode == "isolated"} - {
        p.instrument for p in account.positions if p.mode == "cross"
    }
    for symbol in trades:
        if symbol in apart:
            raise AccountError(f"trade in {symbol}: the account holds it isolated; trades are of cross positions")
    left = dict(trades)
    positions = []
    for position in account.positions:
        if position.mode == "cross" and position.instrument in left:
            position = _grown(position, left.pop(position.instrument))
        if position.quantity or position.mode == "isolated":
            positions.append(position)
    positions += [Position(instrument=symbol, quantity=quantity) for symbol, quantity in left.items() if quantity]
    return msgspec.structs.replace(account, positions=tuple(positions))


def _grown(position: Position, quantity: Decimal) -> Position:
    return msgspec.structs.replace(position, quantity=position.quantity + quantity)


def changes(before: MarginResult, after: MarginResult) -> list[Change]:
    """Initial margin by component, then both totals, before and after."""
    names = dict.fromkeys([c.name for c in (*before.components, *after.components)])
    tables = [{c.name: c.initial for c in result.components} for result in (before, after)]
    zero = Decimal("0.00")
    lines = [Change(name, *(table.get(name, zero) for table in tables)) for name in names]
    return [
        *lines,
        Change("initial margin", before.initial, after.initial),
        Change("maintenance margin", before.maintenance, after.maintenance),
    ]
