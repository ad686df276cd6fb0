"""An explanation as tables for a terminal, below its result's."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from serving.margin_explanation import Challenge, Explanation, Liquidation, ScanRange, WorstScenario
from serving.margin_tables import table


def explanation_blocks(found: Explanation) -> Iterable[Table | Text]:
    """What there is to say, block by block."""
    if found.ranges:
        yield _ranges(found.ranges)
    if found.worst_scenarios:
        yield _scenarios(found.worst_scenarios)
    if found.liquidations:
        yield _liquidations(found.liquidations, found.result.account_id)
    if found.challenger is not None:
        yield _challenger(found.challenger)


def _ranges(ranges: Sequence[ScanRange]) -> Table:
    initial, maintenance = ([r for r in ranges if r.margin == margin] for margin in ("initial", "maintenance"))
    rows = [(a.underlying, _moves(a), _moves(b)) for a, b in zip(initial, maintenance, strict=True)]
    headings = (f"{found[0].margin}, {found[0].horizon_s / 3600:g} h" for found in (initial, maintenance))
    return table("scan ranges, %", ("underlying", *headings), rows)


def _moves(found: ScanRange) -> str:
    return f"{-100 * found.down_frac:.2f} / {100 * found.up_frac:+.2f}"


def _scenarios(found: Sequence[WorstScenario]) -> Table:
    rows = [
        (s.underlying, s.scenario, f"{100 * s.move_frac:+.1f}", f"{s.weight:.2f}", f"{s.loss_usd:,.2f}") for s in found
    ]
    out = table("worst scenarios for initial margin", ("underlying", "scenario", "move %", "weight", "loss"), rows)
    out.columns[1].justify = "left"
    return out


def _liquidations(found: Sequence[Liquidation], account_id: str) -> Table:
    rows = []
    for one in found:
        isolated = "" if one.account_id == account_id else " isolated"
        prices = ("none" if p is None else f"{p:,f}" for p in (one.below, one.above))
        rows.append((one.underlying + isolated, f"{one.today:,f}", *prices))
    return table("liquidated at, all else as today", ("underlying", "today", "below", "above"), rows)


def _challenger(found: Challenge) -> Text:
    verdict = "they agree" if found.alarm is None else "they part: see the note"
    figures = f"{found.sensitivity_usd:,.2f} by sensitivities, {found.revaluation_usd:,.2f} by revaluation"
    return Text(f"challenger       {figures}; {verdict}")
