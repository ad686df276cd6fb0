"""Sections of a comparison's page: a table or picture each, and how to read it in plain words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from backtests.comparison_columns import TEST_SIZE, tests_of
from backtests.comparison_maps import cost_picture
from backtests.comparison_plots import (
    condition_pictures,
    hits_picture,
    level_picture,
    murphy_pictures,
    pit_picture,
    reliability_picture,
    skill_picture,
    tail_picture,
)
from backtests.comparison_tables import (
    cost_table,
    coverage_table,
    missing_table,
    tail_table,
    unscored_table,
    variance_table,
    zone_table,
)
from backtests.comparison_view import Board, figure, spoken
from backtests.report import Section
from features.clock import DAY_S

DOTS = (
    " In the picture each dot is a model with the 95 % interval of its {what} (the hours and coins of a day count as one): blue is "
    "better than the baseline beyond chance, red worse, grey open; a triangle at the edge lies further out."
)


def variance_section(board: Board) -> Section:
    """Losses of the variance with their skill."""
    text = (
        "How well the variance of the next hours was foreseen; smaller is better, the best are blue. Net of floor: QLIKE "
        "less what a perfect forecast would have, as realised variance is itself an estimate. Skill: how much smaller "
        "QLIKE is than the baseline's. Ex shocks: without the 0.5 % of days that surprised most. DM t: below -2 the model "
        "is better than the baseline beyond chance. MCS p: models below 0.10 are not among the best. Mean RV/f: 1 is "
        "unbiased. Origins: the least share of an instrument's origins that were forecast."
    )
    pictures = [skill_picture(board)] if board.baseline else []
    told = text + DOTS.format(what="skill in percent") if pictures else text
    return Section("Variance", told, [*pictures, *(variance_table(board, h) for h in board.by_horizon)])


def tail_section(board: Board) -> Section:
    """Losses of quantiles and shortfalls."""
    text = (
        "How well large losses were foreseen. Pinball: mean loss of the eight outer quantiles in basis points of return; "
        "CRPS: of the whole law; FZ0: of 1 % and 2.5 % quantiles with their expected shortfalls, on both sides. An FZ0 "
        "smaller by 0.01 is worth about one percent of the scale of a margin."
    )
    pictures = [tail_picture(board)] if board.baseline else []
    told = text + DOTS.format(what="FZ0 less the baseline's") if pictures else text
    return Section("Tails", told, [*pictures, *(tail_table(board, h) for h in board.by_horizon)])


def coverage_section(board: Board) -> Section:
    """Hit rates and the tests of them."""
    n = max(tests_of(row) for h in board.by_horizon for row in board.pooled(h).values())
    text = (
        "Returns beyond each quantile, in percent, should be as many as its name says. Z2: 0 is right, below 0 the "
        "shortfall was too small. Worst tercile: the largest error of the hit rate in calm, middle or stormy times, in "
        f"percentage points. Rejected: how many of {n} tests (one for each instrument and level) reject at 5 %, by Kupiec "
        f"(as many hits as there should be), Christoffersen (and not in a row) and DQ (and not foreseeable); about "
        f"{TEST_SIZE * n:.1f} of {n} would by chance{_seldom(board)}. Standing: those left when false discoveries are kept at 5 %. "
        "Picture: hits as a multiple of those expected, by level."
    )
    return Section(
        "Coverage of the tails", text, [level_picture(board), *(coverage_table(board, h) for h in board.by_horizon)]
    )


def _seldom(board: Board) -> str:
    """The upper end of the band of rejections by chance, in words."""
    rows = [row for h in board.by_horizon for row in board.pooled(h).values()]
    most = max(figure(row, "detail", "rejections", "kupiec", "most") for row in rows)
    return f", seldom more than {most:.0f}" if math.isfinite(most) else ""


def zone_section(board: Board) -> Section | None:
    """Traffic light."""
    if DAY_S not in board.by_horizon:
        return None
    text = (
        "The Basel Committee's traffic light: losses beyond the 1 % quantile of a long position and the 99 % quantile of "
        "a short one over the last 250 days from midnight to midnight. Up to 4 are green, up to 9 yellow, more are red."
    )
    return Section("Traffic light of the last 250 days", text, [zone_table(board, DAY_S)])


def condition_section(board: Board) -> Section:
    """Coverage by what was known at the origin, and over the years."""
    text = (
        "Is the coverage right at all times, or only in the mean? Hits at 1 % and 99 % as a multiple of those expected: "
        "by the volatility of the day before each origin (calm, middle, stormy third of each instrument's), by hour of "
        "the day (UTC, both sides together), and by year. Red is too many hits, blue is idle margin."
    )
    return Section("Coverage under conditions", text, condition_pictures(board))


def reliability_section(board: Board) -> Section:
    """Reliability of the best few, and where returns fell for all."""
    leaders = board.leaders("fz_tail")
    text = (
        "Share of returns at or below each forecast quantile less its nominal level, in percentage points: zero is right. "
        f"{_shown(leaders, board, 'FZ0')} Below, for all models, how many returns fell between two neighbouring quantiles, "
        "as a multiple of those expected."
    )
    return Section("Reliability", text, [reliability_picture(board, leaders), pit_picture(board)])


def hits_section(board: Board) -> Section:
    """Hits over time."""
    leaders = board.leaders("fz_tail")
    text = (
        "Hits so far less those expected, of all instruments. A steep rise is a cluster of losses that the model did not "
        "foresee; a long slope downwards is idle margin. A right model is within the grey band on 95 of 100 days; the "
        f"band allows for hits coming in groups, as windows overlap and coins fall together. {_shown(leaders, board, 'FZ0')}"
    )
    return Section("Hits over time", text, [hits_picture(board, leaders)])


def murphy_section(board: Board) -> Section | None:
    """Murphy diagrams against the baseline."""
    if board.baseline is None or len(board.models) == 1:
        return None
    by_variance, by_tail = board.leaders("qlike"), board.leaders("fz_tail")
    text = (
        "Would another loss tell another story? Every loss that is fair to a forecast is a mixture of elementary losses, "
        "one for each threshold. A curve below zero at all thresholds is better than the baseline under all of them. "
        "First the variance (the area under a curve is the difference in QLIKE) of the best by QLIKE "
        f"({_others(by_variance, board)}), then the 1 % and the 99 % quantile of the return of the best by FZ0 "
        f"({_others(by_tail, board)}), each by its mean rank over the horizons."
    )
    return Section("Murphy diagrams", text, murphy_pictures(board, by_variance, by_tail))


def cost_section(costs: Mapping[str, Mapping[str, float]]) -> Section:
    """Seconds."""
    text = (
        "Processor time in seconds over all folds and instruments, on a scale in which each line is ten times the one "
        "before; a combination costs what its parts cost besides."
    )
    return Section("Cost", text, [cost_picture(costs), cost_table(costs)])


def missing_section(missing: Sequence[Mapping[str, str]]) -> Section:
    """Folds without a forecast."""
    if not missing:
        return Section("Missing folds", "There are none: every model forecast every fold of every instrument.", [])
    text = (
        "Folds in which a model has no forecast of an instrument, and why; folds in a row for one reason are one line."
    )
    return Section("Missing folds", text, [missing_table(missing)])


def unscored_section(not_scored: Mapping[str, Any], missing: Sequence[Mapping[str, str]]) -> Section | None:
    """Models left out of all tables."""
    if not not_scored:
        return None
    text = (
        "These models forecast less than 95 % of the scoreable origins of an instrument at a horizon. They are in no other "
        "table, as all are compared on the windows that all of them forecast."
    )
    return Section("Models that were not scored", text, [unscored_table(not_scored, missing)])


def _shown(models: Sequence[str], board: Board, loss: str) -> str:
    """Which models a picture with few lines shows."""
    if len(models) == len(board.models):
        return "All models are shown."
    base = f" and the baseline {board.baseline} (dashed)" if board.baseline in models else ""
    return f"Shown are the best by {loss}, in the mean rank over the horizons ({_others(models, board)}){base}."


def _others(models: Sequence[str], board: Board) -> str:
    """Names of models without the baseline's."""
    return spoken([model for model in models if model != board.baseline] or models)
