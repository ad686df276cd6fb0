r"""Worst loss over the scenarios, and what the underlyings' diversification may take off it.

.. math::

   scan = \sum_u L_u, \quad L_u = \max_s loss_{s,u}, \quad
   credit = \min\Bigl(cap, 1 - \max_{law} \frac{ES(\sum_u loss^{law}_u)}{\sum_u ES_u}\Bigr) \sum_u \min(L_u, ES_u)

Each underlying meets its own worst scenario: a profit in one does not pay for a
loss in another. What they offset is read off the joint paths only, under history
and under correlations of 1 and 0, the worst of which counts, and is capped; it is never
more dollars than the paths show, so that a loss that they do not see earns no credit.
Where there are no paths, a share of the scan stands for what they might have asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import ForecastError
from serving.margin.closing_time import losses_by_growth
from serving.margin.paths import JointPaths, shortfall, tail_rows
from serving.margin.policy import PathPolicy

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TIE: Final = 1e-12
MISSING: Final = "missing"


@dataclass(frozen=True, slots=True)
class ScanLoss:
    """Losses of one account over one period of risk, USD.

    ``worst``, shape (u,): scenario of each underlying's worst loss, -1 where it loses in none.
    ``losses``, shape (u,): that loss; ``wider``, shape (growths, u): where the range has grown.
    ``credit``: taken off for diversification. ``excess``: by which the joint paths' shortfall is above
    what is left, and what stands in for paths that are missing. ``law``: whose paths are the worst.
    """

    worst: IntArray
    losses: FloatArray
    wider: FloatArray
    credit: float
    excess: float
    law: str

    @property
    def total(self) -> float:
        """What the scan asks for."""
        return float(np.add.reduce(self.losses)) - self.credit + self.excess


@dataclass(frozen=True, slots=True)
class Profits:
    """USD profit of one account by underlying.

    ``grid``: by scenario, shape (s, u); ``wider``: by growth of the range and scenario, shape (growths * s, u);
    ``paths``: by joint path.
    """

    grid: FloatArray
    wider: FloatArray
    paths: FloatArray | None


def scan_loss(
    held: Profits,
    paths: JointPaths | None,
    policy: PathPolicy,
    filled: Profits | None = None,
    fills: Sequence[FloatArray] = (),
) -> ScanLoss:
    """Worst scenario per underlying, credit and the joint paths' floor.

    Parameters
    ----------
    held : of the positions.
    filled : of positions and orders, each of which fills where that hurts; None without orders.
    fills : on the paths, of the positions with all orders filled, with the buying, with the selling ones: the
        credit is the smallest of theirs and of the positions'.

    Raises
    ------
    ForecastError
        If a profit is not finite.
    """
    all_in = held if filled is None else filled
    worst, losses = _worst(all_in.grid)
    wider = losses_by_growth(all_in.wider)
    whole = float(np.add.reduce(losses))
    if not (isfinite(whole) and isfinite(float(wider.sum()))):
        raise ForecastError("a profit in a scenario is not finite; no margin is made of it: correct market and policy")
    if paths is None or all_in.paths is None or held.paths is None:
        return ScanLoss(worst, losses, wider, 0.0, policy.missing_frac * whole, MISSING)
    joint = _joint(all_in.paths, paths, policy)
    law = max(joint, key=lambda name: joint[name])
    credit = min(_credit(losses, pnl, paths, policy) for pnl in (held.paths, *fills))
    left = float(np.add.reduce(losses[paths.covered])) - credit
    unseen = policy.missing_frac * float(np.add.reduce(losses[~paths.covered]))
    return ScanLoss(worst, losses, wider, credit, max(joint[law] - left, 0.0) + unseen, law)


@compiled
def _worst(pnl: FloatArray) -> tuple[IntArray, FloatArray]:
    """Scenario and size of each underlying's worst loss; -1 and 0 where it loses in none, NaN where one is none.

    Of scenarios that lose the same up to rounding the first, which is the plainest, is named.
    """
    worst, losses = np.full(pnl.shape[1], -1, dtype=np.int64), np.zeros(pnl.shape[1])
    for u in range(pnl.shape[1]):
        for s in range(pnl.shape[0]):
            loss = -pnl[s, u]
            if not abs(loss) < np.inf:
                losses[u] = np.nan
                break
            if loss > losses[u] * (1.0 + TIE):
                worst[u], losses[u] = s, loss
    return worst, losses


def _joint(paths_pnl: FloatArray, paths: JointPaths, policy: PathPolicy) -> dict[str, float]:
    """Shortfall of the whole account under every law."""
    return {law: shortfall(joined_losses(paths_pnl, order), policy.es_level) for law, order in paths.orders.items()}


@compiled
def joined_losses(paths_pnl: FloatArray, order: IntArray) -> FloatArray:
    """Loss of the whole account on each joint path, shape (paths,)."""
    total = np.zeros(paths_pnl.shape[0])
    for k in range(paths_pnl.shape[0]):
        for u in range(paths_pnl.shape[1]):
            total[k] -= paths_pnl[order[k, u], u]
    return total


def _credit(losses: FloatArray, paths_pnl: FloatArray, paths: JointPaths, policy: PathPolicy) -> float:
    """Offset between underlyings that have paths; nothing from paths that only hold the requirement up."""
    if not paths.fresh:
        return 0.0
    apart = np.array([shortfall(-paths_pnl[:, u], policy.es_level) for u in range(paths_pnl.shape[1])])
    apart = np.where(paths.covered, np.maximum(apart, 0.0), 0.0)
    whole = float(np.add.reduce(apart))
    if whole <= 0.0:
        return 0.0
    joint = max(_joint(paths_pnl, paths, policy).values())
    share = min(policy.credit_cap, max(1.0 - joint / whole, 0.0))
    return share * float(np.add.reduce(np.minimum(losses, apart)))


def path_contributions(position_pnl: FloatArray, underlying: IntArray, order: IntArray, level: float) -> FloatArray:
    """Mean loss of each position on the worst joint paths: Euler's allocation of the shortfall, shape (p,).

    Parameters
    ----------
    position_pnl : array of shape (paths, p), USD profit of each position on its underlying's rows.
    order : array of shape (paths, u), the law's rows.
    """
    aligned = np.column_stack([position_pnl[order[:, u], p] for p, u in enumerate(underlying)])
    total = np.zeros(len(aligned))
    for p in range(aligned.shape[1]):
        total -= aligned[:, p]
    rows, weights = tail_rows(total, level)
    mean: FloatArray = -np.add.reduce(aligned[rows] * weights[:, None], axis=0)
    return mean
