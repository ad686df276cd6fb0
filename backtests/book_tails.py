"""Quantiles and shortfalls of the next standardised return when only a few windows have ended."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtr, stdtrit

from models.base import outward
from models.tails import student_t_quantiles, student_t_shortfall

FloatArray = NDArray[np.float64]


def few_window_tails(
    z: FloatArray, weight: float, levels: tuple[float, ...], prior_windows: float, degrees: float
) -> tuple[FloatArray, FloatArray]:
    """Tails of :func:`mixture_tails`, at levels that so few windows cannot tell never inside the Student law's own.

    A level beyond which not one of n + 1 windows is expected cannot be read from n of them.

    Parameters
    ----------
    z, weight, levels, prior_windows, degrees : see :func:`mixture_tails`.

    Returns
    -------
    quantiles, shortfall : arrays of shape (q,); shortfall is the mean beyond the quantile, outwards.

    Raises
    ------
    ValueError
        See :func:`mixture_tails`.

    Examples
    --------
    >>> quantiles, shortfall = few_window_tails(np.array([]), 1.0, (0.01, 0.99), 4.0, 5.0)
    >>> quantiles.round(6), shortfall.round(6)  # Student's own
    (array([-2.606464,  2.606464]), array([-3.448837,  3.448837]))
    >>> few_window_tails(np.array([6.0, 6.0]), 1.0, (0.01, 0.99), 4.0, 5.0)[0]
    array([-6.,  6.])
    """
    quantiles, shortfall = mixture_tails(z, weight, levels, prior_windows, degrees)
    side = outward(levels)
    untold = np.minimum(levels, 1 - np.array(levels)) * (weight * len(z) + 1) < 1
    own = student_t_quantiles(levels, degrees), student_t_shortfall(levels, degrees)
    wider = (side * np.maximum(side * a, side * b) for a, b in zip((quantiles, shortfall), own, strict=True))
    return np.where(untold, next(wider), quantiles), np.where(untold, next(wider), shortfall)


def mixture_tails(
    z: FloatArray, weight: float, levels: tuple[float, ...], prior_windows: float, degrees: float
) -> tuple[FloatArray, FloatArray]:
    r"""Predictive law of the next return from ended ones: a Dirichlet process around Student's law.

    .. math:: F(x) = \frac{m \, G(x) + w \sum_s \tfrac12 (1\{z_s \le x\} + 1\{-z_s \le x\})}{m + n}, \qquad
              n = w \cdot \#s

    with G a Student law of variance one that weighs as much as m windows, and w the share of a window by which
    origins are apart: windows that overlap count as many times as they fit into each other. The law is symmetric,
    for so few windows say nothing of a direction. Without any window it is G; with many it is that of the windows.

    Parameters
    ----------
    z : array of shape (n,), returns over the standard deviation that was forecast for them, no NaN.
    weight : w, at most 1.
    levels : q probabilities, increasing.
    prior_windows : m, positive.
    degrees : of freedom of G, more than 2.

    Returns
    -------
    quantiles, shortfall : arrays of shape (q,).

    Raises
    ------
    ValueError
        If there are not more than two degrees of freedom, or no prior: such a law has no variance, or no tails.

    References
    ----------
    Ferguson (1973), "A Bayesian analysis of some nonparametric problems", Annals of Statistics 1(2);
    Blackwell & MacQueen (1973), "Ferguson distributions via Polya urn schemes", Annals of Statistics 1(2).

    Examples
    --------
    >>> mixture_tails(np.array([0.5, 3.0]), 1.0, (0.1, 0.5, 0.9), 4.0, 5.0)[0].round(3)  # G's 2.5 %
    array([-1.991,  0.   ,  1.991])
    """
    if degrees <= 2 or prior_windows <= 0:
        raise ValueError(f"tails of few windows need degrees > 2 and a prior > 0, got {degrees} and {prior_windows}")
    atoms = np.sort(np.concatenate([z, -z]))
    mass = np.concatenate([[0.0], np.cumsum(np.full(len(atoms), weight / 2))])
    tails = [_lower_tail(min(p, 1 - p), atoms, mass, prior_windows, degrees) for p in levels]
    quantiles, shortfall = (-outward(levels) * np.array(part) for part in zip(*tails, strict=True))
    return quantiles, shortfall


def _lower_tail(level: float, atoms: FloatArray, mass: FloatArray, prior: float, degrees: float) -> tuple[float, float]:
    """Quantile of the mixture and the mean below it; ``mass`` is that of the first atoms."""
    unit = np.sqrt((degrees - 2) / degrees)
    wanted = level * (prior + mass[-1])
    smooth = prior * stdtr(degrees, atoms / unit)
    k = int(np.searchsorted(smooth + mass[1:], wanted))  # the first atom that reaches the level
    if k < len(atoms) and smooth[k] + mass[k] <= wanted:
        quantile = float(atoms[k])
    else:  # between two atoms the law is the smooth part and a constant
        quantile = float(unit * stdtrit(degrees, (wanted - mass[k]) / prior))
    below = prior * unit * _mean_below(quantile / unit, degrees) + float(atoms[:k] @ np.diff(mass)[:k])
    at_quantile = wanted - prior * float(stdtr(degrees, quantile / unit)) - mass[k]
    return quantile, min((below + quantile * at_quantile) / wanted, quantile)


def _mean_below(x: float, degrees: float) -> float:
    r"""Integral of t g(t) up to x for Student's density g: :math:`-g(x) (\nu + x^2) / (\nu - 1)`."""
    log_density = gammaln((degrees + 1) / 2) - gammaln(degrees / 2) - np.log(degrees * np.pi) / 2
    density = np.exp(log_density - (degrees + 1) / 2 * np.log1p(x * x / degrees))
    return float(-density * (degrees + x * x) / (degrees - 1))
