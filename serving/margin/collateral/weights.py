"""Weights of collateral: the rate that never helps a debt, and weights that fall with size and deposits."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def at_rate(equity_usd: FloatArray, rate: FloatArray) -> FloatArray:
    r"""Value of the net equity in assets at their collateral rates, shape of the arguments.

    .. math:: \min(E \cdot rate, E)

    A debt (negative equity) counts whole: a rate below 1 would make it smaller.

    References
    ----------
    Binance, "Portfolio Margin Pro", uniMMR.

    Examples
    --------
    >>> at_rate(np.array([100.0, -100.0]), np.array([0.9, 0.9]))
    array([  90., -100.])
    """
    return np.minimum(equity_usd * rate, equity_usd)


def scaled_weight(weight: FloatArray, deposits_usd: FloatArray, start_usd: FloatArray) -> FloatArray:
    r"""Weight that falls as the venue's total deposits of an asset grow beyond a size.

    .. math:: w \min\left(1, \frac{start}{deposits}\right)

    Parameters
    ----------
    weight : fraction of value that counts, at small deposits.
    deposits_usd : everybody's deposits of the asset, not negative.
    start_usd : deposits at which scaling begins, above 0; infinite does not scale.

    References
    ----------
    github.com/drift-labs/protocol-v2, spot market ``scale_initial_asset_weight_start``.

    Examples
    --------
    >>> scaled_weight(np.full(2, 0.9), np.array([500_000.0, 2_000_000.0]), np.full(2, 500_000.0))
    array([0.9  , 0.225])
    """
    return weight / np.maximum(deposits_usd / start_usd, 1.0)


def sized_asset_weight(weight: FloatArray, size: FloatArray, factor: float) -> FloatArray:
    r"""Weight of an asset that falls with the size held.

    .. math:: \min\left(w, \frac{1.1}{1 + f \sqrt{size}}\right)

    Parameters
    ----------
    weight : fraction of value that counts, at small size.
    size : units held, not negative.
    factor : of the square root, not negative.

    References
    ----------
    github.com/drift-labs/protocol-v2, ``calculate_size_discount_asset_weight``.

    Examples
    --------
    >>> sized_asset_weight(np.full(2, 0.8), np.array([1.0, 10_000.0]), 0.01)
    array([0.8 , 0.55])
    """
    return np.minimum(weight, 1.1 / (1.0 + factor * np.sqrt(size)))


def sized_liability_weight(weight: FloatArray, size: FloatArray, factor: float) -> FloatArray:
    r"""Weight of a debt or position, at least 1, that rises with its size.

    .. math:: \max\left(w, 0.8 w + f \sqrt{size}\right)

    Parameters
    ----------
    weight : multiple of value that is owed, at small size.
    size : units owed, not negative.
    factor : of the square root, not negative.

    References
    ----------
    github.com/drift-labs/protocol-v2, ``calculate_size_premium_liability_weight``.

    Examples
    --------
    >>> sized_liability_weight(np.full(2, 1.2), np.array([1.0, 10_000.0]), 0.01)
    array([1.2 , 1.96])
    """
    return np.maximum(weight, 0.8 * weight + factor * np.sqrt(size))
