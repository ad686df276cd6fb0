"""``margincast features``: build panels, list what there is to choose from; thin."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from features.errors import SettingError

if TYPE_CHECKING:
    from features.panel import Panel

app = typer.Typer(no_args_is_help=True, help="Features: stored tables and a spec in, panels out.")
console = Console()
STORE = Path("data")
TIMES = ("first", "last")


@app.command(
    epilog="Examples:  [bold]margincast features build --spec five_minutes --symbol ETHUSDT --symbol SOLUSDT[/]   |   "
    "[bold]margincast features build --spec mine.toml --symbol BTCUSD --venue bitstamp --out panels[/]"
)
def build(
    symbol: Annotated[list[str], typer.Option(help="Instrument; may be given several times.")],
    spec: Annotated[str, typer.Option(help="TOML file of a feature spec, or the name of a packaged one.")],
    venue: Annotated[str | None, typer.Option(help="Venue, where several have the symbol.", show_default="any")] = None,
    store: Annotated[Path, typer.Option(help="Root folder of the store.", envvar="MARGINCAST_STORE")] = STORE,
    out: Annotated[Path, typer.Option(help="Folder for the panels.")] = Path("panels"),
) -> None:
    """Compute features and outcomes of stored instruments; what is there already is not computed again."""
    import numpy as np

    from features.clock import format_utc
    from features.inputs import find_inputs, kind
    from features.pipeline import build_panels
    from features.specs import find_spec

    chosen = find_spec(spec)
    if not store.is_dir():
        raise SettingError(f"{store}: no such folder; import something first, or name it with --store")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("compute features", total=None)
        panels = build_panels(
            store, venue, tuple(dict.fromkeys(symbol)), chosen, out,
            lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    table = _table(("instrument", "origins", "first", "last", "known %", "blind %"), right_from=1)
    for name, panel in panels.items():
        first, last = (format_utc(int(panel.origin_ns[i]))[:16].replace("T", " ") for i in (0, -1))
        shares = (f"{100 * np.mean(flags):.2f}" for flags in (panel.known, panel.blind))
        table.add_row(name, f"{len(panel):,}", first, last, *shares)
    console.print(table)
    for name, panel in panels.items():
        tables = (f"{table.venue} {kind(table)}" for table in find_inputs(store, venue, name, chosen).tables)
        console.print(f"{escape(name)}: of {', '.join(tables)}", highlight=False, soft_wrap=True)
        _tell_unknown(name, panel)
    about = f"spec {chosen.hash[:12]}, {len(chosen.features)} features, purge {chosen.purge_s} s"
    told = f"{about}, panels in {escape(str(out))}"
    console.print(told, highlight=False, soft_wrap=True)


def _tell_unknown(name: str, panel: "Panel") -> None:
    """Name the features that are never known, and a panel that is of no use."""
    never = [feature for j, feature in enumerate(panel.spec.features) if not panel.known[:, j].any()]
    if never:
        console.print(f"[yellow]{escape(name)}:[/] never known: {', '.join(never)}", highlight=False, soft_wrap=True)
    if panel.blind.all():
        told = "at no origin is everything known; leave out what is not, or import what it needs"
        console.print(f"[yellow]{escape(name)}:[/] {told}", highlight=False, soft_wrap=True)


@app.command(
    name="list",
    epilog="Examples:  [bold]margincast features list[/]   |   [bold]margincast features list --markdown[/]",
)
def list_(
    markdown: Annotated[bool, typer.Option("--markdown", help="The reference of docs/features.md instead.")] = False,
) -> None:
    """List the families of features: name, formula, unit, cost."""
    from features import reference

    if markdown:
        typer.echo(reference.markdown(), nl=False)
        return
    for title, rows in reference.entries().items():
        table = _table(("name", "formula", "unit", "cost"), right_from=9, title=title)
        for row in rows:
            table.add_row(f"[bold]{row[0]}[/]", *map(escape, row[1:]))
        console.print(table)


def _table(headings: tuple[str, ...], right_from: int, title: str = "") -> Table:
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for i, heading in enumerate(headings):
        table.add_column(
            heading, justify="right" if i >= right_from else "left", overflow="fold", no_wrap=heading in TIMES
        )
    return table
