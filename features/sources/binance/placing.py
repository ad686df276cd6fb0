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
    """Holds changes back while the book is unknown, and a snapshot until the changes have reached it.

    A snapshot that arrives while the changes go on without a break tells nothing new and is counted
    in ``redundant``. Without any snapshot the changes come out as they are.
    """

    redundant: int = 0
    _held: list[Event] = field(default_factory=list)
    _snapshot: Event | None = None
    _reached: int | None = None

    def add(self, event: Event) -> list[Event]:
        """Take a message in; answers those whose place is now certain, in order."""
        if event.snapshot:
            if self._reached is not None and event.seq <= self._reached:
                self.redundant += 1
                return []
            self._snapshot = event
        elif self._reached is not None and event.prev_seq <= self._reached and not self._passes(event):
            self._reached = max(self._reached, event.seq)
            return [event]
        else:
            self._held.append(event)
        if self._snapshot is not None and self._held and self._passes(self._held[-1]):
            return self._settle()
        if len(self._held) > MOST_HELD:
            return self.finish()
        if not event.snapshot and not self._passes(event):
            self._reached = None
        return []

    def finish(self) -> list[Event]:
        """What is still held, in order."""
        out = self._settle()
        self._reached = None
        return out

    def _passes(self, event: Event) -> bool:
        return self._snapshot is not None and event.seq > self._snapshot.seq

    def _settle(self) -> list[Event]:
        held, snapshot = self._held, self._snapshot
        self._held, self._snapshot = [], None
        if snapshot is None:
            return held
        before = [event for event in held if event.seq <= snapshot.seq]
        after = [event for event in held if event.seq > snapshot.seq]
        self._reached = after[-1].seq if after else snapshot.seq
        return [*before, snapshot, *after]


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
