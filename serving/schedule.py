"""Forecasts to published margin rates, hour by hour: the same for a backtest and for the endpoint."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_NS, month_starts
from features.errors import ShortHistoryError
from features.panel import Panel
from models.base import Forecast
from serving.margin.requirement import Rates
from serving.margin.scan import PARTS, History, Scan, scan, summarise
from serving.margin.scan_policy import ScanPolicy

FloatArray = NDArray[np.float64]
SIDES = ("long", "short")


@dataclass(frozen=True, slots=True)
class SideSchedule:
    """Published parts of one side: initial over the MPOR, maintenance over the liquidation time."""

    initial: Scan
    maintenance: Scan
    cost_frac: float

    @property
    def maintenance_frac(self) -> FloatArray:
        """Maintenance rate, shape (n,)."""
        return self.maintenance.published + self.cost_frac

    @property
    def initial_frac(self) -> FloatArray:
        """Initial rate, shape (n,): never below maintenance."""
        return np.maximum(self.initial.published + self.cost_frac, self.maintenance_frac)

    def rates(self, row: int) -> Rates:
        """Components of both rates at one hour."""
        return Rates(initial=self._parts(self.initial, row), maintenance=self._parts(self.maintenance, row))

    def _parts(self, parts: Scan, row: int) -> dict[str, float]:
        # A limiter or floor of rounding size would round up to a cent of its own.
        rates = {name: float(getattr(parts, name)[row]) for name in PARTS}
        rates = {name: rate if rate > 1e-12 else 0.0 for name, rate in rates.items()}
        return rates | {"liquidation_cost": self.cost_frac}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Published margin of one instrument at each origin; ``sides`` by name."""

    origin_ns: NDArray[np.int64]
    sides: dict[str, SideSchedule]


def publish(forecast: Forecast, panel: Panel, policy: ScanPolicy, first_row: int = 0) -> Schedule:
    """Margin rates at every origin of a forecast from row ``first_row`` on.

    Parameters
    ----------
    forecast : calibrated forecasts at consecutive hours; rows before ``first_row``
        only feed the limiter's memory.
    panel : the whole history up to the last of them: stress and floor come from it,
        at each month's start from windows that had ended by then.
    policy : the rules.

    Raises
    ------
    ShortHistoryError
        If at a month's start fewer outcomes than ``least_history_days`` are known.
    """
    kept = slice(first_row, None)
    start = panel.first_row_from(int(forecast.origin_ns[0]))
    blind = panel.blind[start : start + len(forecast.origin_ns)]
    sides = {}
    for side in SIDES:
        scans = []
        for horizon_s in (policy.mpor_s, policy.liquidation_s):
            raw = loss_forecast(forecast, horizon_s, side, policy)
            whole = scan(raw, blind, _history(forecast.origin_ns, panel, horizon_s, side, policy), policy)
            scans.append(Scan(*(getattr(whole, name)[kept] for name in PARTS)))
        initial, maintenance = scans
        sides[side] = SideSchedule(initial, maintenance, policy.liquidation_cost_frac)
    return Schedule(forecast.origin_ns[kept], sides)


def loss_forecast(forecast: Forecast, horizon_s: int, side: str, policy: ScanPolicy) -> FloatArray:
    """The larger of expected shortfall and value-at-risk of one side, fraction of notional, shape (n,).

    A log return r changes a linear position by exp(r) - 1 of its notional.
    """
    h = forecast.horizon_index(horizon_s)
    lower = side == "long"
    es_level = 1 - policy.es_level if lower else policy.es_level
    var_level = 1 - policy.var_level if lower else policy.var_level
    shortfall = forecast.shortfall[:, h, forecast.level_index(round(es_level, 12))]
    quantile = forecast.quantiles[:, h, forecast.level_index(round(var_level, 12))]
    return np.maximum(loss_frac(shortfall, side), loss_frac(quantile, side))


def loss_frac(log_return: FloatArray, side: str) -> FloatArray:
    """Loss of a linear position as a fraction of its notional; negative is a gain.

    Examples
    --------
    >>> loss_frac(np.log([0.9, 1.1]), "long").round(3), loss_frac(np.log([0.9, 1.1]), "short").round(3)
    (array([ 0.1, -0.1]), array([-0.1,  0.1]))
    """
    change = np.expm1(log_return)
    return -change if side == "long" else change


def _history(origin_ns: NDArray[np.int64], panel: Panel, horizon_s: int, side: str, policy: ScanPolicy) -> History:
    """Stress, floor and long-run loss at each origin, renewed at every month's start."""
    rows = np.empty((len(origin_ns), 3))
    starts = month_starts(int(origin_ns[0]) - 31 * DAY_NS, int(origin_ns[-1]))
    # The month of the first origin began before it; what began and ended before it is not needed.
    needed = [start for start, after in pairwise([*starts, int(origin_ns[-1]) + 1]) if after > origin_ns[0]]
    for start_ns in needed:
        rows[origin_ns >= start_ns] = _summary(panel.until(start_ns), horizon_s, side, policy)
    return History(rows[:, 0], rows[:, 1], rows[:, 2])


def _summary(past: Panel, horizon_s: int, side: str, policy: ScanPolicy) -> tuple[float, float, float]:
    """Stress, floor and long-run loss of what was known at one instant."""
    returns = past.targets.log_return[:, past.horizon_index(horizon_s)]
    known = np.isfinite(returns)
    if known.sum() < 24 * policy.least_history_days:
        raise ShortHistoryError(
            f"{past.instrument}: {known.sum()} ended windows of {horizon_s} s; the policy's stress and floor need "
            f"{policy.least_history_days} days of them; give a longer history"
        )
    stressed = np.isin(past.origin_ns // DAY_NS, stressed_days(past, policy.stressed_days_frac))
    return summarise(loss_frac(returns[known], side), stressed[known], policy)


def stressed_days(past: Panel, share: float) -> NDArray[np.int64]:
    """Numbers of the most volatile UTC days, by the realised variance of the whole day."""
    midnights = np.flatnonzero(past.origin_ns % DAY_NS == 0)
    variance = past.column("log_rv_24h")[midnights]  # of the day that ends there
    worst = variance >= np.quantile(variance, 1 - share)
    days: NDArray[np.int64] = past.origin_ns[midnights][worst] // DAY_NS - 1
    return days
