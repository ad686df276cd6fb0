"""Online tracking of excursions' quantiles: positive, never crossing, never inside the return's."""

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from models.excursions.law import EXCURSION_LEVELS

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]

# Part of itself that a quantile moves for one excursion beyond it, per window that does not overlap: what the step of
# the returns' quantiles is of a quantile at 99 %.
STEP = 0.006


def tracked_excursions(
    ratio: FloatArray,
    quantiles: FloatArray,
    lower: FloatArray,
    origin_ns: Ints,
    horizon_ns: int,
    every_ns: int,
    step: float = STEP,
) -> FloatArray:
    r"""Move each quantile by a factor so that excursions beyond it come no more often than they should.

    .. math:: x'_{p,t} = \max\left( x_{p,t} e^{\theta_p}, \ell_{p,t} \right), \qquad
              \theta_p \leftarrow \theta_p + \gamma \frac{\Delta}{h}
              \left( 1\{D_s > x'_{p,s}\} - (1 - p) a_{p,s} \right)

    once for each window s, when it has ended. a is 1, but 0 where the answer was not :math:`x e^\theta` but a larger
    one (:math:`\ell`, or the level's below): :math:`\theta` must not sink unseen under a bound that may be gone when
    it is needed. Of T windows, whatever the outcomes, the share beyond is at most

    .. math:: 1 - p + \frac{\Theta h}{\gamma \Delta T}, \qquad \Theta = \max(0, \ln \max_s D_s / x_s) + 2 \gamma

    as no excursion is beyond an answer of :math:`\theta > \ln \max D / x`, and those of the windows that had not ended
    when it was reached add :math:`\gamma` at most;

    where a is always 1, it differs from 1 - p by no more than :math:`\max |\theta| \, h / (\gamma \Delta T)`.

    Parameters
    ----------
    ratio : array of shape (n,), excursions in deviations, NaN where unknown.
    quantiles, lower : arrays of shape (n, k), positive quantiles and what they must not be less than, in deviations.
    origin_ns : array of shape (n,), increasing; holes are allowed.
    horizon_ns, every_ns : the horizon, and the time between origins.
    step : :math:`\gamma`.

    Returns
    -------
    array of shape (n, k), positive, not crossing, not less than ``lower``.

    References
    ----------
    Gibbs & Candès (2021), "Adaptive conformal inference under distribution shift", NeurIPS 34.
    """
    gain = step * min(1.0, every_ns / horizon_ns)
    levels = np.array(EXCURSION_LEVELS)
    return _track(ratio, quantiles, np.ascontiguousarray(lower), levels, origin_ns, horizon_ns, gain)


@compiled
def _track(
    ratio: FloatArray, quantiles: FloatArray, lower: FloatArray, levels: FloatArray, origin_ns: Ints, horizon_ns: int,
    gain: float,
) -> FloatArray:  # fmt: skip
    """Answered quantiles, shape (n, k); ``ended`` counts the windows that have been learned from."""
    offset, answered, ended = np.zeros(len(levels)), np.empty_like(quantiles), 0
    is_own = np.zeros(quantiles.shape, dtype=np.bool_)
    for t in range(len(ratio)):
        while origin_ns[ended] + horizon_ns <= origin_ns[t]:
            if np.isfinite(ratio[ended]):
                for k in range(len(levels)):
                    miss = 1.0 - levels[k] if is_own[ended, k] else 0.0
                    offset[k] += gain * ((ratio[ended] > answered[ended, k]) - miss)
            ended += 1
        highest = 0.0
        for k in range(len(levels)):
            own = quantiles[t, k] * np.exp(offset[k])
            highest = max(highest, lower[t, k])
            is_own[t, k] = own >= highest
            highest = max(highest, own)
            answered[t, k] = highest
    return answered
