"""Tails learned from the residuals of the windows that had ended: a law of its own, or a model's own shape moved."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from models.base import outward
from models.calibration.windows import Ended, law_moments
from models.tails import Tail
from models.tails.base import sorted_quantile, sorted_windows

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Memory:
    """Origins (n,) int64, the horizon, the time remembered, and how few known windows leave the model's own tail."""

    origin_ns: Ints
    horizon_ns: int
    memory_ns: int
    least: int
    first_row: int = 0  # rows before it get no law

    def ended(self, z: FloatArray, moments_ns: Ints) -> tuple[Ended, Ints, Ints]:
        """Known windows of each law that has enough of them, the rows that it serves, and which of the laws serves."""
        instants, law = np.unique(moments_ns[self.first_row :], return_inverse=True)
        ended = Ended.of(self.origin_ns, instants, self.horizon_ns, self.memory_ns).among(np.isfinite(z))
        enough = ended.count >= max(self.least, 1)
        rows = self.first_row + np.flatnonzero(enough[law])
        return ended[enough], rows, (np.cumsum(enough) - 1)[law[enough[law]]]


def learned(
    tail: Tail, z: FloatArray, shape: FloatArray, beyond: FloatArray, levels: tuple[float, ...], memory: Memory
) -> tuple[FloatArray, FloatArray]:
    """Quantiles and shortfalls of a law of standardised returns; the model's own where too few are known.

    Parameters
    ----------
    tail : law.
    z : array of shape (n,), standardised returns, NaN where unknown.
    shape, beyond : arrays of shape (n, q), standardised quantiles and shortfalls of the model itself.
    levels : q probabilities.
    memory : what was known when.

    Returns
    -------
    shape, beyond : arrays of shape (n, q).
    """
    shape, beyond = shape.copy(), beyond.copy()
    ended, rows, law = memory.ended(z, law_moments(memory.origin_ns, tail.refit))
    if len(rows):
        laws = tail(z[np.isfinite(z)], ended.starts, ended.stops, levels)
        shape[rows], beyond[rows] = (part[law] for part in laws)
    return shape, beyond


def historical_shift(
    z: FloatArray, shape: FloatArray, beyond: FloatArray, levels: tuple[float, ...], memory: Memory
) -> tuple[FloatArray, FloatArray]:
    r"""Shift standardised quantiles and shortfalls to where the ended windows had them.

    .. math:: q'_{p,t} = q_{p,t} + Q_p\{z_s - q_{p,s}\}, \qquad
              e'_{p,t} = q'_{p,t} + (e_{p,t} - q_{p,t})
              \frac{\sum_{hits} (z_s - q'_{p,s})}{\sum_{hits} (e_{p,s} - q_{p,s})}

    with hits the windows s beyond their moved quantile, over the windows s remembered that had ended by the last
    midnight UTC. For a shape that never changes this *is* filtered historical simulation; for a conditional shape it
    corrects what is left.

    Parameters
    ----------
    z, shape, beyond, levels, memory : see :func:`learned`.

    Returns
    -------
    shape, beyond : arrays of shape (n, q), not crossing, shortfall outside its quantile.

    References
    ----------
    Barone-Adesi, Giannopoulos & Vosper (1999), "VaR without correlations for
    portfolios of derivative securities", J. Futures Markets 19(5).
    """
    known = np.isfinite(z)
    ended, rows, law = memory.ended(z, law_moments(memory.origin_ns, "day"))
    move, factor = _moves((z[:, None] - shape)[known], (beyond - shape)[known], levels, ended)
    out_shape, out_beyond = shape.copy(), beyond.copy()
    out_shape[rows] = np.maximum.accumulate(shape[rows] + move[law], axis=1)
    out_beyond[rows] = out_shape[rows] + (beyond[rows] - shape[rows]) * factor[law]
    return out_shape, out_beyond


def _moves(
    residual: FloatArray, excess: FloatArray, levels: tuple[float, ...], ended: Ended
) -> tuple[FloatArray, FloatArray]:
    """Move of each quantile and factor of each excess over it, shape (m, q) each."""
    move, factor = np.empty((len(ended.count), len(levels))), np.empty((len(ended.count), len(levels)))
    for k, (level, side) in enumerate(zip(levels, outward(levels), strict=True)):
        values = np.ascontiguousarray(residual[:, k])
        for i, window in enumerate(sorted_windows(values, ended.starts, ended.stops)):
            move[i, k] = sorted_quantile(window, level)
        _excess_factors(
            values, np.ascontiguousarray(excess[:, k]), side, ended.starts, ended.stops, move[:, k], factor[:, k]
        )
    return move, factor


@compiled
def _excess_factors(
    residual: FloatArray, excess: FloatArray, side: float, starts: Ints, stops: Ints, move: FloatArray,
    factor: FloatArray,
) -> None:  # fmt: skip
    """Mean excess of the hits over the mean excess that was expected of them, into ``factor`` (m,)."""
    for i in range(len(starts)):
        found, expected = 0.0, 0.0
        for s in range(starts[i], stops[i]):
            if side * residual[s] >= side * move[i]:
                found += residual[s] - move[i]
                expected += excess[s]
        factor[i] = found / expected if expected != 0 else 1.0
