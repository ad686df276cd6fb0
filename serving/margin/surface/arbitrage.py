"""Static arbitrage: within an expiry (butterflies) and between expiries (calendars)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from serving.margin.surface.density import lowest_density
from serving.margin.surface.gap import lowest_gap
from serving.margin.surface.svi import RawSvi

G_ROUNDING = 1e-9  # a density that far below nothing is the rounding of a double
W_ROUNDING = 1e-10  # likewise of total variance


@dataclass(frozen=True, slots=True)
class Butterfly:
    """Where a slice comes nearest to butterfly arbitrage.

    ``worst_k`` and ``worst_g``: where g is lowest within ``searched``; an infinite k names a wing beyond Lee's bound.
    ``searched``: the range looked through; outside of it g > 0 is proved.
    """

    free: bool
    worst_k: float
    worst_g: float
    searched: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where the total variance of the later expiry comes nearest to that of the earlier, or below it.

    ``worst_gap``: later minus earlier at ``worst_k``; minus infinity where the earlier wing is the steeper and the
    range is not bounded. ``crossings``: every k in the range at which one smile passes the other.
    """

    free: bool
    worst_k: float
    worst_gap: float
    crossings: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SurfaceCheck:
    """The checks of every slice and of every pair of neighbours, the nearest expiry first."""

    butterflies: tuple[Butterfly, ...]
    calendars: tuple[Calendar, ...]

    @property
    def free(self) -> bool:
        """Whether nothing can be arbitraged."""
        return all(b.free for b in self.butterflies) and all(c.free for c in self.calendars)


def butterfly(svi: RawSvi) -> Butterfly:
    """Find the lowest g of a slice, over all strikes.

    Examples
    --------
    Vogt's smile (Gatheral & Jacquier 2014, example 3.1) looks harmless and is not:

    >>> found = butterfly(RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153))
    >>> found.free, round(found.worst_k, 3), round(found.worst_g, 4)
    (False, 0.879, -0.0329)
    """
    k, g, low, high = lowest_density(svi.a, svi.b, svi.rho, svi.m, svi.sigma)
    return Butterfly(g >= -G_ROUNDING, k, g, (low, high))


def calendar(near: RawSvi, far: RawSvi, within: tuple[float, float] = (-math.inf, math.inf)) -> Calendar:
    """Compare the total variance of two expiries, ``near`` the earlier, at every strike of a range.

    The lowest gap comes from a fine grid around both smiles, the crossings from the quartic below.
    """
    found = _crossings(near, far, within)
    for side, steep in ((1.0, far.right_slope - near.right_slope), (-1.0, far.left_slope - near.left_slope)):
        if math.isinf(within[0 if side < 0 else 1]) and steep < -W_ROUNDING:
            return Calendar(False, side * math.inf, -math.inf, found)
    k, gap = lowest_gap(near.array, far.array, *within)
    return Calendar(gap >= -W_ROUNDING, k, gap, found)


def stays_above(near: RawSvi, far: RawSvi) -> bool:
    """Whether the later expiry has no less total variance at any strike: ``calendar`` without the crossings."""
    if min(far.right_slope - near.right_slope, far.left_slope - near.left_slope) < -W_ROUNDING:
        return False
    return bool(lowest_gap(near.array, far.array, -math.inf, math.inf)[1] >= -W_ROUNDING)


def _crossings(near: RawSvi, far: RawSvi, within: tuple[float, float]) -> tuple[float, ...]:
    r"""Every k of a range at which two slices change places.

    Twice squared, :math:`P + b_2 R_2 = b_1 R_1` with a line P and roots :math:`R_i` is the quartic
    :math:`4 b_2^2 P^2 R_2^2 = (b_1^2 R_1^2 - b_2^2 R_2^2 - P^2)^2`; its real roots are kept where the gap changes sign
    (Gatheral & Jacquier 2014, section 3.1).
    """
    width = max(near.sigma, far.sigma, abs(near.m - far.m), 1e-6)
    line = np.poly1d([
        far.b * far.rho - near.b * near.rho,
        far.a - near.a - far.b * far.rho * far.m + near.b * near.rho * near.m,
    ])(np.poly1d([width, 0.0]))  # fmt: skip
    first, second = (
        s.b**2 * np.poly1d([width**2, -2 * s.m * width, s.m**2 + s.sigma**2]) for s in (near, far)
    )  # fmt: skip
    roots = (4 * line * line * second - (first - second - line * line) ** 2).roots
    real = np.unique(roots.real[np.abs(roots.imag) < 1e-4 * (1 + np.abs(roots.real))]) * width
    kept = [k for k in map(float, real) if within[0] <= k <= within[1]]
    polished = (_polished(near, far, k, width) for k in kept)
    return tuple(sorted({round(k, 12) for k in polished if k is not None}))


def _polished(near: RawSvi, far: RawSvi, k: float, width: float) -> float | None:
    """The change of sign next to an approximate root, by bisection; None where there is none."""
    ends = np.array([k - 1e-3 * width, k + 1e-3 * width])
    gap = far.total_variance(ends) - near.total_variance(ends)
    if gap[0] * gap[1] >= 0:
        return None
    low, high = float(ends[0]), float(ends[1])
    for _ in range(60):
        middle = (low + high) / 2
        if float(far.total_variance(np.array(middle)) - near.total_variance(np.array(middle))) * gap[0] > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def check_surface(slices: Sequence[RawSvi]) -> SurfaceCheck:
    """Check every slice, and every slice against the next; the nearest expiry first."""
    return SurfaceCheck(tuple(map(butterfly, slices)), tuple(calendar(a, b) for a, b in pairwise(slices)))
