"""What a rule answers: named charges, each given out to the positions that cause it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from features.errors import ForecastError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Charge:
    """One named part of a requirement, USD, by position, shape (p,) each.

    A position may have a negative part (it hedges another); the sum of a charge
    over the positions is what the account pays for it.
    """

    name: str
    initial: FloatArray
    maintenance: FloatArray

    def __post_init__(self) -> None:
        """Refuse numbers that are none: a charge that is NaN would vanish in a sum of maxima."""
        if self.initial.shape != self.maintenance.shape:
            raise ForecastError(
                f"charge {self.name}: {self.initial.shape} and {self.maintenance.shape} differ in shape"
            )
        if not all(map(isfinite, self.sums)):  # a sum is finite only where every part is
            raise ForecastError(f"charge {self.name} is not finite; no margin is made of it: correct the inputs")

    @property
    def sums(self) -> tuple[float, float]:
        """What the account pays for both margins; most charges are the same for both, and are summed once."""
        initial = float(np.add.reduce(self.initial))
        return initial, initial if self.maintenance is self.initial else float(np.add.reduce(self.maintenance))

    @property
    def is_nothing(self) -> bool:
        """Whether no position has a part in it."""
        return not (self.initial.any() or (self.maintenance is not self.initial and self.maintenance.any()))


def allocated(total: float, shares: FloatArray) -> FloatArray:
    """Give a total out in proportion to shares; evenly where they add up to nothing.

    Examples
    --------
    >>> allocated(6.0, np.array([1.0, 2.0, 0.0])), allocated(6.0, np.zeros(3))
    (array([2., 4., 0.]), array([2., 2., 2.]))
    """
    whole = float(np.add.reduce(shares))
    if whole == 0.0:
        return np.full(len(shares), total / max(len(shares), 1))
    return shares * (total / whole)


def total(charges: Sequence[Charge]) -> tuple[float, float]:
    """Initial and maintenance requirement of charges, summed in their order."""
    initial = maintenance = 0.0
    for charge in charges:
        own = charge.sums
        initial, maintenance = initial + own[0], maintenance + own[1]
    return initial, maintenance
