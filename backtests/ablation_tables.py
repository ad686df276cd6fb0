"""The ablation's tables: for the page, for the terminal shorter, for a file as plain numbers."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from backtests.ablation_plan import KINDS, AblationResult, AblationScore, Difference
from backtests.ablation_rungs import RUNG_NAMES
from backtests.ablation_scores import LOSSES
from backtests.book_tables import span
from features.page import Cell, TableBlock

HEADS = {"qlike": "QLIKE", "tail_pinball": "tail pinball", "fz0": "FZ0"}
SHOWN = {"qlike": ".4f", "tail_pinball": ".4f", "fz0": ".3f"}


def ablation_table(scores: Sequence[AblationScore]) -> TableBlock:
    """Every model by horizon; a loss that is below that of returns alone beyond its interval is marked.

    Parameters
    ----------
    scores : of one group, of one recording or of all of them together.
    """
    with_truth = any(s.reached is not None for s in scores)
    headings = ["model, features", "windows", "apart", *(HEADS[x] for x in LOSSES)]
    headings += [f"{HEADS[x]} less returns'" for x in LOSSES] + ["reached"] * with_truth
    rows: list[list[Cell]] = []
    groups = set()
    for horizon_s in dict.fromkeys(s.horizon_s for s in scores):
        groups.add(len(rows))
        for s in (s for s in scores if s.horizon_s == horizon_s):
            cells = [Cell(f"{span(horizon_s)} {model_name(s)}"), Cell(str(s.windows)), Cell(str(s.apart))]
            cells += [Cell(format(s.loss[x], SHOWN[x])) for x in LOSSES]
            cells += [_difference_cell(s.added.get(x), SHOWN[x]) for x in LOSSES]
            rows.append(cells + [Cell(_share(s.reached))] * with_truth)
    return TableBlock(headings, rows, frozenset(groups))


def short_table(scores: Sequence[AblationScore]) -> TableBlock:
    """The same for a terminal: QLIKE's difference from returns alone, with a star where it is beyond its interval."""
    with_truth = any(s.reached is not None for s in scores)
    headings = ["model, features", "apart", "QLIKE", "added", "pinball", "FZ0"] + ["reached"] * with_truth
    rows: list[list[Cell]] = []
    groups = set()
    for i, s in enumerate(scores):
        if i == 0 or s.horizon_s != scores[i - 1].horizon_s:
            groups.add(i)
        found = s.added.get("qlike")
        added = "" if found is None else f"{found.mean:+.4f}{'*' if is_clear(found) else ' '}"
        name = f"{span(s.horizon_s):6} {s.kind} {s.rung}".strip()
        cells = [Cell(name), Cell(str(s.apart)), Cell(f"{s.loss['qlike']:.4f}"), Cell(added)]
        cells += [Cell(format(s.loss[x], SHOWN[x])) for x in LOSSES[1:]]
        rows.append(cells + [Cell(_share(s.reached))] * with_truth)
    return TableBlock(headings, rows, frozenset(groups))


def model_name(score: AblationScore) -> str:
    """Model and features in words.

    Examples
    --------
    >>> none = AblationScore("", "", 60, "ridge", "flow", 1, 1, {}, {})
    >>> model_name(none)
    'log-HAR ridge + trade flow'
    """
    return f"{KINDS[score.kind]} {RUNG_NAMES[score.rung]}".strip()


def _difference_cell(found: Difference | None, form: str) -> Cell:
    if found is None:
        return Cell("")
    mean = format(found.mean, f"+{form}")
    if found.low is None or found.high is None:
        return Cell(f"{mean} ({found.blocks} blocks)")
    return Cell(f"{mean} [{found.low:+{form}}, {found.high:+{form}}]", is_clear(found))


def is_clear(found: Difference) -> bool:
    """Whether the interval has 0 outside and the loss is smaller.

    Examples
    --------
    >>> is_clear(Difference(-1.0, -1.5, -0.5, 9)), is_clear(Difference(-1.0, None, None, 3))
    (True, False)
    """
    return found.high is not None and found.high < 0


def _share(reached: float | None) -> str:
    return "" if reached is None else f"{100 * reached:.0f} %"


def recording_table(result: AblationResult) -> TableBlock:
    """What was read: how long, how many origins, where the test begins."""
    rows: list[list[Cell]] = []
    groups = set()
    for group in result.groups:
        groups.add(len(rows))
        for r in group.recordings:
            known = 100 * float(r.panel.known.any(axis=0).mean())
            counts = (f"{r.hours:.2f}", str(r.first), str(len(r.panel) - r.first), f"{known:.0f}")
            rows.append([Cell(text) for text in (r.name, group.name, *counts)])
    headings = ["recording", "group", "hours", "origins before the test", "in it", "features ever known, %"]
    return TableBlock(headings, rows, frozenset(groups))


def scores_json(result: AblationResult) -> dict[str, Any]:
    """All figures as plain values."""
    groups = [
        {"name": g.name, "spec": g.spec.hash, "recordings": [r.name for r in g.recordings]} for g in result.groups
    ]
    return {"groups": groups, "left_out": dict(result.left_out), "scores": [asdict(s) for s in result.scores]}


def pooled(result: AblationResult, group: str) -> list[AblationScore]:
    """Scores over all recordings of a group."""
    return [s for s in result.scores if (s.group, s.recording) == (group, "")]
