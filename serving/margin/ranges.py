r"""From forecasts to scan ranges: how far each underlying is moved, down and up, for both margins.

.. math::

   raw = \max(ES, VaR), \quad range = limited(buffered(blended(raw)))

with the functions of :mod:`serving.margin.scan`. A forecast is used at the period
of risk itself; only where it has no such horizon is a shorter one scaled by the
root of time. The ladder of fallbacks goes up only: an expired forecast still holds
the range up, and what no forecast covers pays the static range times its multiplier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_NS, NS_PER_S
from features.errors import ForecastError
from serving.margin.objects import ForecastSet, Tail
from serving.margin.policy import MarginPolicy
from serving.margin.scan import History, buffered, weighed

FloatArray = NDArray[np.float64]
SIDES = ("down", "up")


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far each underlying is moved over one period of risk; relative, positive, shape (u,) each.

    ``vol_up``: relative rise of implied volatility at 30 days that was forecast, 0 where none was.
    ``sigma``: root of the forecast variance of the log return, for joint paths; NaN where none was.
    ``fresh``: underlyings whose forecast may still be used. ``holed``: those whose range rests on a fallback:
    no forecast that may be used, or one that lacks the horizon or a part of its history.
    """

    underlyings: tuple[str, ...]
    horizon_s: int
    down: FloatArray
    up: FloatArray
    vol_up: FloatArray
    sigma: FloatArray
    notes: tuple[str, ...]
    fresh: frozenset[str] = frozenset()
    holed: frozenset[str] = frozenset()


def ranges_of(
    underlyings: Sequence[str], forecasts: Sequence[ForecastSet], as_of_ns: int, policy: MarginPolicy, horizon_s: int
) -> Ranges:
    """Scan range of each underlying over a period of risk.

    Parameters
    ----------
    underlyings : names; all that an account may hold.
    forecasts : in order of preference; the first that covers an underlying counts, expired ones only raise.
    as_of_ns : instant of the market, UTC.
    policy : levels, blend, buffer, limiter, static ranges.
    horizon_s : the period of risk.

    Raises
    ------
    ForecastError
        If a forecast was made after the market was taken: it saw another market.
    """
    _refuse_future(forecasts, as_of_ns)
    rows, notes, fresh, holed = [], [], set(), set()
    for name in underlyings:
        row, young, holes, why = _row(name, forecasts, as_of_ns, policy, horizon_s)
        rows.append(row)
        notes += [*holes, *why]
        if young:
            fresh.add(name)
        if holes or not young:
            holed.add(name)
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 4)
    down, up, vol_up, sigma = (np.ascontiguousarray(table[:, i]) for i in range(4))
    names, sets = tuple(underlyings), (frozenset(fresh), frozenset(holed))
    return Ranges(names, horizon_s, np.minimum(down, 1.0), up, vol_up, sigma, tuple(notes), *sets)


def _row(
    name: str, forecasts: Sequence[ForecastSet], as_of_ns: int, policy: MarginPolicy, horizon_s: int
) -> tuple[tuple[float, float, float, float], bool, list[str], list[str]]:
    """Down, up, volatility rise and sigma of one underlying, whether it is fresh, its holes, other fallbacks."""
    notes: list[str] = []
    holes: list[str] = []
    sides, vol_up, sigma, young = [], 0.0, 0.0, True
    for side in SIDES:
        covering = [(f, tails) for f in forecasts if (tails := _tails(f, name, side, horizon_s))]
        fresh = [tails for f, tails in covering if is_fresh(f, as_of_ns, policy)]
        expired = [(f, tails) for f, tails in covering if not is_fresh(f, as_of_ns, policy)]
        held = [_range(tail, as_of_ns, policy, horizon_s) for _, tails in expired for tail in tails]
        if fresh:
            width = max(_range(tail, as_of_ns, policy, horizon_s) for tail in fresh[0])
            holes += [note for tail in fresh[0] for note in _holes(tail, name, side, horizon_s)]
        else:
            width = _static(name, policy, horizon_s)
            models = ", ".join(forecast.model for forecast, _ in expired)
            reason = f"the forecast of {models} has expired" if expired else "no forecast covers it"
            notes.append(f"{name} {side}: {reason}; static range times {policy.static.multiplier:g} is used")
        seen = fresh[:1] or [tails for _, tails in expired]
        variances = [tail.variance * horizon_s / tail.horizon_s for tails in seen for tail in tails]
        sigma, young = max(sqrt(max(variances, default=0.0)), sigma), young and bool(fresh)
        least = policy.static.least_frac * _static(name, policy, horizon_s) / policy.static.multiplier
        if width < least:
            notes.append(f"{name} {side}: a range of {width:.4f} is implausibly small; raised to {least:.4f}")
            width = least
        vol_up = max([vol_up, *(tail.vol_move or 0.0 for _, tails in covering for tail in tails)])
        sides.append(max([width, *held]))
    return (sides[0], sides[1], vol_up, sigma or float("nan")), young, holes, notes


def is_fresh(forecast: ForecastSet, as_of_ns: int, policy: MarginPolicy) -> bool:
    """Whether a forecast has neither expired nor grown too old."""
    greatest_ns = policy.static.greatest_age_s * NS_PER_S
    return as_of_ns < forecast.expires_ns and as_of_ns - forecast.as_of_ns <= greatest_ns


def _tails(forecast: ForecastSet, name: str, side: str, horizon_s: int) -> tuple[Tail, ...]:
    """The forecast of a side at the horizon, or those at the longest shorter and the shortest longer one."""
    found = sorted((t for t in forecast.tails if t.underlying == name and t.side == side), key=lambda t: t.horizon_s)
    exact = tuple(t for t in found if t.horizon_s == horizon_s)
    shorter = [t for t in found if t.horizon_s < horizon_s]
    longer = [t for t in found if t.horizon_s > horizon_s]
    return exact or (*shorter[-1:], *longer[:1])


def _holes(tail: Tail, name: str, side: str, horizon_s: int) -> list[str]:
    """What a forecast that is used does not say."""
    notes = []
    if tail.horizon_s != horizon_s:
        how = "scaled by the root of time" if tail.horizon_s < horizon_s else "used whole"
        notes.append(f"{name} {side}: no forecast over {horizon_s} s; that over {tail.horizon_s} s is {how}")
    missing = [field for field in ("stress", "floor", "long_run") if getattr(tail, field) is None]
    if missing:
        notes.append(
            f"{name} {side}: the forecast has no {', '.join(missing)}; static ranges and a whole buffer are used"
        )
    return notes


def _range(tail: Tail, as_of_ns: int, policy: MarginPolicy, horizon_s: int) -> float:
    """Blend, buffer and limit one forecast loss; one over a longer horizon is used whole, never scaled down.

    What the history is not known to say is read against the account: stress and
    floor are the static range, and no long-run level uses the buffer up.
    """
    scan = policy.scan
    scale = sqrt(max(horizon_s / tail.horizon_s, 1.0))
    static = _static(tail.underlying, policy, horizon_s)
    loss = max(_at(tail, "shortfall", scan.es_level), _at(tail, "loss_quantiles", scan.var_level), 0.0)
    raw, past = np.array([scale * loss]), _history(tail, scale, static, policy.static.multiplier)
    blended = np.maximum(weighed(raw, past, scan), past.floor)
    target = float(buffered(blended, raw, past, scan)[0]) + scan.liquidation_cost_frac
    if tail.published is None or tail.published_ns is None:
        return target
    days = max(as_of_ns - tail.published_ns, 0) / DAY_NS
    return max(target, scale * tail.published * float((1 - scan.daily_fall_frac) ** days))


def _history(tail: Tail, scale: float, static: float, multiplier: float) -> History:
    stress = static if tail.stress is None else scale * tail.stress
    floor = static / multiplier if tail.floor is None else scale * tail.floor
    long_run = np.inf if tail.long_run is None else scale * tail.long_run
    return History(np.array([stress]), np.array([floor]), np.array([long_run]))


def _at(tail: Tail, field: str, level: float) -> float:
    """A loss at a level; the next higher level that was forecast counts where the level itself was not."""
    table: dict[str, float] = getattr(tail, field)
    wanted = Decimal(repr(level))
    enough = [Decimal(key) for key in table if Decimal(key) >= wanted]
    if not enough:
        raise ForecastError(
            f"forecast of {tail.underlying} {tail.side}: {field} has no level of {level} or above, which the policy "
            f"needs; known: {', '.join(sorted(table)) or 'none'}"
        )
    return next(loss for key, loss in table.items() if Decimal(key) == min(enough))


def _static(name: str, policy: MarginPolicy, horizon_s: int) -> float:
    """Range where no forecast may be used."""
    width = policy.static.ranges.get(name, policy.static.range_frac) * policy.static.multiplier
    if horizon_s < policy.scan.mpor_s:
        return width * policy.static.maintenance_frac
    return width * sqrt(horizon_s / policy.scan.mpor_s)


def _refuse_future(forecasts: Sequence[ForecastSet], as_of_ns: int) -> None:
    for forecast in forecasts:
        if forecast.as_of_ns > as_of_ns:
            raise ForecastError(
                f"forecast of {forecast.model} is {(forecast.as_of_ns - as_of_ns) / 1e9:g} s younger than the market "
                "(as_of_ns); take a market snapshot at or after the forecast"
            )
