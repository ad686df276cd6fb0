"""Forecasts of one session as they would have been made: refitted every minute, debiased, with tails of few windows."""

from collections.abc import Callable

import numpy as np

from backtests.book_models import models_of
from backtests.book_plan import BookPlan, Walked
from backtests.book_tails import few_window_tails
from features.clock import NS_PER_S, format_utc
from features.errors import ShortHistoryError
from features.panel import Panel
from features.pipeline import Progress, no_progress
from models.base import Forecast, Forecaster, concatenate
from models.calibration import online_bias


def walk_session(panel: Panel, session: tuple[int, int], plan: BookPlan, progress: Progress = no_progress) -> Walked:
    """Forecasts of every model, each refit on the windows that had ended, each calibrated on what had ended.

    Raises
    ------
    ShortHistoryError
        If the session leaves too little before the test to fit on, or nothing to test.
    """
    first_ns, test_ns = _first_fit_ns(panel, plan), test_from_ns(session, plan)
    _refuse_short(panel, session, first_ns, test_ns, plan)
    rows = panel.rows(panel.first_row_from(first_ns), len(panel))
    forecasts = {}
    makers = models_of(plan)
    for i, (name, make) in enumerate(makers.items()):
        forecasts[name] = calibrated(refitted(make, panel, first_ns, plan), rows, plan)
        progress(i + 1, len(makers))
    return Walked(forecasts, rows, rows.first_row_from(test_ns))


def test_from_ns(session: tuple[int, int], plan: BookPlan) -> int:
    """Instant at which the test begins, a multiple of the time between refits."""
    step_ns = plan.refit_s * NS_PER_S
    return int(session[0] + plan.test_share * (session[1] - session[0])) // step_ns * step_ns


test_from_ns.__test__ = False  # type: ignore[attr-defined]  # a time, not a test


def _first_fit_ns(panel: Panel, plan: BookPlan) -> int:
    """First multiple of the time between refits at which enough of the longest windows had ended."""
    step_ns = plan.refit_s * NS_PER_S
    ends_ns = panel.origin_ns + max(plan.horizons_s) * NS_PER_S
    enough_ns = int(ends_ns[min(plan.first_windows, len(panel)) - 1])
    return -(-enough_ns // step_ns) * step_ns


def _refuse_short(panel: Panel, session: tuple[int, int], first_ns: int, test_ns: int, plan: BookPlan) -> None:
    needed_ns = test_ns + (plan.first_windows - 1) * plan.every_s * NS_PER_S + max(plan.horizons_s) * NS_PER_S
    if first_ns >= test_ns or panel.origin_ns[-1] < needed_ns:
        raise ShortHistoryError(
            f"{panel.instrument}: the session from {format_utc(session[0])} to {format_utc(session[1])} is too short: "
            f"the first fit could be at {format_utc(first_ns)} and the test, from {format_utc(test_ns)} on, would "
            f"have to last to {format_utc(needed_ns)}; give a longer session"
        )


def refitted(make: Callable[[], Forecaster], panel: Panel, first_ns: int, plan: BookPlan) -> Forecast:
    """Forecasts from every origin from ``first_ns`` on, the model fitted anew every ``refit_s`` on the past of then."""
    step_ns = plan.refit_s * NS_PER_S
    folds = []
    for start_ns in range(first_ns, int(panel.origin_ns[-1]) + 1, step_ns):
        past = panel.until(start_ns + step_ns - 1)
        first = past.first_row_from(start_ns)
        if first < len(past):
            folds.append(make().fit(panel.until(start_ns)).forecast(past).rows(first))
    return concatenate(folds)


def calibrated(raw: Forecast, panel: Panel, plan: BookPlan) -> Forecast:
    """Debias the variance online, and give it the tails that so few windows allow; both the same for every model."""
    variance, quantiles, shortfall = (np.empty_like(a) for a in (raw.variance, raw.quantiles, raw.shortfall))
    for h, (ahead, horizon_s) in enumerate(zip(panel.spec.horizon_rows, panel.spec.horizons_s, strict=True)):
        realised = panel.targets.realised_variance[:, h]
        variance[:, h] = raw.variance[:, h] * online_bias(raw.variance[:, h], realised, ahead, plan.calibration)
        z = panel.targets.log_return[:, h] / np.sqrt(variance[:, h])
        weight = min(1.0, panel.spec.every_s / horizon_s)
        for row in range(len(z)):
            ended = z[: max(row + 1 - ahead, 0)]
            tails = few_window_tails(
                ended[np.isfinite(ended)], weight, raw.levels, plan.prior_windows, plan.prior_degrees
            )
            quantiles[row, h], shortfall[row, h] = (np.sqrt(variance[row, h]) * tail for tail in tails)
    return Forecast(raw.origin_ns, raw.horizons_s, variance, raw.levels, quantiles, shortfall)
