"""Tables of a training run's page, which its model card has too."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backtests.comparison_columns import Column, interval, number, several
from backtests.comparison_conditions import STORMS, TAILS, percent
from backtests.comparison_curves import ENDS
from backtests.comparison_view import Board, hours
from features.page import Cell, TableBlock

Skills = Mapping[int, Mapping[str, Mapping[str, Any]]]
CI = ("detail", "vs")
AGAINST = (
    interval("QLIKE skill, % (95 %)", "skill", *CI, "qlike", form="+.1f", scale=100),
    number("DM t", "vs", "qlike", "dm_t", form="+.1f"),
    interval("tail pinball skill, %", "skill", *CI, "pin_tail", form="+.2f", scale=100),
    interval("FZ0, less the other's", "difference", *CI, "fz_tail", form="+.4f"),
    number("DM t of FZ0", "vs", "fz_tail", "dm_t", form="+.1f"),
)
SCORES = (
    number("QLIKE", "qlike"),
    number("net of floor", "qlike_net"),
    number("tail pinball, bp", "pin_tail_bp", form=".3f"),
    number("CRPS, bp", "crps_bp", form=".3f"),
    number("FZ0", "fz_tail"),
    several("below 1, above 99 %", [("hit_0.01",), ("hit_0.99",)], ".2f", 100),
)
ALONE = (
    number("QLIKE", "qlike"),
    interval("skill, % (95 %)", "skill", *CI, "qlike", form="+.1f", scale=100),
    number("tail pinball, bp", "pin_tail_bp", form=".3f"),
    number("FZ0", "fz_tail"),
    several("below 1, above 99 %", [("hit_0.01",), ("hit_0.99",)], ".2f", 100),
)


def skill_table(skills: Skills) -> TableBlock:
    """The network against each other model, a group of rows a horizon."""
    named = [(f"{hours(h)}, {model}", row) for h, by_model in skills.items() for model, row in by_model.items()]
    return _grouped("horizon, held against", named, AGAINST, [len(by_model) for by_model in skills.values()])


def score_table(board: Board, columns: Sequence[Column] = SCORES) -> TableBlock:
    """Figures of every model, a group of rows a horizon, best first."""
    named = [
        (f"{hours(h)}, {model}", _told_of(board, h, model))
        for h in board.by_horizon
        for model in board.sorted_by(h, "qlike")
    ]
    return _grouped("horizon, model", named, columns, [len(board.pooled(h)) for h in board.by_horizon])


def _told_of(board: Board, horizon_s: int, model: str) -> dict[str, Any]:
    """A model's figures; the baseline is not held against itself."""
    row = board.row(horizon_s, model)
    return row | {"detail": {}} if model == board.baseline else row


def unseen_table(board: Board) -> TableBlock:
    """Figures of one symbol, of networks that knew it and that did not, and of classical models."""
    return score_table(board, ALONE)


def level_table(board: Board, models: Sequence[str]) -> TableBlock:
    """Rates of hits by level, percent; a row a model and horizon."""
    return _rates(board, models, [f"{percent(p)} %" for p in TAILS], lambda row: [row[f"hit_{p}"] for p in TAILS])


def tercile_table(board: Board, models: Sequence[str]) -> TableBlock:
    """Rates of hits at 1 % and at 99 % by tercile of the day before, percent; a row a model and horizon."""
    headings = [f"{storm}, {percent(p)} %" for p in ENDS for storm in STORMS]
    return _rates(board, models, headings, lambda row: [rate for p in ENDS for rate in row["tercile_trailing"][p]])


def _rates(
    board: Board,
    models: Sequence[str],
    headings: Sequence[str],
    of: Callable[[Mapping[str, Any]], Sequence[float | None]],
) -> TableBlock:
    """Rates in percent; one of no window is left out."""
    rows = []
    for h in board.by_horizon:
        for model in models:
            texts = ["" if rate is None else f"{100 * rate:.2f}" for rate in of(board.row(h, model))]
            rows.append([Cell(f"{hours(h)}, {model}"), *map(Cell, texts)])
    return TableBlock(["horizon, model", *headings], rows, _starts([len(models)] * len(board.by_horizon)))


def _grouped(
    heading: str, named: Sequence[tuple[str, Mapping[str, Any]]], columns: Sequence[Column], sizes: Sequence[int]
) -> TableBlock:
    kept = [column for column in columns if any(column.text(row).strip(" –/") for _, row in named)]
    rows = [[Cell(name), *(Cell(column.text(row)) for column in kept)] for name, row in named]
    return TableBlock([heading, *(column.heading for column in kept)], rows, _starts(sizes))


def _starts(sizes: Sequence[int]) -> frozenset[int]:
    """Rows at which a group begins, the first one aside.

    Examples
    --------
    >>> sorted(_starts([2, 3, 1]))
    [2, 5]
    """
    return frozenset(sum(sizes[:k]) for k in range(1, len(sizes)))
