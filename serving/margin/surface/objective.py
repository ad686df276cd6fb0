"""What the fit of one slice minimises, in a compiled loop.

Five free numbers say a slice that is valid whatever they are: the log of the least variance, the place m in widths of
the smile, the logits of both wing slopes (over 1.98, below Lee's 2) and the log of sigma.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.surface.kernel import density_factor, variance_terms

FloatArray = NDArray[np.float64]

STEEPEST_WING = 1.98
IN_POINTS = 100.0
LEAST_G, SPARE_G = 2e-3, 0.1  # what g must keep at the nodes; what it should, to leave room for shocks
SPARE = 3.0  # vol points a unit of g below that: a real chain loses no accuracy
ABOVE = 1.0002  # of the expiry before


class Problem(NamedTuple):
    """One slice's data: quotes of shape (n,), nodes at which arbitrage is penalised of shape (q,), a prior.

    ``weight`` and ``bound_weight`` multiply misses in vol points, of the target and of the range from ``low`` to
    ``high``. ``floor``: total variance of the expiry before at ``node`` (0 where there is none). ``shape``: years,
    width of the smile, left and right slope of the expiry before, penalty. ``prior``, ``ridge``: of the five numbers.
    """

    k: FloatArray
    vol: FloatArray
    weight: FloatArray
    low: FloatArray
    high: FloatArray
    bound_weight: FloatArray
    node: FloatArray
    floor: FloatArray
    shape: FloatArray
    prior: FloatArray
    ridge: FloatArray


@compiled
def decoded(x: FloatArray, width: float) -> tuple[float, float, float, float, float]:
    """Raw SVI of the five free numbers."""
    left, right = STEEPEST_WING / (1.0 + math.exp(-x[2])), STEEPEST_WING / (1.0 + math.exp(-x[3]))
    sigma = math.exp(x[4])
    a = math.exp(x[0]) - sigma * math.sqrt(left * right)
    return a, 0.5 * (left + right), (right - left) / (left + right), x[1] * width, sigma


@compiled
def encoded(a: float, b: float, rho: float, m: float, sigma: float, width: float) -> FloatArray:
    """The five free numbers of raw SVI, wings and least variance held just inside their bounds."""
    out = np.empty(5)
    out[0] = math.log(max(a + b * sigma * math.sqrt(1.0 - rho * rho), 1e-4 * width * width))
    out[1] = m / width
    for i, slope in enumerate((b * (1.0 - rho), b * (1.0 + rho))):
        share = min(max(slope / STEEPEST_WING, 1e-5), 0.995)
        out[2 + i] = math.log(share / (1.0 - share))
    out[4] = math.log(sigma)
    return out


@compiled
def residuals(x: FloatArray, problem: Problem, out: FloatArray) -> float:
    """Fill ``out`` (2n + 2q + 7) with what is squared and summed; give the sum."""
    years, width, left, right, penalty = problem.shape
    a, b, rho, m, sigma = decoded(x, width)
    n, q = len(problem.k), len(problem.node)
    for i in range(n):
        vol = math.sqrt(variance_terms(a, b, rho, m, sigma, problem.k[i])[0] / years)
        out[i] = IN_POINTS * problem.weight[i] * (vol - problem.vol[i])
        outside = max(0.0, vol - problem.high[i]) + max(0.0, problem.low[i] - vol)
        out[n + i] = IN_POINTS * problem.bound_weight[i] * outside
    for j in range(q):
        k = problem.node[j]
        g = density_factor(a, b, rho, m, sigma, k)
        out[2 * n + j] = penalty * max(0.0, LEAST_G - g) + SPARE * max(0.0, SPARE_G - g)
        w = variance_terms(a, b, rho, m, sigma, k)[0]
        out[2 * n + q + j] = penalty * max(0.0, ABOVE * problem.floor[j] / w - 1.0)
    base = 2 * n + 2 * q
    out[base] = penalty * max(0.0, ABOVE * left / (b * (1.0 - rho)) - 1.0)
    out[base + 1] = penalty * max(0.0, ABOVE * right / (b * (1.0 + rho)) - 1.0)
    for i in range(5):
        out[base + 2 + i] = problem.ridge[i] * (x[i] - problem.prior[i])
    total = 0.0
    for i in range(base + 7):
        total += out[i] * out[i]
    return total
