"""``margincast train``: a network from a configuration, scored on what it never saw; thin."""
# ruff: noqa: PLC0415 - heavy imports wait until the command runs

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from backtests.commands import console, progress_bars
from features.errors import SettingError


def train(
    config: Annotated[str, typer.Option(help="TOML file of a training run, or the name of a packaged one.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="table.key=value instead of the file's; repeat it for more.", show_default="none"),
    ] = None,
    store: Annotated[Path, typer.Option(help="Root folder of the store.", envvar="MARGINCAST_STORE")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the model, its card, scores and report.")] = Path("train"),
    test_from: Annotated[
        str | None,
        typer.Option("--from", help="First origin that is scored, UTC.", show_default="after the calibration's lead"),
    ] = None,
    test_to: Annotated[
        str | None, typer.Option("--to", help="Last origin that is scored, UTC.", show_default="the last there is")
    ] = None,
    unseen: Annotated[
        list[str] | None,
        typer.Option(
            help="Score this symbol by a network trained without it; repeat it for more.", show_default="none"
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Processes for the classical models.", min=0, show_default="one a core")
    ] = 0,
    onnx: Annotated[bool, typer.Option("--onnx/--no-onnx", help="Keep the networks in ONNX, too.")] = True,
    tracking: Annotated[Path | None, typer.Option(help="Folder of the MLflow store.", show_default="mlruns")] = None,
) -> None:
    """Train on the past, score on what came later, keep the model with its card; a killed run goes on where it was."""
    from backtests.scoring_tables import print_scores
    from backtests.training_job import Asked
    from backtests.training_run import run_training
    from backtests.training_scores import UNSEEN
    from backtests.training_tracking import track
    from training.config import load_config
    from training.tracking import DEFAULT_ROOT, Tracking

    started = time.monotonic()
    chosen = load_config(config, changes or ())
    if not store.is_dir():
        raise SettingError(f"{store}: no such folder; import bars first, or name it with --store")
    root = tracking or DEFAULT_ROOT
    Tracking(root).check()
    names, workers = tuple(dict.fromkeys(unseen or ())), jobs or os.cpu_count() or 1
    asked = Asked(test_from, test_to, names, with_onnx=onnx, jobs=workers)
    with progress_bars() as bar:
        run = run_training(chosen, store, out, bar, asked)
        logged = bar("log the run")
        version, alias = track(run, Tracking(root), int(time.time() * 1000))
        logged(1, 1)
    print_scores(console, run.held_out.scores)
    for symbol, found in run.unseen.items():
        console.print(f"{escape(symbol)}, never seen in training by `{UNSEEN}`", highlight=False, soft_wrap=True)
        print_scores(console, found.scores)
    for line in run.told():
        console.print(escape(line), highlight=False, soft_wrap=True)
    console.print(f"model    version {version}, alias {alias}, in {escape(str(root / 'mlflow.db'))}", highlight=False)
    console.print(f"folder   {escape(str(run.trained.folder))}", highlight=False, soft_wrap=True)
    console.print(f"report   {escape(str(run.out / 'report.html'))}", highlight=False, soft_wrap=True)
    console.print(f"time     {time.monotonic() - started:.0f} s", highlight=False)
