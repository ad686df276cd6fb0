"""Scores for a terminal: a table a horizon, the best variance first."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from features.clock import HOUR_S

Figures = Mapping[str, Any]
COLUMNS = (
    "QLIKE", "skill %", "ex shocks", "tail bp", "CRPS bp", "FZ0", "<1 %", ">99 %", "rejected K CC DQ", "MCS p",
    "seen %",
)  # fmt: skip


def print_scores(console: Console, scores: Figures) -> None:
    """Print the pooled figures of :func:`backtests.scoring.score_file`, and which models were not scored and why."""
    for horizon_s, scored in scores["horizons"].items():
        if "pooled" in scored:
            console.print(score_table(int(horizon_s), scored))
    for model, places in scores["not_scored"].items():
        told = ", ".join(f"{share:.1%} of {place}" for place, share in places.items())
        console.print(f"not scored  {escape(model)}: forecasts at only {told} s", highlight=False)


def score_table(horizon_s: int, scored: Figures) -> Table:
    """Pooled figures of one horizon, sorted by QLIKE.

    Skill is the share of the baseline's QLIKE that a model saves; hit rates are in percent; ``rejected`` counts tests
    of Kupiec, Christoffersen and Engle & Manganelli at 5 % over instruments and levels; ``seen`` is the least share of
    an instrument's origins that a model forecast.
    """
    name = f"{horizon_s // HOUR_S} h" if horizon_s % HOUR_S == 0 else f"{horizon_s} s"
    n = next(iter(scored["pooled"].values()))["n"]
    table = Table(title=f"{name}, {n:,} windows", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("model")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for model, figures in sorted(scored["pooled"].items(), key=lambda item: item[1]["qlike"]):
        table.add_row(escape(model), *_cells(model, figures, scored))
    return table


def _cells(model: str, figures: Figures, scored: Figures) -> list[str]:
    skill = figures.get("vs", {}).get("qlike", {}).get("skill")
    rejected = " ".join(figures["rejections_5pct"].values())
    chance = scored.get("mcs", {}).get("qlike", {}).get(model)
    return [
        f"{figures['qlike']:.4f}", _number(skill, "+.1f", 100), f"{figures['qlike_ex_shocks']:.4f}",
        f"{figures['pin_tail_bp']:.3f}", f"{figures['crps_bp']:.2f}", _number(figures["fz_tail"], ".4f"),
        f"{100 * figures['hit_0.01']:.2f}", f"{100 * figures['hit_0.99']:.2f}", rejected, _number(chance, ".2f"),
        f"{100 * min(scored['coverage'][model].values()):.1f}",
    ]  # fmt: skip


def _number(value: float | None, form: str, scale: float = 1.0) -> str:
    return "" if value is None else format(scale * value, form)
