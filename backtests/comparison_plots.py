"""Pictures of a comparison, made from its scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from backtests.comparison_conditions import (
    TAILS,
    by_hour,
    by_level,
    by_tercile,
    by_year,
    own_conditions,
    percent,
    pit_density,
)
from backtests.comparison_curves import excess_hits, intervals, murphy_differences, reliability_errors, side
from backtests.comparison_lines import hits_over_time, murphy, reliability
from backtests.comparison_maps import coverage_map, dots
from backtests.comparison_view import Board, board_of, hours
from models.base import LEVELS

Scores = Mapping[str, Any]


def model_figures(scores: Scores, model: str) -> dict[str, go.Figure]:
    """Reliability, hits over time and coverage under conditions of one model at all horizons.

    Parameters
    ----------
    scores : of :func:`backtests.scoring.score_file`, or what JSON made of it.
    model : one of those that were scored.
    """
    board = board_of(scores)
    return {
        "reliability": reliability_picture(board, [model]),
        "hits_over_time": hits_picture(board, [model]),
        "conditional_coverage": own_coverage_picture(board, model),
    }


def skill_picture(board: Board) -> go.Figure:
    """Skill in QLIKE, percent."""
    models = board.ranked("qlike")
    values = intervals(board, models, "qlike", "skill", 100)
    return dots(values, models, "skill, %", more_is_better=True)


def tail_picture(board: Board) -> go.Figure:
    """FZ0 less the baseline's."""
    models = board.ranked("fz_tail")
    values = intervals(board, models, "fz_tail", "difference", 1)
    return dots(values, models, "FZ0 difference", more_is_better=False)


def reliability_picture(board: Board, models: Sequence[str]) -> go.Figure:
    """Observed less nominal shares of some models."""
    return reliability(reliability_errors(board, models), LEVELS, board.baseline)


def hits_picture(board: Board, models: Sequence[str]) -> go.Figure:
    """Hits over time of some models."""
    return hits_over_time(*excess_hits(board, models), board.baseline)


def murphy_pictures(board: Board, by_variance: Sequence[str], by_tail: Sequence[str]) -> list[go.Figure]:
    """Of the variance for the one set of models, of the 1 % quantile on either side for the other."""
    shown = {"variance": by_variance, "q_0.01": by_tail, "q_0.99": by_tail}
    figures = []
    for kind, models in shown.items():
        of_variance = kind == "variance"
        threshold = "variance" if of_variance else "return, %"
        score = "less the baseline's" if of_variance else f"{percent(kind[2:])} % quantile, 1e-4"
        figures.append(murphy(*murphy_differences(board, models, kind), threshold, score, log_axis=of_variance))
    return figures


def level_picture(board: Board) -> go.Figure:
    """Coverage of every tail level."""
    models = board.ranked("fz_tail")
    return coverage_map(by_level(board, models), models)


def pit_picture(board: Board) -> go.Figure:
    """Where between the quantiles returns fell."""
    models = board.ranked("fz_tail")
    return coverage_map(pit_density(board, models), models)


def condition_pictures(board: Board) -> list[go.Figure]:
    """Coverage by tercile of the trailing volatility, by hour and by year."""
    models = board.ranked("fz_tail")
    return [coverage_map(table(board, models), models) for table in (by_tercile, by_hour, by_year)]


def own_coverage_picture(board: Board, model: str) -> go.Figure:
    """Coverage of one model under all conditions; a row for each horizon and level."""
    rows = [f"{hours(h)}, {side(level)}" for h in board.by_horizon for level in TAILS]
    return coverage_map(own_conditions(board, model), rows)
