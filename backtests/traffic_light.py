"""The Basel Committee's traffic light: zones by the number of exceptions, and what they cost a bank."""

from typing import Literal

from scipy.stats import binom

Zone = Literal["green", "yellow", "red"]
YELLOW_FROM, RED_FROM = 0.95, 0.9999
MULTIPLIERS = (1.5, 1.5, 1.5, 1.5, 1.5, 1.70, 1.76, 1.83, 1.88, 1.92, 2.00)
PLUS_FACTORS = (0.0, 0.0, 0.0, 0.0, 0.0, 0.40, 0.50, 0.65, 0.75, 0.85, 1.00)


def zone(n_hits: int, n_obs: int = 250, level: float = 0.01) -> Zone:
    r"""Zone of a number of exceptions: yellow from a cumulative probability of 95 % on, red from 99.99 %.

    .. math:: F(k) = \sum_{i \le k} \binom{n}{i} p^i (1 - p)^{n - i}

    Parameters
    ----------
    n_hits : k, hits of windows that do not overlap.
    n_obs : n.
    level : p, probability of the tail.

    References
    ----------
    Basel Committee on Banking Supervision (1996), "Supervisory framework for the use of 'backtesting' in conjunction
    with the internal models approach to market risk capital requirements"; Basel framework MAR99.

    Examples
    --------
    >>> [zone(k) for k in (4, 5, 9, 10)]
    ['green', 'yellow', 'yellow', 'red']
    """
    cumulative = float(binom.cdf(n_hits, n_obs, level))
    if cumulative < YELLOW_FROM:
        return "green"
    return "yellow" if cumulative < RED_FROM else "red"


def multiplier(n_hits: int) -> float:
    """Capital multiplier for exceptions of 250 days at 1 %.

    References
    ----------
    Basel framework MAR32: 1.5 and an add-on of up to 0.5.

    Examples
    --------
    >>> multiplier(4), multiplier(5), multiplier(30)
    (1.5, 1.7, 2.0)
    """
    return MULTIPLIERS[min(n_hits, len(MULTIPLIERS) - 1)]


def plus_factor(n_hits: int) -> float:
    """Add-on of 1996 to the multiplier of 3, for exceptions of 250 days at 1 %.

    References
    ----------
    Basel Committee (1996), table 2.

    Examples
    --------
    >>> plus_factor(4), plus_factor(5), plus_factor(30)
    (0.0, 0.4, 1.0)
    """
    return PLUS_FACTORS[min(n_hits, len(PLUS_FACTORS) - 1)]
