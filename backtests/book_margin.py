"""Margins of a session: the published rates' own rules, with seconds where a margin of perpetuals has hours."""

from decimal import Decimal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtests.book_plan import BookPlan, Walked
from features.clock import NS_PER_S, format_utc
from features.panel import Panel
from serving.margin.requirement import require
from serving.margin.scan import PARTS, History, Scan, scan, summarise
from serving.margin.scan_policy import ScanPolicy
from serving.schedule import SIDES, Schedule, SideSchedule, loss_forecast, loss_frac

FloatArray = NDArray[np.float64]


def margins_of(walked: Walked, panel: Panel, plan: BookPlan) -> dict[str, Schedule]:
    """Margin rates of every model at every test origin.

    Initial margin covers ``mpor_s``, maintenance margin ``liquidation_s``. Stress, floor and long-run loss are those
    of the session so far: half an hour knows no other days. The warm-up before the test feeds the limiter.

    Parameters
    ----------
    walked : forecasts, the warm-up first.
    panel : the whole session.
    plan : policy and times.
    """
    cost_frac = dearest_cost(panel.until(int(walked.origin_ns[walked.first])), plan.cost_feature)
    histories = {
        (side, horizon_s): history(walked.origin_ns, panel, horizon_s, side, plan)
        for side in SIDES
        for horizon_s in (plan.policy.mpor_s, plan.policy.liquidation_s)
    }
    return {name: _schedule(walked, name, histories, cost_frac, plan.policy) for name in walked.forecasts}


def _schedule(
    walked: Walked, name: str, histories: dict[tuple[str, int], History], cost_frac: float, policy: ScanPolicy
) -> Schedule:
    sides = {}
    for side in SIDES:
        scans = []
        for horizon_s in (policy.mpor_s, policy.liquidation_s):
            raw = loss_forecast(walked.forecasts[name], horizon_s, side, policy)
            whole = scan(raw, walked.panel.blind, histories[side, horizon_s], policy)
            scans.append(Scan(*(getattr(whole, part)[walked.first :] for part in PARTS)))
        initial, maintenance = scans
        sides[side] = SideSchedule(initial, maintenance, cost_frac)
    return Schedule(walked.origin_ns[walked.first :], sides)


def history(origin_ns: NDArray[np.int64], panel: Panel, horizon_s: int, side: str, plan: BookPlan) -> History:
    """Stress, floor and long-run loss at each origin, from the windows that had ended at the last refit before it."""
    step_ns = plan.refit_s * NS_PER_S
    rows = np.empty((len(origin_ns), 3))
    for start_ns in np.unique(origin_ns // step_ns * step_ns):
        rows[origin_ns // step_ns * step_ns == start_ns] = _summary(
            panel.until(int(start_ns)), horizon_s, side, plan.policy
        )
    return History(rows[:, 0], rows[:, 1], rows[:, 2])


def _summary(past: Panel, horizon_s: int, side: str, policy: ScanPolicy) -> tuple[float, float, float]:
    h = past.horizon_index(horizon_s)
    returns, variance = past.targets.log_return[:, h], past.targets.realised_variance[:, h]
    known = np.isfinite(returns)
    stressed = variance[known] >= np.quantile(variance[known], 1 - policy.stressed_days_frac)
    return summarise(loss_frac(returns[known], side), stressed, policy)


def dearest_cost(past: Panel, feature: str) -> float:
    """Largest cost of trading by walking the book that the past saw, fraction of notional."""
    return float(np.exp(np.nanmax(past.column(feature))))


def margins_usd(schedule: Schedule, instrument: str, mid: FloatArray) -> pl.DataFrame:
    """Margins of one unit of the underlying at each origin, USD to the cent, a row an origin."""
    rows = []
    for row, origin_ns in enumerate(schedule.origin_ns):
        mark = Decimal(repr(float(mid[row])))
        margins = {side: require(instrument, Decimal(1), mark, s.rates(row)) for side, s in schedule.sides.items()}
        money = {f"im_{side}_usd": str(m.initial_usd) for side, m in margins.items()}
        money |= {f"mm_{side}_usd": str(m.maintenance_usd) for side, m in margins.items()}
        rows.append({"origin": format_utc(int(origin_ns)), "mark_price": str(mark), **money})
    return pl.DataFrame(rows)
