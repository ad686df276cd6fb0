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

    Notes
    -----
    Fastest where ``unit`` lies in memory instrument by instrument (Fortran's order), as the answer does.
    """
    out = np.zeros((len(unit), width), order="F")
    _sum(unit, holding.instrument, holding.underlying, holding.quantity, out)
    return out


@compiled
def _sum(unit: FloatArray, instrument: IntArray, underlying: IntArray, quantity: FloatArray, out: FloatArray) -> None:
    for p in range(instrument.size):
        i, u, held = instrument[p], underlying[p], quantity[p]
        for s in range(unit.shape[0]):
            out[s, u] += held * unit[s, i]
