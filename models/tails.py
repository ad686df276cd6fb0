"""Quantiles and expected shortfalls of the shapes that classical models start from, variance one."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import t

FloatArray = NDArray[np.float64]


def normal_quantiles(levels: tuple[float, ...]) -> FloatArray:
    """Quantiles of N(0, 1), shape (q,).

    Examples
    --------
    >>> normal_quantiles((0.01, 0.025)).round(6)
    array([-2.326348, -1.959964])
    """
    quantiles: FloatArray = ndtri(np.array(levels))
    return quantiles


def normal_shortfall(levels: tuple[float, ...]) -> FloatArray:
    r"""Mean of N(0, 1) beyond its quantiles, outwards, shape (q,).

    .. math:: ES_p = \mp \varphi(\Phi^{-1}(p)) / \min(p, 1 - p)

    Examples
    --------
    >>> normal_shortfall((0.01, 0.025, 0.975)).round(6)
    array([-2.665214, -2.337803,  2.337803])
    """
    level = np.array(levels)
    density = np.exp(-0.5 * np.square(ndtri(level))) / np.sqrt(2 * np.pi)
    shortfall: FloatArray = np.where(level > 0.5, density / (1 - level), -density / level)
    return shortfall


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
