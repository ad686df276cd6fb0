r"""Worst loss over the scenarios, and what the underlyings' diversification may take off it.

.. math::

   scan = \sum_u \max_s loss_{s,u}, \quad
   credit = scan \cdot \min\Bigl(cap, 1 - \max_{law} \frac{ES(\sum_u loss^{law}_u)}{\sum_u ES(loss_u)}\Bigr)

Each underlying meets its own worst scenario: a profit in one does not pay for a
loss in another. What they offset is read off the joint paths only, under history
and under correlations of 1 and 0, the worst of which counts, and is capped.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.margin.paths import JointPaths, shortfall, tail_rows
from serving.margin.policy import PathPolicy

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TIE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class ScanLoss:
    """Losses of one account over one period of risk, USD.

    ``worst``, shape (u,): scenario of each underlying's worst loss, -1 where it loses in none.
    ``losses``, shape (u,): that loss. ``credit``: taken off for diversification. ``excess``: by which
    the joint paths' shortfall is above what is left. ``law``: whose paths bound last.
    """

    worst: IntArray
    losses: FloatArray
    credit: float
    excess: float
    law: str

    @property
    def total(self) -> float:
        """What the scan asks for."""
        return float(np.add.reduce(self.losses)) - self.credit + self.excess


def scan_loss(pnl: FloatArray, paths_pnl: FloatArray | None, paths: JointPaths | None, policy: PathPolicy) -> ScanLoss:
    """Worst scenario per underlying, credit and the joint paths' floor.

    Parameters
    ----------
    pnl : array of shape (s, u), USD profit by scenario and underlying.
    paths_pnl : array of shape (paths, u), the same on the paths; None where there are none.
    """
    # Scenarios that lose the same up to rounding: the first, which is the plainest, is named.
    lowest = np.min(pnl, axis=0)
    worst = np.argmax(pnl <= lowest + TIE * np.abs(lowest), axis=0)
    losses = np.maximum(-pnl[worst, np.arange(pnl.shape[1])], 0.0)
    worst = np.where(losses > 0, worst, -1)
    if paths is None or paths_pnl is None:
        return ScanLoss(worst, losses, 0.0, 0.0, "")
    joint = {law: shortfall(joined_losses(paths_pnl, order), policy.es_level) for law, order in paths.orders.items()}
    law = max(joint, key=lambda name: joint[name])
    credit = _credit(losses, paths_pnl, joint[law], paths, policy)
    left = float(np.add.reduce(losses)) - credit
    return ScanLoss(worst, losses, credit, max(joint[law] - left, 0.0), law)


def joined_losses(paths_pnl: FloatArray, order: IntArray) -> FloatArray:
    """Loss of the whole account on each joint path, shape (paths,)."""
    total = np.zeros(len(paths_pnl))
    for u in range(paths_pnl.shape[1]):
        total -= paths_pnl[order[:, u], u]
    return total


def _credit(losses: FloatArray, paths_pnl: FloatArray, joint: float, paths: JointPaths, policy: PathPolicy) -> float:
    """Offset between underlyings that all have paths; none where only one loses anything."""
    apart = np.array([shortfall(-paths_pnl[:, u], policy.es_level) for u in range(paths_pnl.shape[1])])
    apart = np.where(paths.covered, np.maximum(apart, 0.0), 0.0)
    whole = float(np.add.reduce(apart))
    if whole <= 0.0:
        return 0.0
    share = min(policy.credit_cap, max(1.0 - joint / whole, 0.0))
    return share * float(np.add.reduce(np.where(paths.covered, losses, 0.0)))


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
