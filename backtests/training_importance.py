"""Which inputs a trained network's forecasts hang on, by horizon, in the last months of what was held out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from backtests.training_network import Trained
from backtests.training_period import Period
from features.clock import DAY_NS
from features.errors import DataError
from features.panel import Panel
from features.pipeline import Progress
from models.neural.importance import Importances, integrated_gradients, permutation

DAYS, SEED = 90, 0  # a season is enough to weigh inputs on, and costs a minute, not an hour


@dataclass(frozen=True)
class Weighed:
    """Importances of each kind, and why one of them is not there."""

    found: tuple[Importances, ...] = ()
    failures: tuple[str, ...] = ()


def weigh(trained: Trained, panels: Mapping[str, Panel], period: Period, progress: Progress) -> Weighed:
    """Importances by permutation and by integrated gradients, on instruments that were trained on."""
    from_ns = max(period.from_ns, period.to_ns - DAYS * DAY_NS)
    cut = [_cut(panel, from_ns - period.fold.recall_ns, period.to_ns) for panel in panels.values()]
    held = [panel for panel in cut if len(panel) and panel.origin_ns[-1] >= from_ns]
    kinds: dict[str, Callable[[], Importances]] = {
        "permutation": lambda: permutation(trained.forecaster, held, np.random.default_rng(SEED), from_ns=from_ns),
        "integrated gradients": lambda: integrated_gradients(trained.forecaster, held, from_ns=from_ns),
    }
    found, failures = [], []
    for done, (kind, measured) in enumerate(kinds.items()):
        progress(done, len(kinds))
        try:
            found.append(measured())
        except DataError as error:  # a run is worth its scores without them
            failures.append(f"{kind}: {error}")
    progress(1, 1)
    return Weighed(tuple(found), tuple(failures))


def _cut(panel: Panel, from_ns: int, to_ns: int) -> Panel:
    return panel.rows(panel.first_row_from(from_ns), panel.first_row_from(to_ns + 1))
