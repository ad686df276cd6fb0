"""What is owed may rise: a debt in a coin is a short position in it, without anything to offset it."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.margin.charge import Charge
from serving.margin.objects import Account
from serving.margin.prepared import Prepared, Stress
from serving.margin.statement import Row

FloatArray = NDArray[np.float64]
NAME: Final = "debts"


def debt_rows(account: Account) -> list[Row]:
    """A line of the statement for each debt."""
    return [Row(d.asset, "debt", -d.quantity) for d in account.debts]


def debt_charges(account: Account, prepared: Prepared) -> tuple[FloatArray, FloatArray]:
    """Charge of each debt for both margins, USD, shape (debts,).

    What follows an underlying is charged its range up; a stablecoin the policy's share; the dollar nothing;
    anything else has no forecast and is charged whole.
    """
    stresses = prepared.initial, prepared.maintenance
    initial, maintenance = (
        np.array([_charge(d.asset, float(d.quantity), stress, prepared) for d in account.debts], dtype=np.float64)
        for stress in stresses
    )
    return initial, maintenance


def _charge(asset: str, quantity: float, stress: Stress, prepared: Prepared) -> float:
    price = prepared.market.snapshot.assets.get(asset)
    if price is None:  # the dollar: anything else was refused for want of a price
        return 0.0
    value, policy, ranges = quantity * float(price.price_usd), prepared.policy.collateral, stress.ranges
    if price.underlying in ranges.underlyings:
        return value * float(ranges.up[ranges.underlyings.index(price.underlying)])
    return value * (policy.stable_loss_frac if price.stable else policy.missing_loss_frac)


def with_debts(charges: Sequence[Charge], account: Account, prepared: Prepared) -> list[Charge]:
    """Charges with a row more for each debt, and the debts' own."""
    if not account.debts:
        return list(charges)
    none, count = np.zeros(len(account.debts)), len(charges[0].initial) if charges else 0
    longer = [Charge(c.name, np.concatenate([c.initial, none]), np.concatenate([c.maintenance, none])) for c in charges]
    initial, maintenance = (np.concatenate([np.zeros(count), part]) for part in debt_charges(account, prepared))
    return [*longer, Charge(NAME, initial, maintenance)]
