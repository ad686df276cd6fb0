r"""Open orders at the worst combination of fills.

In a scenario every order adds, if it fills, its own loss, whatever the others do. The worst
combination of fills in scenario s is therefore the orders that lose there:

.. math:: L_s = -\sum_p q_p \, v_{s,p} + \sum_o \max(0, \; g_o - q_o \, v_{s,p(o)})

with v the profit per contract and g the loss at the fill against the mark. It is exact, not a bound, for every
single scenario and so for a requirement that is the largest loss over scenarios
(:math:`\max_F \max_s = \max_s \max_F` over the sets F of fills). For a mean over the worst scenarios (expected
shortfall) it is an upper bound, since different scenarios may fill different orders. An order adds nothing to
a scenario in which it would have helped, so that an order can never lower the requirement, and one that reduces
the only position is free under scenarios that lie evenly up and down, unless it is larger than twice that position.
"""

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.aggregate import Holding

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def order_losses(unit: FloatArray, orders: Holding, gap_usd: FloatArray, width: int) -> FloatArray:
    """Loss by orders that fill in a scenario just when that hurts; USD, shape (s, width), none negative.

    Parameters
    ----------
    unit : array of shape (s, n), profit of one contract of each of n instruments.
    orders : o open orders, bought positive, sold negative.
    gap_usd : array of shape (o,), loss at once by filling at the order's price instead of at the mark, not negative.
    width : number of underlyings.
    """
    out = np.zeros((len(unit), width), order="F")
    _add(unit, orders.instrument, orders.underlying, orders.quantity, gap_usd, out)
    return out


@compiled
def _add(
    unit: FloatArray, instrument: IntArray, underlying: IntArray, quantity: FloatArray, gap: FloatArray, out: FloatArray
) -> None:
    """Sum over orders, in their order, of the losses that are losses; NaN stays NaN."""
    for o in range(instrument.size):
        for s in range(unit.shape[0]):
            loss = gap[o] - quantity[o] * unit[s, instrument[o]]
            if not loss <= 0.0:
                out[s, underlying[o]] += loss
