"""How underlyings, groups of them and expiries move together; each also under stress."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.margin.objects import Correlation
from serving.margin.sensitivity.calibration import Matrix
from serving.margin.sensitivity.crypto_groups import BUCKETS, bucket_of, default_between

FloatArray = NDArray[np.float64]
VERTEX_DAYS: Final = (1, 7, 14, 30, 60, 90, 180, 365, 730)
LABELS: Final = tuple(f"{days}d" for days in VERTEX_DAYS)
VEGA_DECAY: Final = 0.01  # Basel MAR21.93, correlation of volatilities of two expiries
TOGETHER: Final = ("low", "medium", "high")  # correlations


def stressed(rho: FloatArray, word: str) -> FloatArray:
    r"""Correlations under which offsets count least (``low``) or diversification does (``high``).

    .. math:: low = \tfrac12 (\rho + I), \qquad high = \tfrac12 (\rho + J)

    half way to independence and to all moving as one (J is all ones). Of the returns
    that the default correlations were measured on, those with the 5 % largest moves
    of BTC were correlated within 0.03 of ``high``. Both stay positive semi-definite
    where :math:`\rho` is, unlike the scaling of Basel's MAR21.6, so that the margin of
    deltas remains sub-additive.

    Examples
    --------
    >>> rho = np.array([[1.0, 0.8], [0.8, 1.0]])
    >>> stressed(rho, "low")[0].round(3), stressed(rho, "high")[0].round(3)
    (array([1. , 0.4]), array([1. , 0.9]))
    """
    if word == "medium":
        return rho
    return 0.5 * (rho + (np.eye(len(rho)) if word == "low" else np.ones_like(rho)))


def between_names(names: Sequence[str], correlation: Correlation | None) -> FloatArray:
    """Correlations of the underlyings: forecast, else the default of their buckets."""
    rho = np.array([[1.0 if a == b else default_between(bucket_of(a), bucket_of(b)) for b in names] for a in names])
    if correlation is not None:
        known = [name for name in names if name in correlation.names]
        here, there = [list(names).index(n) for n in known], [correlation.names.index(n) for n in known]
        rho[np.ix_(here, here)] = np.array(correlation.matrix)[np.ix_(there, there)]
    return rho.reshape(len(names), len(names))


def between_buckets(names: Sequence[str], rho: FloatArray, word: str) -> Matrix:
    """Correlations of the buckets: mean of those of their names, else the default."""
    rows = {bucket: [i for i, name in enumerate(names) if bucket_of(name) == bucket] for bucket in BUCKETS}
    gamma = np.eye(len(BUCKETS))
    for i, one in enumerate(BUCKETS):
        for j, other in enumerate(BUCKETS[:i]):
            own = rho[np.ix_(rows[one], rows[other])]
            gamma[i, j] = gamma[j, i] = own.mean() if own.size else default_between(one, other)
    return Matrix(BUCKETS, stressed(gamma, word))


def expiries() -> Matrix:
    r"""Correlation of the volatilities of two expiries, :math:`e^{-0.01 |T_1 - T_2| / \min(T_1, T_2)}` (MAR21.93)."""
    days = np.array(VERTEX_DAYS, dtype=np.float64)
    gap = np.abs(days[:, None] - days[None, :]) / np.minimum(days[:, None], days[None, :])
    return Matrix(LABELS, np.exp(-VEGA_DECAY * gap))
