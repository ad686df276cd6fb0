"""VPIN: how one-sided trading was in buckets of equal volume."""

import numpy as np

from features.compiled import compiled
from features.errors import SettingError
from features.orderflow.levels import FloatArray


def vpin(volume: FloatArray, buy_volume: FloatArray, buckets: int) -> FloatArray:
    r"""Mean order imbalance of a window cut into buckets of equal volume, in [0, 1].

    .. math:: VPIN = \frac{1}{B} \sum_{b=1}^{B} \left| \frac{2 V^{buy}_b}{V_b} - 1 \right|, \quad
              V_b = \frac{1}{B} \sum_i v_i

    Parameters
    ----------
    volume : array of shape (..., n), base units traded in each row (or by each trade), oldest first, >= 0.
    buy_volume : array of shape (..., n), the part of it that aggressors bought.
    buckets : B; a row over a boundary is split, its purchases in proportion.

    Returns
    -------
    array of shape (...)
        NaN for a window without volume. NaN propagates.

    Raises
    ------
    ValueError
        If a window has no row or the shapes differ.
    SettingError
        If there is no bucket.

    References
    ----------
    Easley, Lopez de Prado & O'Hara (2012), "Flow toxicity and liquidity in a high-frequency world",
    Review of Financial Studies 25(5). Their buckets have a volume fixed in advance; here the window's
    volume is shared out, so that each window has as many. Purchases are those of the tape, not guessed from bars.

    Examples
    --------
    >>> vpin(np.array([4.0, 2.0, 2.0]), np.array([4.0, 1.0, 0.0]), buckets=2)  # all bought, then 1 of 4
    np.float64(0.75)
    """
    n = volume.shape[-1]
    if n < 1 or buy_volume.shape != volume.shape:
        raise ValueError(f"VPIN needs at least 1 row and as many of both, got {volume.shape}, {buy_volume.shape}")
    if buckets < 1:
        raise SettingError(f"VPIN needs at least 1 bucket, got {buckets}")
    traded, bought = (v.astype(np.float64, copy=False).reshape(-1, n) for v in (volume, buy_volume))
    answers: FloatArray = _vpin(traded, bought, buckets).reshape(volume.shape[:-1])[()]
    return answers


@compiled
def _vpin(volume: FloatArray, buy_volume: FloatArray, buckets: int) -> FloatArray:
    """VPIN of each row of windows."""
    out = np.empty(len(volume))
    for window in range(len(volume)):
        bucket = volume[window].sum() / buckets
        filled, bought, total, closed = 0.0, 0.0, 0.0, 0
        for i in range(volume.shape[1]):
            left, buys = volume[window, i], buy_volume[window, i]
            share = buys / left if left > bucket - filled else 0.0
            while left > bucket - filled and closed < buckets - 1:
                bought += share * (bucket - filled)
                left -= bucket - filled
                buys = share * left
                total += abs(2.0 * bought / bucket - 1.0)
                filled, bought = 0.0, 0.0
                closed += 1
            filled += left
            bought += buys
        out[window] = (total + abs(2.0 * bought / bucket - 1.0)) / buckets if bucket > 0.0 else np.nan
    return out
