"""What a feature family is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.clock import HOUR_S
from features.rolling import SUM
from features.terms import Floats, Term

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Look:
    """The look-back of one feature."""

    rows: int
    bar_s: int

    @property
    def hours(self) -> float:
        """Its length in hours."""
        return self.rows * self.bar_s / HOUR_S


@dataclass(frozen=True, slots=True)
class Sum:
    """A term joined over the look-back, or over a fixed time instead; or over a look-back that ended some time ago."""

    term: Term
    op: int = SUM
    over_s: int | None = None
    ago_s: int = 0


@dataclass(frozen=True, slots=True)
class Family:
    """How a family of features is computed, and what a reader is told of it.

    One of three kinds. ``sums`` are rolled at a cost that does not depend on the look-back, and ``finish(look,
    *sums)`` makes the column of them. A ``direct`` family has channels and a measure, computed anew from each window.
    A ``clock`` family depends on the origin alone.

    ``finish`` and ``clock`` work row by row: arrays of shape (n,) in and out. Without ``looks_back`` a family has no
    look-back: it tells of the last row. It needs ``least_rows`` rows.
    """

    formula: str
    unit: str
    sums: tuple[Sum, ...] = ()
    finish: Callable[..., Floats] | None = None
    direct: tuple[tuple[str, ...], Callable[..., Floats]] | None = None  # (channels, compute(look, *windows))
    clock: Callable[[Ints], Floats] | None = None
    looks_back: bool = True
    least_rows: int = 1

    @property
    def cost(self) -> str:
        """What a value costs."""
        if self.clock:
            return "the clock"
        return f"{len(self.sums)} sum{'s' if len(self.sums) > 1 else ''}" if self.sums else "its window"


def positive(x: Floats) -> Floats:
    """NaN in place of what nothing can be divided by.

    Examples
    --------
    >>> positive(np.array([2.0, 0.0, -1.0]))
    array([ 2., nan, nan])
    """
    return np.where(x > 0, x, np.nan)


def mean(look: Look, total: Floats) -> Floats:
    """Mean over the look-back."""
    return total / look.rows


def log_mean(look: Look, *totals: Floats) -> Floats:
    """Log of the mean over the look-back of the channels' sum."""
    return np.log(positive(sum(totals[1:], totals[0]) / look.rows))


def ratio(_look: Look, part: Floats, whole: Floats) -> Floats:
    """One sum over another."""
    return part / positive(whole)


def own(_look: Look, value: Floats) -> Floats:
    """The row's own value."""
    return value


def slope(rows: int, x: Floats, y: Floats, xy: Floats, xx: Floats) -> Floats:
    """Slope of a regression of y on x with an intercept from its sums; NaN where x hardly moves.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 4.0])
    >>> slope(3, x.sum(), 3 * x.sum() + 3, (x * (3 * x + 1)).sum(), (x * x).sum()).round(9)
    np.float64(3.0)
    """
    spread = xx - np.square(x) / rows
    return (xy - x * y / rows) / np.where(spread > 1e-9 * xx, spread, np.nan)
