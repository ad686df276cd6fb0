"""Scores to the arrays that the pictures take."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from backtests.compare import hac_lag
from backtests.comparison_view import Board, figure, hours
from backtests.coverage import tail_probability
from backtests.uniformity import long_run_covariance
from models.base import LEVELS

FloatArray = NDArray[np.float64]
Curves = dict[str, dict[str, FloatArray]]
ENDS = ("0.01", "0.99")


def side(level: str) -> str:
    """A tail in words.

    Examples
    --------
    >>> side("0.01"), side("0.995")
    ('below 1 %', 'above 99.5 %')
    """
    return f"{'below' if float(level) < 0.5 else 'above'} {100 * float(level):g} %"


def intervals(board: Board, models: Sequence[str], loss: str, name: str, scale: float) -> dict[str, FloatArray]:
    """A figure and the ends of its interval by horizon, arrays of shape (models, 3)."""
    ends = (name, "low", "high")
    return {
        hours(h): scale
        * np.array([[figure(board.pooled(h)[m], "detail", "vs", loss, end) for end in ends] for m in models])
        for h in board.by_horizon
    }


def reliability_errors(board: Board, models: Sequence[str]) -> Curves:
    """Observed less nominal share at or below each quantile, percentage points, by horizon and model."""
    return {
        hours(h): {m: 100 * (np.array(board.pooled(h)[m]["detail"]["reliability"]) - np.array(LEVELS)) for m in models}
        for h in board.by_horizon
    }


def excess_hits(board: Board, models: Sequence[str]) -> tuple[Curves, dict[str, FloatArray], dict[str, str]]:
    """Hits so far less those expected, half the width of the band of chance, and the first day, all by panel.

    The band is that of a right forecast whose hits come in groups as those shown do: 1.96 times the root of days times
    the middle long-run variance of daily excess hits. Days without windows repeat the day before.
    """
    curves: Curves = {}
    bands: dict[str, FloatArray] = {}
    first: dict[str, str] = {}
    for h, found in board.by_horizon.items():
        days = np.array(found["detail"]["days"], dtype="datetime64[D]")
        held = np.searchsorted(days, np.arange(days[0], days[-1] + 1), side="right") - 1
        for level in ENDS:
            title = f"{hours(h)}, {side(level)}"
            expected = tail_probability(float(level)) * np.array(found["detail"]["cumulative_windows"])
            hits = {m: np.array(found["pooled"][m]["detail"]["cumulative_hits"][level]) for m in models}
            curves[title] = {m: (count - expected)[held] for m, count in hits.items()}
            bands[title] = band(list(curves[title].values()), h)
            first[title] = str(days[0])
    return curves, bands, first


def band(excess: Sequence[FloatArray], horizon_s: int) -> FloatArray:
    """Half the width of the band, an array of shape (days,)."""
    daily = [np.diff(one, prepend=0.0) for one in excess]
    n = len(daily[0])
    spread = np.median([long_run_covariance(one[:, None], hac_lag(n, horizon_s))[0, 0] for one in daily])
    width: FloatArray = float(ndtri(0.975)) * np.sqrt(spread * np.arange(1, n + 1))
    return width


def murphy_differences(board: Board, models: Sequence[str], kind: str) -> tuple[Curves, dict[str, FloatArray]]:
    """Elementary scores less the baseline's, and their thresholds, by horizon.

    Of the variance each is divided by its threshold: on a log axis the area under the curve is the difference in QLIKE.
    """
    curves: Curves = {}
    thresholds: dict[str, FloatArray] = {}
    for h, found in board.by_horizon.items():
        at = np.array(found["detail"]["murphy_thresholds"][kind])
        base = np.array(found["pooled"][board.baseline]["detail"]["murphy"][kind])
        weight = 1 / at if kind == "variance" else np.full(len(at), 1e4)
        curves[hours(h)] = {m: (np.array(found["pooled"][m]["detail"]["murphy"][kind]) - base) * weight for m in models}
        thresholds[hours(h)] = at if kind == "variance" else 100 * at
    return curves, thresholds
