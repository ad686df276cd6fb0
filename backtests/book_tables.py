"""Tables of the book's job, for the page and, shorter, for the terminal."""

from collections.abc import Sequence

import numpy as np

from backtests.book_plan import BASELINE, NAMES, BookResult, BookScore
from backtests.margin import score_margin
from features.catalogue import parse
from features.page import Cell, TableBlock
from features.panel import Panel
from serving.schedule import SIDES

BASIS_POINTS = 1e4


def span(seconds: int) -> str:
    """A length of time in a reader's words.

    Examples
    --------
    >>> span(300), span(45)
    ('5 min', '45 s')
    """
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def score_table(result: BookResult, *, short: bool = False) -> TableBlock:
    """All models by horizon; the least of each loss is marked."""
    headings = ["model" if short else "horizon, model", "windows", "apart", "QLIKE", "RV/f", "in 90 %"]
    headings += ["pinball", "CRPS"] if short else ["pinball, bp", "CRPS, bp", f"QLIKE less that of {NAMES[BASELINE]}"]
    rows: list[list[Cell]] = []
    groups = set()
    for peers in _by_horizon(result.scores):
        groups.add(len(rows))
        base = next(s.qlike for s in peers if s.model == BASELINE)
        for s in peers:
            losses = (("qlike", ".3f"), ("pinball_bp", ".3f"), ("crps_bp", ".3f"))
            marked = [
                Cell(format(getattr(s, name), form), getattr(s, name) == min(getattr(p, name) for p in peers))
                for name, form in losses
            ]
            cells = [
                Cell(f"{span(s.horizon_s)} {_name(s.model, short=short)}"),
                Cell(str(s.windows)),
                Cell(str(s.apart)),
            ]
            inside = s.below[-1] - s.below[0]
            cells += [marked[0], Cell(f"{s.realised_over_forecast:.2f}"), Cell(str(inside)), *marked[1:]]
            rows.append(cells if short else [*cells, Cell("" if s.model == BASELINE else f"{s.qlike - base:+.3f}")])
    return TableBlock(headings, rows, frozenset(groups))


def coverage_table(result: BookResult) -> TableBlock:
    """How many windows lay at or below quantiles, beside how many should have."""
    levels = result.scores[0].levels
    rows: list[list[Cell]] = []
    groups = set()
    for peers in _by_horizon(result.scores):
        groups.add(len(rows))
        expected = [Cell(f"{p * peers[0].windows:.1f}") for p in levels]
        for s in peers:
            counts = [Cell(str(n)) for n in s.below]
            rows.append([Cell(f"{span(s.horizon_s)} {NAMES[s.model]}"), *counts, Cell(str(s.windows))])
        rows.append([Cell(f"{span(peers[0].horizon_s)} expected"), *expected, Cell(str(peers[0].windows))])
    headings = ["windows at or below the quantile", *(f"{100 * p:g} %" for p in levels), "of"]
    return TableBlock(headings, rows, frozenset(groups))


def margin_table(result: BookResult, *, short: bool = False) -> TableBlock:
    """Rates of every model under the one policy, basis points of notional."""
    counted = ["breaches"] if short else ["windows", "breaches"]
    headings = ["side, model", *counted, "worst loss", "mean IM", "mean MM", "highest IM"]
    rows: list[list[Cell]] = []
    groups = set()
    scores = [
        s for n, x in result.schedules.items() for s in score_margin(n, x, result.panel, result.plan.policy.mpor_s)
    ]
    worst = worst_losses(result)
    for side in SIDES:
        groups.add(len(rows))
        for m in (m for m in scores if m.side == side):
            highest = result.schedules[m.model].sides[side].initial_frac.max()
            rates = (worst[side], m.mean_initial_frac, m.mean_maintenance_frac, float(highest))
            name = Cell(f"{side:5} {_name(m.model, short=short)}")
            count = [] if short else [Cell(str(m.n))]
            rows.append([name, *count, Cell(str(m.breaches)), *(Cell(f"{BASIS_POINTS * r:.1f}") for r in rates)])
    return TableBlock(headings, rows, frozenset(groups))


def worst_losses(result: BookResult) -> dict[str, float]:
    """Largest loss over the period of risk from any test origin, by side, fraction of notional."""
    panel = result.panel
    moves = np.expm1(panel.targets.log_return[:, panel.horizon_index(result.plan.policy.mpor_s)])
    tested = moves[panel.first_row_from(int(result.walked.origin_ns[result.walked.first])) :]
    return {"long": float(np.nanmax(-tested)), "short": float(np.nanmax(tested))}


def feature_table(names: Sequence[str], panel: Panel) -> TableBlock:
    """What the models saw: formula and unit of each feature, and its values over the session."""
    rows = []
    for name in names:
        family = parse(name, panel.spec.bar_s).family
        values = panel.column(name)
        low, middle, high = np.nanquantile(values, (0.05, 0.5, 0.95)) if np.isfinite(values).any() else [np.nan] * 3
        told = (name, family.formula, family.unit, f"{low:.3g}", f"{middle:.3g}", f"{high:.3g}")
        rows.append([Cell(text) for text in (*told, f"{100 * np.isfinite(values).mean():.0f}")])
    return TableBlock(["feature", "formula", "unit", "5 %", "median", "95 %", "known, %"], rows)


def _by_horizon(scores: Sequence[BookScore]) -> list[list[BookScore]]:
    return [[s for s in scores if s.horizon_s == h] for h in dict.fromkeys(s.horizon_s for s in scores)]


def _name(model: str, *, short: bool) -> str:
    return model if short else NAMES[model]
