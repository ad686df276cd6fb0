r"""From a characteristic function to distribution, quantiles and tail means: the cosine method.

On a range of width w that holds all but a negligible part of the law, the density of z, the distance from
the range's left end, is

.. math:: f(z) = \tfrac12 A_0 + \sum_{k \ge 1} A_k \cos(u_k z), \qquad
          A_k = \frac{2}{w} \mathrm{Re}\,\varphi_z(u_k), \qquad u_k = \frac{k\pi}{w}

References
----------
Fang & Oosterlee (2008), "A novel pricing method for European options based on Fourier-cosine series
expansions", SIAM J. Scientific Computing 31(2).
"""

import math

import numpy as np

from features.compiled import compiled
from features.sources.synthetic.factors import Floats


@compiled
def sums(coefficients: Floats, width: float, z: float) -> tuple[float, float, float]:
    """Density at z, probability below it, and the mean of z over what lies below it times that probability.

    Cosines come from each other by rotation: one sine and one cosine in all.
    """
    unit = math.pi / width
    turn_c, turn_s = math.cos(unit * z), math.sin(unit * z)
    c, s = 1.0, 0.0
    density, below = 0.5 * coefficients[0], 0.5 * coefficients[0] * z
    moment = 0.25 * coefficients[0] * z * z
    for k in range(1, len(coefficients)):
        c, s = c * turn_c - s * turn_s, s * turn_c + c * turn_s
        u = k * unit
        density += coefficients[k] * c
        below += coefficients[k] * s / u
        moment += coefficients[k] * (z * s / u + (c - 1.0) / (u * u))
    return density, below, moment


@compiled
def distribution(coefficients: Floats, width: float, z: Floats, out: Floats) -> None:
    """Probability below ``z[i]`` under law i; coefficients (n, m), z and out (n,)."""
    for i in range(len(z)):
        inside = min(max(z[i], 0.0), width)
        out[i] = min(max(sums(coefficients[i], width, inside)[1], 0.0), 1.0)


@compiled
def tails(
    coefficients: Floats, width: float, mean: float, levels: Floats, quantiles: Floats, shortfall: Floats
) -> None:
    """Quantiles and tail means of n laws; coefficients (n, m), quantiles and shortfall (n, q) are filled.

    Newton's method, kept within a bracket that halving closes where the density is of no use.
    ``mean`` is that of z. The tail mean lies below the quantile for levels up to one half, above it for others.
    """
    for i in range(len(coefficients)):
        start = mean
        for k in range(len(levels)):
            low, high, z = 0.0, width, start
            for _ in range(100):
                density, below, _moment = sums(coefficients[i], width, z)
                miss = below - levels[k]
                if miss > 0.0:
                    high = z
                else:
                    low = z
                if abs(miss) < 1e-12 or high - low < 1e-13 * width:
                    break
                step = z - miss / density if density > 0.0 else -1.0
                z = step if low < step < high else 0.5 * (low + high)
            _density, below, moment = sums(coefficients[i], width, z)
            quantiles[i, k] = start = z
            upper = levels[k] > 0.5
            shortfall[i, k] = (mean - moment) / (1.0 - levels[k]) if upper else moment / levels[k]


def coefficients_of(function: Floats, width: float) -> Floats:
    """Coefficients from the real part of the characteristic function of z at ``k pi / width``, shape (n, m)."""
    scaled: Floats = np.ascontiguousarray(2.0 / width * function)
    return scaled
