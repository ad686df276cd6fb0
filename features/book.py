"""Order books from events: L2 changes or L3 orders to top-K books on a time or event grid.

The loops are compiled (:mod:`features.ladder`, :mod:`features.orders`) and have a readable twin
(:mod:`features.book_twin`). A book is void, NaN in every level, before the first snapshot, after a
gap in the venue's numbering, and after the feed was cut, each time from the last event before it
until the next snapshot; and when nothing has come for ``silence_s``.

Where bids and asks cross, the side whose touch changed longer ago is the one that missed a delete:
what is written leaves it out, and after ``grace_s`` it is dropped from the book.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features import ladder
from features.clock import NS_PER_S
from features.errors import SettingError
from features.ladder import Floats, Ints
from features.orders import new_orders, replay_l3
from features.schema import book_snapshots

ROOM = 4_096
NO_INSTANTS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class BookStats:
    """What the replay met on its way; times are on the events' clock."""

    events: int
    messages: int
    snapshots: int
    gaps: int
    void_rows: int
    stale_rows: int
    dropped_levels: int
    unknown_orders: int
    crossed_s: float
    synced_s: float


@dataclass(slots=True)
class BookBuilder:
    """A book that takes chunks of events and gives top-``depth`` books; one for each instrument.

    Parameters
    ----------
    depth : levels a side.
    grace_s : how long a crossed book may stand before its older side is dropped.
    silence_s : how long after the last event a book still holds; later it is void, as the feed may be dead.
    every : write the book after every so many messages; 0: at instants only.
    cold : begin with an empty book that changes may build up, instead of waiting for a snapshot.
    clock : ``ts_ns`` or ``local_ns``: the time that the grid is on.
    hindsight : a book is void from the last event before a loss, though only the next event tells of it;
        without, it holds until then, as it did live.
    """

    depth: int = 25
    grace_s: float = 1.0
    silence_s: float = 3_600.0
    every: int = 0
    cold: bool = False
    clock: str = "ts_ns"
    hindsight: bool = True
    _state: Ints = field(init=False)
    _keys: Floats = field(init=False)
    _sizes: Floats = field(init=False)
    _ages: Ints = field(init=False)
    _members: Ints = field(init=False)
    _counts: Ints = field(init=False)
    _orders: tuple[Ints, Floats, int] = field(init=False)

    def __post_init__(self) -> None:
        """Start empty."""
        if (
            self.depth < 1
            or min(self.grace_s, self.silence_s, self.every) < 0
            or self.clock not in ("ts_ns", "local_ns")
        ):
            raise SettingError(
                "a book needs depth >= 1, grace_s, silence_s and every >= 0 and a clock of ts_ns or local_ns"
            )
        self._state = ladder.new_state(cold=self.cold)
        self._keys, self._sizes = np.empty((2, ROOM)), np.empty((2, ROOM))
        self._ages, self._members = np.zeros((2, ROOM), dtype=np.int64), np.zeros((2, ROOM), dtype=np.int64)
        self._counts = np.zeros(2, dtype=np.int64)
        self._orders = (*new_orders(), 0)

    @property
    def stats(self) -> BookStats:
        """Counts so far."""
        counts = [int(n) for n in self._state]
        return BookStats(
            events=counts[ladder.EVENTS],
            messages=counts[ladder.MESSAGES],
            snapshots=counts[ladder.SNAPSHOTS],
            gaps=counts[ladder.GAPS],
            void_rows=counts[ladder.VOID_ROWS],
            stale_rows=counts[ladder.STALE_ROWS],
            dropped_levels=counts[ladder.DROPPED],
            unknown_orders=counts[ladder.UNKNOWN],
            crossed_s=counts[ladder.CROSSED_NS] / NS_PER_S,
            synced_s=counts[ladder.SYNCED_NS] / NS_PER_S,
        )

    @property
    def clock_ns(self) -> int:
        """Time of the latest event; -1 before the first."""
        return int(self._state[ladder.CLOCK])

    def deltas(self, frame: pl.DataFrame, at_ns: Ints = NO_INSTANTS) -> tuple[Ints, Floats]:
        """Apply rows of book changes (:data:`features.schema.BOOK_DELTAS`).

        Parameters
        ----------
        frame : rows in the venue's order; a message may be cut by the end of a chunk.
        at_ns : ascending instants at which the book is wanted; those before the chunk's last event come back.

        Returns
        -------
        (n,) instants and (n, 4 * depth) books: price and size of each level, bids first, best first.
        """
        ts_ns, seq, prev_seq = (frame[c].to_numpy() for c in (self.clock, "seq", "prev_seq"))
        flags, side, price, size = (frame[c].to_numpy() for c in ("flags", "side", "price", "size"))
        self._refuse(ts_ns, at_ns)
        out_ns, out = self._room(ts_ns, at_ns)
        row = written = 0
        while row < len(ts_ns):
            row, written = ladder.replay_l2(
                ts_ns, seq, prev_seq, flags, side, price, size, at_ns, self.every, self.depth, self._grace_ns,
                self._silence_ns, 0 if self.hindsight else self._silence_ns, self._state, self._keys, self._sizes,
                self._ages, self._counts, out_ns, out, row, written,
            )  # fmt: skip
            self._grow()
        return out_ns[:written], out[:written]

    def orders(self, frame: pl.DataFrame, at_ns: Ints = NO_INSTANTS) -> tuple[Ints, Floats]:
        """Apply rows of order events (:data:`features.schema.ORDER_EVENTS`); see :meth:`deltas`.

        The book starts empty: it is whole once the orders that rested before the first event are gone.
        """
        ts_ns, order_id, action = (frame[c].to_numpy() for c in (self.clock, "order_id", "action"))
        side, price, size = (frame[c].to_numpy() for c in ("side", "price", "size"))
        self._refuse(ts_ns, at_ns)
        out_ns, out = self._room(ts_ns, at_ns)
        ids, resting, alive = self._orders
        written, self._keys, self._sizes, self._ages, self._members, ids, resting, alive = replay_l3(
            ts_ns, order_id, action, side, price, size, at_ns, self.every, self.depth, self._grace_ns, self._silence_ns,
            self._state, self._keys, self._sizes, self._ages, self._members, self._counts, ids, resting, alive,
            out_ns, out,
        )  # fmt: skip
        self._orders = (ids, resting, alive)
        return out_ns[:written], out[:written]

    def _refuse(self, ts_ns: Ints, at_ns: Ints) -> None:
        """Refuse two grids at once, and a clock that was not recorded."""
        if self.every and len(at_ns):
            raise SettingError("books come at instants or after every so many messages; ask for one of the two")
        if self.clock == "local_ns" and len(ts_ns) and ts_ns.min() == 0:
            raise SettingError("local_ns was not recorded for these events; take the clock ts_ns")

    def _grow(self) -> None:
        """Make room for more levels where a side is full."""
        if self._counts.max() >= self._keys.shape[1]:
            self._sizes, self._keys, self._ages, self._members = ladder.roomy(
                self._sizes, self._counts, self._keys, self._ages, self._members
            )

    def finish(self, at_ns: Ints = NO_INSTANTS) -> tuple[Ints, Floats]:
        """The books at the instants that are left: the last book at the last event's time, void after it.

        With ``every``, the book after the last message, if it is one of them.
        """
        if self.every:
            due = self._state[ladder.MESSAGES] > 0 and self._state[ladder.MESSAGES] % self.every == 0
            at_ns = np.full(int(due), self.clock_ns)
        out = np.full((len(at_ns), 4 * self.depth), np.nan)
        synced = self._state[ladder.SYNCED] or self._orders[2] > 0
        for i in np.flatnonzero(at_ns <= self.clock_ns):
            ladder.emit(out[i], self.depth, self._keys, self._sizes, self._ages, self._counts, int(synced))
        return at_ns, out

    def hold(self, at_ns: Ints) -> tuple[Ints, Floats]:
        """The books at instants after the last event, if nothing comes before: void after ``silence_s``."""
        out = np.empty((len(at_ns), 4 * self.depth))
        synced = self._state[ladder.SYNCED] or self._orders[2] > 0
        for i, instant_ns in enumerate(at_ns):
            known = synced and instant_ns - self.clock_ns <= self._silence_ns
            ladder.emit(out[i], self.depth, self._keys, self._sizes, self._ages, self._counts, int(known))
        return at_ns, out

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays to go on from after a restart; see :meth:`restore`."""
        ids, resting, alive = self._orders
        sides = {"keys": self._keys, "sizes": self._sizes, "ages": self._ages, "members": self._members}
        return {
            "state": self._state,
            "counts": self._counts,
            "ids": ids,
            "resting": resting,
            "alive": np.array(alive),
            **sides,
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from the state of a builder of the same settings."""
        self._state, self._counts = state["state"].copy(), state["counts"].copy()
        self._keys, self._sizes, self._ages, self._members = (
            state[n].copy() for n in ("keys", "sizes", "ages", "members")
        )
        self._orders = (state["ids"].copy(), state["resting"].copy(), int(state["alive"]))

    @property
    def _grace_ns(self) -> int:
        return round(self.grace_s * NS_PER_S)

    @property
    def _silence_ns(self) -> int:
        return round(self.silence_s * NS_PER_S)

    def _room(self, ts_ns: Ints, at_ns: Ints) -> tuple[Ints, Floats]:
        """Space for the books of a chunk; untouched pages of it cost nothing."""
        due = int(np.searchsorted(at_ns, ts_ns.max())) if len(ts_ns) and len(at_ns) else 0
        rows = due + (len(ts_ns) // self.every + 2 if self.every else 0)
        return np.empty(rows, dtype=np.int64), np.empty((rows, 4 * self.depth))


def grid_ns(first_ns: int, last_ns: int, step_ns: int) -> Ints:
    """Multiples of ``step_ns`` from the first at or after ``first_ns`` to the last at or before ``last_ns``.

    Examples
    --------
    >>> grid_ns(5, 20, 10).tolist()
    [10, 20]
    """
    start = -(-first_ns // step_ns) * step_ns
    return start + step_ns * np.arange(max((last_ns - start) // step_ns + 1, 0), dtype=np.int64)


def rebuild(chunks: Iterable[pl.DataFrame], builder: BookBuilder, at_ns: Ints = NO_INSTANTS) -> Iterator[pl.DataFrame]:
    """Rebuild books from chunks of L2 changes or L3 orders, told apart by their columns.

    Yields frames of the table ``book_snapshots_<depth>``, one for each chunk that gave books.
    """
    for chunk in chunks:
        apply = builder.orders if "order_id" in chunk.columns else builder.deltas
        done_ns, books = apply(chunk, at_ns)
        at_ns = at_ns[len(done_ns) :] if not builder.every else at_ns
        if len(done_ns):
            yield to_frame(done_ns, books)
    done_ns, books = builder.finish(at_ns)
    if len(done_ns):
        yield to_frame(done_ns, books)


def to_frame(ts_ns: Ints, books: Floats) -> pl.DataFrame:
    """Books as rows of ``book_snapshots_<depth>``."""
    table = book_snapshots(books.shape[1] // 4)
    levels = [name for name in table.columns if name not in ("ts_ns", "local_ns", "seq")]
    columns = {name: np.ascontiguousarray(books[:, i]) for i, name in enumerate(levels)}
    return table.conform(pl.DataFrame({"ts_ns": ts_ns, **columns}))
