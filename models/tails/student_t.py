"""Student's t."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln
from scipy.stats import t

from features.compiled import compiled
from features.errors import ConvergenceError
from models.tails.base import FloatArray, Ints

# Fewer degrees of freedom hardly have a variance; more are a normal law. Logs of the degrees above two.
LEAST_EXCESS, MOST_EXCESS = np.log(0.05), np.log(200.0)
SIDE = 0.1  # of the first simplex of a search
FACTORS = 8  # multiplied before a logarithm is taken: far from overflow


def student_t_quantiles(levels: tuple[float, ...], degrees: float) -> FloatArray:
    """Quantiles of Student's t scaled to variance one, shape (q,).

    Raises
    ------
    ValueError
        If there are not more than two degrees of freedom: the variance is infinite.

    Examples
    --------
    >>> student_t_quantiles((0.01,), 5.0).round(6)
    array([-2.606464])
    """
    if degrees <= 2:
        raise ValueError(f"Student's t with {degrees} degrees of freedom has no variance; use more than 2")
    quantiles: FloatArray = t.ppf(np.array(levels), degrees) * np.sqrt((degrees - 2) / degrees)
    return quantiles


def student_t_shortfall(levels: tuple[float, ...], degrees: float) -> FloatArray:
    r"""Mean of Student's t, scaled to variance one, beyond its quantiles, outwards, shape (q,).

    .. math:: ES_p = \mp \frac{g(t_p)}{\min(p, 1-p)} \frac{\nu + t_p^2}{\nu - 1} \sqrt{\frac{\nu - 2}{\nu}}

    Examples
    --------
    >>> student_t_shortfall((0.01, 0.99), 5.0).round(6)
    array([-3.448837,  3.448837])
    """
    level = np.array(levels)
    scale = np.sqrt((degrees - 2) / degrees)
    raw = student_t_quantiles(levels, degrees) / scale
    size = t.pdf(raw, degrees) * (degrees + raw**2) / (degrees - 1) * scale
    shortfall: FloatArray = np.where(level > 0.5, size / (1 - level), -size / level)
    return shortfall


@dataclass(frozen=True, slots=True)
class StudentT:
    """Student's t about the window's mean, its scale and degrees of freedom by maximum likelihood.

    Windows that overlap make the likelihood a quasi-likelihood: consistent, only less precise than it looks.
    """

    refit: Literal["day", "month"] = "month"

    def __call__(
        self, z: FloatArray, starts: Ints, stops: Ints, levels: tuple[float, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """See :class:`models.tails.base.Tail`."""
        shape, beyond = np.empty((len(starts), len(levels))), np.empty((len(starts), len(levels)))
        guess = np.array([0.0, np.log(3.0)])
        for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            mean = z[start:stop].mean()
            guess = likeliest(student_t_loss, z[start:stop] - mean, guess, [(-3.0, 3.0), (LEAST_EXCESS, MOST_EXCESS)])
            scale, degrees = np.exp(guess[0]), 2 + np.exp(guess[1])
            shape[i] = mean + scale * student_t_quantiles(levels, degrees)
            beyond[i] = mean + scale * student_t_shortfall(levels, degrees)
        return shape, beyond


def student_t_loss(place: FloatArray, z: FloatArray) -> float:
    """Mean negative log-likelihood of z of mean zero at (log standard deviation, log of the degrees above two)."""
    scale, excess = np.exp(place[0]), np.exp(place[1])
    half = (excess + 3) / 2
    constant = gammaln(half) - gammaln(half - 0.5) - 0.5 * np.log(np.pi * excess)
    return float(place[0] - constant + half * _mean_log1p(z, 1 / (scale**2 * excess)))


@compiled
def _mean_log1p(z: FloatArray, factor: float) -> float:
    """Mean of ln(1 + factor z²), a logarithm for every few factors."""
    total, product = 0.0, 1.0
    for i in range(len(z)):
        product *= 1 + factor * z[i] * z[i]
        if i % FACTORS == FACTORS - 1:
            total, product = total + np.log(product), 1.0
    return float((total + np.log(product)) / len(z))


def likeliest(
    loss: Callable[[FloatArray, FloatArray], float],
    z: FloatArray,
    guess: FloatArray,
    bounds: list[tuple[float, float]],
) -> FloatArray:
    """Parameters of least loss, searched from a guess.

    Raises
    ------
    ConvergenceError
        If the search finds no optimum.
    """
    corners = np.vstack([guess, guess + SIDE * np.eye(len(guess))])
    options = {"initial_simplex": corners, "xatol": 1e-5, "fatol": 1e-9, "maxiter": 1_000}
    found = minimize(loss, guess, args=(z,), method="Nelder-Mead", bounds=bounds, options=options)
    if not found.success or not np.isfinite(found.fun):
        raise ConvergenceError(
            f"a law of {len(z)} standardised returns has no likeliest parameters ({found.message}); "
            "choose the tail fhs, or a longer memory"
        )
    place: FloatArray = found.x
    return place
