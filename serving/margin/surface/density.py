"""Where Gatheral's g is lowest, over all strikes: a search inside, a proof in the wings."""

import math

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.surface.kernel import density_factor

FloatArray = NDArray[np.float64]

POINTS = 400
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
LEE = 2.0  # a wing steeper than this has no moments left: g tends to 1/4 - slope^2/16
FARTHEST = 1e9


@compiled
def proved_from(a: float, b: float, rho: float, m: float, sigma: float) -> float:
    r"""The log moneyness from which on g > 0 towards high strikes is proved, at most ``FARTHEST``.

    With the asymptote :math:`w \ge A + s k`, :math:`A = a - s m`, :math:`s = b(1+\rho)`, and :math:`0 \le w' \le s`
    to the right of the lowest point and of the money,

    .. math:: g(k) \ge \left(1 - \tfrac u2\right)^2 - \frac{s^2}{16} - \frac{s^2}{4(A + sk)},
              \quad u = \max\left(1, \frac{sk}{A+sk}\right) \le 2,

    and the right side does not fall in k: where it is positive once, g stays so.
    """
    steep = b * (1.0 + rho)
    at_zero = a - steep * m
    k = max(m - rho * sigma / math.sqrt(1.0 - rho * rho), sigma, 1e-3)
    while k < FARTHEST:
        line = at_zero + steep * k
        if line > 0.0:
            u = max(1.0, steep * k / line)
            if u <= 2.0 and (1.0 - 0.5 * u) ** 2 - steep * steep * (0.0625 + 0.25 / line) > 0.0:
                return k
        k *= 1.25
    return FARTHEST


@compiled
def _golden(a: float, b: float, rho: float, m: float, sigma: float, low: float, high: float) -> float:
    """The lowest point of g between two strikes, to about 1e-9 of their distance."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = density_factor(a, b, rho, m, sigma, left), density_factor(a, b, rho, m, sigma, right)
    for _ in range(44):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = density_factor(a, b, rho, m, sigma, left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = density_factor(a, b, rho, m, sigma, right)
    return left if at_left < at_right else right


@compiled
def lowest_density(a: float, b: float, rho: float, m: float, sigma: float) -> tuple[float, float, float, float]:
    """Log moneyness and value of the lowest g, and the ends of the range that was searched.

    Outside that range g > 0 is proved (``proved_from``); a wing steeper than Lee's bound gives an infinite k with
    the limit of g there. Inside it, points even in asinh((k - m) / scale), then a golden section at the lowest.
    """
    steepest = b * (1.0 + abs(rho))
    if steepest > LEE:
        return (math.inf if rho >= 0.0 else -math.inf), 0.25 - steepest * steepest / 16.0, -math.inf, math.inf
    high = proved_from(a, b, rho, m, sigma)
    low = -proved_from(a, b, -rho, -m, sigma)
    least = a + b * sigma * math.sqrt(1.0 - rho * rho)
    scale = min(sigma, max(least / b, 1e-3 * sigma)) if b > 0.0 else sigma
    first, last = math.asinh((low - m) / scale), math.asinh((high - m) / scale)
    step = (last - first) / (POINTS - 1)
    best, lowest = 0, math.inf
    for i in range(POINTS):
        value = density_factor(a, b, rho, m, sigma, m + scale * math.sinh(first + i * step))
        if value < lowest:
            best, lowest = i, value
    before = m + scale * math.sinh(first + max(best - 1, 0) * step)
    after = m + scale * math.sinh(first + min(best + 1, POINTS - 1) * step)
    k = _golden(a, b, rho, m, sigma, before, after)
    return k, min(density_factor(a, b, rho, m, sigma, k), lowest), low, high
