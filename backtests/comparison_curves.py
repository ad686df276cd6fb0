"""Scores to the arrays that the pictures take."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from backtests.compare import hac_lag
from backtests.comparison_view import Board, figure, hours
from backtests.coverage import tail_probability
from backtests.scoring_figures import HOURS
from backtests.uniformity import long_run_covariance
from models.base import LEVELS

FloatArray = NDArray[np.float64]
Curves = dict[str, dict[str, FloatArray]]
Map = dict[str, tuple[list[str], FloatArray]]
ENDS = ("0.01", "0.99")
TAILS = ("0.005", "0.01", "0.025", "0.05", "0.95", "0.975", "0.99", "0.995")
STORMS = ("calm", "middle", "stormy")


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
    return {
        hours(h): scale
        * np.array(
            [[figure(board.pooled(h)[m], "detail", "vs", loss, k) for k in (name, "low", "high")] for m in models]
        )
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
            expected = _tail(level) * np.array(found["detail"]["cumulative_windows"])
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
    return float(ndtri(0.975)) * np.sqrt(spread * np.arange(1, n + 1))


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


def by_level(board: Board, models: Sequence[str]) -> Map:
    """Hit rate over its nominal rate by tail level."""
    names = [f"{100 * float(p):g}" for p in TAILS]
    return {
        hours(h): (names, _table([[figure(board.pooled(h)[m], f"hit_{p}") / _tail(p) for p in TAILS] for m in models]))
        for h in board.by_horizon
    }


def by_tercile(board: Board, models: Sequence[str]) -> Map:
    """The same for the 1 % and the 99 % quantile by tercile of the volatility of the day before the origin."""
    names = [f"{storm}, {100 * float(p):g} %" for p in ENDS for storm in STORMS]
    return {
        hours(h): (
            names,
            _table([[r / _tail(p) for p in ENDS for r in board.pooled(h)[m]["tercile_trailing"][p]] for m in models]),
        )
        for h in board.by_horizon
    }


def by_hour(board: Board, models: Sequence[str]) -> Map:
    """The same for both ends together by hour of the day (UTC)."""
    names = [str(hour) for hour in range(HOURS)]
    found: Map = {}
    for h in board.by_horizon:
        rates = [[_numbers(board.pooled(h)[m]["detail"]["hits_by_hour"][p]) / _tail(p) for p in ENDS] for m in models]
        found[hours(h)] = (names, np.mean(rates, axis=1))
    return found


def by_year(board: Board, models: Sequence[str]) -> Map:
    """The same for each end by calendar year."""
    found: Map = {}
    for h in board.by_horizon:
        tables = [board.pooled(h)[m]["detail"]["hits_by_year"] for m in models]
        years = sorted(tables[0])
        names = [f"{year}, {100 * float(p):g} %" for p in ENDS for year in years]
        rates = [[figure(table[year], p) / _tail(p) for p in ENDS for year in years] for table in tables]
        found[hours(h)] = (names, _table(rates))
    return found


def pit_density(board: Board, models: Sequence[str]) -> Map:
    """Share of returns between two quantiles over the probability between them."""
    edges = [0, *LEVELS, 1]
    names = [f"{100 * a:g} to {100 * b:g}" for a, b in zip(edges, edges[1:])]
    return {
        hours(h): (names, _table([board.pooled(h)[m]["detail"]["pit"]["density"] for m in models]))
        for h in board.by_horizon
    }


def own_conditions(board: Board, model: str) -> Map:
    """All conditions of one model, each a panel; a row for each horizon and level."""
    own = [board.pooled(h)[model] for h in board.by_horizon]
    years = sorted(own[0]["detail"]["hits_by_year"])
    tables = {
        "day before": (list(STORMS), [row["tercile_trailing"][p] for row in own for p in TAILS]),
        "own forecast": (list(STORMS), [row["tercile_own"][p] for row in own for p in TAILS]),
        "hour of day, UTC": (
            [str(hour) for hour in range(HOURS)],
            [row["detail"]["hits_by_hour"][p] for row in own for p in TAILS],
        ),
        "year": (
            [str(year) for year in years],
            [[row["detail"]["hits_by_year"][year][p] for year in years] for row in own for p in TAILS],
        ),
    }
    nominal = np.array([_tail(p) for _ in own for p in TAILS])[:, None]
    return {title: (names, _table(rates) / nominal) for title, (names, rates) in tables.items()}


def _table(rows: Sequence[Sequence[float | None]]) -> FloatArray:
    return np.array([_numbers(row) for row in rows])


def _numbers(row: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in row], dtype=np.float64)


def _tail(level: str) -> float:
    return tail_probability(float(level))
