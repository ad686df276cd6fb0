"""Where the past has too many missing rows to be read as calm."""

from dataclasses import dataclass, field

import numpy as np

from features.clock import DAY_S
from features.engine import Bools, Ints, State
from features.rolling import Roller, Window
from features.terms import Floats

MAX_CARRY_S = 1_800  # a longer run of missing rows is a gap
# (days, share of rows in gaps) beyond which an origin is blind
BLIND_AFTER = ((1, 0.0), (7, 0.05), (30, 0.05))
FINEST_S = 60  # a finer grid is blind as long as its gap lasts, and where its features are not known


@dataclass(slots=True)
class Sight:
    """Tells after which rows an instrument is blind: any gap in the last day, or a twentieth of the last week or month.

    Carried-forward prices have no variance: what a feed did not show must not look like calm. A run of missing rows
    becomes a gap, in its whole length, in the row that makes it longer than half an hour; not before, for nobody
    knew.
    """

    bar_s: int
    _roller: Roller = field(init=False)
    _run: int = 0
    _next_slot: int = -1

    def __post_init__(self) -> None:
        """Set up a window for each rule; before the first row nothing is missing."""
        windows = tuple(Window(0, days * DAY_S // self.bar_s) for days, _ in BLIND_AFTER)
        self._roller = Roller(windows if self.bar_s >= FINEST_S else (), before=0.0)

    def add(self, missing: Floats, slot: int) -> Bools:
        """Whether each row (n,) leaves the instrument blind; ``missing`` (n,) is 1 where nothing was seen."""
        limit = MAX_CARRY_S // self.bar_s
        self._run = self._run if slot == self._next_slot else 0
        self._next_slot = slot + len(missing)
        run = self._runs(missing > 0)
        rows_of_gaps = np.where(run == limit + 1, limit + 1, run > limit).astype(np.float64)
        counts = self._roller.add(rows_of_gaps[None, :], slot)
        allowed = np.array([share * (days * DAY_S // self.bar_s) for days, share in BLIND_AFTER])[: len(counts)]
        blind: Bools = np.any(counts > allowed[:, None], axis=0) | (run > limit)
        return blind

    def _runs(self, flag: Bools) -> Ints:
        """How many rows up to each one are flagged without a break."""
        index = np.arange(1, len(flag) + 1)
        run = index - np.maximum.accumulate(np.where(flag, -self._run, index))
        self._run = int(run[-1]) if len(run) else self._run
        return np.where(flag, run, 0)

    def state(self) -> State:
        """Arrays to go on from after a restart."""
        return {"run": np.array([self._run, self._next_slot]), **self._roller.state()}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._run, self._next_slot = (int(n) for n in state["run"])
        self._roller.restore({name: values for name, values in state.items() if name != "run"})
