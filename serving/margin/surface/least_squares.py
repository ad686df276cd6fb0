"""Damped least squares in a compiled loop, for five free numbers."""

import math

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.surface.objective import Problem, residuals

FloatArray = NDArray[np.float64]

LONGEST_STEP = 1.5
NUDGE = 1e-6
ROUNDS = 200
SETTLED = 1e-10  # relative fall of the cost


@compiled
def solved(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """The solution of a small positive definite system, by Cholesky."""
    size = len(right)
    lower, out = np.zeros((size, size)), right.copy()
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for c in range(j):
                total -= lower[i, c] * lower[j, c]
            lower[i, j] = math.sqrt(max(total, 1e-300)) if i == j else total / lower[j, j]
    for i in range(size):
        for c in range(i):
            out[i] -= lower[i, c] * out[c]
        out[i] /= lower[i, i]
    for i in range(size - 1, -1, -1):
        for c in range(i + 1, size):
            out[i] -= lower[c, i] * out[c]
        out[i] /= lower[i, i]
    return out


@compiled
def _normal(x: FloatArray, problem: Problem, here: FloatArray, there: FloatArray) -> tuple[FloatArray, FloatArray]:
    """J'J and -J'r, the Jacobian by differences."""
    size = len(here)
    jacobian, moved = np.empty((5, size)), x.copy()
    for i in range(5):
        moved[i] = x[i] + NUDGE
        residuals(moved, problem, there)
        moved[i] = x[i]
        for r in range(size):
            jacobian[i, r] = (there[r] - here[r]) / NUDGE
    matrix, right = np.zeros((5, 5)), np.zeros(5)
    for i in range(5):
        for r in range(size):
            right[i] -= jacobian[i, r] * here[r]
        for j in range(i + 1):
            for r in range(size):
                matrix[i, j] += jacobian[i, r] * jacobian[j, r]
            matrix[j, i] = matrix[i, j]
    return matrix, right


@compiled
def minimised(start: FloatArray, problem: Problem) -> tuple[FloatArray, float]:
    """Levenberg and Marquardt's damped least squares from one start: where it ends, and its cost there.

    References
    ----------
    Marquardt (1963), "An algorithm for least-squares estimation of nonlinear parameters", J. SIAM 11(2).
    """
    size = 2 * len(problem.k) + 2 * len(problem.node) + 7
    here, there = np.empty(size), np.empty(size)
    x, damping = start.copy(), 1e-2
    cost = residuals(x, problem, here)
    for _ in range(ROUNDS):
        matrix, right = _normal(x, problem, here, there)
        gained = -1.0
        while damping < 1e10:
            damped = matrix.copy()
            for i in range(5):
                damped[i, i] += damping * (matrix[i, i] + 1e-6)
            step = solved(damped, right)
            moved = x + step * min(1.0, LONGEST_STEP / np.max(np.abs(step)))
            new = residuals(moved, problem, there)
            if new < cost:
                gained = cost - new
                x, cost, here, there = moved, new, there, here
                damping = max(damping / 5.0, 1e-10)
                break
            damping *= 4.0
        if gained <= SETTLED * cost:
            break
    return x, cost
