"""Where a fit starts: the quasi-explicit grid, in a compiled loop."""

import math

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.surface.least_squares import solved
from serving.margin.surface.objective import STEEPEST_WING, Problem, encoded, residuals

FloatArray = NDArray[np.float64]


@compiled
def _inner(m: float, sigma: float, problem: Problem) -> FloatArray:
    """The best a, b, rho of one m and sigma: linear least squares in (1, y, sqrt(y^2 + 1)), held to the bounds."""
    matrix, right = np.zeros((3, 3)), np.zeros(3)
    row = np.empty(3)
    years = problem.shape[0]
    for i in range(len(problem.k)):
        y = (problem.k[i] - m) / sigma
        row[0], row[1], row[2] = 1.0, y, math.sqrt(y * y + 1.0)
        scale = problem.weight[i] / max(2.0 * problem.vol[i] * years, 1e-12)  # a miss of variance as one of volatility
        for p in range(3):
            right[p] += scale * scale * row[p] * problem.vol[i] ** 2 * years
            for q in range(3):
                matrix[p, q] += scale * scale * row[p] * row[q]
    for p in range(3):
        matrix[p, p] *= 1.0 + 1e-10
    found = solved(matrix, right)
    c = min(max(found[2], 1e-4 * sigma), STEEPEST_WING * sigma)
    most = min(0.99 * c, STEEPEST_WING * sigma - c)
    d = min(max(found[1], -most), most)
    return np.array([found[0], c / sigma, d / c, m, sigma])


@compiled
def starts(problem: Problem, ms: FloatArray, sigmas: FloatArray, count: int) -> FloatArray:
    """The ``count`` best of a grid of m and sigma, each with its inner solution, as free numbers (count, 5).

    References
    ----------
    De Marco & Martini (2009), "Quasi-explicit calibration of Gatheral's SVI model", Zeliade Systems white paper.
    """
    best, costs = np.zeros((count, 5)), np.full(count, math.inf)
    out = np.empty(2 * len(problem.k) + 2 * len(problem.node) + 7)
    for m in ms:
        for sigma in sigmas:
            raw = _inner(m, sigma, problem)
            x = encoded(raw[0], raw[1], raw[2], raw[3], raw[4], problem.shape[1])
            cost = residuals(x, problem, out)
            worst = np.argmax(costs)
            if cost < costs[worst]:
                costs[worst] = cost
                best[worst] = x
    return best
