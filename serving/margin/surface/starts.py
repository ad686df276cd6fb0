"""Where a fit starts: the quasi-explicit grid, in a compiled loop."""

import math

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.surface.least_squares import solved
from serving.margin.surface.objective import STEEPEST_WING, Problem, encoded, residuals

FloatArray = NDArray[np.float64]


@compiled
def _inner(m: float, sigma: float, problem: Problem) -> tuple[float, float, float]:
    """The best a, b, rho of one m and sigma: linear least squares in (1, y, sqrt(y^2 + 1)), held to the bounds."""
    matrix, right, row = np.zeros((3, 3)), np.zeros(3), np.ones(3)
    years = problem.shape[0]
    for i in range(len(problem.k)):
        row[1] = (problem.k[i] - m) / sigma
        row[2] = math.sqrt(row[1] * row[1] + 1.0)
        scale = problem.weight[i] / max(2.0 * problem.vol[i] * years, 1e-12)  # a miss of variance as one of volatility
        for p in range(3):
            right[p] += scale * scale * row[p] * problem.vol[i] * problem.vol[i] * years
            for q in range(3):
                matrix[p, q] += scale * scale * row[p] * row[q]
    for p in range(3):
        matrix[p, p] *= 1.0 + 1e-10
    found = solved(matrix, right)
    c = min(max(found[2], 1e-4 * sigma), STEEPEST_WING * sigma)
    most = min(0.99 * c, STEEPEST_WING * sigma - c)
    d = min(max(found[1], -most), most)
    return found[0], c / sigma, d / c


@compiled
def starts(problem: Problem, ms: FloatArray, sigmas: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Every point of a grid of m and sigma with its inner solution, as free numbers (count, 5), and their costs.

    References
    ----------
    De Marco & Martini (2009), "Quasi-explicit calibration of Gatheral's SVI model", Zeliade Systems white paper.
    """
    count = len(ms) * len(sigmas)
    found, costs = np.empty((count, 5)), np.empty(count)
    out = np.empty(2 * len(problem.k) + 2 * len(problem.node) + 7)
    for i in range(count):
        m, sigma = ms[i // len(sigmas)], sigmas[i % len(sigmas)]
        a, b, rho = _inner(m, sigma, problem)
        x = encoded(a, b, rho, m, sigma, problem.shape[1])
        for j in range(5):
            found[i, j] = x[j]
        costs[i] = residuals(x, problem, out)
    return found, costs
