"""Columns of the comparison's tables: which figure, how it is written, and which way is better."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backtests.comparison_view import Board, figure, hours
from features.page import Cell, TableBlock

Row = Mapping[str, Any]
Better = Literal["less", "more", ""]
TESTS = ("kupiec", "christoffersen_cc", "dq")
TEST_SIZE = 0.05


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, the text of a model's cell, and the number by which the best is found."""

    heading: str
    text: Callable[[Row], str]
    number: Callable[[Row], float] = lambda _: math.nan
    better: Better = ""


def written(value: float, form: str) -> str:
    """A number, or nothing where there is none.

    Examples
    --------
    >>> written(0.12345, ".3f"), written(float("nan"), ".3f"), written(-0.00001, "+.1f")
    ('0.123', '', '0.0')
    """
    if not math.isfinite(value):
        return ""
    text = format(value, form)
    return text.lstrip("+-") if float(text) == 0 else text


def number(heading: str, *path: str, form: str = ".4f", scale: float = 1.0, better: Better = "less") -> Column:
    """A column of one figure."""

    def value(row: Row) -> float:
        return scale * figure(row, *path)

    return Column(heading, lambda row: written(value(row), form), value, better)


def interval(
    heading: str, name: str, *path: str, form: str, scale: float = 1.0, better: Better = "more"
) -> Column:
    """A column of a figure called ``name`` with the ends of its 95 % interval behind it."""

    def value(row: Row) -> float:
        return scale * figure(row, *path, name)

    def text(row: Row) -> str:
        low, high = (written(scale * figure(row, *path, end), form) for end in ("low", "high"))
        plain = written(value(row), form)
        return f"{plain} ({low} … {high})" if low and high else plain

    return Column(heading, text, value, better)


def several(heading: str, paths: Sequence[tuple[str, ...]], form: str, scale: float = 1.0) -> Column:
    """A column of figures side by side."""
    return Column(heading, lambda row: "  ".join(written(scale * figure(row, *p), form) or "–" for p in paths))


def rejected(row: Row) -> str:
    """Rejections at 5 % by the three tests of coverage."""
    counts: Mapping[str, str] = row.get("rejections_5pct", {})
    return "  ".join(counts[test].split("/")[0] for test in TESTS if test in counts)


def tests_of(row: Row) -> int:
    """How many tests of one kind a model's rejections are out of."""
    counts: Mapping[str, str] = row.get("rejections_5pct", {})
    return max((int(text.split("/")[1]) for text in counts.values()), default=0)


def table(board: Board, horizon_s: int, columns: Sequence[Column], *order: str) -> TableBlock:
    """A row for each model, by the figure at ``order`` from the smallest on; best cells and all that print alike."""
    models = board.sorted_by(horizon_s, *order)
    rows = [board.row(horizon_s, model) for model in models]
    kept = [column for column in columns if any(column.text(row).strip() for row in rows)]
    best = {column.heading: _best(column, rows) for column in kept}
    cells = [
        [
            Cell(f"{model} (baseline)" if model == board.baseline else model),
            *(Cell(text := column.text(row), bool(text) and text.split(" ")[0] == best[column.heading]) for column in kept),
        ]
        for model, row in zip(models, rows, strict=True)
    ]
    return TableBlock([f"{hours(horizon_s)}, model", *(column.heading for column in kept)], cells)


def _best(column: Column, rows: Sequence[Row]) -> str:
    """The best cell's figure as it is printed; nothing in a column that has no better and worse."""
    known = [row for row in rows if math.isfinite(column.number(row))]
    if not (known and column.better):
        return ""
    winner = min(known, key=column.number) if column.better == "less" else max(known, key=column.number)
    return column.text(winner).split(" ")[0]
