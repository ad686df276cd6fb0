"""Losses of one quantile, and of a quantile together with the mean beyond it."""

from typing import Any

from array_api_compat import array_namespace

Array = Any  # numpy array or torch tensor
FZ_LEVELS = (0.01, 0.025)


def pinball(outcome: Array, quantile: Array, level: float | Array) -> Array:
    r"""Quantile loss.

    .. math:: L = (y - q) (p - 1\{y < q\})

    Examples
    --------
    >>> import numpy as np
    >>> pinball(np.array([-3.0, 1.0]), np.array([-2.0, -2.0]), 0.01).round(2)
    array([0.99, 0.03])
    """
    xp = array_namespace(outcome, quantile)
    error = outcome - quantile
    return xp.maximum(level * error, (level - 1) * error)


def fz0(outcome: Array, quantile: Array, shortfall: Array, level: float) -> Array:
    r"""Joint loss of a lower quantile and the mean below it; differences are relative scale errors.

    .. math:: L = -\frac{1\{y \le v\}(v - y)}{p\,e} + \frac{v}{e} + \ln(-e) - 1

    For an upper tail pass ``-outcome, -quantile, -shortfall`` and the mirrored level.

    Parameters
    ----------
    outcome, quantile, shortfall : arrays of one shape; ``shortfall <= quantile``, ``shortfall < 0``.
    level : probability of the tail.

    References
    ----------
    Patton, Ziegel & Chen (2019), "Dynamic semiparametric models for expected
    shortfall (and value-at-risk)", J. Econometrics 211(2), equation 6.

    Examples
    --------
    >>> import numpy as np
    >>> fz0(np.array([-3.0, 0.0]), np.array([-2.0, -2.0]), np.array([-2.5, -2.5]), 0.025).round(6)
    array([16.716291,  0.716291])
    """
    xp = array_namespace(outcome, quantile, shortfall)
    beyond = xp.where(outcome <= quantile, quantile - outcome, xp.zeros_like(quantile))
    return -beyond / (level * shortfall) + quantile / shortfall + xp.log(-shortfall) - 1


def fz0_of_tails(outcome: Array, quantiles: Array, shortfall: Array, levels: tuple[float, ...]) -> Array:
    """Mean of :func:`fz0` over the ``FZ_LEVELS`` of both tails, shapes (...), (..., q), (..., q) -> (...)."""
    total = 0.0
    for level in FZ_LEVELS:
        low, high = levels.index(level), levels.index(1 - level)
        total = total + fz0(outcome, quantiles[..., low], shortfall[..., low], level)
        total = total + fz0(-outcome, -quantiles[..., high], -shortfall[..., high], level)
    return total / (2 * len(FZ_LEVELS))
