"""What a front met, and the clock of a stream."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.engine import State
from features.terms import Floats

Ints = NDArray[np.int64]
RECENT = 4_096  # numbers of trades that are remembered
UNNAMED = -1


@dataclass(slots=True)
class Tally:
    """Events taken, and those that came too late, twice, or stamped before an earlier one."""

    events: int = 0
    late: int = 0
    duplicates: int = 0
    reordered: int = 0

    def state(self) -> State:
        """The counts."""
        return {"tally": np.array([self.events, self.late, self.duplicates, self.reordered])}

    def restore(self, state: State) -> None:
        """Take the counts back."""
        self.events, self.late, self.duplicates, self.reordered = (int(n) for n in state["tally"])


def running(ts_ns: Ints, clock_ns: int) -> Ints:
    """Stamps as a clock that never goes back.

    Examples
    --------
    >>> running(np.array([3, 5, 4]), 4).tolist()
    [4, 5, 5]
    """
    return np.maximum(np.maximum.accumulate(ts_ns), clock_ns)


def distinct(ascending: Ints) -> Ints:
    """The different ones of ascending numbers.

    Examples
    --------
    >>> distinct(np.array([2, 2, 5, 7, 7])).tolist()
    [2, 5, 7]
    """
    return ascending[np.diff(ascending, prepend=ascending[:1] - 1) > 0]


@dataclass(slots=True)
class Pending:
    """Columns of rows that wait for their time, in order of a clock."""

    width: int
    clock_ns: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    values: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Start empty."""
        self.values = np.empty((0, self.width))

    def put(self, clock_ns: Ints, values: Floats) -> None:
        """Append rows, shape (n,) and (n, width)."""
        if not len(self.clock_ns):
            self.clock_ns, self.values = clock_ns, values
            return
        self.clock_ns = np.concatenate([self.clock_ns, clock_ns])
        self.values = np.concatenate([self.values, values])

    def pop(self, before_ns: int) -> tuple[Ints, Floats]:
        """Take out the rows stamped before an instant."""
        cut = int(np.searchsorted(self.clock_ns, before_ns))
        done = self.clock_ns[:cut], self.values[:cut]
        self.clock_ns, self.values = self.clock_ns[cut:], self.values[cut:]
        return done

    def state(self) -> State:
        """What waits."""
        return {"pending_ns": self.clock_ns, "pending": self.values}

    def restore(self, state: State) -> None:
        """Take it back."""
        self.clock_ns, self.values = state["pending_ns"], state["pending"]


@dataclass(slots=True)
class Numbers:
    """Remembers the venue's numbers of the latest trades: what comes again is told apart."""

    recent: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def fresh(self, frame: pl.DataFrame) -> NDArray[np.bool_]:
        """Which rows' numbers were not among the 4,096 rows before them; rows without a number or name always count."""
        names = _names(frame)
        line = np.concatenate([self.recent, names])
        order = np.argsort(line, kind="stable")
        before = np.full(len(line), -RECENT - 1)
        again = order[1:][np.diff(line[order]) == 0]
        before[again] = order[:-1][np.diff(line[order]) == 0]
        repeated = (np.arange(len(line)) - before <= RECENT) & (line != UNNAMED)
        fresh: NDArray[np.bool_] = ~repeated[len(self.recent) :]
        self.recent = line[-RECENT:]
        return fresh


def _names(frame: pl.DataFrame) -> Ints:
    """What tells trades apart: the venue's number, else its name, as a number below -1."""
    names = frame["seq"].to_numpy()
    if "id" in frame.columns and (names == UNNAMED).any():
        told = frame["id"].hash(seed=0).to_numpy().view(np.int64) | np.iinfo(np.int64).min
        names = np.where((names == UNNAMED) & (frame["id"] != "").to_numpy(), np.minimum(told, UNNAMED - 1), names)
    return names
