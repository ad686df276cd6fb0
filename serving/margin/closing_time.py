r"""Loss over the time that closing takes: every scenario once more, with the range as wide as it is by then.

A loss that is convex in the move (short options) grows faster than the range, so that scaling it would say too
little. The scenarios are therefore valued again at a few growths of the range, and between them

.. math::

   L(g) \approx \max\Bigl(L_0 + \frac{g - g_0}{g_1 - g_0} (L_1 - L_0), \min\bigl(\frac{g}{g_0} L_0, L_1\bigr)\Bigr):

the chord lies above what is convex; what is concave (options bought, which are worth nothing at worst) is below the
proportion and below its loss at the wider range. A loss never shrinks as the range grows.
"""

from dataclasses import replace
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios import scenarios_of
from serving.margin.scenarios.scenario_set import ScenarioSet, joined

FloatArray = NDArray[np.float64]
GROWTHS: Final = (sqrt(2.0), 2.0, 4.0, 8.0, 32.0)
_GROWTHS: Final = np.array(GROWTHS)


def wider_scenarios(ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    """Every scenario at every growth of the range, growth by growth."""
    grown = (replace(ranges, down=np.minimum(ranges.down * g, 1.0), up=ranges.up * g) for g in GROWTHS)
    return joined([scenarios_of(wide, policy) for wide in grown])


@compiled
def losses_by_growth(pnl: FloatArray) -> FloatArray:
    """Worst loss at every growth, not negative; NaN where a profit is none.

    Parameters
    ----------
    pnl : array of shape (growths * s, u), profit of one account.

    Returns
    -------
    losses : array of shape (growths, u).
    """
    growths = _GROWTHS.size
    scenarios = pnl.shape[0] // growths
    out = np.zeros((growths, pnl.shape[1]))
    for u in range(pnl.shape[1]):
        for row in range(pnl.shape[0]):
            loss = -pnl[row, u]
            if loss > out[row // scenarios, u] or np.isnan(loss):  # nothing is larger than NaN: it stays
                out[row // scenarios, u] = loss
    return out


@compiled
def added_by_time(losses: FloatArray, wider: FloatArray, growth: FloatArray) -> FloatArray:
    """What a range that has grown adds to each underlying's loss, shape (u,).

    Parameters
    ----------
    losses : array of shape (u,), at the range itself.
    wider : array of shape (growths, u), at the growths of ``GROWTHS``.
    growth : array of shape (u,), range over the time that closing takes, relative to the range; at least 1.

    Notes
    -----
    Beyond the last growth the loss goes on as on the last chord.
    """
    added = np.zeros(losses.size)
    for u in range(losses.size):
        before, loss = 1.0, losses[u]
        for k in range(_GROWTHS.size):
            if growth[u] <= before:
                break
            then, reached = _GROWTHS[k], max(wider[k, u], loss)
            beyond = k + 1 == _GROWTHS.size and growth[u] > then
            share = (
                (growth[u] - before) / (then - before) if beyond else min((growth[u] - before) / (then - before), 1.0)
            )
            chord = loss + share * (reached - loss)
            added[u] = max(chord, min(loss * growth[u] / before, reached)) - losses[u]
            before, loss = then, reached
    return added
