"""Laws of a standardised return, compiled: log density, its slope in the return and in its own parameters."""

import math

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled, inlined

Floats = NDArray[np.float64]
NORMAL, STUDENT, SKEWED = 0, 1, 2
LOGS_AT_ONCE = 8  # numbers whose product one logarithm is taken of: none is beyond e^±80 in returns of scale 1
LOG_TWO_PI = math.log(2 * math.pi)


@compiled
def digamma(x: float) -> float:
    """Slope of the log of the gamma function, x > 0, by recurrence and its asymptotic series.

    Examples
    --------
    >>> round(digamma(1.0), 10)  # less Euler's constant
    -0.5772156649
    """
    out = 0.0
    while x < 8.0:
        out -= 1 / x
        x += 1
    y = 1 / (x * x)
    series = y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y / 132))))
    return out + math.log(x) - 0.5 / x - series


@compiled
def constants(law: int, degrees: float, skew: float) -> Floats:
    r"""What of a law does not depend on the return, shape (9,): log factor, shift, scale; slopes in ν; slopes in λ.

    .. math:: a = 4 \lambda c \frac{\nu - 2}{\nu - 1}, \qquad b^2 = 1 + 3 \lambda^2 - a^2, \qquad
              c = \frac{\Gamma((\nu + 1) / 2)}{\sqrt{\pi (\nu - 2)} \, \Gamma(\nu / 2)}

    The log factor is ln(bc). Without skew a = 0, b = 1: Student's t of variance one.

    References
    ----------
    Hansen (1994), "Autoregressive conditional density estimation", International Economic Review 35(3).
    """
    if law == NORMAL:
        return np.array([-0.5 * LOG_TWO_PI, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    half = degrees / 2
    log_c = math.lgamma(half + 0.5) - math.lgamma(half) - 0.5 * math.log(math.pi * (degrees - 2))
    log_c_by_degrees = 0.5 * (digamma(half + 0.5) - digamma(half) - 1 / (degrees - 2))
    a_by_skew = 4 * math.exp(log_c) * (degrees - 2) / (degrees - 1)
    a = skew * a_by_skew
    b = math.sqrt(1 + 3 * skew * skew - a * a)
    a_by_degrees = a * (log_c_by_degrees + 1 / (degrees - 2) - 1 / (degrees - 1))
    b_by_degrees, b_by_skew = -a * a_by_degrees / b, (3 * skew - a * a_by_skew) / b
    return np.array([
        log_c + math.log(b), a, b,
        log_c_by_degrees + b_by_degrees / b, a_by_degrees, b_by_degrees,
        b_by_skew / b, a_by_skew, b_by_skew,
    ])  # fmt: skip


@inlined
def density(law: int, z: float, degrees: float, skew: float, k: Floats) -> tuple[float, float, float, float]:
    r"""Log density at z, its slopes in z, ν and λ.

    .. math:: \ln f = \ln(bc) - \frac{\nu + 1}{2} \ln\Big(1 + \frac{y^2}{\nu - 2}\Big), \qquad
              y = \frac{bz + a}{1 \pm \lambda}

    with the minus sign left of -a/b; or the normal density.
    """
    if law == NORMAL:
        return k[0] - 0.5 * z * z, -z, 0.0, 0.0
    raw = k[2] * z + k[1]
    side = -1.0 if raw < 0 else 1.0
    width = 1 + side * skew
    y = raw / width
    u = y * y / (degrees - 2)
    log_u = math.log1p(u)
    by_y = -(degrees + 1) / (degrees - 2) * y / (1 + u)
    by_degrees = (
        k[3] - 0.5 * log_u + 0.5 * (degrees + 1) / (degrees - 2) * u / (1 + u) + by_y * (k[5] * z + k[4]) / width
    )
    by_skew = k[6] + by_y * ((k[8] * z + k[7]) - side * y) / width
    return k[0] - 0.5 * (degrees + 1) * log_u, by_y * k[2] / width, by_degrees, by_skew


@compiled
def log_sum(values: Floats) -> float:
    """Sum of logs of positive numbers: one logarithm of the product of eight."""
    whole = len(values) // LOGS_AT_ONCE * LOGS_AT_ONCE
    total = 0.0
    for t in range(0, whole, LOGS_AT_ONCE):
        left = (values[t] * values[t + 1]) * (values[t + 2] * values[t + 3])
        right = (values[t + 4] * values[t + 5]) * (values[t + 6] * values[t + 7])
        total += math.log(left * right)
    for t in range(whole, len(values)):
        total += math.log(values[t])
    return total


@compiled
def observe_normal(residual: Floats, variance: Floats, by_variance: Floats, by_residual: Floats) -> float:
    """Log likelihood of normal residuals; fills its slopes in each variance and residual."""
    n = len(residual)
    for t in range(n):
        by_residual[t] = -residual[t] / variance[t]
        by_variance[t] = 0.5 * (by_residual[t] * by_residual[t] - 1 / variance[t])
    squares = 0.0
    for t in range(n):
        squares -= residual[t] * by_residual[t]
    return -0.5 * (squares + log_sum(variance) + n * LOG_TWO_PI)


@compiled
def observe_student(
    residual: Floats, variance: Floats, degrees: float, k: Floats, by_variance: Floats, by_residual: Floats,
    beyond: Floats,
) -> tuple[float, float]:  # fmt: skip
    """Log likelihood of residuals of Student's t and its slope in ν; fills the slopes as :func:`observe_normal`."""
    n = len(residual)
    spread, factor = 1 / (degrees - 2), (degrees + 1) / (degrees - 2)
    for t in range(n):  # no sum in this loop: it is done several at a time
        inverse = 1 / variance[t]
        weight = residual[t] * inverse
        square = weight * residual[t]
        beyond[t] = 1 + square * spread
        pull = factor / beyond[t]
        by_residual[t] = -weight * pull
        by_variance[t] = 0.5 * inverse * (square * pull - 1)
    pulls = 0.0
    for t in range(n):
        pulls -= residual[t] * by_residual[t]
    logs = log_sum(beyond)
    return (
        n * k[0] - 0.5 * log_sum(variance) - 0.5 * (degrees + 1) * logs,
        n * k[3] - 0.5 * logs + 0.5 * spread * pulls,
    )


@compiled
def observe_skewed(
    residual: Floats, variance: Floats, degrees: float, skew: float, k: Floats, by_variance: Floats,
    by_residual: Floats,
) -> tuple[float, float, float]:  # fmt: skip
    """Log likelihood of residuals of the skewed t, its slopes in ν and λ; fills the slopes as the others do."""
    total, by_degrees, by_skew = 0.0, 0.0, 0.0
    for t in range(len(residual)):
        scale = math.sqrt(variance[t])
        z = residual[t] / scale
        value, slope, slope_degrees, slope_skew = density(SKEWED, z, degrees, skew, k)
        by_residual[t] = slope / scale
        by_variance[t] = -0.5 * (1 + z * slope) / variance[t]
        total += value
        by_degrees += slope_degrees
        by_skew += slope_skew
    return total - 0.5 * log_sum(variance), by_degrees, by_skew


@compiled
def observe(
    law: int, residual: Floats, variance: Floats, degrees: float, skew: float, by_variance: Floats,
    by_residual: Floats, spare: Floats,
) -> tuple[float, float, float]:  # fmt: skip
    """Log likelihood of residuals under a law, its slopes in ν and λ; fills its slopes in variance and residual."""
    if law == NORMAL:
        return observe_normal(residual, variance, by_variance, by_residual), 0.0, 0.0
    k = constants(law, degrees, skew)
    if law == STUDENT:
        value, by_degrees = observe_student(residual, variance, degrees, k, by_variance, by_residual, spare)
        return value, by_degrees, 0.0
    return observe_skewed(residual, variance, degrees, skew, k, by_variance, by_residual)
