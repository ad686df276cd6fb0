"""REST snapshots in their place: a snapshot of number S belongs between the changes up to S and those after it."""

from dataclasses import dataclass, field, replace

from features.intake.batch import Level, Rows

MOST_HELD = 100_000


@dataclass(frozen=True, slots=True)
class Event:
    """A book message: a change of the venue's numbers ``prev_seq`` to ``seq``, or the snapshot at ``seq``."""

    row: int
    ts_ns: int
    local_ns: int
    seq: int
    prev_seq: int
    bids: list[Level]
    asks: list[Level]
    snapshot: bool = False


@dataclass(slots=True)
class Placer:
    """Holds changes back while the book is unknown, and snapshots until the changes have passed them.

    A snapshot that arrives while the changes go on without a break tells nothing new and is counted
    in ``redundant``. Without any snapshot the changes come out as they are.
    """

    redundant: int = 0
    _held: list[Event] = field(default_factory=list)
    _snapshots: list[Event] = field(default_factory=list)
    _reached: int | None = None

    def add(self, event: Event) -> list[Event]:
        """Take a message in; answers those whose place is now certain, in order."""
        if event.snapshot:
            return self._wait(event)
        unbroken = self._reached is not None and event.prev_seq <= self._reached
        if unbroken and not (self._snapshots and event.seq > self._snapshots[0].seq):
            self._reached = max(self._reached or 0, event.seq)
            return [event]
        self._held.append(event)
        if self._snapshots and event.seq > self._snapshots[0].seq:
            return self._settle()
        self._reached = None
        return self.finish() if len(self._held) > MOST_HELD else []

    def covers(self, snapshot: Event) -> bool:
        """Whether a snapshot without a name may be of this book: its number falls into a change, its price is near."""
        return any(e.prev_seq <= snapshot.seq < e.seq and near(e, snapshot) for e in self._held)

    def wait(self, snapshot: Event) -> None:
        """Keep a snapshot until its place comes, unless the changes have told all of it already."""
        if self._reached is not None and snapshot.seq <= self._reached:
            self.redundant += 1
            return
        self._snapshots = sorted([*self._snapshots, snapshot], key=lambda event: event.seq)

    def finish(self) -> list[Event]:
        """What is still held, in order."""
        out = _in_order(self._held + self._snapshots)
        self._held, self._snapshots, self._reached = [], [], None
        return out

    def _wait(self, snapshot: Event) -> list[Event]:
        self.wait(snapshot)
        passed = self._snapshots and self._held and self._held[-1].seq > self._snapshots[0].seq
        return self._settle() if passed else []

    def _settle(self) -> list[Event]:
        """What is held and the snapshots that it has passed; later ones wait on."""
        end = self._held[-1].seq
        passed = [snapshot for snapshot in self._snapshots if snapshot.seq <= end]
        out = _in_order(self._held + passed)
        self._held, self._snapshots, self._reached = [], self._snapshots[len(passed) :], end
        return out


def near(change: Event, snapshot: Event) -> bool:
    """Whether a change is of the market of a snapshot: some price of it within a third of the best one."""
    best = [float(side[0][0]) for side in (snapshot.bids, snapshot.asks) if side]
    prices = [float(level[0]) for level in (*change.bids, *change.asks)]
    return not (best and prices) or any(2 / 3 < price / best[0] < 3 / 2 for price in prices)


def _in_order(events: list[Event]) -> list[Event]:
    """By number; a snapshot comes after the change that ends with its number."""
    return sorted(events, key=lambda event: (event.seq, event.snapshot))


def emit(rows: Rows, symbol: str, events: list[Event]) -> None:
    """Add placed messages; a snapshot without a time gets that of the change it follows, or the next one's.

    Raises
    ------
    ValueError
        If there is no time at all.
    """
    for i, event in enumerate(events):
        if not event.ts_ns:
            near = events[i - 1] if i else events[min(1, len(events) - 1)]
            event = replace(event, ts_ns=near.ts_ns or event.local_ns)
        if not event.ts_ns:
            raise ValueError("neither the snapshot nor the recorder tells a time")
        rows.deltas(
            event.row,
            symbol,
            event.ts_ns,
            event.local_ns,
            event.bids,
            event.asks,
            seq=event.seq,
            prev_seq=event.prev_seq,
            snapshot=event.snapshot,
        )
