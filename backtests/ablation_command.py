"""``margincast ablate``: what trades and the book add to returns; thin."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from backtests.commands import console, progress_bars
from features.errors import SettingError

if TYPE_CHECKING:
    from features.page import TableBlock


def ablate(
    store: Annotated[
        Path | None,
        typer.Option(help="Store with recordings of books and trades.", show_default="a synthetic market is drawn"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for panels, scores and the report.")] = Path("ablation"),
    config: Annotated[str, typer.Option(help="Training configuration: a packaged name, or a TOML file.")] = "book",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="table.key=value in place of the configuration's; may be repeated."),
    ] = None,
    spec: Annotated[
        list[str] | None,
        typer.Option(
            help="Feature spec: a packaged name, or a TOML file; of several the first that a recording is long "
            "enough for.",
            show_default="seconds, then short_windows",
        ),
    ] = None,
    hours: Annotated[int, typer.Option(help="Length of the synthetic market.", min=8)] = 36,
    seed: Annotated[int, typer.Option(help="Of the synthetic market.", min=0)] = 7,
) -> None:
    """Compare forecasts from returns alone, with trades, with the book, with all: on recordings or a known law."""
    from backtests.ablation import run_ablation  # noqa: PLC0415 - heavy imports wait until the command needs them
    from backtests.ablation_plan import AblationPlan  # noqa: PLC0415
    from backtests.ablation_tables import pooled, short_table  # noqa: PLC0415
    from training.config import load_config  # noqa: PLC0415

    started = time.monotonic()
    if store is not None and not store.is_dir():
        raise SettingError(f"{store}: no such folder; import recordings first, or leave --store away")
    plan = AblationPlan(specs=tuple(spec) if spec else AblationPlan.specs, market_hours=hours, seed=seed)
    with progress_bars() as bar:
        result = run_ablation(out, bar, load_config(config, tuple(changes or ())), store, plan, config)
    for group in result.groups:
        names = ", ".join(r.name for r in group.recordings)
        _print(f"{group.name}: {names}", short_table(pooled(result, group.name)))
    _tell(
        [
            *(f"left out {name}: {reason}" for name, reason in result.left_out.items()),
            "apart: windows that do not overlap; added: QLIKE less that on returns alone, * beyond its 95 % interval",
            f"report   {result.report}",
            f"time     {time.monotonic() - started:.0f} s",
        ]
    )


def _print(title: str, block: "TableBlock") -> None:
    """One table; what is clearly better stands out."""
    table = Table(title=escape(title), box=box.SIMPLE_HEAD)
    for i, heading in enumerate(block.headings):
        table.add_column(escape(heading), justify="left" if i == 0 else "right")
    for i, row in enumerate(block.rows):
        last = i + 1 in block.groups
        table.add_row(*(f"[bold]{escape(c.text)}[/]" if c.best else escape(c.text) for c in row), end_section=last)
    console.print(table)


def _tell(lines: Sequence[str]) -> None:
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)
