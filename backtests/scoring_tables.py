"""Scores for a terminal: a table a horizon, the best variance first."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from features.clock import HOUR_S

Figures = Mapping[str, Any]
COLUMNS = ("QLIKE", "skill %", "tail bp", "FZ0", "<1 %", ">99 %", "DQ")  # what eighty characters hold
WIDTHS = (6, 7, 7, 7, 4, 5, 5)


def print_scores(console: Console, scores: Figures) -> None:
    """Print the pooled figures of :func:`backtests.scoring.score_file`, a table a horizon."""
    for horizon_s, scored in scores["horizons"].items():
        if "pooled" in scored:
            console.print(score_table(int(horizon_s), scored))


def score_table(horizon_s: int, scored: Figures) -> Table:
    """Pooled figures of one horizon, sorted by QLIKE.

    Skill is the share of the baseline's QLIKE that a model saves; hit rates are in percent; ``DQ`` counts the tests of
    Engle & Manganelli that reject at 5 %, of those made over instruments and levels.
    """
    name = f"{horizon_s // HOUR_S} h" if horizon_s % HOUR_S == 0 else f"{horizon_s} s"
    n = next(iter(scored["pooled"].values()))["n"]
    table = Table(title=f"{name}, {n:,} windows", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for column, width in zip(COLUMNS, WIDTHS, strict=True):
        table.add_column(column, justify="right", no_wrap=True, min_width=width)
    for model, figures in sorted(scored["pooled"].items(), key=lambda item: item[1]["qlike"]):
        table.add_row(escape(model), *_cells(figures))
    return table


def _cells(figures: Figures) -> list[str]:
    skill = figures.get("vs", {}).get("qlike", {}).get("skill")
    return [
        f"{figures['qlike']:.4f}", _number(skill, "+.1f", 100), f"{figures['pin_tail_bp']:.2f}",
        _number(figures["fz_tail"], ".4f"), f"{100 * figures['hit_0.01']:.2f}", f"{100 * figures['hit_0.99']:.2f}",
        figures["rejections_5pct"]["dq"],
    ]  # fmt: skip


def _number(value: float | None, form: str, scale: float = 1.0) -> str:
    return "" if value is None else format(scale * value, form)
