"""Sums, greatest and least values over the last rows, of many windows at once, at a cost that no length changes.

Rows are cut into blocks of the window's length, counted from 1970 on the grid. A window is the tail of one block and
the head of the next: two running sums, one backward and one forward, joined by one addition (van Herk 1992, Gil &
Werman 1993). Nothing is ever subtracted, so nothing cancels, a sum of squares is never negative, a NaN leaves with
the row that brought it, and a value depends on the rows of its window and on the clock alone: the same to the last
bit however the rows were cut into chunks and wherever they began.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import SettingError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SUM, MAX, MIN = 0, 1, 2


@compiled
def join(a: float, b: float, op: int) -> float:
    """Join two parts of a window; NaN wins."""
    if op == SUM:
        return a + b
    if np.isnan(a) or np.isnan(b):
        return np.nan
    return max(a, b) if op == MAX else min(a, b)


@compiled
def close_block(block: Floats, tail: Floats, op: int) -> None:
    """Aggregate a full block backward: ``tail[k]`` covers its rows from k on."""
    reached = tail[len(block)]
    if op == SUM:
        for k in range(len(block) - 1, -1, -1):
            reached += block[k]
            tail[k] = reached
    else:
        for k in range(len(block) - 1, -1, -1):
            reached = join(reached, block[k], op)
            tail[k] = reached


@compiled
def roll_one(
    values: Floats, op: int, neutral: float, position: int, head: float, block: Floats, tail: Floats, out: Floats
) -> float:
    """Roll one window over a chunk that begins at ``position`` of its block; answers the head of the open block."""
    rows = len(block)
    i = 0
    while i < len(values):
        stop = min(len(values), i + rows - position)
        if op == SUM:
            for j in range(i, stop):
                head += values[j]
                out[j] = tail[position + j - i + 1] + head
                block[position + j - i] = values[j]
        else:
            for j in range(i, stop):
                head = join(head, values[j], op)
                out[j] = join(tail[position + j - i + 1], head, op)
                block[position + j - i] = values[j]
        position += stop - i
        i = stop
        if position == rows:
            close_block(block, tail, op)
            position, head = 0, neutral
    return head


@compiled
def roll(
    terms: Floats, slot: int, which: Ints, rows: Ints, ops: Ints, starts: Ints, neutral: Floats, heads: Floats,
    blocks: Floats, tails: Floats, out: Floats,
) -> None:  # fmt: skip
    """Roll every window over a chunk whose first row is number ``slot`` of the grid."""
    for p in range(len(which)):
        n, first = rows[p], starts[p]
        block, tail = blocks[first : first + n], tails[first + p : first + p + n + 1]
        heads[p] = roll_one(terms[which[p]], ops[p], neutral[ops[p]], slot % n, heads[p], block, tail, out[p])


NEUTRAL = np.array([0.0, -np.inf, np.inf])


@dataclass(frozen=True, slots=True)
class Window:
    """The last ``rows`` values of one term, joined by SUM, MAX or MIN."""

    term: int
    rows: int
    op: int = SUM


@dataclass(slots=True)
class Roller:
    """Windows over a stream of rows that comes in chunks of any size.

    Parameters
    ----------
    windows : what to compute.
    before : value of the rows before the first one; NaN: a window that is not full is NaN.
    """

    windows: tuple[Window, ...]
    before: float = np.nan
    _plan: tuple[Ints, Ints, Ints, Ints] = field(init=False)
    _next_slot: int = field(init=False, default=-1)
    _heads: Floats = field(init=False)
    _blocks: Floats = field(init=False)
    _tails: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Lay out the blocks of all windows end to end."""
        if any(w.rows < 1 for w in self.windows):
            raise SettingError("a window needs at least one row; choose a longer look-back")
        which, rows, ops = (
            np.array([getattr(w, name) for w in self.windows], dtype=np.int64) for name in ("term", "rows", "op")
        )
        self._plan = (which, rows, ops, np.cumsum(rows) - rows)

    def add(self, terms: Floats, slot: int) -> Floats:
        """Take the next rows in.

        Parameters
        ----------
        terms : array of shape (term, n), one row of the grid after the other.
        slot : number of the first row, counted from 1970 in steps of the grid.

        Returns
        -------
        array of shape (window, n)
            Row i: each window's value over the rows that end with i.
        """
        if slot != self._next_slot:
            self._start(slot)
        which, rows, ops, starts = self._plan
        out = np.empty((len(self.windows), terms.shape[1]))
        roll(terms, slot, which, rows, ops, starts, NEUTRAL, self._heads, self._blocks, self._tails, out)
        self._next_slot = slot + terms.shape[1]
        return out

    def _start(self, slot: int) -> None:
        """Begin at a row that does not follow the last one: what lies before it is unknown."""
        _, rows, ops, starts = self._plan
        self._blocks = np.full(int(rows.sum()), self.before)
        self._tails = np.full(int(rows.sum()) + len(rows), self.before)
        self._heads = np.full(len(rows), self.before)
        for p, n in enumerate(rows):
            neutral = NEUTRAL[ops[p]]
            self._tails[starts[p] + p + n] = neutral
            if slot % n == 0:
                self._heads[p] = neutral

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What must be kept to go on after a restart."""
        if self._next_slot < 0:
            return {}
        return {"slot": np.array(self._next_slot), "heads": self._heads, "blocks": self._blocks, "tails": self._tails}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Go on from :meth:`state` of a roller of the same windows."""
        if state:
            self._next_slot = int(state["slot"])
            self._heads, self._blocks, self._tails = (
                np.array(state[name], dtype=np.float64) for name in ("heads", "blocks", "tails")
            )
