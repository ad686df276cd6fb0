"""``margincast data``: import, fetch, list, check, rebuild; thin, every command calls one function."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from features.errors import DataError, SettingError

app = typer.Typer(no_args_is_help=True, help="Market data: vendor files in, one store, exact books.")
console = Console()
STORE = Path("data")

StoreOption = Annotated[Path, typer.Option(help="Root folder of the store.", envvar="MARGINCAST_STORE")]
VenueOption = Annotated[str | None, typer.Option(help="Only this venue.", show_default="all")]
SymbolOption = Annotated[str | None, typer.Option(help="Only this symbol.", show_default="all")]


class OnError(StrEnum):
    """What a bad row does."""

    strict = "strict"
    quarantine = "quarantine"


class Unit(StrEnum):
    """Units of time stamps."""

    s = "s"
    ms = "ms"
    us = "us"
    ns = "ns"


class Stamp(StrEnum):
    """What the time of a bar is."""

    open = "open"
    close = "close"


@app.command(
    name="import",
    epilog="Examples:  [bold]margincast data import tardis binance_trades_2024-01-01_BTCUSDT.csv.gz[/]   |   "
    "[bold]margincast data import binance BTCUSDT-1m-2024-01.zip --venue binance-spot[/]   |   "
    "[bold]margincast data import bars mine.csv --venue mine --symbol ETHUSD --stamp close[/]",
)
def import_(
    source: Annotated[str, typer.Argument(help="Format; [bold]margincast data sources[/] lists them.")],
    files: Annotated[list[Path], typer.Argument(help="Files, compressed or not.")],
    venue: Annotated[
        str | None, typer.Option(help="Venue, where the files do not tell it.", show_default="as told")
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(help="Instrument: its name, or the one to take.", show_default="as told")
    ] = None,
    store: StoreOption = STORE,
    on_error: Annotated[
        OnError, typer.Option(help="strict: a bad row stops its file. quarantine: bad rows go to a side file.")
    ] = OnError.strict,
    unit: Annotated[
        Unit | None, typer.Option(help="Unit of the time stamps.", show_default="found from their size")
    ] = None,
    stamp: Annotated[
        Stamp | None, typer.Option(help="Bars: stamped at their open or close.", show_default="open, or found")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="tardis: liquidations, where the file's name does not say so.")
    ] = None,
    bar_s: Annotated[
        int | None, typer.Option(help="Bars: their length in seconds.", show_default="the commonest step", min=1)
    ] = None,
) -> None:
    """Import vendor files into the store; a file is imported whole or not at all."""
    from features.importing import Request, import_file
    from features.intake.batch import Options

    options = Options(symbol=symbol, kind=kind, unit=unit, stamp=stamp, bar_s=bar_s)
    request = Request(source=source, venue=venue, options=options, on_error=on_error.value)
    faults: list[DataError] = []
    for path in files:
        try:
            with _counting(path.name) as count:
                report = import_file(path, store, request, count)
        except DataError as error:
            faults.append(error)
        else:
            _tell_import(report)
    for fault in faults[:-1]:
        Console(stderr=True).print(f"[red]error:[/] {escape(str(fault))}", soft_wrap=True, highlight=False)
    if faults:
        raise faults[-1]


@app.command(epilog="Example:  [bold]margincast data drop trades-cut-short.csv[/]")
def drop(
    file: Annotated[str, typer.Argument(help="Name of a file that was imported.")], store: StoreOption = STORE
) -> None:
    """Take out of the store the events that one file brought; bars are merged and stay."""
    from features.importing import drop_file

    for part in drop_file(_existing(store), file):
        console.print(f"removed {escape(part)}", highlight=False, soft_wrap=True)


@app.command(epilog="Example:  [bold]margincast data sample --store data[/]")
def sample(store: StoreOption = STORE) -> None:
    """Put the packaged bars (Binance spot BTCUSDT, 15 minutes, 2020 to 2022) into the store."""
    from features.sources import sample as packaged
    from features.store import Store

    bars = packaged.read()
    Store(store).write(packaged.SERIES, bars)
    series = packaged.SERIES
    told = f"{len(bars):,} bars of {series.bar_s} s of {series.symbol}, {series.venue}, in {escape(str(store))}"
    console.print(told, highlight=False, soft_wrap=True)


@app.command(epilog="Example:  [bold]margincast data sources[/]")
def sources() -> None:
    """List the formats that can be imported."""
    from features.sources import SOURCES

    table = _table("", ("source", "reads", "venue"), right_from=9)
    for name, source in SOURCES.items():
        table.add_row(f"[bold]{name}[/]", source.about, source.venue or "as told, or --venue")
    console.print(table)


@app.command(
    name="list",
    epilog="Example:  [bold]margincast data list --store data[/]",
)
def list_(store: StoreOption = STORE) -> None:
    """List what the store holds: kind, venue, symbol, rows, span, size."""
    from features.quality import inventory
    from features.quality_page import listing

    found = inventory(_existing(store))
    table = _table(f"{len(found)} streams in {store}", ("stream", "rows", "first day", "last day", "MB"), right_from=1)
    for quality in found:
        kind, venue, symbol, rows, first, last, size = listing(quality)
        cells = (f"{kind} {venue}/{symbol}", rows, first[:10], last[:10], size)
        table.add_row(*cells, style="red" if quality.fault else None)
    console.print(table)
    for quality in found:
        if quality.fault:
            console.print(f"[red]{escape(quality.fault)}[/]", soft_wrap=True, highlight=False)


@app.command(
    epilog="Examples:  [bold]margincast data check --store data[/]   |   "
    "[bold]margincast data check --symbol BTCUSDT --silence 5 --html quality.html[/]"
)
def check(
    store: StoreOption = STORE,
    venue: VenueOption = None,
    symbol: SymbolOption = None,
    silence: Annotated[float, typer.Option(help="Seconds without an event that count as a gap.", min=0.001)] = 60.0,
    html: Annotated[Path | None, typer.Option(help="Page to write.", show_default="check.html in the store")] = None,
) -> None:
    """Read everything through and report gaps, duplicates, crossed books, breaks of numbering, stale stretches.

    Ends with code 1 if a stream cannot be read.
    """
    from features.quality import inspect
    from features.quality_page import names, told, write_page

    def chosen(folder: str) -> bool:
        parts = folder.split("/")
        return (venue is None or parts[1] == f"venue={venue}") and (symbol is None or parts[2] == f"symbol={symbol}")

    with _counting("check", "streams") as count:
        found = list(inspect(_existing(store), chosen, silence, lambda done, _: count(done)))
    if not found:
        raise SettingError(f"{store} holds no stream of venue {venue or 'any'} and symbol {symbol or 'any'}")
    found.sort(key=lambda quality: quality.folder)
    table = _table(f"{len(found)} streams in {store}", ("stream", "rows", "found"), right_from=1, left_again=2)
    for quality in sorted(found, key=lambda quality: quality.sound):
        kind, *where = names(quality)
        cells = (f"{kind} {'/'.join(where)}", f"{quality.rows:,}", escape(told(quality)))
        table.add_row(*cells, style=None if quality.sound else "red")
    console.print(table)
    page = html or store / "check.html"
    write_page(page, store, found, silence)
    console.print(f"{sum(q.sound for q in found)} of {len(found)} streams sound; page {page}", highlight=False)
    if any(quality.fault for quality in found):
        raise typer.Exit(1)


@app.command(
    epilog="Example:  [bold]margincast data fetch binance --market spot --symbol BTCUSDT --kind klines --interval 1m "
    "--from 2024-01-01 --to 2024-01-31 --out downloads[/]"
)
def fetch(
    source: Annotated[str, typer.Argument(help="Archive: binance.")],
    symbol: Annotated[str, typer.Option(help="Instrument as the archive names it.")],
    kind: Annotated[
        str, typer.Option(help="trades, aggTrades, klines, bookTicker, bookDepth, metrics, fundingRate, ...")
    ],
    first: Annotated[str, typer.Option("--from", help="First day, UTC.")],
    last: Annotated[str, typer.Option("--to", help="Last day, UTC, included.")],
    market: Annotated[str, typer.Option(help="spot, um (USD-M futures) or cm (COIN-M futures).")] = "spot",
    interval: Annotated[str | None, typer.Option(help="Length of klines: 1m, 5m, 1h, ...")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("downloads"),
    base_url: Annotated[str | None, typer.Option(help="Mirror of the archive.", show_default="the public one")] = None,
) -> None:
    """Download files of a public archive, checked against their published SHA-256."""
    from features import fetch as archive

    if source != "binance":
        raise SettingError(f"unknown archive {source!r}; known: binance")
    files = archive.binance_files(market, symbol, kind, first, last, interval)
    with Progress(console=console) as progress:
        tasks = {}

        def show(name: str, done_bytes: int, total_bytes: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=None)
            progress.update(tasks[name], completed=done_bytes, total=total_bytes or None)

        fetched = archive.fetch(files, out, base_url or archive.BASE_URL, show)
    for name in fetched.absent:
        console.print(f"[yellow]not in the archive:[/] {name}", highlight=False)
    counts = f"{len(fetched.written)} fetched, {len(fetched.present)} there already, {len(fetched.absent)} absent"
    console.print(f"{counts}; in {out}", highlight=False)


@app.command(
    epilog="Example:  [bold]margincast data book --venue okx --symbol BTC-USDT --every 1 --out books.parquet[/]"
)
def book(
    symbol: Annotated[str, typer.Option(help="Instrument.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    venue: VenueOption = None,
    store: StoreOption = STORE,
    every: Annotated[float, typer.Option(help="Seconds between books.", min=0.001)] = 1.0,
    depth: Annotated[int, typer.Option(help="Levels a side.", min=1)] = 25,
    grace: Annotated[float, typer.Option(help="Seconds that a crossed book may stand.", min=0)] = 1.0,
    clock: Annotated[str, typer.Option(help="ts_ns (exchange) or local_ns (recorder).")] = "ts_ns",
) -> None:
    """Rebuild books on a time grid from the stored changes or orders of one instrument."""
    from features.rebuilding import write_books

    with _counting(f"books of {symbol}") as count:
        stats, rows = write_books(_existing(store), venue, symbol, out, every, depth, grace, clock, count)
    console.print(
        f"{rows:,} books in {out}: {stats.events:,} events, {stats.snapshots} snapshots, {stats.gaps} gaps, "
        f"{stats.void_rows:,} events while the book was unknown, crossed {stats.crossed_s:.1f} s, "
        f"{stats.dropped_levels} levels dropped",
        highlight=False,
    )


@app.command(epilog="Example:  [bold]margincast data bars --symbol BTCUSDT --bar-s 60[/]")
def bars(
    symbol: Annotated[str, typer.Option(help="Instrument.")],
    bar_s: Annotated[int, typer.Option(help="Length of the bars in seconds.", min=1)],
    venue: VenueOption = None,
    store: StoreOption = STORE,
) -> None:
    """Make bars of the stored trades of one instrument and store them."""
    from features.rebuilding import store_bars

    with _counting(f"bars of {symbol}") as count:
        series, rows = store_bars(_existing(store), venue, symbol, bar_s, count)
    console.print(f"{rows:,} bars in {series.folder}", highlight=False)


@app.command(
    epilog="Examples:  [bold]margincast data synthetic --store data --seed 7 --hours 2 --truth truth.parquet[/]   |   "
    "[bold]margincast data synthetic --store data --days 365 --bars-only[/]   |   "
    "[bold]margincast data synthetic --store data --faults gaps,late[/]"
)
def synthetic(
    store: StoreOption = STORE,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.", min=0)] = 1,
    hours: Annotated[int, typer.Option(help="Length.", min=1)] = 2,
    days: Annotated[int | None, typer.Option(help="Length, instead of hours.", show_default="--hours", min=1)] = None,
    bars_only: Annotated[bool, typer.Option(help="No trades and books: for long histories.")] = False,
    bar_s: Annotated[int, typer.Option(help="Length of the bars in seconds.", min=30)] = 900,
    symbols: Annotated[int, typer.Option(help="How many of the market's instruments.", min=1)] = 3,
    market: Annotated[Path | None, typer.Option(help="TOML file of the market.", show_default="built in")] = None,
    start: Annotated[str, typer.Option(help="First instant, UTC.")] = "2024-01-01",
    faults: Annotated[str, typer.Option(help="gaps, duplicates, crossed, late, reordered; with commas.")] = "",
    truth: Annotated[Path | None, typer.Option(help="Parquet file for the true law.", show_default="none")] = None,
) -> None:
    """Draw a market whose law is known into the store, under the venue synthetic, and its true law into a file."""
    from features.sources.synthetic.plan import plan_of
    from features.sources.synthetic.writing import write_market

    named = tuple(filter(None, faults.replace(" ", "").split(",")))
    plan = plan_of(market, symbols, seed, hours, days, start, bar_s, named, bars_only=bars_only)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("path", total=None)
        written = write_market(plan, store, truth, lambda what: progress.update(task, description=escape(what)))
    for stream in written:
        faulty = f", {stream.hit:,} messages hit by faults, {stream.set_aside:,} rows set aside" if stream.hit else ""
        console.print(f"{stream.folder}  {stream.rows:,} rows{faulty}", highlight=False, soft_wrap=True)
    if truth is not None:
        console.print(f"true law in {escape(str(truth))}", highlight=False, soft_wrap=True)


def _existing(store: Path) -> Path:
    if not store.is_dir():
        raise SettingError(f"{store}: no such folder; import something first, or name it with --store")
    return store


def _table(title: str, headings: tuple[str, ...], right_from: int, left_again: int = 99) -> Table:
    table = Table(title=title or None, title_style="bold", header_style="dim", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if right_from <= i < left_again else "left", overflow="fold")
    return table


@contextmanager
def _counting(name: str, what: str = "rows") -> Iterator[Callable[[int], None]]:
    """A line that counts on a terminal, and says nothing elsewhere."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(escape(name), total=None, count="")
        yield lambda done: progress.update(task, count=f"{done:,} {what}")


def _tell_import(report: object) -> None:
    from features.importing import ImportReport
    from features.quality_page import span_text

    told = cast("ImportReport", report)
    state = "unchanged, imported before" if told.unchanged else f"{told.rows:,} rows"
    console.print(f"[bold]{escape(told.file)}[/]: {state}", highlight=False, soft_wrap=True)
    for stream in told.streams[:12]:
        extra = f", {stream.known:,} known already" if stream.known else ""
        extra += f", {stream.gaps} gaps in the numbering" if stream.gaps else ""
        console.print(
            f"  {stream.folder}  {stream.rows:,} rows, {span_text(stream.first_ns, stream.last_ns)}{extra}",
            highlight=False,
            soft_wrap=True,
        )
    if len(told.streams) > 12:
        console.print(f"  and {len(told.streams) - 12} more streams")
    for note in told.notes:
        console.print(f"  [yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)
    if told.rejected:
        console.print(
            f"  [yellow]{told.rejected:,} bad rows set aside in {escape(told.quarantine or '')}[/]",
            highlight=False,
            soft_wrap=True,
        )
