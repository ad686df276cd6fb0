"""The maximum of a likelihood within a box, compiled: damped BFGS that begins with the information of the scores.

The search sees other coordinates than the model: for GJR the persistence, the share of it that is news and the share
of that which comes from falls alone, so that every condition on the model (no negative weight, no explosion) is a side
of a box. A search may end on a side: hourly returns like a persistence of exactly 1. Degrees of freedom are searched
by their inverse.
"""

import math

import numpy as np

from features.compiled import compiled
from models.classical.garch.laws import NORMAL, SKEWED, Floats
from models.classical.garch.recursion import (
    ALPHA,
    BETA,
    DEGREES,
    EGARCH,
    GAMMA,
    GJR,
    MEAN,
    N,
    OMEGA,
    SKEW,
    Ints,
    log_likelihood,
    scores,
)

PERSISTENCE, NEWS, FALLS = ALPHA, GAMMA, BETA  # where the search's coordinates stand
MOST_STEPS, MOST_HALVINGS = 200, 30
ENOUGH = 1e-9  # nats of log likelihood that a last full step would still gain
FLOOR = 1e-6  # the same, where rounding lets no step gain anything


@compiled
def to_model(family: int, law: int, x: Floats) -> Floats:
    """The model at a point of the search."""
    p = x.copy()
    p[DEGREES] = np.inf if law == NORMAL else 1 / x[DEGREES]
    if family == GJR:
        news = x[PERSISTENCE] * x[NEWS]
        p[ALPHA] = news * (1 - x[FALLS])
        p[GAMMA] = 2 * news * x[FALLS]
        p[BETA] = x[PERSISTENCE] * (1 - x[NEWS])
    return p


@compiled
def to_point(family: int, law: int, p: Floats) -> Floats:
    """The point of the search at a model."""
    x = p.copy()
    x[DEGREES] = 0.2 if law == NORMAL else 1 / p[DEGREES]
    if family == GJR:
        news = p[ALPHA] + 0.5 * p[GAMMA]
        x[PERSISTENCE] = news + p[BETA]
        x[NEWS] = news / max(x[PERSISTENCE], 1e-12)
        x[FALLS] = 0.5 * p[GAMMA] / max(news, 1e-12)
    return x


@compiled
def slope_of_point(family: int, law: int, x: Floats, slope: Floats) -> None:
    """Turn a gradient in the model into one in the search's coordinates, in place."""
    slope[DEGREES] = 0.0 if law == NORMAL else -slope[DEGREES] / (x[DEGREES] * x[DEGREES])
    if family == GJR:
        a, g, b = slope[ALPHA], slope[GAMMA], slope[BETA]
        by_news = (1 - x[FALLS]) * a + 2 * x[FALLS] * g
        slope[PERSISTENCE] = x[NEWS] * by_news + (1 - x[NEWS]) * b
        slope[NEWS] = x[PERSISTENCE] * (by_news - b)
        slope[FALLS] = x[PERSISTENCE] * x[NEWS] * (2 * g - a)


@compiled
def box(family: int, law: int, symmetric: bool, with_mean: bool) -> tuple[Floats, Floats]:
    """Sides of the box for returns of mean square 1; both the same for what is not estimated."""
    low = np.array([-10.0, 1e-8, 0.0, 0.0, -1.0, 1 / 500, -0.99])
    high = np.array([10.0, 10.0, 1.0, 1.0, 1.0, 1 / 2.05, 0.99])
    if family == EGARCH:
        low[OMEGA], low[ALPHA], low[GAMMA], low[BETA] = -10.0, -5.0, -5.0, 0.0
        high[ALPHA], high[GAMMA] = 5.0, 5.0
    if symmetric:
        fixed = FALLS if family == GJR else GAMMA
        low[fixed], high[fixed] = 0.0, 0.0
    if not with_mean:
        low[MEAN], high[MEAN] = 0.0, 0.0
    if law == NORMAL:
        low[DEGREES], high[DEGREES] = 0.2, 0.2
    if law != SKEWED:
        low[SKEW], high[SKEW] = 0.0, 0.0
    return low, high


@compiled
def loss(
    family: int, law: int, x: Floats, returns: Floats, backcast: float, square_mean: bool, room: Floats, slope: Floats
) -> float:
    """Minus the log likelihood at a point of the search; fills its gradient."""
    value = log_likelihood(family, law, to_model(family, law, x), returns, backcast, square_mean, room, slope)
    slope_of_point(family, law, x, slope)
    for i in range(N):
        slope[i] = -slope[i]
    return -value


@compiled
def information(
    family: int, law: int, x: Floats, returns: Floats, backcast: float, square_mean: bool, wide: Floats
) -> Floats:
    """Sum of outer products of scores at a point of the search, shape (7, 7); ``wide`` (n, 7) is overwritten."""
    scores(family, law, to_model(family, law, x), returns, backcast, square_mean, True, wide)
    out = np.zeros((N, N))
    turned = np.empty(N)
    for t in range(len(returns)):
        turned[:] = wide[t]
        slope_of_point(family, law, x, turned)
        for i in range(N):
            for j in range(i + 1):
                out[i, j] += turned[i] * turned[j]
    for i in range(N):
        out[i, i] += 1e-6 * out[i, i] + 1e-6
        for j in range(i):
            out[j, i] = out[i, j]
    return out


@compiled
def direction(curvature: Floats, slope: Floats, x: Floats, low: Floats, high: Floats) -> Floats:
    """Newton's step on the coordinates that are free: none leaves the box from the side on which it stands."""
    free = low < high
    step = np.zeros(N)
    for _ in range(N + 1):
        which = np.flatnonzero(free)
        step[:] = 0.0
        if len(which) == 0:
            return step
        part = np.empty((len(which), len(which)))
        for i in range(len(which)):
            for j in range(len(which)):
                part[i, j] = curvature[which[i], which[j]]
        step[which] = np.linalg.solve(part, -slope[which])
        outward = free & (((x <= low) & (step < 0)) | ((x >= high) & (step > 0)))
        if not outward.any():
            return step
        free &= ~outward
    return step


@compiled
def bend(curvature: Floats, moved: Floats, turned: Floats) -> None:
    """BFGS update of the curvature in place, damped (Powell 1978) so that it stays positive definite."""
    pulled = curvature @ moved
    along = moved @ pulled
    if along <= 0:
        return
    agree = moved @ turned
    keep = 1.0 if agree >= 0.2 * along else 0.8 * along / (along - agree)
    change = keep * turned + (1 - keep) * pulled
    curvature += np.outer(change, change) / (moved @ change) - np.outer(pulled, pulled) / along


@compiled
def search(
    family: int, law: int, x: Floats, low: Floats, high: Floats, returns: Floats, backcast: float, square_mean: bool,
    room: Floats, wide: Floats,
) -> tuple[float, bool, int]:  # fmt: skip
    """Go downhill from ``x``, in place; answers minus the log likelihood, whether it is the least, and evaluations."""
    slope, next_slope = np.empty(N), np.empty(N)
    value = loss(family, law, x, returns, backcast, square_mean, room, slope)
    curvature = information(family, law, x, returns, backcast, square_mean, wide)
    fresh, evaluations = True, 2
    for _ in range(MOST_STEPS):
        step = direction(curvature, slope, x, low, high)
        gain = -(slope @ step)
        if not math.isfinite(value + gain):
            return value, False, evaluations
        if 0.5 * gain < ENOUGH:
            return value, True, evaluations
        length, found, at, next_value = 1.0, False, x, value
        for _ in range(MOST_HALVINGS):
            at = np.minimum(np.maximum(x + length * step, low), high)
            next_value = loss(family, law, at, returns, backcast, square_mean, room, next_slope)
            evaluations += 1
            if next_value <= value + 1e-4 * (slope @ (at - x)):  # never where it is not a number
                found = True
                break
            length *= 0.5 if length > 0.1 else 0.1
        if found:
            bend(curvature, at - x, next_slope - slope)
            x[:], slope[:] = at, next_slope
            value, fresh = next_value, False
        elif fresh:
            return value, 0.5 * gain < FLOOR, evaluations
        else:
            curvature = information(family, law, x, returns, backcast, square_mean, wide)
            fresh, evaluations = True, evaluations + 1
    return value, False, evaluations


@compiled
def best_of(
    family: int, law: int, starts: Floats, low: Floats, high: Floats, returns: Floats, backcast: float,
    square_mean: bool, best: Floats,
) -> tuple[float, bool, int]:  # fmt: skip
    """Search from the likeliest of some starts, and from the next likely where that fails; fills the best point."""
    room, wide, slope = np.empty((4, len(returns))), np.empty((len(returns), N)), np.empty(N)
    at = np.minimum(np.maximum(starts, low), high)
    values = np.empty(len(at))
    for i in range(len(at)):
        first = loss(family, law, at[i], returns, backcast, square_mean, room, slope) if len(at) > 1 else 0.0
        values[i] = first if math.isfinite(first) else np.inf
    least, evaluations = np.inf, len(at)
    for i in np.argsort(values):
        x = at[i].copy()
        value, converged, used = search(family, law, x, low, high, returns, backcast, square_mean, room, wide)
        evaluations += used
        if value < least:
            least = value
            best[:] = x
        if converged:
            best[:] = x
            return value, True, evaluations
    return least, False, evaluations


@compiled
def search_windows(
    family: int, law: int, symmetric: bool, with_mean: bool, square_mean: bool, returns: Floats, windows: Ints,
    scale: Floats, backcast: Floats, warm: Floats, cold: Floats, chained: bool, models: Floats, values: Floats,
    converged: Ints, evaluations: Ints,
) -> None:  # fmt: skip
    """Fit every window: from its warm start if that is a number, from the cold ones where it fails."""
    low, high = box(family, law, symmetric, with_mean)
    best = np.empty(N)
    for w in range(len(windows)):
        part = returns[windows[w, 0] : windows[w, 1]] / scale[w]
        done, used, value = False, 0, np.inf
        start = warm[w].copy()
        if math.isfinite(start[OMEGA]):
            begin = to_point(family, law, rescaled(family, start, 1 / scale[w])).reshape(1, N)
            value, done, used = best_of(family, law, begin, low, high, part, backcast[w], square_mean, best)
        if not done:
            value, done, more = best_of(family, law, cold, low, high, part, backcast[w], square_mean, best)
            used += more
        models[w] = rescaled(family, to_model(family, law, best), scale[w])
        values[w] = -value - len(part) * math.log(scale[w])
        converged[w], evaluations[w] = done, used
        if chained and done and w + 1 < len(windows):
            warm[w + 1] = models[w]


@compiled
def rescaled(family: int, p: Floats, factor: float) -> Floats:
    """The model of returns multiplied by a factor."""
    out = p.copy()
    out[MEAN] = p[MEAN] * factor
    if family == GJR:
        out[OMEGA] = p[OMEGA] * factor * factor
    else:
        out[OMEGA] = p[OMEGA] + (1 - p[BETA]) * 2 * math.log(factor)
    return out
