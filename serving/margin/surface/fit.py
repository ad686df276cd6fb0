"""One expiry's smile from its quotes, free of arbitrage on its own and against the expiry before."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import ExpiredError, MarketError
from serving.margin.surface.arbitrage import Butterfly, Calendar, butterfly, calendar
from serving.margin.surface.least_squares import minimised
from serving.margin.surface.objective import Problem, decoded
from serving.margin.surface.problem import PENALTIES, flat_smile, problem_of, scaled_in_time
from serving.margin.surface.quotes import SmileQuotes, Usable, usable
from serving.margin.surface.repair import is_free, lifted
from serving.margin.surface.starts import starts
from serving.margin.surface.svi import RawSvi

FloatArray = NDArray[np.float64]

PLACES, WIDTHS, STARTS = 9, np.geomspace(0.1, 10.0, 9), 2
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class SliceFit:
    """A fitted expiry and how well it fits; errors in vol points (hundredths of annualised volatility).

    ``rmse_points``, ``max_error_points``, ``inside_share``: over quotes with both sides, against their middle; over
    all usable quotes where none has both. ``weighted_rmse_points``: with the weights of the fit. NaN without quotes.
    ``source``: "quotes", "shape" (few quotes, the shape held to ``notes``' prior), "flat", or "borrowed".
    """

    years: float
    svi: RawSvi
    source: str
    quotes: int
    rmse_points: float
    weighted_rmse_points: float
    max_error_points: float
    inside_share: float
    butterfly: Butterfly
    calendar: Calendar | None
    notes: tuple[str, ...]

    @property
    def free(self) -> bool:
        """Whether the slice has no butterfly, and no calendar against the expiry before."""
        return self.butterfly.free and (self.calendar is None or self.calendar.free)


def fit_slice(
    quotes: SmileQuotes, years: float, previous: RawSvi | None = None, shape: tuple[RawSvi, float] | None = None
) -> SliceFit:
    """Fit raw SVI to one expiry.

    Weighted least squares of volatility with penalties on butterflies and on calendars against ``previous``, started
    from the quasi-explicit grid, then checked over all strikes and, where a penalty did not suffice, lifted. Fewer
    than five strikes, or strikes on one side of the forward only, leave parameters open: those are held to ``shape``,
    or to an almost flat smile. One quote, or the same volatility at every strike, is a flat smile or the level of
    ``shape``. No quote at all borrows ``shape``.

    Parameters
    ----------
    quotes : the expiry's quotes.
    years : time to expiry, years of 365 days.
    previous : slice of the expiry before, not to be passed below.
    shape : slice and years of a neighbour, whose shape is borrowed where quotes are too few.

    Raises
    ------
    ExpiredError
        If no time is left.
    MarketError
        If there is neither a usable quote nor a neighbour.
    """
    if not (math.isfinite(years) and years > 0):
        raise ExpiredError(f"a smile {years} years before expiry; leave expired options out")
    data = usable(quotes)
    neighbour = None if shape is None else scaled_in_time(shape[0], years / shape[1])
    if len(data.k) == 0:
        return _borrowed(data, years, previous, neighbour)
    if neighbour is None or _all_same(data):
        flat = flat_smile(data, years)
        if (len(np.unique(data.k)) == 1 or _all_same(data)) and is_free(flat, previous):
            return _result(flat, "flat", data, years, previous, ("one volatility: a flat smile",))
    svi, source, notes = _fitted(data, years, previous, neighbour)
    return _checked(svi, source, data, years, previous, notes)


def _all_same(data: Usable) -> bool:
    return len(np.unique(data.k)) > 1 and float(np.ptp(data.vol)) < SAME


def _borrowed(data: Usable, years: float, previous: RawSvi | None, neighbour: RawSvi | None) -> SliceFit:
    if neighbour is None:
        raise MarketError("no usable quote and no neighbouring expiry; leave the expiry out or give a mark")
    return _checked(neighbour, "borrowed", data, years, previous, ("no usable quote: the neighbour's smile",))


def _fitted(
    data: Usable, years: float, previous: RawSvi | None, neighbour: RawSvi | None
) -> tuple[RawSvi, str, tuple[str, ...]]:
    """The least of the cost, its penalties raised until the slice is free or they are exhausted."""
    problem, notes = problem_of(data, years, previous, neighbour)
    width = float(problem.shape[1])
    held = bool(notes)
    x = problem.prior[None, :] if held else _start(problem)
    if not held:
        problem = problem._replace(prior=x[0])
    for penalty in PENALTIES:
        shape = problem.shape.copy()
        shape[4] = penalty
        found = [minimised(start, problem._replace(shape=shape)) for start in x]
        best = min(found, key=lambda pair: float(pair[1]))[0]
        svi = RawSvi(*(float(value) for value in decoded(best, width)))
        if is_free(svi, previous):
            break
        x = best[None, :]
    return svi, "shape" if held else "quotes", notes


def _start(problem: Problem) -> FloatArray:
    """The best points of the quasi-explicit grid, the best first."""
    ms = np.linspace(problem.k[0], problem.k[-1], PLACES)
    found, costs = starts(problem, ms, problem.shape[1] * WIDTHS)
    return np.asarray(found[np.argsort(costs, kind="stable")[:STARTS]])


def _checked(
    svi: RawSvi, source: str, data: Usable, years: float, previous: RawSvi | None, notes: tuple[str, ...]
) -> SliceFit:
    """The slice, lifted if it must be, with its figures."""
    if is_free(svi, previous):
        return _result(svi, source, data, years, previous, notes)
    safe, added = lifted(svi, previous)
    at_money = float(safe.vol(np.array(0.0), years))
    points = 100 * (at_money - math.sqrt(max(at_money**2 - added / years, 0.0)))
    note = f"lifted by {points:.3f} vol points at the money to leave no arbitrage"
    return _result(safe, source, data, years, previous, (*notes, note))


def _result(
    svi: RawSvi, source: str, data: Usable, years: float, previous: RawSvi | None, notes: tuple[str, ...]
) -> SliceFit:
    judged = data.firm if data.firm.any() else np.ones(len(data.k), dtype=np.bool_)
    vol = svi.vol(data.k, years)
    error, inside = 100 * (vol - data.vol), (vol >= data.low) & (vol <= data.high)
    some = bool(judged.any())
    return SliceFit(
        years,
        svi,
        source,
        len(data.k),
        float(np.sqrt(np.mean(error[judged] ** 2))) if some else math.nan,
        float(np.sqrt(np.add.reduce((data.weight * error) ** 2))) if some else math.nan,
        float(np.abs(error[judged]).max()) if some else math.nan,
        float(inside[judged].mean()) if some else math.nan,
        butterfly(svi),
        None if previous is None else calendar(previous, svi),
        (*data.notes, *notes),
    )
