"""The main job's two tables, for the page and, shorter, for the terminal."""

from collections.abc import Callable

from backtests.demo_plan import BASELINE, NAMES, DemoResult
from backtests.margin import MarginScore
from backtests.scoreboard import Score
from features.clock import HOUR_S
from features.page import Cell, TableBlock
from serving.schedule import SIDES

# heading on the page, heading on the terminal ("": not shown there), figure, format, smaller is better
SCORE_COLUMNS: tuple[tuple[str, str, Callable[[Score], float], str, bool], ...] = (
    ("QLIKE", "QLIKE", lambda s: s.qlike, ".4f", True),
    ("net of floor", "", lambda s: s.qlike_net, ".4f", True),
    ("its t", "t", lambda s: s.qlike_t, "+.1f", False),
    ("RV/f", "", lambda s: s.realised_over_forecast, ".2f", False),
    ("pinball, bp", "pinball", lambda s: s.pinball_tail_bp, ".2f", True),
    ("CRPS, bp", "", lambda s: s.crps_bp, ".2f", True),
    ("FZ0 tail", "FZ0", lambda s: s.fz0_tail, ".4f", True),
    ("its t", "", lambda s: s.fz0_t, "+.1f", False),
    ("hits 1 %", "<1 %", lambda s: s.hit_low, ".2f", False),
    ("its p", "p", lambda s: s.kupiec_low, ".2f", False),
    ("hits 99 %", ">99 %", lambda s: s.hit_high, ".2f", False),
    ("its p", "p", lambda s: s.kupiec_high, ".2f", False),
)
MARGIN_COLUMNS: tuple[tuple[str, str, Callable[[MarginScore], float], str], ...] = (
    ("windows", "", lambda m: m.n, ".0f"),
    ("breaches", "breaches", lambda m: m.breaches, ".0f"),
    ("worst excess, %", "", lambda m: 100 * m.worst_shortfall_frac, ".2f"),
    ("mean IM, %", "mean IM", lambda m: 100 * m.mean_initial_frac, ".2f"),
    ("mean MM, %", "mean MM", lambda m: 100 * m.mean_maintenance_frac, ".2f"),
    ("peak / trough", "peak/trough", lambda m: m.peak_to_trough, ".2f"),
    ("largest 24 h rise", "24 h rise", lambda m: m.largest_daily_rise, ".2f"),
)


def score_table(result: DemoResult, *, short: bool = False) -> TableBlock:
    """All models by horizon; the best of each loss is marked."""
    columns = [c for c in SCORE_COLUMNS if c[1] or not short]
    rows: list[list[Cell]] = []
    groups = set()
    for horizon_s in dict.fromkeys(s.horizon_s for s in result.scores):
        groups.add(len(rows))
        peers = [s for s in result.scores if s.horizon_s == horizon_s]
        for score in peers:
            cells = [Cell(f"{horizon_s // HOUR_S:2} h {_name(score.model, short=short)}")]
            for _, _, figure, form, is_loss in columns:
                best = is_loss and figure(score) == min(map(figure, peers))
                own_t = form == "+.1f" and score.model == BASELINE
                cells.append(Cell("" if own_t else format(figure(score), form), best))
            rows.append(cells)
    return TableBlock(
        ["model" if short else "horizon, model", *(c[1] if short else c[0] for c in columns)], rows, frozenset(groups)
    )


def margin_table(result: DemoResult, *, short: bool = False) -> TableBlock:
    """Published margins of every model under the one policy, rates in percent of notional."""
    columns = [c for c in MARGIN_COLUMNS if c[1] or not short]
    rows: list[list[Cell]] = []
    groups = set()
    for side in SIDES:
        groups.add(len(rows))
        for m in (m for m in result.margins if m.side == side):
            name = Cell(f"{side:5} {_name(m.model, short=short)}")
            rows.append([name, *(Cell(format(figure(m), form)) for _, _, figure, form in columns)])
    return TableBlock(["side, model", *(c[1] if short else c[0] for c in columns)], rows, frozenset(groups))


def _name(model: str, *, short: bool) -> str:
    return model if short else NAMES[model]
