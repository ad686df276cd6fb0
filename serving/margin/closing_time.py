r"""Loss over the time that closing takes: every scenario once more, with the range as wide as it is by then.

A loss that is convex in the move (short options) grows faster than the range, so that scaling it would say too
little. The scenarios are therefore valued again at a few growths of the range, and between them

.. math:: L(g) \approx L(g_0) + \frac{g - g_0}{g_1 - g_0} (L(g_1) - L(g_0)) \ge g \, L(1),

a chord, which lies above what is convex. What is not convex is taken as proportional: never less than before.
"""

from dataclasses import replace
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.policy import ScenarioPolicy
from serving.margin.priced_market import PricedMarket
from serving.margin.ranges import Ranges
from serving.margin.scenarios import scenarios_of
from serving.margin.units import unit_pnl

FloatArray = NDArray[np.float64]
GROWTHS: Final = (sqrt(2.0), 2.0, 4.0, 8.0)
_GROWTHS: Final = np.array(GROWTHS)


def wider_unit_pnl(market: PricedMarket, ranges: Ranges, policy: ScenarioPolicy) -> FloatArray:
    """Profit of one contract in every scenario at every growth of the range, USD, shape (growths * s, n)."""
    grown = (replace(ranges, down=np.minimum(ranges.down * g, 1.0), up=ranges.up * g) for g in GROWTHS)
    return np.concatenate([unit_pnl(market, scenarios_of(wide, policy), policy) for wide in grown])


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
    for row in range(pnl.shape[0]):
        for u in range(pnl.shape[1]):
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
    Beyond the last growth the loss goes on in proportion.
    """
    added = np.zeros(losses.size)
    for u in range(losses.size):
        before, loss = 1.0, losses[u]
        for k in range(_GROWTHS.size):
            if growth[u] <= before:
                break
            then, reached = _GROWTHS[k], max(wider[k, u], losses[u] * _GROWTHS[k], loss)
            share = min((growth[u] - before) / (then - before), 1.0)
            added[u] = loss + share * (reached - loss) - losses[u]
            before, loss = then, reached
        if growth[u] > before:
            added[u] = loss * growth[u] / before - losses[u]
    return added
