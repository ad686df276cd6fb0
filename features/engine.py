"""From channels on the grid to features, in chunks of any size: the one computation behind panels and live rows."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from features.catalogue import Feature
from features.clock import NS_PER_S
from features.errors import SettingError
from features.plan import Placed, Plan, of_leader
from features.rolling import Roller
from features.terms import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Channels = dict[str, Floats]
State = dict[str, NDArray[Any]]
DIRECT_NUMBERS = 1 << 19  # of windows that are copied at once


@dataclass(slots=True)
class Engine:
    """Features of one instrument, row after row of the grid.

    What was computed of a row never depends on how the rows came: one by one, in chunks, or all at once. Rows that do
    not follow the last one begin anew: their past is unknown, and origins come when the longest look-back is full.
    """

    plan: Plan
    _roller: Roller = field(init=False)
    _past: Channels = field(init=False, default_factory=dict)
    _start_slot: int = field(init=False, default=-1)
    _next_slot: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        """Start without a past."""
        self._roller = Roller(self.plan.windows)

    def add(self, channels: Channels, slot: int) -> tuple[Ints, Floats]:
        """Take the next rows in.

        Parameters
        ----------
        channels : arrays of shape (n,), every one of the plan's.
        slot : number of the first row: row i covers ``[slot + i, slot + i + 1) * bar_s`` since 1970.

        Returns
        -------
        origin_ns : array of shape (m,)
            Closes of those rows that are origins and have the longest look-back behind them.
        values : array of shape (m, f)
            Features known then.
        """
        n = len(next(iter(channels.values())))
        if slot != self._next_slot:
            self._start_slot = slot
            self._past = {name: np.full(rows, np.nan) for name, rows in self.plan.memory.items()}
        whole = {name: np.concatenate([past, channels[name]]) for name, past in self._past.items()}
        every = self.plan.spec.every_s // self.plan.spec.bar_s
        warm = max(self._start_slot + self.plan.history_rows - 1 - slot, 0)
        rows = np.arange(warm + -(slot + warm + 1) % every, n, every)
        origin_ns = (slot + 1 + rows) * (self.plan.spec.bar_s * NS_PER_S)
        sums = self._rolled(whole, n, slot)
        sums = sums if len(rows) == n else sums[:, rows]
        columns = np.empty((len(self.plan.features), len(rows)))
        with np.errstate(divide="ignore", invalid="ignore"):
            for j, feature in enumerate(self.plan.features):
                columns[j] = self._column(feature, self.plan.columns[j], sums, whole, rows, origin_ns)
        self._past = {name: x[len(x) - self.plan.memory[name] :].copy() for name, x in whole.items()}
        self._next_slot = slot + n
        return origin_ns, columns.T

    def _rolled(self, whole: Channels, n: int, slot: int) -> Floats:
        terms = np.empty((len(self.plan.terms), n))
        with np.errstate(divide="ignore", invalid="ignore"):
            for i, (placed, names) in enumerate(zip(self.plan.terms, self.plan.term_channels, strict=True)):
                terms[i] = self._term(placed, [whole[name] for name in names], n)
        return self._roller.add(terms, slot)

    @staticmethod
    def _term(placed: Placed, parts: list[Floats], n: int) -> Floats:
        """A term's n values, from just as much past as it needs."""
        first, stop = n + placed.term.memory + placed.ago, placed.ago
        return placed.term.compute(*(x[len(x) - first : len(x) - stop] for x in parts))

    def _column(
        self, feature: Feature, columns: tuple[int, ...], sums: Floats, whole: Channels, rows: Ints, origin_ns: Ints
    ) -> Floats:
        family, look = feature.family, feature.look
        if family.clock:
            return family.clock(origin_ns)
        if family.finish:
            return family.finish(look, *(sums[c] for c in columns))
        return self._direct(feature, whole, rows)

    def _direct(self, feature: Feature, whole: Channels, rows: Ints) -> Floats:
        """A measure of each window, some at a time: that bounds the copies."""
        names, compute = feature.family.direct or ((), np.array)
        places = [of_leader(name, feature.leader) for name in names]
        windows = [
            sliding_window_view(whole[p][self.plan.memory[p] - feature.look.rows + 1 :], feature.look.rows)
            for p in places
        ]
        out = np.empty(len(rows))
        try:
            step = max(DIRECT_NUMBERS // feature.look.rows, 1)
            for first in range(0, len(rows), step):
                part = slice(first, first + step)
                out[part] = compute(feature.look, *(view[rows[part]] for view in windows))
        except ValueError as error:
            raise SettingError(f"feature {feature.name!r}: {error}") from error
        return out

    def state(self) -> State:
        """Arrays to go on from after a restart; see :meth:`restore`."""
        past = {f"past.{name}": values for name, values in self._past.items()}
        rolled = {f"roller.{name}": values for name, values in self._roller.state().items()}
        return {"slots": np.array([self._start_slot, self._next_slot]), **past, **rolled}

    def restore(self, state: State) -> None:
        """Go on from the state of an engine of the same plan.

        Raises
        ------
        SettingError
            If it is another plan's.
        """
        self._start_slot, self._next_slot = (int(n) for n in state["slots"])
        self._past = {name: np.asarray(state[f"past.{name}"]) for name in self.plan.memory if self._next_slot >= 0}
        if any(len(self._past[name]) != rows for name, rows in self.plan.memory.items() if self._past):
            raise SettingError("the saved state belongs to another feature spec; begin anew")
        self._roller.restore(below(state, "roller."))


def below(state: State, prefix: str) -> State:
    """The part of a state whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): values for name, values in state.items() if name.startswith(prefix)}
