"""Online quantile tracking: each outcome moves the quantile that it was compared with."""

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]

# Standard deviations that a quantile moves for one hit, per window that does not overlap: the smallest that takes most
# of the error of coverage away. Ten times as much costs two percent of the quantile loss.
STEP = 0.02


def tracked(
    z: FloatArray,
    shape: FloatArray,
    beyond: FloatArray,
    levels: tuple[float, ...],
    origin_ns: Ints,
    horizon_ns: int,
    every_ns: int,
    step: float = STEP,
) -> tuple[FloatArray, FloatArray]:
    r"""Move each standardised quantile so that its hits come as often as they should, whatever the outcomes.

    .. math:: q'_{p,t} = q_{p,t} + \theta_{p,t}, \qquad
              \theta_p \leftarrow \theta_p + \gamma \frac{\Delta}{h} \left( p - 1\{z_s \le q'_{p,s}\} \right)

    once for each window s, when it has ended. Windows that overlap count as many times as they fit into each other:
    :math:`\Delta` is the time between origins, at most h. Where moved quantiles would cross, the higher
    level takes the value of the lower one, and outcomes are compared with what was answered. A shortfall keeps its
    distance from its quantile. Over T windows the share of hits differs from p by at most
    :math:`(\max |\theta| + \gamma) h / (\gamma \Delta T)` where no quantiles cross.

    Parameters
    ----------
    z : array of shape (n,), standardised returns, NaN where unknown.
    shape, beyond : arrays of shape (n, q), standardised quantiles and shortfalls.
    levels : q probabilities.
    origin_ns : array of shape (n,), increasing; holes are allowed.
    horizon_ns, every_ns : the horizon, and the time between origins.
    step : :math:`\gamma`, in standard deviations.

    Returns
    -------
    shape, beyond : arrays of shape (n, q).

    References
    ----------
    Gibbs & Candès (2021), "Adaptive conformal inference under distribution shift", NeurIPS 34;
    Angelopoulos, Candès & Tibshirani (2023), "Conformal PID control for time series prediction", NeurIPS 36.
    """
    gain = step * min(1.0, every_ns / horizon_ns)
    moved = _track(z, np.ascontiguousarray(shape), np.array(levels), origin_ns, horizon_ns, gain)
    return moved, moved + (beyond - shape)


@compiled
def _track(
    z: FloatArray, shape: FloatArray, levels: FloatArray, origin_ns: Ints, horizon_ns: int, gain: float
) -> FloatArray:
    """Answered quantiles, shape (n, q); ``ended`` counts the windows that have been learned from."""
    offset, answered, ended = np.zeros(len(levels)), np.empty_like(shape), 0
    for t in range(len(z)):
        while origin_ns[ended] + horizon_ns <= origin_ns[t]:
            if np.isfinite(z[ended]):
                for k in range(len(levels)):
                    offset[k] += gain * (levels[k] - (z[ended] <= answered[ended, k]))
            ended += 1
        highest = -np.inf
        for k in range(len(levels)):
            highest = max(highest, shape[t, k] + offset[k])
            answered[t, k] = highest
    return answered
