"""``margincast backtest``: compare models on stored bars; thin."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from features.errors import SettingError

console = Console()
Step = Callable[[int, int], None]


def backtest(
    config: Annotated[str, typer.Option(help="TOML file of a comparison, or the name of a packaged one.")] = "referee",
    store: Annotated[Path, typer.Option(help="Root folder of the store.", envvar="MARGINCAST_STORE")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for folds, forecasts, scores and the report.")] = Path("backtest"),
    test_from: Annotated[
        str | None, typer.Option("--from", help="First test origin, UTC.", show_default="the configuration's")
    ] = None,
    test_to: Annotated[
        str | None, typer.Option("--to", help="Last test origin, UTC.", show_default="the configuration's")
    ] = None,
    symbols: Annotated[
        str, typer.Option(help="Instruments, with commas between.", show_default="the configuration's")
    ] = "",
    models: Annotated[
        str,
        typer.Option(
            help="Models, with commas between; the baseline and what they combine are always among them.",
            show_default="the configuration's",
        ),
    ] = "",
    jobs: Annotated[int, typer.Option(help="Processes.", min=0, show_default="one a core")] = 0,
    tracking: Annotated[Path | None, typer.Option(help="Folder of the MLflow store.", show_default="mlruns")] = None,
) -> None:
    """Compare models on stored bars, walking forward: forecasts, scores, report; a killed run goes on where it was."""
    from backtests.comparison import run_comparison
    from backtests.comparison_tracking import track
    from backtests.config import load_backtest
    from backtests.scoring_tables import print_scores
    from training.tracking import DEFAULT_ROOT, Tracking

    started = time.monotonic()
    chosen = load_backtest(config).narrowed(test_from, test_to, _names(symbols), _names(models))
    if not store.is_dir():
        raise SettingError(f"{store}: no such folder; import bars first, or name it with --store")
    root = tracking or DEFAULT_ROOT
    Tracking(root).check()
    with progress_bars() as bar:
        result = run_comparison(chosen, store, out, jobs or os.cpu_count() or 1, bar)
        track(result, Tracking(root), int(time.time() * 1000), bar("log the runs"))
    print_scores(console, result.scores)
    for line in result.told():
        console.print(escape(line), highlight=False, soft_wrap=True)
    console.print(f"report   {escape(str(result.report))}", highlight=False, soft_wrap=True)
    console.print(f"time     {time.monotonic() - started:.0f} s", highlight=False)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@contextmanager
def progress_bars() -> Iterator[Callable[[str], Step]]:
    """A progress bar for each step that is named."""
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:

        def bar(step: str) -> Step:
            task = progress.add_task(step, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield bar
