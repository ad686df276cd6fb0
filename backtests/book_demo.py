"""From a published recording of single orders to forecasts, margins and a page: the job on one order book."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import polars as pl

from backtests.book_margin import margins_of, margins_usd
from backtests.book_plan import MAIN, BookPlan, BookResult
from backtests.book_report import mid_at, write_book_report
from backtests.book_scores import score_session
from backtests.book_session import VENUE, Session, depth_of, span_ns, store_session, trades_of
from backtests.book_walk import walk_session
from backtests.demo_walk import write_forecasts
from features.files import write_json, write_text
from features.panel import Panel
from features.pipeline import Progress, build_panels
from features.tape import Stream, Tape

Bar = Callable[[str], Progress]  # a progress bar for a named step


def run_book_demo(
    out: Path, bar: Bar, wheel: Path | None = None, session: Session | None = None, plan: BookPlan | None = None
) -> BookResult:
    """Run the job; download, store and panel of the last run in ``out`` are used again if they are whole.

    Parameters
    ----------
    out : folder of everything that is written.
    bar : gives a progress bar for a named step.
    wheel : a copy of the session's wheel; without, it is fetched once.

    Raises
    ------
    DataError
        If the session cannot be got or read, or is too short for the plan; no page is written then.
    """
    session, plan = session or Session(), plan or BookPlan()
    re_used = store_session(session, out, wheel, bar("get and store the session"))
    panel, is_old = _panel(out, session.symbol, plan, bar("compute features"))
    re_used += ["panel"] if is_old else []
    span = span_ns(out / "store", session.symbol)
    walked = walk_session(panel, span, plan, bar("walk forward"))

    with_bar = bar("score, margin, report")
    scores, schedules = score_session(walked), margins_of(walked, panel, plan)
    with_bar(1, 3)
    counts = {s.kind: sum(p.rows for p in Tape(out / "store").parts(s)) for s in _streams(out, session.symbol)}
    depth = depth_of(out / "store", session.symbol)
    result = BookResult(out, plan, span, panel, counts, walked, scores, schedules, depth, re_used)
    with_bar(2, 3)
    _write_outputs(result, trades_of(out / "store", session.symbol), _told(session))
    with_bar(3, 3)
    return result


def _streams(out: Path, symbol: str) -> list[Stream]:
    return [s for s in Tape(out / "store").streams() if (s.venue, s.symbol) == (VENUE, symbol)]


def _panel(out: Path, symbol: str, plan: BookPlan, progress: Progress) -> tuple[Panel, bool]:
    """The session's panel, and whether it was there already."""
    before = _seals(out)
    panel = build_panels(out / "store", VENUE, (symbol,), plan.spec, out / "cache", progress)[symbol]
    return panel, _seals(out) == before


def _seals(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (out / "cache").glob("panel-*.sha256")}


def _told(session: Session) -> str:
    wheel = session.wheel
    return f"orders and trades of {VENUE} as published in the wheel of {wheel.project} {wheel.version}"


def _write_outputs(result: BookResult, trades: pl.DataFrame, origin: str) -> None:
    """Forecasts as Parquet, scores as JSON, margins as CSV, the page, each whole."""
    walked = result.walked
    tested = {name: forecast.rows(walked.first) for name, forecast in walked.forecasts.items()}
    write_forecasts(tested, result.instrument, result.out / "book_forecasts.parquet")
    write_json(result.out / "book_scores.json", {"scores": [asdict(s) for s in result.scores]})
    schedule = result.schedules[MAIN]
    mid = mid_at(result, schedule.origin_ns)
    write_text(result.out / "book_margins.csv", margins_usd(schedule, result.instrument, mid).write_csv())
    write_book_report(result, trades, origin)
