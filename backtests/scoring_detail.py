"""What the protocol's figures leave out: whose quantiles are off, when, and whether another loss would say the same."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.coverage import hits_of, tail_probability
from backtests.forecast_file import SHORTFALL_LEVELS
from backtests.murphy import murphy_of_mean, murphy_of_quantile
from backtests.outcomes import Outcomes
from backtests.scoring_days import Days
from backtests.scoring_figures import HOURS, hits_by, hour_of_day, year_of
from backtests.scoring_losses import PER_BP, TAIL_LEVELS, Losses
from backtests.shortfall_tests import z1
from backtests.traffic_light import zone
from backtests.uniformity import bin_probabilities, pit_bins, pit_moments
from features.clock import DAY_NS
from models.base import LEVELS
from models.scores import interval_score

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Numbers = Mapping[str, FloatArray]
Figures = dict[str, Any]
CENTRAL = ((0.25, 0.75), (0.05, 0.95), (0.025, 0.975), (0.01, 0.99), (0.005, 0.995))
ENDS = (0.01, 0.99)  # quantiles that the plots show
THRESHOLDS = 41
BASEL_DAYS = 250


def detail_of(losses: Losses, numbers: Numbers, outcomes: Outcomes, days: Days, thresholds: Numbers) -> Figures:
    """Figures of one model at one horizon, pooled over instruments; arrays of shape (n,), JSON values come back.

    ``interval_score_bp``: of central intervals, by their probability. ``hits_by_hour``, ``hits_by_year``,
    ``hits_by_side``: rates. ``reliability``: share of returns at or below each quantile. ``pit``: frequencies between
    the quantiles over their probabilities, and Knueppel's test. ``z1``. ``murphy``: curves at ``thresholds``.
    ``cumulative_hits``: by day.
    """
    quantiles = np.column_stack([numbers[f"q_{p:g}"] for p in LEVELS])
    year = year_of(outcomes.origin_ns)
    return {
        "interval_score_bp": interval_scores_bp(outcomes.log_return, numbers),
        "hits_by_hour": hits_by(losses, hour_of_day(outcomes.origin_ns), HOURS),
        "hits_by_year": hits_by_year(losses, year),
        "hits_by_side": hits_by_side(losses),
        "reliability": [float(share) for share in (outcomes.log_return[:, None] <= quantiles).mean(axis=0)],
        "pit": pit_figures(outcomes, quantiles, days),
        "z1": {f"{p:g}": _z1(outcomes.log_return, numbers, p) for p in SHORTFALL_LEVELS},
        "murphy": murphy_curves(outcomes, numbers, thresholds),
        "cumulative_hits": cumulative_hits(losses, days),
    }


def interval_scores_bp(log_return: FloatArray, numbers: Numbers) -> dict[str, float]:
    """Mean interval score of central intervals, by their probability, basis points of log return."""
    found = {}
    for low, high in CENTRAL:
        miss_rate = 2 * low
        scores = interval_score(log_return, numbers[f"q_{low:g}"], numbers[f"q_{high:g}"], miss_rate)
        found[f"{1 - miss_rate:g}"] = float(scores.mean()) * PER_BP
    return found


def hits_by_year(losses: Losses, year: IntArray) -> dict[int, dict[str, float | None]]:
    """Hit rates of each tail level in each calendar year."""
    years, group = np.unique(year, return_inverse=True)
    rates = hits_by(losses, group, len(years))
    return {int(one): {level: by[k] for level, by in rates.items()} for k, one in enumerate(years)}


def hits_by_side(losses: Losses) -> dict[str, dict[str, float]]:
    """Hit rates below and above by the probability of the tail."""
    found: dict[str, dict[str, float]] = {}
    for level in TAIL_LEVELS:
        side = "down" if level < 0.5 else "up"
        found.setdefault(f"{tail_probability(level):g}", {})[side] = float(losses[f"hit_{level:g}"].mean())
    return found


def pit_figures(outcomes: Outcomes, quantiles: FloatArray, days: Days) -> Figures:
    """Frequency of each bin between quantiles over its probability (1 expected), and a test that hours cannot fool."""
    bins, expected = pit_bins(outcomes.log_return, quantiles), bin_probabilities(LEVELS)
    share = np.bincount(bins, minlength=len(expected)) / len(bins)
    try:
        p: float | None = pit_moments(bins, LEVELS, days.number[days.which], outcomes.horizon_s).p
    except np.linalg.LinAlgError:  # too few days to tell
        p = None
    return {"density": [float(d) for d in share / expected], "moments_p": p}


def _z1(log_return: FloatArray, numbers: Numbers, level: float) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return z1(log_return, numbers[f"q_{level:g}"], numbers[f"es_{level:g}"], level)


def murphy_thresholds(outcomes: Outcomes) -> dict[str, FloatArray]:
    """Thresholds that all models' curves share: returns of each tail, and variances."""
    grids: dict[str, FloatArray] = {}
    for level in ENDS:
        shares = np.geomspace(2e-4, 0.2, THRESHOLDS)
        grids[f"q_{level:g}"] = np.sort(np.quantile(outcomes.log_return, shares if level < 0.5 else 1 - shares))
    low, high = np.quantile(outcomes.realised_variance, [0.01, 0.999])
    return grids | {"variance": np.geomspace(low, high, THRESHOLDS)}


def murphy_curves(outcomes: Outcomes, numbers: Numbers, thresholds: Numbers) -> dict[str, list[float]]:
    """Mean elementary scores at each threshold: of the outer quantiles and of the variance."""
    curves = {
        f"q_{p:g}": murphy_of_quantile(outcomes.log_return, numbers[f"q_{p:g}"], p, thresholds[f"q_{p:g}"])
        for p in ENDS
    }
    curves["variance"] = murphy_of_mean(outcomes.realised_variance, numbers["variance"], thresholds["variance"])
    return {name: [float(value) for value in curve] for name, curve in curves.items()}


def cumulative_hits(losses: Losses, days: Days) -> dict[str, list[int]]:
    """Number of hits up to the end of each day that has windows, in the order of days."""
    return {f"{p:g}": np.cumsum(days.sums(losses[f"hit_{p:g}"])).astype(int).tolist() for p in ENDS}


def coverage_errors_pp(losses: Losses) -> dict[str, float]:
    """Hit rate less its level, percentage points, by level."""
    return {f"{p:g}": float(losses[f"hit_{p:g}"].mean() - tail_probability(p)) * 100 for p in TAIL_LEVELS}


def basel_zones(outcomes: Outcomes, numbers: Numbers) -> dict[str, Figures]:
    """Traffic light of one instrument's last 250 days, from midnight to midnight (UTC), by quantile."""
    midnight = np.flatnonzero(outcomes.origin_ns % DAY_NS == 0)[-BASEL_DAYS:]
    found = {}
    for level in ENDS:
        hits = int(hits_of(outcomes.log_return[midnight], numbers[f"q_{level:g}"][midnight], level).sum())
        n = len(midnight)
        light = zone(hits, n, tail_probability(level)) if n else None
        found[f"{level:g}"] = {"days": n, "exceptions": hits, "zone": light}
    return found
