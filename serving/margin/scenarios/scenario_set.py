"""Scenarios as arrays: how each moves the price and the volatility of every underlying."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScenarioSet:
    """Moves of u underlyings in s scenarios.

    ``move``, shape (s, u): relative price change, above or at -1.
    ``vol``, shape (s, u): relative change of implied volatility at 30 days.
    ``tilt``, ``wing``, shape (s,): relative change of implied volatility at one standard
    deviation out of the money: of opposite sign on both sides, and of the same.
    ``weight``, shape (s, u): share of the profit or loss that counts.
    """

    names: tuple[str, ...]
    move: FloatArray
    vol: FloatArray
    tilt: FloatArray
    wing: FloatArray
    weight: FloatArray

    @property
    def size(self) -> int:
        """Number of scenarios."""
        return len(self.names)


def scenario_set(
    names: Sequence[str],
    move: FloatArray,
    vol: FloatArray,
    weight: FloatArray | None = None,
    tilt: FloatArray | None = None,
    wing: FloatArray | None = None,
) -> ScenarioSet:
    """Build a set; no weight means that everything counts, no tilt and wing that the smile keeps its shape."""
    still = np.zeros(len(names))
    whole = np.ones_like(move)
    return ScenarioSet(
        tuple(names),
        move,
        vol,
        still if tilt is None else tilt,
        still if wing is None else wing,
        whole if weight is None else weight,
    )


def joined(sets: Sequence[ScenarioSet]) -> ScenarioSet:
    """All scenarios of several sets, in their order."""
    return ScenarioSet(
        tuple(name for one in sets for name in one.names),
        *(np.concatenate([getattr(one, field) for one in sets]) for field in ("move", "vol", "tilt", "wing", "weight")),
    )


def dampened(move: FloatArray, down: FloatArray, up: FloatArray, cover: float) -> FloatArray:
    """Weight of a loss beyond the range: range / |move| x cover, at most 1.

    So a linear position loses its range (times the cover) there, and only what is
    convex loses more. Venues publish the same as a table: Deribit's and Paradex's
    extended scenarios weigh a move of 2 with 0.08 where the range is 0.16.

    Examples
    --------
    >>> dampened(np.array([[-0.66], [2.0]]), np.array([0.16]), np.array([0.16]), 1.0).round(3)
    array([[0.242],
           [0.08 ]])
    """
    size, reach = np.abs(move), cover * np.where(move < 0, down, up)
    return np.divide(reach, size, out=np.ones(move.shape), where=size > reach)
