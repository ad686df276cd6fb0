"""Where the past has too many missing rows to be read as calm."""

from dataclasses import dataclass, field

import numpy as np

from features.clock import DAY_S
from features.engine import Bools, Ints, State
from features.plan import Plan
from features.rolling import Roller, Window
from features.spec import FINE_S
from features.terms import Floats

# (days, share of rows in gaps) beyond which an origin is blind, on grids of a minute and more
SHARE = 0.05
BLIND_AFTER = ((1, 0.0), (7, SHARE), (30, SHARE))


@dataclass(slots=True)
class Sight:
    """Tells after which rows an instrument is blind: after more rows in gaps than its rules allow.

    Carried-forward prices have no variance: what a feed did not show must not look like calm. A run of missing rows
    becomes a gap, in its whole length, in the row that makes it longer than ``longest_run``; nobody knew before.
    """

    longest_run: int
    rules: tuple[tuple[int, float], ...]  # (rows back, rows in gaps that are allowed)
    _roller: Roller = field(init=False)
    _run: int = 0
    _next_slot: int = -1

    def __post_init__(self) -> None:
        """Set up a window for each rule; before the first row nothing is missing."""
        self._roller = Roller(tuple(Window(0, rows) for rows, _ in self.rules), before=0.0)

    def add(self, missing: Floats, slot: int) -> Bools:
        """Whether each row (n,) leaves the instrument blind; ``missing`` (n,) is 1 where nothing was seen."""
        longest = self.longest_run
        self._run = self._run if slot == self._next_slot else 0
        self._next_slot = slot + len(missing)
        run = self._runs(missing > 0)
        rows_of_gaps = np.where(run == longest + 1, longest + 1, run > longest).astype(np.float64)
        counts = self._roller.add(rows_of_gaps[None, :], slot)
        allowed = np.array([share for _, share in self.rules])
        blind: Bools = np.any(counts > allowed[:, None], axis=0)
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


def sight_of(plan: Plan) -> Sight:
    """The rules of a spec.

    Any gap in the last day blinds, and a twentieth of the last week or month; on a grid finer than a minute a gap while
    it lasts, and a twentieth of any look-back.
    """
    bar_s = plan.spec.bar_s
    longest_run = plan.spec.longest_carry_s // bar_s
    if bar_s < FINE_S:
        looks = sorted({feature.look.rows for feature in plan.features})
        return Sight(longest_run, ((1, 0.0), *((rows, SHARE * rows) for rows in looks)))
    rows = [days * DAY_S // bar_s for days, _ in BLIND_AFTER]
    return Sight(longest_run, tuple((n, share * n) for n, (_, share) in zip(rows, BLIND_AFTER, strict=True)))
