"""Collateral that falls when the position loses is worth less than its own haircut says."""

import numpy as np
from numpy.typing import NDArray

from features.errors import ForecastError

FloatArray = NDArray[np.float64]


def wrong_way_share(
    delta_usd: FloatArray,
    correlation: FloatArray,
    collateral_usd: float,
    missing: NDArray[np.bool_] | None = None,
) -> FloatArray:
    r"""How much of the collateral the position loses as each asset falls, within 0 and 1, shape (a,).

    .. math:: \omega_a = \min\Bigl(1, \frac{\max(0, \sum_u \rho_{a u} \delta_u)}{V}\Bigr)

    A long position in what the asset follows is the wrong way, a short one the right way, which earns nothing.

    Parameters
    ----------
    delta_usd : net delta of the account in each underlying, USD, signed, shape (u,).
    correlation : of each asset's return with each underlying's, shape (a, u); 0 for an asset with a peg.
    collateral_usd : value of all that is posted, before haircuts; 0 counts as wholly the wrong way.
    missing : where a correlation is not known, shape (a, u): taken as 1 against the account.

    Raises
    ------
    ForecastError
        If a number is not finite or a correlation outside [-1, 1].

    Examples
    --------
    >>> wrong_way_share(np.array([500.0, -100.0]), np.array([[1.0, 0.5], [-1.0, 0.0]]), 1000.0)
    array([0.45, 0.  ])
    """
    if missing is not None:
        correlation = np.where(missing, np.sign(delta_usd), correlation)
    if not (np.isfinite(delta_usd).all() and (np.abs(correlation) <= 1).all() and 0 <= collateral_usd < np.inf):
        raise ForecastError(
            "wrong way: a delta or value is not finite, or a correlation outside -1 and 1; mark it missing"
        )
    falls: FloatArray = np.maximum(np.add.reduce(correlation * delta_usd, axis=1), 0.0)
    share: FloatArray = np.sign(falls) if collateral_usd == 0.0 else np.minimum(falls, collateral_usd) / collateral_usd
    return share
