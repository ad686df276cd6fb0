"""Sections of a comparison's page: tables and pictures, and how to read them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import backtests.comparison_texts as texts
from backtests.comparison_columns import TEST_SIZE, number_of_tests
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
    excursion_table,
    missing_table,
    tail_table,
    unscored_table,
    variance_table,
    zone_days,
    zone_table,
)
from backtests.comparison_texts import told
from backtests.comparison_view import Board, figure, spoken
from backtests.report import Section
from features.clock import DAY_S

BASEL_DAYS = 250


def variance_section(board: Board) -> Section:
    """Losses of the variance with their skill."""
    tables = [variance_table(board, h) for h in board.by_horizon]
    if board.baseline is None:
        return Section("Variance", told(texts.VARIANCE), tables)
    text = told(texts.VARIANCE + texts.DOTS, what="skill in percent")
    return Section("Variance", text, [skill_picture(board), *tables])


def tail_section(board: Board) -> Section:
    """Losses of quantiles and shortfalls."""
    tables = [tail_table(board, h) for h in board.by_horizon]
    if board.baseline is None:
        return Section("Tails", told(texts.TAILS), tables)
    text = told(texts.TAILS + texts.DOTS, what="FZ0 less the baseline's")
    return Section("Tails", text, [tail_picture(board), *tables])


def coverage_section(board: Board) -> Section:
    """Hit rates and the tests of them."""
    rows = [row for h in board.by_horizon for row in board.pooled(h).values()]
    n = max(map(number_of_tests, rows))
    most = max(figure(row, "detail", "rejections", "kupiec", "most") for row in rows)
    seldom = f", seldom more than {most:.0f}" if math.isfinite(most) else ""
    text = told(texts.COVERAGE, n=n, expected=TEST_SIZE * n, seldom=seldom)
    tables = [coverage_table(board, h) for h in board.by_horizon]
    return Section("Coverage of the tails", text, [level_picture(board), *tables])


def excursion_section(board: Board) -> Section | None:
    """Excursions, where any model forecast them."""
    tables = [excursion_table(board, h) for h in board.by_horizon]
    told_of = [t for t in tables if len(t.headings) > 1]
    return Section("Adverse excursions", told(texts.EXCURSIONS), told_of) if told_of else None


def zone_section(board: Board) -> Section | None:
    """The traffic light, where days were forecast."""
    if DAY_S not in board.by_horizon:
        return None
    days = zone_days(board, DAY_S)
    text = told(texts.ZONES, days=days, limits=texts.ZONE_LIMITS if days == BASEL_DAYS else "")
    return Section("Traffic light", text, [zone_table(board, DAY_S)])


def condition_section(board: Board) -> Section:
    """Coverage by what was known at the origin, and over the years."""
    return Section("Coverage under conditions", told(texts.CONDITIONS), condition_pictures(board))


def reliability_section(board: Board) -> Section:
    """Reliability of the best few, and where returns fell for all."""
    leaders = board.leaders("fz_tail")
    text = told(texts.RELIABILITY, shown=_shown(leaders, board))
    return Section("Reliability", text, [reliability_picture(board, leaders), pit_picture(board)])


def hits_section(board: Board) -> Section:
    """Hits over time of the best few."""
    leaders = board.leaders("fz_tail")
    return Section("Hits over time", told(texts.HITS, shown=_shown(leaders, board)), [hits_picture(board, leaders)])


def murphy_section(board: Board) -> Section | None:
    """Murphy diagrams against the baseline, where there is anything to hold against it."""
    by_variance, by_tail = ([m for m in board.leaders(name) if m != board.baseline] for name in ("qlike", "fz_tail"))
    if board.baseline is None or not (by_variance and by_tail):
        return None
    text = told(texts.MURPHY, by_variance=spoken(by_variance), by_tail=spoken(by_tail))
    return Section("Murphy diagrams", text, murphy_pictures(board, by_variance, by_tail))


def cost_section(costs: Mapping[str, Mapping[str, float]]) -> Section:
    """Seconds that each model took."""
    return Section("Cost", told(texts.COST), [cost_picture(costs), cost_table(costs)])


def missing_section(missing: Sequence[Mapping[str, Any]]) -> Section:
    """Folds of the test without a forecast, or that there are none; how many there are of the lead."""
    tested = [one for one in missing if not one.get("in_lead")]
    lead = len(missing) - len(tested)
    before = f" {told(texts.LEAD_MISSING, n=lead)}" if lead else ""
    if not tested:
        return Section("Missing folds", texts.NOTHING_MISSING + before, [])
    return Section("Missing folds", told(texts.MISSING) + before, [missing_table(tested)])


def unscored_section(not_scored: Mapping[str, Any], missing: Sequence[Mapping[str, str]]) -> Section | None:
    """Models that are in no table."""
    if not not_scored:
        return None
    return Section("Models that were not scored", told(texts.UNSCORED), [unscored_table(not_scored, missing)])


def _shown(models: Sequence[str], board: Board) -> str:
    """Which models a picture with few lines shows."""
    if len(models) == len(board.models):
        return "All models are shown."
    others = [model for model in models if model != board.baseline]
    base = f"the baseline {board.baseline} (dashed)" if board.baseline else ""
    best = f"the best by FZ0, in the mean rank over the horizons ({spoken(others)})" if others else ""
    return f"Shown: {spoken([part for part in (best, base) if part])}."
