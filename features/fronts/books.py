"""Books to rows: what stood at the end of each."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from features.book import BookBuilder
from features.clock import NS_PER_S
from features.engine import Channels, Ints, State, below
from features.errors import SettingError
from features.families.family import positive
from features.fronts.tally import Pending, Tally, distinct, running
from features.orderflow import book_columns, sweep
from features.terms import Floats

LOG_SIZE = "log_size_"


class Books(Protocol):
    """Where the books at the ends of rows come from."""

    tally: Tally
    clock_ns: int

    def take(self, frame: pl.DataFrame) -> Ints:
        """Take events in; answers the times that they count at."""
        ...

    def close(self, first: int, stop: int) -> Floats:
        """Books at the ends of rows ``first`` to ``stop - 1``, shape (n, 4 * depth)."""
        ...

    def state(self) -> State:
        """Arrays to go on from after a restart."""
        ...

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        ...


def ends_of(first: int, stop: int, step_ns: int) -> Ints:
    """Last instants of rows ``first`` to ``stop - 1``: an event at the very end belongs to the next row."""
    return (first + 1 + np.arange(max(stop - first, 0), dtype=np.int64)) * step_ns - 1


def rows_within(slots: Ints, hold_rows: int) -> Ints:
    """The rows from each slot on, up to the next one, but at most ``hold_rows``; the last slot has none yet.

    Examples
    --------
    >>> rows_within(np.array([3, 5, 90]), 4).tolist()
    [3, 4, 5, 6, 7, 8]
    """
    spans = np.minimum(np.diff(slots), hold_rows)
    first = np.repeat(slots[:-1] - np.cumsum(spans) + spans, spans)
    return first + np.arange(len(first), dtype=np.int64)


@dataclass(slots=True)
class RebuiltBooks:
    """Books from changes or orders; events that come late change the book from then on, not what was given out."""

    bar_s: int
    depth: int
    silence_s: int
    tally: Tally = field(default_factory=Tally)
    clock_ns: int = 0
    _next: int = 0  # first row that was not given out
    _builder: BookBuilder = field(init=False)
    _ready: Pending = field(init=False)

    def __post_init__(self) -> None:
        """Start with an empty book."""
        self._builder = BookBuilder(depth=self.depth, silence_s=self.silence_s, hindsight=False)
        self._ready = Pending(4 * self.depth)

    def take(self, frame: pl.DataFrame) -> Ints:
        """Apply events; the books of rows that end before the last of them are then known."""
        ts_ns, step_ns = frame["ts_ns"].to_numpy(), self.bar_s * NS_PER_S
        clock_ns = running(ts_ns, self.clock_ns)
        self.tally.events += len(frame)
        self.tally.reordered += int((ts_ns < clock_ns).sum())
        self.tally.late += int((clock_ns < self._next * step_ns).sum())
        slots = distinct(np.concatenate([[self.clock_ns], clock_ns]) // step_ns)
        rows = rows_within(slots, self._hold_rows)
        instants_ns = ends_of(0, 1, step_ns) + rows[rows >= self._next] * step_ns
        apply = self._builder.orders if "order_id" in frame.columns else self._builder.deltas
        self._ready.put(*apply(frame, instants_ns))
        self.clock_ns = int(clock_ns[-1]) if len(clock_ns) else self.clock_ns
        return clock_ns

    def close(self, first: int, stop: int) -> Floats:
        """Books of rows; those after the last event hold, and are void after a silence."""
        step_ns = self.bar_s * NS_PER_S
        out = np.full((stop - first, 4 * self.depth), np.nan)
        ready_ns, books = self._ready.pop(stop * step_ns)
        row = ready_ns // step_ns - first
        out[row[row >= 0]] = books[row >= 0]
        since = max(self.clock_ns // step_ns, first)
        until = min(stop, self.clock_ns // step_ns + self._hold_rows)
        if until > since:
            out[since - first : until - first] = self._builder.hold(ends_of(since, until, step_ns))[1]
        self._next = max(self._next, stop)
        return out

    @property
    def _hold_rows(self) -> int:
        return self.silence_s // self.bar_s + 2

    def state(self) -> State:
        """Arrays to go on from after a restart."""
        book = {f"book.{name}": values for name, values in self._builder.state().items()}
        clocks = {"clocks": np.array([self.clock_ns, self._next])}
        return {**clocks, **book, **self._ready.state(), **self.tally.state()}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self.clock_ns, self._next = (int(t) for t in state["clocks"])
        self._builder.restore(below(state, "book."))
        self._ready.restore(state)
        self.tally.restore(state)


@dataclass(slots=True)
class RecordedBooks:
    """Books as the venue sends them whole; one stamped before the last is late and left out."""

    bar_s: int
    depth: int
    silence_s: int
    tally: Tally = field(default_factory=Tally)
    clock_ns: int = 0
    _next_ns: int = 0
    _last_ns: int = 0
    _last: Floats = field(init=False)
    _pending: Pending = field(init=False)

    def __post_init__(self) -> None:
        """Start without a book."""
        self._pending, self._last = Pending(4 * self.depth), np.full(4 * self.depth, np.nan)

    def take(self, frame: pl.DataFrame) -> Ints:
        """Take books in."""
        return self.take_books(frame["ts_ns"].to_numpy(), as_matrix(frame, self.depth))

    def take_books(self, ts_ns: Ints, books: Floats) -> Ints:
        """Take books in as arrays of shape (n,) and (n, 4 * depth)."""
        clock_ns = running(ts_ns, self.clock_ns)
        newest = ts_ns == clock_ns
        self.tally.events += len(ts_ns)
        self.tally.reordered += int((~newest).sum())
        self.tally.late += int((clock_ns < self._next_ns).sum())
        whole = newest.all()
        self._pending.put(clock_ns if whole else clock_ns[newest], books if whole else books[newest])
        self.clock_ns = int(clock_ns[-1]) if len(clock_ns) else self.clock_ns
        return clock_ns

    def close(self, first: int, stop: int) -> Floats:
        """The last book before the end of each row, NaN where that is older than the silence allows."""
        step_ns = self.bar_s * NS_PER_S
        clock_ns, books = self._pending.pop(stop * step_ns)
        clock_ns = np.append(self._last_ns, clock_ns)
        ends_ns = ends_of(first, stop, step_ns)
        i = np.searchsorted(clock_ns, ends_ns, side="right") - 1  # 0: the book of the rows before
        out = np.empty((stop - first, 4 * self.depth))
        if len(books):
            np.take(books, i - 1, axis=0, out=out, mode="clip")
            self._last_ns, before, self._last = int(clock_ns[-1]), self._last, books[-1].copy()
            out[i <= 0] = before
        else:
            out[:] = self._last
        out[(i < 0) | (ends_ns - clock_ns[i] > self.silence_s * NS_PER_S)] = np.nan
        self._next_ns = stop * step_ns
        return out

    def state(self) -> State:
        """Arrays to go on from after a restart."""
        clocks = {"clocks": np.array([self.clock_ns, self._next_ns, self._last_ns]), "last": self._last}
        return {**clocks, **self._pending.state(), **self.tally.state()}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self.clock_ns, self._next_ns, self._last_ns = (int(t) for t in state["clocks"])
        self._last = state["last"]
        self._pending.restore(state)
        self.tally.restore(state)


def as_matrix(frame: pl.DataFrame, depth: int) -> Floats:
    """Rows of ``book_snapshots_<K>`` as a matrix of ``depth`` levels a side: deeper ones cut, missing ones NaN.

    Examples
    --------
    >>> as_matrix(pl.DataFrame({"bid_px_0": [9.0], "bid_sz_0": [1.0], "ask_px_0": [11.0], "ask_sz_0": [2.0]}), 1)
    array([[ 9.,  1., 11.,  2.]])
    """
    names = [f"{side}_{what}_{i}" for side in ("bid", "ask") for i in range(depth) for what in ("px", "sz")]
    out = np.full((len(frame), len(names)), np.nan)
    for j, name in enumerate(names):
        if name in frame.columns:
            out[:, j] = frame[name].to_numpy()
    return out


@dataclass(slots=True)
class BookFront:
    """Rows of books: the columns of :mod:`features.orderflow`, and ``log_size_N``, the log of the depth of both sides.

    Raises
    ------
    SettingError
        If a column needs more levels than ``depth``.
    """

    books: Books
    depth: int
    columns: tuple[str, ...]
    _levels: tuple[int, ...] = field(init=False)
    _notionals: tuple[float, ...] = field(init=False)
    _sizes: tuple[str, ...] = field(init=False)
    _before: Floats = field(init=False)
    _next: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        """Work out which levels and notionals the columns name."""
        numbered = [name.rpartition("_") for name in self.columns if name.rpartition("_")[2].isdigit()]
        self._notionals = tuple(sorted({float(n) for stem, _, n in numbered if stem.startswith("cost_")}))
        levels = {int(n) for stem, _, n in numbered if not stem.startswith("cost_")}
        if max(levels, default=1) > self.depth:
            raise SettingError(
                f"features of {max(levels)} levels need a depth of as many; the spec's depth is {self.depth}"
            )
        self._levels = tuple(sorted(levels | {self.depth}))
        self._before = np.full(4 * self.depth, np.nan)
        self._sizes = tuple(name for name in self.columns if name.startswith(LOG_SIZE))
        known = {*book_columns(self._levels, self._notionals), *self._sizes}
        if unknown := sorted(set(self.columns) - known):
            raise SettingError(f"{', '.join(unknown)} needs a book of two levels at least; raise the spec's depth")

    def close(self, first: int, stop: int) -> tuple[Channels, Floats]:
        """Channels of rows ``first`` to ``stop - 1``, and the mid before each."""
        books = self.books.close(first, stop)
        if first != self._next:
            self._before[:] = np.nan
        names = book_columns(self._levels, self._notionals)
        out = np.empty((len(names), stop - first))
        sweep(books, self._before, self._levels, self._notionals, out)
        half = 2 * self.depth
        mid_before = np.append((self._before[0] + self._before[half]) / 2, out[0, :-1])
        self._before, self._next = books[-1].copy(), stop
        table = dict(zip(names, out, strict=True))
        for name in self._sizes:
            bids, asks = (table[f"depth_{side}_{name.removeprefix(LOG_SIZE)}"] for side in ("bid", "ask"))
            table[name] = np.log(positive(bids + asks))
        return {name: table[name] for name in ("mid", *self.columns)}, mid_before

    def state(self) -> State:
        """Arrays to go on from after a restart."""
        own = {"before": self._before, "next": np.array(self._next)}
        return {**own, **{f"books.{name}": values for name, values in self.books.state().items()}}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._before, self._next = state["before"].copy(), int(state["next"])
        self.books.restore(below(state, "books."))
