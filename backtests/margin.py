"""Backtest of a margin: was it enough, what did it cost, how did it move?"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from features.panel import Panel
from serving.schedule import Schedule, loss_frac

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MarginScore:
    """Figures of one model's published margin on one side, fractions of notional.

    ``breaches``: windows whose loss over the MPOR exceeded the initial margin
    of their origin. ``worst_shortfall_frac``: largest excess of a loss over the margin.
    ``largest_daily_rise``: largest ratio of the margin to that of 24 hours before.
    ``peak_to_trough``: largest over smallest margin.
    """

    model: str
    side: str
    n: int
    breaches: int
    worst_shortfall_frac: float
    mean_initial_frac: float
    mean_maintenance_frac: float
    largest_daily_rise: float
    peak_to_trough: float

    def to_json(self) -> dict[str, float | str | int]:
        """Plain values."""
        return asdict(self)


def realised_loss(panel: Panel, schedule: Schedule, mpor_s: int, side: str) -> FloatArray:
    """Loss over the MPOR from each origin, fraction of notional, shape (n,); NaN where unknown."""
    first = panel.first_row_from(int(schedule.origin_ns[0]))
    rows = slice(first, first + len(schedule.origin_ns))
    return loss_frac(panel.targets.log_return[rows, panel.horizon_index(mpor_s)], side)


def score_margin(model: str, schedule: Schedule, panel: Panel, mpor_s: int) -> list[MarginScore]:
    """Score both sides of a schedule against what happened."""
    return [_score_side(model, schedule, panel, mpor_s, side) for side in schedule.sides]


def _score_side(model: str, schedule: Schedule, panel: Panel, mpor_s: int, side: str) -> MarginScore:
    loss = realised_loss(panel, schedule, mpor_s, side)
    known = np.isfinite(loss)
    initial = schedule.sides[side].initial_frac
    excess = (loss - initial)[known]
    day = min(24, len(initial) - 1)
    return MarginScore(
        model=model,
        side=side,
        n=int(known.sum()),
        breaches=int((excess > 0).sum()),
        worst_shortfall_frac=float(max(0.0, excess.max(initial=0.0))),
        mean_initial_frac=float(initial.mean()),
        mean_maintenance_frac=float(schedule.sides[side].maintenance_frac.mean()),
        largest_daily_rise=float((initial[day:] / initial[: len(initial) - day]).max()),
        peak_to_trough=float(initial.max() / initial.min()),
    )
