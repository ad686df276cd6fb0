"""Hit rates under conditions over their nominal rates, as the maps of coverage take them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.comparison_curves import ENDS
from backtests.comparison_view import Board, figure, hours
from backtests.coverage import tail_probability
from backtests.scoring_figures import HOURS
from models.base import LEVELS

Row = Mapping[str, Any]
FloatArray = NDArray[np.float64]
Map = dict[str, tuple[list[str], FloatArray]]  # by panel: names of the columns, an array of shape (rows, columns)
TAILS = ("0.005", "0.01", "0.025", "0.05", "0.95", "0.975", "0.99", "0.995")
STORMS = ("calm", "middle", "stormy")


def by_level(board: Board, models: Sequence[str]) -> Map:
    """Hit rate over its nominal rate by tail level."""
    names = [percent(p) for p in TAILS]
    return _map(board, models, names, TAILS, lambda row: [row[f"hit_{p}"] for p in TAILS])


def by_tercile(board: Board, models: Sequence[str]) -> Map:
    """The same for the 1 % and the 99 % quantile by tercile of the volatility of the day before the origin."""
    names = [f"{storm}, {percent(p)} %" for p in ENDS for storm in STORMS]
    levels = [p for p in ENDS for _ in STORMS]
    return _map(board, models, names, levels, lambda row: [r for p in ENDS for r in row["tercile_trailing"][p]])


def by_hour(board: Board, models: Sequence[str]) -> Map:
    """The same for the mean of both by hour of the day (UTC)."""
    names = [str(hour) for hour in range(HOURS)]
    low, high = (_map(board, models, names, [p] * HOURS, partial(_of_hours, level=p)) for p in ENDS)
    return {title: (names, (low[title][1] + high[title][1]) / 2) for title in low}


def _of_hours(row: Row, level: str) -> list[float | None]:
    return list(row["detail"]["hits_by_hour"][level])


def by_year(board: Board, models: Sequence[str]) -> Map:
    """The same for each by calendar year."""
    years = years_of(board)
    names = [f"{year}, {percent(p)} %" for p in ENDS for year in years]
    levels = [p for p in ENDS for _ in years]
    return _map(board, models, names, levels, lambda row: _of_years(row, years, ENDS))


def years_of(board: Board) -> list[str]:
    """Calendar years in which any window begins."""
    tables = [row["detail"]["hits_by_year"] for h in board.by_horizon for row in board.pooled(h).values()]
    return sorted({str(year) for table in tables for year in table})


def _of_years(row: Row, years: Sequence[str], levels: Sequence[str]) -> list[float]:
    table = {str(year): rates for year, rates in row["detail"]["hits_by_year"].items()}  # numbers until JSON wrote them
    return [figure(table, year, p) for p in levels for year in years]


def pit_density(board: Board, models: Sequence[str]) -> Map:
    """Share of returns between two quantiles over the probability between them."""
    names = [f"{100 * a:g} to {100 * b:g}" for a, b in pairwise([0, *LEVELS, 1])]
    return {
        hours(h): (names, _numbers([board.pooled(h)[m]["detail"]["pit"]["density"] for m in models]))
        for h in board.by_horizon
    }


def own_conditions(board: Board, model: str) -> Map:
    """All conditions of one model, each a panel; a row for each horizon and tail level."""
    own, years = [board.pooled(h)[model] for h in board.by_horizon], years_of(board)
    tables = {
        "day before": (list(STORMS), [row["tercile_trailing"][p] for row in own for p in TAILS]),
        "own forecast": (list(STORMS), [row["tercile_own"][p] for row in own for p in TAILS]),
        "hour of day, UTC": (
            [str(hour) for hour in range(HOURS)],
            [row["detail"]["hits_by_hour"][p] for row in own for p in TAILS],
        ),
        "year": (years, [_of_years(row, years, [p]) for row in own for p in TAILS]),
    }
    nominal = np.array([tail_probability(float(p)) for _ in own for p in TAILS])[:, None]
    return {title: (names, _numbers(rates) / nominal) for title, (names, rates) in tables.items()}


def _map(
    board: Board,
    models: Sequence[str],
    names: list[str],
    levels: Sequence[str],
    rates: Callable[[Row], Sequence[float | None]],
) -> Map:
    """A panel a horizon, a row a model; ``levels`` of the columns."""
    nominal = np.array([tail_probability(float(p)) for p in levels])
    return {
        hours(h): (names, _numbers([rates(board.pooled(h)[m]) for m in models]) / nominal) for h in board.by_horizon
    }


def _numbers(rows: Sequence[Sequence[float | None]]) -> FloatArray:
    """None, for a group without windows, is NaN."""
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)


def percent(level: str) -> str:
    """A level for a heading.

    Examples
    --------
    >>> percent("0.005")
    '0.5'
    """
    return f"{100 * float(level):g}"
