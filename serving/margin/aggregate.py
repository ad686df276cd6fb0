"""An account's profit and loss in every scenario, summed per underlying in a fixed order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Holding:
    """Contracts held or ordered, p rows: index of the instrument, of its underlying, signed quantity."""

    instrument: IntArray
    underlying: IntArray
    quantity: FloatArray


def summed(unit: FloatArray, holding: Holding, width: int) -> FloatArray:
    """Profit (positive) or loss per scenario and underlying, USD, shape (s, width).

    Parameters
    ----------
    unit : array of shape (s, n), profit of one contract of each of n instruments.
    holding : p positions.
    width : number of underlyings.
    """
    out = np.zeros((len(unit), width))
    _sum(unit, holding.instrument, holding.underlying, holding.quantity, out)
    return out


@compiled
def _sum(unit: FloatArray, instrument: IntArray, underlying: IntArray, quantity: FloatArray, out: FloatArray) -> None:
    for s in range(unit.shape[0]):
        for p in range(instrument.size):
            out[s, underlying[p]] += quantity[p] * unit[s, instrument[p]]


def order_losses(unit: FloatArray, orders: Holding, gap_usd: FloatArray, width: int) -> FloatArray:
    r"""Loss by orders that fill in a scenario just when that hurts; USD, shape (s, width), none negative.

    .. math:: \sum_o \max(0, -q_o \, unit_{s,o} + gap_o)

    Parameters
    ----------
    gap_usd : array of shape (o,), loss at once by filling at the order's price instead of at the mark.
    """
    out = np.zeros((len(unit), width))
    _add_orders(unit, orders.instrument, orders.underlying, orders.quantity, gap_usd, out)
    return out


@compiled
def _add_orders(
    unit: FloatArray, instrument: IntArray, underlying: IntArray, quantity: FloatArray, gap: FloatArray, out: FloatArray
) -> None:
    for s in range(unit.shape[0]):
        for o in range(instrument.size):
            out[s, underlying[o]] += max(0.0, gap[o] - quantity[o] * unit[s, instrument[o]])
