"""``margincast promote``: the challenger becomes champion if it wins; thin."""
# ruff: noqa: PLC0415 - heavy imports wait until the command runs

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from backtests.commands import progress_bars
from features.clock import HOUR_S, format_utc, parse_utc
from features.errors import SettingError
from features.files import sha256_of_file

if TYPE_CHECKING:
    from backtests.promotion import Contend, Decision
    from backtests.promotion_forecasts import Held
    from backtests.promotion_verdict import Contest, Verdict

console = Console()
BASELINE = "log_har"
Step = Callable[[int, int], None]


def promote(
    tracking: Annotated[Path | None, typer.Option(help="Folder of the MLflow store.", show_default="mlruns")] = None,
    store: Annotated[Path, typer.Option(help="Store with the bars of the test.", envvar="MARGINCAST_STORE")] = Path(
        "data"
    ),
    venue: Annotated[str | None, typer.Option(help="Venue of the bars.", show_default="the only one")] = None,
    symbols: Annotated[
        str, typer.Option(help="Instruments, with commas between.", show_default="all of the store's with such bars")
    ] = "",
    test_from: Annotated[
        str | None, typer.Option("--from", help="First origin that counts, UTC.", show_default="a third in")
    ] = None,
    test_to: Annotated[
        str | None, typer.Option("--to", help="Last origin that counts, UTC.", show_default="the last of the bars")
    ] = None,
    forecasts: Annotated[
        Path | None, typer.Option(help="File with both models' forecasts.", show_default="they are made anew")
    ] = None,
    challenger: Annotated[str, typer.Option(help="The challenger's name in --forecasts.")] = "challenger",
    champion: Annotated[str, typer.Option(help="Its opponent's name in --forecasts.")] = "champion",
    walk_forward: Annotated[
        bool,
        typer.Option("--walk-forward", help="--forecasts are a backtest's, refitted as it went: no overlap to check."),
    ] = False,
    first: Annotated[
        bool, typer.Option("--first", help="Where there is no champion yet, take the challenger without a test.")
    ] = False,
    version: Annotated[int | None, typer.Option(help="With --force: the version to make champion.", min=1)] = None,
    force: Annotated[
        str | None, typer.Option(help="Make --version champion without a test, for this reason; it is kept.")
    ] = None,
) -> None:
    """Make the challenger champion if it wins by a test on windows that neither model was trained on.

    It must have the smaller QLIKE over all horizons beyond chance, at 5 %, days being clusters, and neither QLIKE, FZ0
    nor coverage may be worse at any horizon. Against no champion it is held against log_har. Code 1: it did not win.
    """
    from backtests.promotion import force as forced
    from backtests.promotion import promote as decide
    from backtests.promotion_forecasts import Held
    from training.tracking import DEFAULT_ROOT, Tracking

    registry, time_ms = Tracking(tracking or DEFAULT_ROOT).registry, int(time.time() * 1000)
    if (version is None) != (force is None):
        raise SettingError("--version and --force go together: which version, and for what reason")
    if version is not None and force is not None:
        _print(forced(registry, version, force, time_ms))
        return
    names = tuple(name.strip() for name in symbols.split(",") if name.strip())
    from_ns, to_ns = (None if text is None else parse_utc(text) for text in (test_from, test_to))
    held = Held(store, venue, names, from_ns, to_ns)
    with TemporaryDirectory() as scratch, progress_bars() as bar:
        file = None if forecasts is None else _File(forecasts, (challenger, champion), walk_forward)
        contend = _by_file(file, held) if file else _by_artefacts(held, Path(scratch), bar)
        decision = decide(registry, contend, BASELINE, time_ms, untested=first, about=_about(held, file))
    _print(decision)
    if not decision.is_promoted:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _File:
    """A file of forecasts, the names of both models in it, and whether a walk forward made it."""

    path: Path
    names: tuple[str, str]
    walked: bool


def _by_file(file: _File, held: "Held") -> "Contend":
    """Both models' forecasts are there."""
    from backtests.promotion_forecasts import CHALLENGER, check_overlap, contest_of_file, of_artefact

    def contend(ours: Path, theirs: Path | None) -> "Contest":
        contestants = [of_artefact(CHALLENGER, ours)]
        contestants += [of_artefact("champion", theirs)] if theirs else []
        if not file.walked and held.from_ns is not None:
            check_overlap(contestants, held.from_ns)
        return contest_of_file(file.path, file.names, contestants[0].spec, held)

    return contend


def _by_artefacts(held: "Held", scratch: Path, bar: Callable[[str], Step]) -> "Contend":
    """Both models forecast now."""
    from backtests.promotion_forecasts import CHALLENGER, contest_of_artefacts, of_artefact, of_baseline

    def contend(ours: Path, theirs: Path | None) -> "Contest":
        challenger = of_artefact(CHALLENGER, ours)
        opponent = of_artefact("champion", theirs) if theirs else of_baseline(BASELINE, challenger)
        return contest_of_artefacts(challenger, opponent, held, scratch, bar)

    return contend


def _about(held: "Held", file: _File | None) -> dict[str, object]:
    """What the figures are of: JSON values."""
    about: dict[str, object] = {
        "store": str(held.store),
        "venue": held.venue,
        "symbols": list(held.symbols),
        "from": None if held.from_ns is None else format_utc(held.from_ns),
        "to": None if held.to_ns is None else format_utc(held.to_ns),
    }
    if file is not None and file.path.is_file():
        sha256 = sha256_of_file(file.path)
        about |= {"forecasts": str(file.path), "sha256": sha256, "names": list(file.names), "walk_forward": file.walked}
    return about


def _print(decision: "Decision") -> None:
    """The figures, then what was decided."""
    if decision.verdict is not None:
        title = f"version {decision.version} against {decision.opponent}"
        console.print(_table(title, decision.verdict))
        console.print(f"{decision.verdict.windows:,} windows on {decision.verdict.days:,} days", highlight=False)
    for reason in decision.verdict.reasons if decision.verdict else ():
        console.print(f"refused  {escape(reason)}", highlight=False, soft_wrap=True)
    former = f", formerly version {decision.former}" if decision.former else ""
    if decision.is_promoted:
        told = "without a test" if decision.verdict is None else "by the test"
        console.print(f"champion version {decision.version}, {told}{former}", highlight=False)
    else:
        console.print(f"champion stays as it was{former.replace(', formerly', ':')}", highlight=False)


def _table(title: str, verdict: "Verdict") -> Table:
    """Losses of both, difference with its interval and p-values, a row a horizon; of the tails what is worse."""
    from backtests.promotion_verdict import HITS, SIZE

    table = Table(title=title, title_style="bold", header_style="dim", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, heading in enumerate(("loss", "h", "new", "old", "difference", "95 %", "p better", "p worse")):
        table.add_column(heading, justify="left" if i == 0 else "right", no_wrap=True)
    for line in verdict.lines:
        if line.loss in HITS and not line.p_worse < SIZE:
            continue
        if not line.horizon_s and table.row_count:
            table.add_section()
        horizon = f"{line.horizon_s / HOUR_S:g}" if line.horizon_s else "all"
        table.add_row(
            line.loss, horizon, f"{line.challenger:.4f}", f"{line.opponent:.4f}", f"{line.difference:+.4f}",
            f"{line.low:+.4f} {line.high:+.4f}", f"{line.p_better:.3f}", f"{line.p_worse:.3f}",
        )  # fmt: skip
    return table
