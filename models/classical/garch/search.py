"""The maximum of a likelihood within a box, compiled: damped BFGS that begins with the information of the scores.

The search sees other coordinates than the model: for GJR the persistence, the share of it that is news and the share
of that which comes from falls alone, so that every condition on the model (no negative weight, no explosion) is a side
of a box. A search may end on a side: hourly returns like a persistence of exactly 1. GJR's omega is searched by its
logarithm, degrees of freedom by their inverse.
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
    OMEGA,
    SKEW,
    Ints,
    N,
    log_likelihood,
    scores,
)

PERSISTENCE, NEWS, FALLS = ALPHA, GAMMA, BETA  # where the search's coordinates stand
MOST_STEPS, MOST_HALVINGS = 200, 30
FEW = 1_536  # returns from which a first curvature and the order of starts are read
ENOUGH = 1e-9  # nats of log likelihood that a last full step would still gain
SURE = 1e-6  # the same by the scores' information, which knows the curvature to a factor
LONGEST = 1.5  # step in the logarithm of omega: on the far side of a leap lies a false top without any omega
FLOOR = 1e-6  # the same, where rounding lets no step gain anything


@compiled
def to_model(family: int, law: int, x: Floats) -> Floats:
    """The model at a point of the search."""
    p = x.copy()
    p[DEGREES] = np.inf if law == NORMAL else 1 / x[DEGREES]
    if family == GJR:
        p[OMEGA] = math.exp(x[OMEGA])
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
        x[OMEGA] = math.log(p[OMEGA])
        x[PERSISTENCE] = news + p[BETA]
        x[NEWS] = news / max(x[PERSISTENCE], 1e-12)
        x[FALLS] = 0.5 * p[GAMMA] / max(news, 1e-12)
    return x


@compiled
def slope_of_point(family: int, law: int, x: Floats, slope: Floats) -> None:
    """Turn a gradient in the model into one in the search's coordinates, in place."""
    slope[DEGREES] = 0.0 if law == NORMAL else -slope[DEGREES] / (x[DEGREES] * x[DEGREES])
    if family == GJR:
        slope[OMEGA] *= math.exp(x[OMEGA])
        a, g, b = slope[ALPHA], slope[GAMMA], slope[BETA]
        by_news = (1 - x[FALLS]) * a + 2 * x[FALLS] * g
        slope[PERSISTENCE] = x[NEWS] * by_news + (1 - x[NEWS]) * b
        slope[NEWS] = x[PERSISTENCE] * (by_news - b)
        slope[FALLS] = x[PERSISTENCE] * x[NEWS] * (2 * g - a)


@compiled
def box(family: int, law: int, symmetric: bool, with_mean: bool) -> tuple[Floats, Floats]:
    """Sides of the box for returns of mean square 1; both the same for what is not estimated."""
    low = np.array([-10.0, -18.0, 0.0, 0.0, -1.0, 1 / 500, -0.99])
    high = np.array([10.0, 2.0, 1.0, 1.0, 1.0, 1 / 2.05, 0.99])
    if family == EGARCH:
        low[OMEGA], low[ALPHA], low[GAMMA], low[BETA] = -10.0, -5.0, -5.0, 0.0
        high[OMEGA], high[ALPHA], high[GAMMA] = 10.0, 5.0, 5.0
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
    family: int, law: int, x: Floats, returns: Floats, backcast: float, square_mean: bool, wide: Floats, out: Floats
) -> None:
    """Fill the sum of outer products of scores, shape (7, 7), as the last of the returns let expect it.

    It only has to show the first step its way; ``wide`` (m, 7) is overwritten.
    """
    last = len(wide)
    scores(family, law, to_model(family, law, x), returns[len(returns) - last :], backcast, square_mean, True, wide)
    out[:] = 0.0
    for t in range(last):
        slope_of_point(family, law, x, wide[t])
        for i in range(N):
            for j in range(i + 1):
                out[i, j] += wide[t, i] * wide[t, j]
    for i in range(N):
        for j in range(i + 1):
            out[i, j] *= len(returns) / last
            out[j, i] = out[i, j]
        out[i, i] += 1e-6 * out[i, i] + 1e-6


@compiled
def solve(matrix: Floats, right: Floats, used: Ints, out: Floats) -> None:  # noqa: C901 - one algorithm
    """Solve the rows and columns in ``used`` of a positive definite system by Cholesky's factors; 0 elsewhere."""
    lower = np.zeros((N, N))
    out[:] = 0.0
    for i in range(N):
        if not used[i]:
            continue
        for j in range(i + 1):
            if used[j]:
                left = matrix[i, j]
                for k in range(j):
                    left -= lower[i, k] * lower[j, k]
                lower[i, j] = math.sqrt(max(left, 1e-14 * matrix[i, i])) if i == j else left / lower[j, j]
        left = right[i]
        for k in range(i):
            left -= lower[i, k] * out[k]
        out[i] = left / lower[i, i]
    for i in range(N - 1, -1, -1):
        if used[i]:
            for k in range(i + 1, N):
                out[i] -= lower[k, i] * out[k]
            out[i] /= lower[i, i]


@compiled
def direction(curvature: Floats, slope: Floats, x: Floats, low: Floats, high: Floats, step: Floats) -> float:
    """Fill Newton's step on the coordinates that may move, none out of the box; answers the slope along it."""
    free = np.ones(N, dtype=np.int64)
    for i in range(N):
        free[i] = low[i] < high[i]
    down = np.empty(N)
    for i in range(N):
        down[i] = -slope[i]
    outward = True
    while outward:
        solve(curvature, down, free, step)
        outward = False
        for i in range(N):
            if free[i] and ((x[i] <= low[i] and step[i] < 0) or (x[i] >= high[i] and step[i] > 0)):
                free[i], outward = 0, True
    return dot(slope, step)


@compiled
def dot(a: Floats, b: Floats) -> float:
    """Sum of products of two short vectors."""
    total = 0.0
    for i in range(N):
        total += a[i] * b[i]
    return total


@compiled
def bend(curvature: Floats, moved: Floats, turned: Floats) -> None:
    """BFGS update of the curvature in place, damped (Powell 1978) so that it stays positive definite."""
    pulled = np.empty(N)
    for i in range(N):
        pulled[i] = dot(curvature[i], moved)
    along, agree = dot(moved, pulled), dot(moved, turned)
    if along <= 0:
        return
    keep = 1.0 if agree >= 0.2 * along else 0.8 * along / (along - agree)
    agree = keep * agree + (1 - keep) * along
    for i in range(N):
        turned[i] = keep * turned[i] + (1 - keep) * pulled[i]
    for i in range(N):
        for j in range(N):
            curvature[i, j] += turned[i] * turned[j] / agree - pulled[i] * pulled[j] / along


@compiled
def walk(x: Floats, step: Floats, length: float, low: Floats, high: Floats, at: Floats) -> None:
    """Fill the point that lies a length along a step, in the box."""
    for i in range(N):
        at[i] = min(max(x[i] + length * step[i], low[i]), high[i])


@compiled
def search(  # noqa: C901 - one algorithm, as it is read in a book
    family: int, law: int, x: Floats, low: Floats, high: Floats, returns: Floats, backcast: float, square_mean: bool,
    room: Floats, wide: Floats,
) -> tuple[float, bool, int]:  # fmt: skip
    """Go downhill from ``x``, in place; answers minus the log likelihood, whether it is the least, and evaluations."""
    slope, next_slope, step, at, moved, turned = np.zeros((6, N))
    curvature, bent = np.empty((N, N)), np.empty((N, N))
    value = loss(family, law, x, returns, backcast, square_mean, room, slope)
    fresh, known, evaluations = False, False, 1
    for _ in range(MOST_STEPS):
        if not known:
            information(family, law, x, returns, backcast, square_mean, wide, curvature)
            fresh, known = True, True
        gain = -0.5 * direction(curvature, slope, x, low, high, step)
        if not math.isfinite(value + gain):
            return value, False, evaluations
        if gain < ENOUGH and fresh:
            return value, True, evaluations
        if gain < ENOUGH:  # by a curvature that steps have bent: ask the scores
            information(family, law, x, returns, backcast, square_mean, wide, bent)
            if -0.5 * direction(bent, slope, x, low, high, step) < SURE:
                return value, True, evaluations
            curvature[:], fresh = bent, True
        length, next_value, found = min(1.0, LONGEST / max(LONGEST, abs(step[OMEGA]))), value, False
        for _ in range(MOST_HALVINGS):
            walk(x, step, length, low, high, at)
            next_value = loss(family, law, at, returns, backcast, square_mean, room, next_slope)
            evaluations += 1
            found = next_value <= value + 1e-4 * (dot(slope, at) - dot(slope, x))  # never where it is no number
            if found:
                break
            length *= 0.4
        if found:
            for i in range(N):
                moved[i], turned[i] = at[i] - x[i], next_slope[i] - slope[i]
                x[i], slope[i] = at[i], next_slope[i]
            bend(curvature, moved, turned)
            value, fresh = next_value, False
        elif fresh:
            return value, gain < FLOOR, evaluations
        known = found
    return value, False, evaluations


@compiled
def begin(
    family: int, law: int, starts: Floats, low: Floats, high: Floats, returns: Floats, backcast: float,
    square_mean: bool, room: Floats,
) -> Floats:  # fmt: skip
    """Minus the log likelihood that the last of the returns have from each start."""
    last = min(len(returns), FEW)
    slope, point, values = np.zeros(N), np.empty(N), np.empty(len(starts))
    for i in range(len(starts)):
        slope[:] = 0.0
        walk(starts[i], slope, 0.0, low, high, point)  # into the box
        part = returns[len(returns) - last :]
        values[i] = loss(family, law, point, part, backcast, square_mean, room[:, :last], slope)
        starts[i] = point
        if not math.isfinite(values[i]):
            values[i] = np.inf
    return values


@compiled
def search_windows(
    family: int, law: int, symmetric: bool, with_mean: bool, square_mean: bool, returns: Floats, windows: Ints,
    scale: Floats, backcast: Floats, warm: Floats, cold: Floats, chained: bool, models: Floats, values: Floats,
    converged: Ints, evaluations: Ints,
) -> None:  # fmt: skip
    """Fit every window: from its warm start if that is a number, from cold ones, the likeliest first, where it fails.

    What no start leads to the top of keeps the highest point that was reached.
    """
    low, high = box(family, law, symmetric, with_mean)
    starts = np.empty((len(cold) + 1, N))
    for w in range(len(windows)):
        part = returns[windows[w, 0] : windows[w, 1]] / scale[w]
        room, wide = np.zeros((5, len(part))), np.empty((min(len(part), FEW), N))
        starts[1:] = cold
        starts[0] = to_point(family, law, rescaled(family, warm[w], 1 / scale[w]))
        warmed = math.isfinite(warm[w, OMEGA])  # the others keep their order then: they are hardly ever tried
        tried = starts[:1] if warmed else starts
        order = np.arange(len(starts))
        order[: len(tried)] = np.argsort(begin(family, law, tried, low, high, part, backcast[w], square_mean, room))
        values[w] = -np.inf
        for i in order:
            if not math.isfinite(starts[i, OMEGA]) or converged[w]:
                continue
            value, done, used = search(
                family, law, starts[i], low, high, part, backcast[w], square_mean, room, wide
            )  # fmt: skip
            evaluations[w] += used
            if -value > values[w] or done:
                values[w], converged[w] = -value, done
                models[w] = rescaled(family, to_model(family, law, starts[i]), scale[w])
        values[w] -= len(part) * math.log(scale[w])
        if chained and converged[w] and w + 1 < len(windows):
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
