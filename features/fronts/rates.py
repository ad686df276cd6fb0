"""Funding, marks and open interest to rows: what was last known at the end of each."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from features.clock import DAY_S, HOUR_S, NS_PER_S
from features.engine import Channels, Ints, State, below
from features.families.family import positive
from features.fronts.books import ends_of
from features.fronts.tally import Pending, Tally, running
from features.orderflow import basis_frac, funding_annual
from features.terms import Floats

HOLD_S = {"funding_annual": DAY_S, "basis_frac": HOUR_S, "open_interest": HOUR_S}  # what is older says nothing
RATE_CHANNELS = {"funding": ("funding_annual", "basis_frac"), "open_interest": ("open_interest",)}


def _funding(frame: pl.DataFrame) -> Floats:
    """Rate a year and basis against the index; NaN where the interval or the index is not told."""
    rate, interval_s, mark, index = (
        frame[name].to_numpy().astype(np.float64) for name in ("rate", "interval_s", "mark_price", "index_price")
    )
    return np.column_stack([funding_annual(rate, positive(interval_s)), basis_frac(mark, positive(index))])


def _open_interest(frame: pl.DataFrame) -> Floats:
    return frame["open_interest"].to_numpy()[:, None].astype(np.float64)


VALUES = {"funding": _funding, "open_interest": _open_interest}


@dataclass(slots=True)
class RateFront:
    """Rows of the last known value of each channel of one kind; NaN before the first and ``HOLD_S`` after the last."""

    bar_s: int
    kind: str
    tally: Tally = field(default_factory=Tally)
    clock_ns: int = 0
    _next_ns: int = 0
    _pending: Pending = field(init=False)
    _last: list[Pending] = field(init=False)

    def __post_init__(self) -> None:
        """Start without a value."""
        width = len(RATE_CHANNELS[self.kind])
        self._pending, self._last = Pending(width), [Pending(1) for _ in range(width)]

    def take(self, frame: pl.DataFrame) -> Ints:
        """Take values in."""
        ts_ns = frame["ts_ns"].to_numpy()
        clock_ns = running(ts_ns, self.clock_ns)
        self.tally.events += len(frame)
        self.tally.reordered += int((ts_ns < clock_ns).sum())
        self.tally.late += int((clock_ns < self._next_ns).sum())
        self._pending.put(clock_ns, VALUES[self.kind](frame))
        self.clock_ns = int(clock_ns[-1]) if len(clock_ns) else self.clock_ns
        return clock_ns

    def skip(self, stop: int) -> None:
        """Keep of all values before row ``stop`` the last known ones: no row before it is made any more."""
        clock_ns, values = self._pending.pop(stop * self.bar_s * NS_PER_S)
        for j, last in enumerate(self._last):
            _held(last, clock_ns, values[:, j], clock_ns[:0], 0)

    def close(self, first: int, stop: int) -> Channels:
        """Rows ``first`` to ``stop - 1``."""
        ends_ns = ends_of(first, stop, self.bar_s * NS_PER_S)
        clock_ns, values = self._pending.pop(stop * self.bar_s * NS_PER_S)
        self._next_ns = stop * self.bar_s * NS_PER_S
        names = RATE_CHANNELS[self.kind]
        return {
            name: _held(self._last[j], clock_ns, values[:, j], ends_ns, HOLD_S[name]) for j, name in enumerate(names)
        }

    def state(self) -> State:
        """Arrays to go on from after a restart."""
        last = {f"last{j}.{name}": v for j, held in enumerate(self._last) for name, v in held.state().items()}
        clocks = {"clocks": np.array([self.clock_ns, self._next_ns])}
        return {**clocks, **last, **self._pending.state(), **self.tally.state()}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self.clock_ns, self._next_ns = (int(t) for t in state["clocks"])
        for j, held in enumerate(self._last):
            held.restore(below(state, f"last{j}."))
        self._pending.restore(state)
        self.tally.restore(state)


def _held(last: Pending, clock_ns: Ints, values: Floats, ends_ns: Ints, hold_s: int) -> Floats:
    """The last known value at each end."""
    known = ~np.isnan(values)
    last.put(clock_ns[known], values[known, None])
    i = np.searchsorted(last.clock_ns, ends_ns, side="right") - 1
    fresh = i >= 0
    fresh[fresh] = ends_ns[fresh] - last.clock_ns[i[fresh]] <= hold_s * NS_PER_S
    out = np.full(len(ends_ns), np.nan)
    out[fresh] = last.values[i[fresh], 0]
    last.pop(int(last.clock_ns[-1]) if len(last.clock_ns) else 0)
    return out
