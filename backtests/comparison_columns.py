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
VERSUS = "vs"
DIGITS = set("0123456789")


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, the text of a model's cell, and the number by which the best is found.

    ``versus``: a comparison with the baseline, which is not told of the baseline itself.
    """

    heading: str
    text: Callable[[Row], str]
    number: Callable[[Row], float] = lambda _: math.nan
    better: Better = ""
    versus: bool = False


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
    return text if set(text) & (DIGITS - {"0"}) else text.lstrip("+-")


def number(heading: str, *path: str, form: str = ".4f", scale: float = 1.0, better: Better = "less") -> Column:
    """A column of one figure."""

    def value(row: Row) -> float:
        return scale * figure(row, *path)

    return Column(heading, lambda row: written(value(row), form), value, better, VERSUS in path)


def interval(heading: str, name: str, *path: str, form: str, scale: float = 1.0, better: Better = "more") -> Column:
    """A column of a figure called ``name`` with the ends of its 95 % interval behind it."""

    def value(row: Row) -> float:
        return scale * figure(row, *path, name)

    def text(row: Row) -> str:
        low, high = (written(scale * figure(row, *path, end), form) for end in ("low", "high"))
        plain = written(value(row), form)
        return f"{plain} ({low} … {high})" if low and high else plain

    return Column(heading, text, value, better, VERSUS in path)


def several(heading: str, paths: Sequence[tuple[str, ...]], form: str, scale: float = 1.0) -> Column:
    """A column of figures side by side."""
    return Column(heading, lambda row: " / ".join(written(scale * figure(row, *p), form) or "–" for p in paths))


def rejected(row: Row) -> str:
    """Rejections at 5 % by the three tests of coverage."""
    counts: Mapping[str, str] = row.get("rejections_5pct", {})
    return " / ".join(counts[test].split("/")[0] for test in TESTS if test in counts)


def number_of_tests(row: Row) -> int:
    """How many tests of one kind a model's rejections are out of."""
    counts: Mapping[str, str] = row.get("rejections_5pct", {})
    return max((int(text.split("/")[1]) for text in counts.values()), default=0)


def table(board: Board, horizon_s: int, columns: Sequence[Column], *order: str) -> TableBlock:
    """A row for each model, by the figure at ``order`` from the smallest on; best cells and all that print alike."""
    models = board.sorted_by(horizon_s, *order)
    rows = [board.row(horizon_s, model) for model in models]
    names = [f"{model} (baseline)" if model == board.baseline else model for model in models]
    own = [model == board.baseline for model in models]
    kept = [column for column in columns if any(set(column.text(row)) & DIGITS for row in rows)]
    cells = [_cells(column, rows, own) for column in kept]
    lines = [[Cell(name), *line] for name, *line in zip(names, *cells, strict=True)]
    return TableBlock([f"{hours(horizon_s)}, model", *(column.heading for column in kept)], lines)


def _cells(column: Column, rows: Sequence[Row], own: Sequence[bool]) -> list[Cell]:
    """One column; the baseline's cell is empty where it would be compared with itself."""
    texts = ["" if column.versus and is_own else column.text(row) for row, is_own in zip(rows, own, strict=True)]
    best = _best(column, rows, texts)
    return [Cell(text, bool(text) and text.split(" ")[0] == best) for text in texts]


def _best(column: Column, rows: Sequence[Row], texts: Sequence[str]) -> str:
    """The best cell's figure as it is printed; nothing in a column that has no better and worse."""
    known = [k for k, row in enumerate(rows) if math.isfinite(column.number(row))]
    if not (known and column.better):
        return ""
    sign = 1 if column.better == "less" else -1
    winner = min(known, key=lambda k: sign * column.number(rows[k]))
    return texts[winner].partition(" ")[0]
