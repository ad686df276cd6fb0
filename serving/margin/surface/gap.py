"""How near the total variance of a later expiry comes to that of an earlier one, in a compiled loop."""

import math

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.surface.kernel import variance_terms

FloatArray = NDArray[np.float64]

REACH = 12.0  # asinh of the farthest strike looked at, in widths of the smile: 80,000 of them
POINTS = 601
REFINED = 40


@compiled
def _gap(near: FloatArray, far: FloatArray, k: float) -> float:
    later = variance_terms(far[0], far[1], far[2], far[3], far[4], k)[0]
    return later - variance_terms(near[0], near[1], near[2], near[3], near[4], k)[0]


@compiled
def lowest_gap(near: FloatArray, far: FloatArray, low: float, high: float) -> tuple[float, float]:
    """Where within [low, high] later minus earlier total variance is lowest, and how low.

    Parameters
    ----------
    near, far : arrays of shape (5,), raw SVI of the earlier and the later expiry.
    low, high : log moneyness; infinite for all strikes within 80,000 widths of either smile.
    """
    worst, lowest, spread = 0.0, math.inf, 0.0
    step = 2.0 * REACH / (POINTS - 1)
    for side in range(2):
        m, width = (near[3], near[4]) if side == 0 else (far[3], far[4])
        for i in range(POINTS):
            t = -REACH + i * step
            k = min(max(m + width * math.sinh(t), low), high)
            value = _gap(near, far, k)
            if value < lowest:
                worst, lowest, spread = k, value, width * math.cosh(t) * step
    for _ in range(2):  # twice between the neighbours of the lowest point
        best = worst
        for i in range(-REFINED, REFINED + 1):
            k = min(max(worst + spread * i / REFINED, low), high)
            value = _gap(near, far, k)
            if value < lowest:
                best, lowest = k, value
        worst, spread = best, spread / REFINED
    return worst, lowest
