"""Which windows had ended by an instant: by time, whatever rows are missing."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_NS

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ended:
    """Rows ``starts[i] : stops[i]`` of a series: the windows that ended in the time remembered at instant i."""

    starts: Ints
    stops: Ints

    @classmethod
    def of(cls, origins: Ints, instants: Ints, horizon: int, memory: int) -> Self:
        r"""Windows that began at ``origins`` and ended in ``(instant - memory, instant]``; one unit of time throughout.

        Examples
        --------
        >>> Ended.of(np.array([0, 1, 5]), np.array([0, 2, 6]), horizon=1, memory=4)
        Ended(starts=array([0, 0, 2]), stops=array([0, 2, 3]))
        """
        latest = instants - horizon
        starts = np.searchsorted(origins, latest - memory, side="right")
        return cls(starts, np.searchsorted(origins, latest, side="right"))

    def sums(self, value: FloatArray) -> FloatArray:
        """Sum of a value of each window over those remembered, shape (n,) -> (m,)."""
        total = np.concatenate([[0.0], np.cumsum(value)])
        difference: FloatArray = total[self.stops] - total[self.starts]
        return difference

    def among(self, known: Bools) -> Self:
        """The same windows, counted among the known ones only."""
        count = np.concatenate([[0], np.cumsum(known)])
        return type(self)(count[self.starts], count[self.stops])

    def __getitem__(self, kept: Bools) -> Self:
        return type(self)(self.starts[kept], self.stops[kept])

    @property
    def count(self) -> Ints:
        """How many windows, shape (m,)."""
        return self.stops - self.starts


def law_moments(origin_ns: Ints, refit: Literal["day", "month"]) -> Ints:
    """Instant of the law that serves each origin: the last midnight UTC, or the first one of its month, shape (n,).

    Examples
    --------
    >>> from features.clock import format_utc, parse_utc
    >>> origin_ns = np.array([parse_utc("2022-03-05T07:00")])
    >>> [format_utc(int(law_moments(origin_ns, refit)[0])) for refit in ("day", "month")]
    ['2022-03-05T00:00:00Z', '2022-03-01T00:00:00Z']
    """
    if refit == "day":
        return origin_ns - origin_ns % DAY_NS
    months = origin_ns.astype("datetime64[ns]").astype("datetime64[M]")
    first: Ints = months.astype("datetime64[ns]").astype(np.int64)
    return first
