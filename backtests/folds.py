"""When models are fitted and what they then forecast: rolling or expanding folds, purged and embargoed."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from backtests.config import Schedule
from features.clock import DAY_NS, NS_PER_S, format_utc, month_starts
from features.panel import Panel
from features.targets import Targets


@dataclass(frozen=True, slots=True)
class Fold:
    """Fit on origins in ``[fit_from_ns, fit_until_ns]`` as known at ``known_ns``; forecast ``[first_ns, stop_ns)``.

    ``fit_until_ns`` lies the longest horizon before ``known_ns``, so that every window of a training origin had ended.
    """

    fit_from_ns: int
    fit_until_ns: int
    known_ns: int
    first_ns: int
    stop_ns: int
    recall_ns: int

    def training(self, panel: Panel) -> Panel:
        """What a model is fitted on: nothing later than ``known_ns`` can be reached from it."""
        past = panel.until(self.known_ns)
        return past.rows(past.first_row_from(self.fit_from_ns), past.first_row_from(self.fit_until_ns + 1))

    def asked(self, panel: Panel) -> Panel:
        """What a model forecasts from: the fold's origins and those just before, without any outcome."""
        cut = panel.rows(panel.first_row_from(self.first_ns - self.recall_ns), panel.first_row_from(self.stop_ns))
        unknown = np.full((len(cut), len(cut.spec.horizons_s)), np.nan)
        return replace(cut, targets=Targets(**dict.fromkeys(cut.targets.arrays, unknown)))

    @property
    def name(self) -> str:
        """Day on which it begins."""
        return format_utc(self.first_ns)[:10]


def plan_folds(first_ns: int, last_ns: int, schedule: Schedule, purge_s: int) -> list[Fold]:
    """Folds that cover the origins in ``[first_ns, last_ns]`` without a hole or an overlap.

    Parameters
    ----------
    first_ns, last_ns : first and last origin.
    schedule : months between refits, months of training (0: all), embargo.
    purge_s : the longest horizon.

    Examples
    --------
    >>> from features.clock import parse_utc
    >>> months = Schedule(refit_months=2, window_months=12)
    >>> folds = plan_folds(parse_utc("2021-01-15"), parse_utc("2021-06-02"), months, 86_400)
    >>> [(fold.name, format_utc(fold.fit_from_ns)[:10], format_utc(fold.fit_until_ns)[:10]) for fold in folds]
    [('2021-01-15', '2020-01-15', '2021-01-14'), ('2021-03-01', '2020-03-01', '2021-02-28'),
     ('2021-05-01', '2020-05-01', '2021-04-30')]
    """
    months = month_starts(first_ns, last_ns)
    # Counted from 1970, not from the first origin: another period has the same folds.
    starts = [m for m in months if m == first_ns or _month_number(m) % schedule.refit_months == 0]
    stops = [*starts[1:], last_ns + 1]
    return [_fold(start_ns, stop_ns, schedule, purge_s) for start_ns, stop_ns in zip(starts, stops, strict=True)]


def _fold(start_ns: int, stop_ns: int, schedule: Schedule, purge_s: int) -> Fold:
    known_ns = start_ns - schedule.embargo_s * NS_PER_S
    window_ns = _months_before(start_ns, schedule.window_months) if schedule.window_months else 0
    return Fold(
        fit_from_ns=window_ns,
        fit_until_ns=known_ns - purge_s * NS_PER_S,
        known_ns=known_ns,
        first_ns=start_ns,
        stop_ns=stop_ns,
        recall_ns=schedule.recall_days * DAY_NS,
    )


def _month_number(ts_ns: int) -> int:
    return int(np.datetime64(ts_ns, "ns").astype("datetime64[M]").astype(np.int64))


def _months_before(ts_ns: int, months: int) -> int:
    """The same day and hour some months before, or the last day of that month."""
    return int((pd.Timestamp(ts_ns) - pd.DateOffset(months=months)).value)
