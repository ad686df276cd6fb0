"""The command line: one Typer app, thin; every command calls one function of a room below."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from backtests.ablation_command import ablate
from backtests.commands import backtest
from backtests.promotion_commands import promote
from backtests.training_commands import train
from features.build_commands import app as features_app
from features.commands import app as data_app
from features.errors import DataError, SettingError
from serving.margin_commands import app as margin_app
from training.tune_commands import tune

if TYPE_CHECKING:
    from backtests.demo_plan import DemoResult
    from features.page import TableBlock

app = typer.Typer(
    name="margincast",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(
    epilog="Examples:  [bold]margincast backtest --store data[/]  (the packaged comparison of four coins)   |   "
    "[bold]margincast backtest --config mine.toml --out mine[/]   |   "
    "[bold]margincast backtest --symbols BTCUSDT --models har_log,garch_t --from 2024-01-01[/]"
)(backtest)
app.command(
    epilog="Examples:  [bold]margincast train --config mine.toml --store data[/]   |   "
    "[bold]margincast train --config mine.toml --set optimiser.learning_rate=5e-4 --set seeds=[1,2,3][/]   |   "
    "[bold]margincast train --config mine.toml --unseen SOLUSDT[/]"
)(train)
app.command(
    epilog="Examples:  [bold]margincast tune --config tune_demo --store data[/]   |   "
    "[bold]margincast tune --config mine.toml --trials 100[/]  (a killed search goes on)"
)(tune)
app.command(
    epilog="Examples:  [bold]margincast promote --store data[/]   |   "
    "[bold]margincast promote --version 3 --force 'rolled back: version 4 lost its tails'[/]"
)(promote)
app.command(
    epilog="Examples:  [bold]margincast ablate[/]  (a synthetic market)   |   "
    "[bold]margincast ablate --store data --out ablation[/]"
)(ablate)
app.add_typer(data_app, name="data")
app.add_typer(features_app, name="features")
app.add_typer(margin_app, name="margin")
console = Console()
OUT = Path("demo")


@app.callback()
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Volatility and tail forecasts for crypto derivatives, and the margin that follows from them."""
    if version:
        console.print(metadata.version("margincast"), highlight=False)
        raise typer.Exit


@app.command(
    epilog="Examples:  [bold]margincast demo[/]   |   [bold]margincast demo --out /tmp/run[/]   |   "
    "[bold]margincast demo --bars my_15m_bars.csv --symbol ETHUSDT[/]   |   [bold]margincast demo --book[/]"
)
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the store, the model, the forecasts and the report.")] = OUT,
    bars: Annotated[
        Path | None,
        typer.Option(
            help="15-minute bars (.csv or .parquet: ts_ms, open, high, low, close, volume) instead of the sample."
        ),
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(help="Name of the instrument in --bars.", show_default="the file's name")
    ] = None,
    test_from: Annotated[str, typer.Option(help="Training ends and the test begins here, UTC.")] = "2022-01-01",
    test_to: Annotated[str, typer.Option(help="The test ends here, UTC.")] = "2022-11-09T23:00",
    tracking: Annotated[Path | None, typer.Option(help="Folder of the MLflow store.", show_default="mlruns")] = None,
    book: Annotated[
        bool, typer.Option("--book", help="Half an hour of a real order book instead; fetched by pip, 3 MB, once.")
    ] = False,
    wheel: Annotated[
        Path | None, typer.Option(help="With --book: a copy of the wheel to fetch.", show_default="fetched")
    ] = None,
) -> None:
    """Run the main job on real data: features, training, comparison, margins, report."""
    if book:
        if any(given is not None for given in (bars, symbol, tracking)):
            raise SettingError("--book brings its own data and no network; leave --bars, --symbol, --tracking away")
        _book_demo(out, wheel)
        return
    if wheel is not None:
        raise SettingError("--wheel is the file of --book; give both or none")
    from backtests.demo import run_demo
    from backtests.demo_plan import DemoPlan
    from backtests.demo_tracking import track
    from features.bars import bar_length_s
    from features.clock import parse_utc
    from features.sources import barfile, sample
    from features.store import Series
    from training.config import DEMO, load_config
    from training.tracking import DEFAULT_ROOT, Tracking

    started = time.monotonic()
    if symbol is not None and bars is None:
        raise SettingError("--symbol names the instrument of --bars; give both or none")
    plan = DemoPlan(test_from_ns=parse_utc(test_from), test_to_ns=parse_utc(test_to))
    config = load_config(DEMO)
    if bars is None:
        frame, series = sample.read(), sample.SERIES
    else:
        frame = barfile.read_frame(bars)
        series = Series(venue="file", symbol=symbol or bars.stem, bar_s=bar_length_s(frame, str(bars)))
    root = tracking or DEFAULT_ROOT
    Tracking(root).check()
    with _bars() as progress:
        bar = _steps(progress)
        result = run_demo(frame, series, out, config, bar, plan)
        logged = bar("log the run")
        version, alias = track(result, plan, config, Tracking(root), int(time.time() * 1000))
        logged(1, 1)
    _print_scores(result)
    if result.re_used:
        console.print(f"re-used, unchanged since the last run: {', '.join(dict.fromkeys(result.re_used))}")
    console.print(f"model    version {version}, alias {alias}, in {root / 'mlflow.db'}")
    console.print(f"report   {result.report}")
    console.print(f"time     {time.monotonic() - started:.0f} s")


def _book_demo(out: Path, wheel: Path | None) -> None:
    """The job on one order book, and its tables."""
    from backtests.book_demo import run_book_demo
    from backtests.book_tables import margin_table, score_table

    started = time.monotonic()
    with _bars() as progress:
        result = run_book_demo(out, _steps(progress), wheel)
    _print_table(f"{result.instrument}: forecasts from the book", score_table(result, short=True))
    _print_table("margins, bp of notional", margin_table(result, short=True))
    console.print("apart: windows that do not overlap: too few to tell one model from another", style="dim")
    if result.re_used:
        console.print(f"re-used, unchanged since the last run: {', '.join(result.re_used)}")
    console.print(f"report   {result.report}")
    console.print(f"time     {time.monotonic() - started:.0f} s")


@app.command(
    epilog="Examples:  [bold]margincast serve[/]   |   [bold]margincast serve --as-of 2022-11-09T06:00Z[/]  "
    "(the past as if it were now)   |   [bold]margincast serve --model demo/models/1a2b3c --store demo/store[/]"
)
def serve(
    store: Annotated[Path, typer.Option(help="Store with the newest bars.", envvar="MARGINCAST_STORE")] = OUT / "store",
    model: Annotated[
        Path | None,
        typer.Option(help="Model folder.", envvar="MARGINCAST_MODEL", show_default="the champion"),
    ] = None,
    tracking: Annotated[Path | None, typer.Option(help="Folder of the MLflow store.", show_default="mlruns")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="Stop the clock at this instant, UTC.", show_default="the clock runs"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8000,
) -> None:
    """Serve forecasts and margins of the champion over HTTP."""
    import uvicorn

    from features.clock import format_utc, parse_utc
    from features.store import Store
    from serving.api import create_app
    from serving.predictor import Predictor

    stopped_ns = parse_utc(as_of) if as_of else None
    if model is None:
        from training.tracking import DEFAULT_ROOT, Tracking

        model = Tracking(tracking or DEFAULT_ROOT).champion_folder()
    predictor = Predictor(Store(store), model)
    clock = f"stopped at {format_utc(stopped_ns)}" if stopped_ns is not None else "running"
    console.print(f"model {predictor.model_id[:12]} for {predictor.instrument}, store {store}, clock {clock}")
    console.print(f"http://{host}:{port}/docs")
    uvicorn.run(
        create_app(predictor, lambda: time.time_ns() if stopped_ns is None else stopped_ns),
        host=host,
        port=port,
        log_level="warning",
    )


@contextmanager
def _bars() -> Iterator[Progress]:
    """Progress bars on the terminal; plain lines of finished steps elsewhere."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield progress


def _steps(progress: Progress) -> Callable[[str], Callable[[int, int], None]]:
    """A progress bar for each step that is named."""

    def bar(step: str) -> Callable[[int, int], None]:
        task = progress.add_task(step, total=None)
        return lambda done, total: progress.update(task, completed=done, total=total)

    return bar


def _print_scores(result: "DemoResult") -> None:
    """The scoreboard and the margins, narrow enough for eighty columns."""
    from backtests.demo_tables import margin_table, score_table

    titles = (
        f"{result.instrument}: forecasts of every full hour",
        "published margins, % of notional",
    )
    for title, block in zip(titles, (score_table(result, short=True), margin_table(result, short=True)), strict=True):
        _print_table(title, block)
    console.print("t: Diebold-Mariano against log_har on QLIKE, below -2 is better beyond chance", style="dim")
    console.print("<1 %, >99 %: returns beyond the quantile in %, 1.00 is right; p is Kupiec's", style="dim")


def _print_table(title: str, block: "TableBlock") -> None:
    """A table of a report, its best figures marked."""
    table = Table(title=title, title_style="bold", header_style="dim", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, heading in enumerate(block.headings):
        table.add_column(heading, justify="left" if i == 0 else "right", no_wrap=True)
    for i, row in enumerate(block.rows):
        if i in block.groups:
            table.add_section()
        table.add_row(*(f"[bold cyan]{c.text}[/]" if c.best else c.text for c in row))
    console.print(table)


def main() -> None:
    """Run the app; a fault of the data or of a file ends with exit code 2 and one line, not a traceback."""
    try:
        app()
    except (DataError, OSError) as error:
        Console(stderr=True).print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
