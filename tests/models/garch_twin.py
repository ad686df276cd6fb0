"""The recursions once more, a line for a line of the paper: what the compiled ones are held against."""

import numpy as np
from numpy.typing import NDArray

from models.classical.garch.parameters import GarchParameters

FloatArray = NDArray[np.float64]


def gjr_variances(returns: FloatArray, p: GarchParameters) -> FloatArray:
    """Variance of each return and of the one after the last, shape (n,) -> (n + 1,); GARCH where gamma is 0.

    Examples
    --------
    >>> p = GarchParameters(0.0, 0.1, 0.2, 0.5, np.inf, 2.0, 0.0, gamma=0.1)
    >>> gjr_variances(np.array([-1.0, 2.0]), p)
    array([1.6, 1.2, 1.5])
    """
    out = [p.omega + (p.alpha + p.gamma / 2 + p.beta) * p.backcast]
    for residual in returns - p.mean:
        news = p.alpha + p.gamma if residual < 0 else p.alpha
        out.append(p.omega + news * residual**2 + p.beta * out[-1])
    return np.array(out)


def egarch_variances(returns: FloatArray, p: GarchParameters) -> FloatArray:
    """Variance of each return and of the one after the last, shape (n,) -> (n + 1,).

    Examples
    --------
    >>> p = GarchParameters(0.0, 0.0, 0.1, 0.5, np.inf, 1.0, 0.0, gamma=-0.1)
    >>> egarch_variances(np.array([-1.0]), p).round(4)  # exp(.1 (1 - .7979) + .1)
    array([1.    , 1.1277])
    """
    logs = [p.omega + p.beta * np.log(p.backcast)]
    for residual in returns - p.mean:
        z = residual / np.exp(logs[-1] / 2)
        logs.append(p.omega + p.alpha * (abs(z) - np.sqrt(2 / np.pi)) + p.gamma * z + p.beta * logs[-1])
    variances: FloatArray = np.exp(np.array(logs))
    return variances
