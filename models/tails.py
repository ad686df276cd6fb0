"""Quantiles and expected shortfalls of a few shapes: normal, generalised Pareto, and what lies between."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

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
    return np.where(level > 0.5, density / (1 - level), -density / level)


def student_t_tail(level: float, degrees: float) -> tuple[float, float]:
    r"""Quantile and mean below it of Student's t scaled to variance one.

    .. math:: ES_p = -\frac{g(t_p)}{p} \frac{\nu + t_p^2}{\nu - 1} \sqrt{\frac{\nu - 2}{\nu}}

    Raises
    ------
    ValueError
        If there are not more than two degrees of freedom: the variance is infinite.

    Examples
    --------
    >>> [round(x, 6) for x in student_t_tail(0.01, 5.0)]
    [-2.606464, -3.448837]
    """
    from scipy.stats import t  # slow to import, and needed only here

    if degrees <= 2:
        raise ValueError(f"Student's t with {degrees} degrees of freedom has no variance; use more than 2")
    raw = t.ppf(level, degrees)
    scale = np.sqrt((degrees - 2) / degrees)
    shortfall = -t.pdf(raw, degrees) / level * (degrees + raw**2) / (degrees - 1)
    return float(raw * scale), float(shortfall * scale)
