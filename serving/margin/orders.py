r"""Open orders at the worst combination of fills.

In a scenario every order adds, if it fills, its own loss, whatever the others do. The worst
combination of fills in scenario s is therefore the orders that lose there:

.. math:: L_s = -\sum_p q_p \, v_{s,p} + \sum_o \max(0, \; g_o - q_o \, v_{s,p(o)})

with v the profit per unit and g the loss at the fill against the mark. It is exact, not a bound, for every
single scenario and so for a requirement that is the largest loss over scenarios
(:math:`\max_F \max_s = \max_s \max_F` over the sets F of fills). For a mean over the worst scenarios (expected
shortfall) it is an upper bound, since different scenarios may fill different orders; the figures of
``candidate_quantities`` are a lower bound beside it. An order adds nothing to a scenario in which it
would have helped, so that an order can never lower the requirement, and one that reduces the only
position is free under scenarios that lie evenly up and down, unless it is larger than twice that position.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import AccountError, MarketError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Orders:
    """Open orders as arrays, shape (o,) each.

    ``instrument``: index of the instrument among the positions. ``quantity``: contracts, bought
    positive, sold negative. ``gap_loss``: USD lost against the mark at the fill, not negative.
    """

    instrument: IntArray
    quantity: FloatArray
    gap_loss: FloatArray

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        if not self.instrument.shape == self.quantity.shape == self.gap_loss.shape:
            raise AccountError(
                "orders: arrays of different length; give instrument, quantity and gap_loss of each order"
            )
        if not (np.isfinite(self.quantity).all() and np.isfinite(self.gap_loss).all() and (self.gap_loss >= 0).all()):
            raise AccountError("orders: a quantity or gap loss is not finite, or negative; correct the order")


def gap_losses(quantity: FloatArray, price: FloatArray, mark: FloatArray, multiplier: FloatArray) -> FloatArray:
    r"""Loss against the mark when an order fills at its price; better prices earn nothing.

    .. math:: g = \max(0, \; q \, m \, (price - mark))

    A buy below the mark fills after the price has come down to it, so that no gain is left: none counts.

    Parameters
    ----------
    quantity : contracts, bought positive, sold negative, shape (o,).
    price, mark : USD per unit, shape (o,).
    multiplier : units per contract, shape (o,).

    Raises
    ------
    MarketError
        If a price is not finite.

    Examples
    --------
    >>> gap_losses(np.array([2.0, 2.0, -1.0]), np.array([101.0, 90.0, 99.0]), np.full(3, 100.0), np.ones(3))
    array([2., 0., 1.])
    """
    gap = quantity * multiplier * (price - mark)
    if not np.isfinite(gap).all():
        raise MarketError("orders: a price or mark is not finite; correct the order or take a new snapshot")
    return np.maximum(gap, 0.0)


def order_losses(pnl_per_unit: FloatArray, orders: Orders) -> FloatArray:
    """What the orders add to the loss of each scenario at their worst fills, none negative, shape (s,).

    Parameters
    ----------
    pnl_per_unit : profit of one contract, USD, shape (s, p).
    orders : the account's open orders.

    Raises
    ------
    MarketError, AccountError
        If a profit is not finite, or an order is of an instrument beyond p.
    """
    _refuse_unknown(orders, pnl_per_unit.shape[1])
    added = _added(pnl_per_unit, orders.instrument, orders.quantity, orders.gap_loss)
    if not np.isfinite(added).all():
        raise MarketError("orders: a profit per unit is not finite; correct the prices of the scenario")
    return added


def worst_losses(pnl_per_unit: FloatArray, quantity: FloatArray, orders: Orders) -> FloatArray:
    """Loss of each scenario at the worst combination of fills, shape (s,).

    Parameters
    ----------
    pnl_per_unit : profit of one contract, USD, shape (s, p).
    quantity : contracts held, signed, shape (p,).
    orders : the account's open orders.

    Raises
    ------
    MarketError, AccountError
        If a number is not finite.

    Examples
    --------
    >>> pnl = np.array([[-10.0], [10.0]])  # one contract, down and up
    >>> worst_losses(pnl, np.array([1.0]), Orders(np.array([0]), np.array([2.0]), np.array([1.0])))
    array([ 31., -10.])
    """
    held = _held(pnl_per_unit, quantity)
    if not np.isfinite(held).all():
        raise MarketError("a profit per unit or a quantity is not finite; correct the prices of the scenario")
    return held + order_losses(pnl_per_unit, orders)


def fills(profits: FloatArray, orders: Orders) -> NDArray[np.bool_]:
    """Which orders fill in the worst combination of one scenario: those that lose there, shape (o,).

    ``profits``: of one contract in that scenario, USD, shape (p,).
    """
    return orders.gap_loss - orders.quantity * profits[orders.instrument] > 0.0


def candidate_quantities(quantity: FloatArray, orders: Orders, underlying: IntArray) -> FloatArray:
    """Positions after candidate fills: none, all buys, all sells, and each of both per underlying.

    For rules that are no sum over orders the requirement is computed for every row and the largest
    taken: a lower bound of the worst over all subsets, exact where the requirement is convex in the
    quantity of one instrument with orders.

    Parameters
    ----------
    quantity : contracts held, signed, shape (p,).
    orders : the account's open orders.
    underlying : index of each position's underlying, shape (p,).

    Returns
    -------
    array of shape (k, p), without repeated rows, the first with no fill.

    Examples
    --------
    >>> orders = Orders(np.array([0, 0, 1]), np.array([2.0, -3.0, 4.0]), np.zeros(3))
    >>> candidate_quantities(np.array([1.0, 0.0]), orders, np.array([0, 1]))
    array([[ 1.,  0.],
           [ 3.,  4.],
           [-2.,  0.],
           [ 3.,  0.],
           [ 1.,  4.]])
    """
    buys, sells = sides(quantity, orders)
    rows = [quantity, quantity + buys, quantity + sells]
    for name in range(int(underlying.max()) + 1 if len(underlying) else 0):
        own = underlying == name
        rows += [quantity + buys * own, quantity + sells * own]
    different = {row.tobytes(): row for row in reversed(rows)}
    return np.array([row for row in rows if different.pop(row.tobytes(), None) is not None])


def worst_quantities(quantity: FloatArray, orders: Orders) -> FloatArray:
    """Position of each instrument after the fills that make it largest, for rules symmetric in side, shape (p,).

    Exact for every charge of one instrument that rises with the size of its position: no subset of fills
    is larger. A tie keeps the position that is held.

    Examples
    --------
    >>> orders = Orders(np.array([0, 0]), np.array([2.0, -7.0]), np.zeros(2))
    >>> worst_quantities(np.array([3.0]), orders), worst_quantities(np.array([4.0]), orders)
    (array([5.]), array([6.]))
    """
    buys, sells = sides(quantity, orders)
    worst = quantity.copy()
    for filled in (quantity + buys, quantity + sells):
        worst = np.where(np.abs(filled) > np.abs(worst), filled, worst)
    return worst


def sides(quantity: FloatArray, orders: Orders) -> tuple[FloatArray, FloatArray]:
    """Contracts of all buys and of all sells by instrument, the sells negative, shape (p,) each.

    Raises
    ------
    AccountError
        If a quantity held is not finite, or an order is of an instrument beyond p.
    """
    if not np.isfinite(quantity).all():
        raise AccountError("orders: a quantity held is not finite; correct the position")
    _refuse_unknown(orders, len(quantity))
    buys = np.bincount(orders.instrument, np.maximum(orders.quantity, 0.0), len(quantity))
    sells = np.bincount(orders.instrument, np.minimum(orders.quantity, 0.0), len(quantity))
    return buys.astype(np.float64), sells.astype(np.float64)  # without orders numpy counts in integers


def _refuse_unknown(orders: Orders, n_positions: int) -> None:
    """Refuse orders of instruments that are no position."""
    if len(orders.instrument) and not 0 <= orders.instrument.min() <= orders.instrument.max() < n_positions:
        raise AccountError("orders: an order's instrument is none of the positions; give it as a position of 0")


@compiled
def _added(pnl: FloatArray, instrument: IntArray, quantity: FloatArray, gap: FloatArray) -> FloatArray:
    """Sum over orders, in their order, of the losses that are losses; NaN stays NaN."""
    out = np.zeros(pnl.shape[0])
    for s in range(pnl.shape[0]):
        for o in range(len(instrument)):
            loss = gap[o] - quantity[o] * pnl[s, instrument[o]]
            if not loss <= 0.0:
                out[s] += loss
    return out


@compiled
def _held(pnl: FloatArray, quantity: FloatArray) -> FloatArray:
    """Loss of the positions, summed in their order."""
    out = np.zeros(pnl.shape[0])
    for s in range(pnl.shape[0]):
        for p in range(len(quantity)):
            out[s] -= quantity[p] * pnl[s, p]
    return out
