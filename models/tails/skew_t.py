"""Hansen's skewed Student t."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import gammaln

from features.compiled import compiled
from models.tails.base import FloatArray, Ints
from models.tails.student_t import (
    FACTORS,
    LEAST_EXCESS,
    MOST_EXCESS,
    likeliest,
    student_t_quantiles,
    student_t_shortfall,
)

MOST_SKEW = 0.9


@dataclass(frozen=True, slots=True)
class SkewT:
    r"""Hansen's skewed t about the window's mean, its three parameters by maximum likelihood.

    .. math:: g(z) = b c \left( 1 + \frac{1}{\nu - 2} \left( \frac{b z + a}{1 \mp \lambda} \right)^2
              \right)^{-(\nu + 1) / 2}, \qquad a = 4 \lambda c \frac{\nu - 2}{\nu - 1}, \qquad
              b^2 = 1 + 3 \lambda^2 - a^2

    with :math:`1 - \lambda` below :math:`-a/b` and :math:`1 + \lambda` above, of mean zero and variance one.

    References
    ----------
    Hansen (1994), "Autoregressive conditional density estimation", International Economic Review 35(3).
    """

    refit: Literal["day", "month"] = "month"

    def __call__(
        self, z: FloatArray, starts: Ints, stops: Ints, levels: tuple[float, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """See :class:`models.tails.base.Tail`."""
        shape, beyond = np.empty((len(starts), len(levels))), np.empty((len(starts), len(levels)))
        guess = np.array([0.0, np.log(3.0), 0.0])
        bounds = [(-3.0, 3.0), (LEAST_EXCESS, MOST_EXCESS), (-MOST_SKEW, MOST_SKEW)]
        for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            mean = z[start:stop].mean()
            guess = likeliest(skew_t_loss, z[start:stop] - mean, guess, bounds)
            law = float(2 + np.exp(guess[1])), float(guess[2])
            shape[i] = mean + np.exp(guess[0]) * skew_t_quantiles(levels, *law)
            beyond[i] = mean + np.exp(guess[0]) * skew_t_shortfall(levels, *law)
        return shape, beyond


def skew_t_quantiles(levels: tuple[float, ...], degrees: float, skew: float) -> FloatArray:
    """Quantiles of Hansen's skewed t, shape (q,).

    Examples
    --------
    >>> skew_t_quantiles((0.01, 0.99), 5.0, -0.2).round(4)
    array([-2.942 ,  2.2174])
    """
    a, b, _ = _constants(degrees, skew)
    level = np.array(levels)
    side = np.where(level < (1 - skew) / 2, 1 - skew, 1 + skew)
    symmetric = np.where(level < (1 - skew) / 2, level / (1 - skew), (level + skew) / (1 + skew))
    quantiles: FloatArray = (side * student_t_quantiles(tuple(symmetric), degrees) - a) / b
    return quantiles


def skew_t_shortfall(levels: tuple[float, ...], degrees: float, skew: float) -> FloatArray:
    """Mean of Hansen's skewed t beyond its quantiles, outwards, shape (q,).

    Each side is a t of its own; where a tail reaches over to the other side, the mean of zero gives it.
    """
    a, b, _ = _constants(degrees, skew)
    level = np.array(levels)
    left = level < (1 - skew) / 2
    # A law mirrored at zero has its upper tail where this one has its lower: only t's lower tail is needed.
    symmetric = np.where(left, level / (1 - skew), (1 - level) / (1 + skew))
    below = student_t_shortfall(tuple(np.minimum(symmetric, 0.5)), degrees)
    mean = np.where(left, ((1 - skew) * below - a) / b, (-(1 + skew) * below - a) / b)
    other = -mean * np.where(left, level / (1 - level), (1 - level) / level)
    shortfall: FloatArray = np.where(left == (level <= 0.5), mean, other)
    return shortfall


def skew_t_loss(place: FloatArray, z: FloatArray) -> float:
    """Mean negative log-likelihood of z at (log standard deviation, log of the degrees above two, skew)."""
    excess, skew = np.exp(place[1]), place[2]
    a, b, log_c = _constants(2 + excess, skew)
    kernel = _mean_kernel(z, b / np.exp(place[0]), a, skew, 1 / excess)
    return float(place[0] - np.log(b) - log_c + (excess + 3) / 2 * kernel)


def _constants(degrees: float, skew: float) -> tuple[float, float, float]:
    """Hansen's a, b and ln c."""
    log_c = gammaln((degrees + 1) / 2) - gammaln(degrees / 2) - 0.5 * np.log(np.pi * (degrees - 2))
    a = 4 * skew * np.exp(log_c) * (degrees - 2) / (degrees - 1)
    return float(a), float(np.sqrt(1 + 3 * skew**2 - a**2)), float(log_c)


@compiled
def _mean_kernel(z: FloatArray, slope: float, a: float, skew: float, factor: float) -> float:
    """Mean of ln(1 + factor ((slope z + a) / (1 ∓ skew))²), a logarithm for every few factors."""
    total, product = 0.0, 1.0
    for i in range(len(z)):
        x = slope * z[i] + a
        x /= 1 - skew if x < 0 else 1 + skew
        product *= 1 + factor * x * x
        if i % FACTORS == FACTORS - 1:
            total, product = total + np.log(product), 1.0
    return float((total + np.log(product)) / len(z))
