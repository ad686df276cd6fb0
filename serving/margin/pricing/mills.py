r"""Mills' ratio of the normal law, its slope and its rise over an interval, each with full relative accuracy.

.. math:: Y(z) = \frac{\Phi(z)}{\varphi(z)} = \int_0^\infty e^{zu - u^2/2} du, \qquad Y'(z) = 1 + z\,Y(z) > 0

An option's value is a density times a rise of Y: there is no difference of two nearly equal numbers in it.

References
----------
Abramowitz & Stegun (1964) 7.1.5, 7.1.14 (continued fraction), 7.1.23 (asymptotic series); Gautschi (1967),
"Computational aspects of three-term recurrence relations", SIAM Review 9.
"""

import math

import numpy as np
from scipy.special import erfcx

from features.compiled import compiled
from features.measures.window import FloatArray

NODES = 16  # per unit
LOW, HIGH = -16.0, 0.5  # of the tables; below, the asymptotic series
TERMS = 10  # kept of each series: the next is below 1e-17 of the first
ROOT_TAU = math.sqrt(2 * math.pi)
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(8)
WIDE = 0.5  # half an interval from which the plain difference is as good as the quadrature
SERIES = np.cumprod([1.0] + [-(2.0 * k + 1) for k in range(1, 13)])  # 1, -3, 15, -105, ...


def _forward(nodes: FloatArray, count: int) -> FloatArray:
    """Taylor coefficients of Y by (n + 1) c[n+1] = z c[n] + c[n-1]; good where z > -1."""
    rows = [math.sqrt(math.pi / 2) * erfcx(-nodes / math.sqrt(2))]
    rows.append(1 + nodes * rows[0])
    for n in range(1, count - 1):
        rows.append((nodes * rows[n] + rows[n - 1]) / (n + 1))
    return np.stack(rows, axis=1)


def _backward(nodes: FloatArray, count: int) -> FloatArray:
    """The same downwards, as ratios of neighbours (Miller): good where z <= -1, and the solution is minimal."""
    ratio, ratios = np.zeros_like(nodes), []
    for n in range(400, -1, -1):
        ratio = 1 / ((n + 1) * ratio - nodes)
        ratios.append(ratio)
    coefficients: FloatArray = np.multiply.accumulate(np.stack(ratios[::-1][:count], axis=1), axis=1)
    return coefficients


def _coefficients() -> FloatArray:
    """Taylor coefficients of Y: a row per node from LOW to HIGH."""
    nodes = np.arange(round(LOW * NODES), round(HIGH * NODES) + 1) / NODES
    upper = nodes > -1
    return np.concatenate([_backward(nodes[~upper], TERMS + 1), _forward(nodes[upper], TERMS + 1)])


RATIO = _coefficients()[:, :TERMS].copy()
SLOPE = _coefficients()[:, 1:] * np.arange(1.0, TERMS + 1)


@compiled
def _series(z: float) -> float:
    """Y' below LOW: z^-2 (1 - 3 z^-2 + 15 z^-4 - ...)."""
    square = 1.0 / (z * z)
    total = 0.0
    for k in range(12, -1, -1):
        total = total * square + SERIES[k]
    return total * square


@compiled
def _looked_up(table: FloatArray, z: float) -> float:
    """A polynomial about the node nearest to z, LOW <= z <= HIGH."""
    k = int((z - LOW) * NODES + 0.5)
    t = z - (LOW + k * (1.0 / NODES))
    total = 0.0
    for n in range(TERMS - 1, -1, -1):
        total = total * t + table[k, n]
    return total


@compiled
def mills_slope(z: float) -> float:
    """Y'(z) for z <= HIGH."""
    return _looked_up(SLOPE, z) if z >= LOW else _series(z)


@compiled
def mills(z: float) -> float:
    """Y(z), finite up to z = 37."""
    if z > HIGH:
        return ROOT_TAU * math.exp(0.5 * z * z) - mills(-z)
    return _looked_up(RATIO, z) if z >= LOW else (1.0 - _series(z)) / -z


@compiled
def mills_rise(middle: float, half: float) -> float:
    """Y(middle + half) - Y(middle - half), middle <= 0: Gauss-Legendre quadrature of Y' where the interval is short."""
    if half >= WIDE:
        return mills(middle + half) - mills(middle - half)
    total = 0.0
    for i in range(POINTS.size):
        total += WEIGHTS[i] * mills_slope(middle + half * POINTS[i])
    return half * total
