"""Leverage brackets: a margin that is piecewise linear, continuous and convex in the size of a position.

Large positions cost more to close. Venues say so in tiers: each tier has a rate, and a
deduction that joins it to the tier below, so that the margin never jumps at an edge.

Convex means super-additive: one position of size a + b needs at least as much as two of
sizes a and b. Splitting a position over accounts therefore pays; netting long against
short within one account never raises the margin, since the margin rises with the size.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from features.errors import ForecastError, SettingError

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
Exact = Decimal | Fraction | int


@dataclass(frozen=True, slots=True)
class Brackets:
    r"""Margin by size, in exact fractions.

    .. math:: M(n) = r_i n - d_i \quad \text{for } l_i < n \le l_{i+1}

    Parameters
    ----------
    floors : l, rising from 0; in the unit of the size, by convention the notional in the currency of settlement.
    rates : r, within 0 and 1, not falling: the margin of the next unit of size.
    deductions : d, from 0.

    Raises
    ------
    SettingError
        If the tiers do not begin at zero, do not rise, or a rate is lower than that of a smaller position.

    Examples
    --------
    >>> from_rates([0, 100], [Fraction(1, 10), Fraction(1, 5)]).margin(150)
    Fraction(20, 1)
    """

    floors: tuple[Fraction, ...]
    rates: tuple[Fraction, ...]
    deductions: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        """Refuse tiers that contradict each other."""
        if not self.floors or not len(self.floors) == len(self.rates) == len(self.deductions):
            raise SettingError(
                f"brackets: {len(self.floors)} floors, {len(self.rates)} rates, {len(self.deductions)} deductions; "
                "give one of each a tier, and at least one tier"
            )
        if self.floors[0] != 0 or self.deductions[0] != 0:
            raise SettingError("brackets: the first tier must begin at 0 with deduction 0; add the tier from 0")
        if any(b <= a for a, b in pairwise(self.floors)):
            raise SettingError(f"brackets: floors {_text(self.floors)} must rise; sort the tiers, give each once")
        if any(b < a for a, b in pairwise(self.rates)) or self.rates[0] < 0 or self.rates[-1] > 1:
            raise SettingError(f"brackets: rates {_text(self.rates)} must lie within 0 and 1 and not fall with size")

    def tier(self, size: Exact) -> int:
        """Index of the tier of a size; a size on an edge belongs to the tier below it."""
        return max(bisect_left(self.floors, Fraction(size)) - 1, 0)

    def margin(self, size: Exact) -> Fraction:
        """Margin of a size (not negative), exactly.

        Raises
        ------
        ForecastError
            If the size is negative or no number: give its absolute value.
        """
        if (isinstance(size, Decimal) and not size.is_finite()) or size < 0:
            raise ForecastError(f"size is {size}; brackets take the absolute size of a position")
        i = self.tier(size)
        return self.rates[i] * Fraction(size) - self.deductions[i]

    def jumps(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """Edges at which the margin is not continuous, and by how much it rises there; none where it is built here."""
        tiers = list(zip(self.floors, self.rates, self.deductions, strict=True))
        rises = [(edge, (r1 - r0) * edge - (d1 - d0)) for (_, r0, d0), (edge, r1, d1) in pairwise(tiers)]
        return tuple((edge, rise) for edge, rise in rises if rise != 0)


def from_rates(floors: Sequence[Exact], rates: Sequence[Exact]) -> Brackets:
    r"""Brackets from the rate of each tier; deductions by the recursion that makes the margin continuous.

    .. math:: d_0 = 0, \qquad d_i = d_{i-1} + l_i (r_i - r_{i-1})

    References
    ----------
    Hyperliquid documentation, "Margin tiers"; Bybit, "Margin parameters"; Binance, "Leverage and margin of USD-M
    futures": three venues, one recursion.

    Examples
    --------
    >>> from_rates([0, 2_000_000], [Decimal("0.005"), Decimal("0.0056")]).deductions
    (Fraction(0, 1), Fraction(1200, 1))
    """
    edges, slopes = tuple(Fraction(x) for x in floors), tuple(Fraction(x) for x in rates)
    deductions = [Fraction(0)]
    for edge, (before, after) in zip(edges[1:], pairwise(slopes), strict=False):
        deductions.append(deductions[-1] + edge * (after - before))
    return Brackets(edges, slopes, tuple(deductions))


def from_leverages(
    floors: Sequence[Exact], max_leverages: Sequence[Exact], share: Fraction = Fraction(1, 2)
) -> Brackets:
    r"""Brackets from the highest leverage of each tier: the rate is a share of the initial margin there.

    .. math:: r_i = s / L_i

    Raises
    ------
    SettingError
        If a leverage is not positive, or the tiers contradict each other.

    Examples
    --------
    >>> from_leverages([0, 150_000_000], [40, 20]).deductions[1]
    Fraction(1875000, 1)
    """
    if any(leverage <= 0 for leverage in max_leverages):
        raise SettingError(f"brackets: leverages {_text(max_leverages)} must be above 0")
    return from_rates(floors, [share / Fraction(leverage) for leverage in max_leverages])


@dataclass(frozen=True, slots=True)
class BracketGrid:
    """Many bracket tables as arrays of shape (table, tier), for whole batches of positions at once.

    Tables of fewer tiers are filled with tiers that begin at infinity.
    """

    floors: FloatArray
    rates: FloatArray
    deductions: FloatArray

    def margins(self, table: IndexArray, size: FloatArray) -> FloatArray:
        """Margin of each position.

        Parameters
        ----------
        table : array of shape (n,), index of the position's bracket table.
        size : array of shape (n,), absolute size.

        Raises
        ------
        ForecastError
            If a size is negative or not finite.
        """
        if not np.isfinite(size).all() or (size < 0).any():
            raise ForecastError("sizes of a batch must be finite and not negative; correct the positions")
        tier = np.maximum((size[:, None] > self.floors[table]).sum(axis=1) - 1, 0)
        margin: FloatArray = self.rates[table, tier] * size - self.deductions[table, tier]
        return margin


def grid(tables: Sequence[Brackets]) -> BracketGrid:
    """Arrange bracket tables as arrays.

    Examples
    --------
    >>> flat, tiered = from_rates([0], [Fraction(1, 10)]), from_rates([0, 100], [Fraction(1, 10), Fraction(1, 5)])
    >>> grid([flat, tiered]).margins(np.array([0, 1]), np.array([150.0, 150.0]))
    array([15., 20.])
    """
    shape = (len(tables), max(len(table.floors) for table in tables))
    floors, rates, deductions = np.full(shape, np.inf), np.zeros(shape), np.zeros(shape)
    for i, table in enumerate(tables):
        n = len(table.floors)
        floors[i, :n] = [float(x) for x in table.floors]
        rates[i, :n] = [float(x) for x in table.rates]
        deductions[i, :n] = [float(x) for x in table.deductions]
    return BracketGrid(floors, rates, deductions)


def _text(values: Sequence[Exact]) -> str:
    return ", ".join(f"{float(value):g}" for value in values)
