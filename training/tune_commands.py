"""``margincast tune``: search for a training configuration; thin."""
# ruff: noqa: PLC0415 - heavy imports wait until the command runs

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from features.errors import SettingError

console = Console()


def tune(
    config: Annotated[str, typer.Option(help="TOML file of a search, or the name of a packaged one.")],
    store: Annotated[Path, typer.Option(help="Root folder of the store.", envvar="MARGINCAST_STORE")] = Path("data"),
    trials: Annotated[
        int | None, typer.Option(help="Trials in all, those of former runs too.", min=1, show_default="the search's")
    ] = None,
    study: Annotated[
        Path | None, typer.Option(help="SQLite file of the trials; gone on with.", show_default="tune/CONFIG.db")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="TOML file of the best configuration.", show_default="beside the study")
    ] = None,
    tracking: Annotated[Path | None, typer.Option(help="Folder of the MLflow store.", show_default="mlruns")] = None,
) -> None:
    """Search for a training configuration: every trial is trained and scored on every fold; a killed search goes on."""
    from features.files import sha256_of
    from features.pipeline import load_panel, panel_folders
    from features.specs import find_spec
    from training.tracking import DEFAULT_ROOT, Tracking
    from training.tune import Search
    from training.tune import tune as search
    from training.tune_config import load_tune

    started = time.monotonic()
    chosen = load_tune(config)
    chosen = chosen if trials is None else chosen.model_copy(update={"trials": trials})
    data = chosen.training().data
    if not store.is_dir() or data is None:
        raise SettingError(f"{store}: no such folder; import bars first, or name it with --store")
    path = study or Path("tune") / f"{Path(config).stem}.db"
    root = Tracking(tracking or DEFAULT_ROOT)
    root.check()
    with _progress() as progress:
        task = progress.add_task("features", total=None)
        folders = panel_folders(
            store, data.venue, data.symbols, find_spec(data.spec), path.parent / "cache",
            lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
        panels = [load_panel(folder) for folder in folders.values()]
        sha256 = sha256_of([folder.name for folder in folders.values()])
        folds = progress.add_task(f"folds of {chosen.trials} trials", total=None)
        found = search(
            Search(chosen, panels, sha256, path, out or path.with_suffix(".toml")),
            root,
            int(time.time() * 1000),
            lambda done, total: progress.update(folds, completed=done, total=total),
            lambda line: console.print(escape(line), highlight=False, soft_wrap=True),
        )
    counts = found.counts
    values = ", ".join(f"{name} = {value}" for name, value in found.values.items())
    console.print(f"trials   {counts.complete} complete, {counts.pruned} pruned, {counts.failed} failed")
    console.print(
        f"best     trial {found.number}: {found.loss:.5f} with {escape(values)}", highlight=False, soft_wrap=True
    )
    console.print(f"written  {escape(str(out or path.with_suffix('.toml')))}", highlight=False, soft_wrap=True)
    console.print(f"time     {time.monotonic() - started:.0f} s", highlight=False)


def _progress() -> Progress:
    """Progress bars on the terminal; plain lines of finished steps elsewhere."""
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    return Progress(*columns, console=console)
