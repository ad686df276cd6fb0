"""One model held against each of several: skill and difference with intervals, on the windows that all of them have."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backtests.forecast_rows import ForecastFiles
from backtests.scoring import LEAST_COVERAGE
from backtests.scoring_attendance import Market, take_attendance
from backtests.scoring_horizon import Field, field_of, read_numbers
from backtests.scoring_inference import against, skill_intervals
from backtests.scoring_losses import Losses, losses_of, pooled
from features.pipeline import Progress, no_progress

Skills = dict[int, dict[str, dict[str, Any]]]


def skills_over(
    path: Path, outcomes: Market, model: str, others: Sequence[str], progress: Progress = no_progress
) -> Skills:
    """Figures of one model against each of the others, pooled over instruments, by horizon and the other's name.

    They are those that :func:`backtests.scoring.score_file` gives the model when the other is its baseline: ``vs``
    (difference, Diebold & Mariano's t, skill) and ``detail.vs`` (with 95 % intervals whose clusters are days).

    Parameters
    ----------
    path : of the file of forecasts.
    outcomes : by instrument and horizon.
    model, others : names; one that covers too few origins to be scored is left out, and where the model itself does,
        nothing is answered.
    """
    files = ForecastFiles([path])
    attendance = take_attendance(files, outcomes, LEAST_COVERAGE, no_progress)
    known = [name for name in others if name in attendance.models]
    horizons = next(iter(outcomes.values()))
    found: Skills = {}
    for done, horizon_s in enumerate(horizons):
        field = field_of(attendance, {name: of[horizon_s] for name, of in outcomes.items()})
        progress(done, len(horizons))
        if field is None or model not in attendance.models:
            continue
        own = _losses(files, field, model)
        found[horizon_s] = {name: _held(own, _losses(files, field, name), field) for name in known}
    progress(1, 1)
    return found


def _held(own: Losses, other: Losses, field: Field) -> dict[str, Any]:
    found = {
        "vs": against(own, other, field.days, field.horizon_s),
        "detail": {"vs": skill_intervals(own, other, field.days, field.horizon_s)},
    }
    known: dict[str, Any] = _plain(found)
    return known


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same with None for what is not finite, as JSON has no word for it."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _losses(files: ForecastFiles, field: Field, model: str) -> Losses:
    """A model's losses on the windows that all have, of one instrument after the other."""
    parts = []
    for name, rows in field.kept.items():
        outcomes = field.whole[name].rows(np.asarray(rows))
        parts.append(losses_of(outcomes, read_numbers(files, model, name, outcomes)))
    return pooled(parts)
