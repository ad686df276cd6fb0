"""Margin results as tables for a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from serving.margin.levels import STATES
from serving.margin.objects import MarginResult
from serving.margin.what_if import Change


def show(result: MarginResult, console: Console, *, whole: bool = False) -> None:
    """Print components, levels, collateral and notes; with ``whole`` also every position by component."""
    console.print(Group(*_blocks(result, whole=whole)))
    for alone in result.isolated:
        show(alone, console, whole=whole)


def _blocks(result: MarginResult, *, whole: bool) -> Iterable[Table | Text]:
    yield table(
        f"account {result.account_id}, rule {result.rule}: requirement, USD",
        ("component", "initial", "maintenance"),
        [(c.name, _usd(c.initial), _usd(c.maintenance)) for c in result.components],
        [("total", _usd(result.initial), _usd(result.maintenance))],
    )
    yield table(
        "positions: what each adds",
        ("instrument", "mode", "quantity", "initial", "maintenance"),
        [
            (p.instrument, p.mode, f"{p.quantity.normalize():f}", _usd(p.initial), _usd(p.maintenance))
            for p in result.positions
        ],
    )
    if whole:
        yield _matrix(result)
    if result.collateral:
        yield table(
            "equity: value and what counts",
            ("", "value", "counted", "charges"),
            [
                (c.asset, _usd(c.value), _usd(c.counted), ", ".join(f"{k} {_usd(v)}" for k, v in c.charges.items()))
                for c in result.collateral
            ],
        )
    yield _levels(result)
    if result.worst_scenario:
        yield Text(f"worst scenario   {result.worst_scenario}")
    for note in result.notes:
        yield Text(f"note: {note}", style="yellow")


def _matrix(result: MarginResult) -> Table:
    """Initial margin of every position by component, what is not nought."""
    out = table("initial margin by position and component", ("instrument", "component", "initial"), [])
    out.columns[1].justify = "left"
    for position in result.positions:
        for i, (name, amount) in enumerate(position.components.items()):
            out.add_row(escape(position.instrument) if i == 0 else "", name, _usd(amount))
        out.add_row("", "[bold]sum[/]", f"[bold]{_usd(position.initial)}[/]", end_section=True)
    return out


def _levels(result: MarginResult) -> Table:
    levels = result.levels
    names = ("equity", "maintenance", "call", "initial", "release")
    rows = [(name, _usd(getattr(levels, name))) for name in names]
    return table(
        f"state: {levels.state}",
        ("level", "USD"),
        rows,
        [("to post", _usd(levels.top_up)), ("may leave", _usd(levels.excess))],
    )


def changes_table(changes: Sequence[Change]) -> Table:
    """Before, after and difference."""
    rows = [(c.name, _usd(c.before), _usd(c.after), _usd(c.difference, signed=True)) for c in changes]
    return table("what would change, USD", ("initial margin", "before", "after", "difference"), rows[:-2], rows[-2:])


def compared_table(found: Mapping[str, MarginResult | str]) -> Table:
    """One account, isolated positions included, under several rules; what a rule does not cover is said."""
    rows = []
    for name, result in found.items():
        if isinstance(result, str):
            rows.append((name, "-", "-", result.partition(";")[0].removeprefix(f"{name}: ")))
        else:
            initial, maintenance = result.whole
            said = [worst_state(result), *(note for note in result.notes if note.startswith("open orders"))]
            rows.append((name, _usd(initial), _usd(maintenance), "; ".join(said)))
    out = table("one account under every rule, USD", ("rule", "initial", "maintenance", "state, or why not"), rows)
    out.columns[-1].justify = "left"
    return out


def worst_state(result: MarginResult) -> str:
    """State of the account or of the isolated position that is worst off."""
    return min((r.levels.state for r in (result, *result.isolated)), key=STATES.index)


def table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], totals: Sequence[Sequence[str]] = ()
) -> Table:
    """A table whose first column is words and whose others are figures."""
    out = Table(title=escape(title), title_justify="left", title_style="bold", header_style="dim", box=box.SIMPLE_HEAD)
    for i, heading in enumerate(headings):
        out.add_column(heading, justify="left" if i == 0 and len(headings) > 1 else "right")
    for row in rows:
        out.add_row(*(escape(cell) for cell in row))
    if totals:
        out.add_section()
        for row in totals:
            out.add_row(*(f"[bold]{escape(cell)}[/]" for cell in row))
    return out


def _usd(amount: Decimal, *, signed: bool = False) -> str:
    return f"{amount:+,.2f}" if signed else f"{amount:,.2f}"
