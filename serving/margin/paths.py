"""Joint paths: what all underlyings do together, by filtered historical simulation and under stressed correlation."""

from dataclasses import dataclass
from hashlib import sha256
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.margin.objects import Residuals
from serving.margin.policy import PathPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.scenario_set import ScenarioSet, scenario_set

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
NORMAL_99: Final = 2.326
SCRAMBLES: Final = 3  # tries of independence: one is a single draw


@dataclass(frozen=True, slots=True)
class JointPaths:
    """Paths of the underlyings and the laws by which their moves are joined.

    ``scenarios``: one a row of residuals, in their order of time. ``covered``, shape (u,): which
    underlyings have residuals; the others get no credit for diversification. ``orders``: by name of
    the law, for each underlying the row that it takes in each path, shape (paths, u). ``fresh``: whether the
    residuals' forecast has not expired; paths that have hold the requirement up and give no credit.
    """

    scenarios: ScenarioSet
    covered: BoolArray
    orders: dict[str, IntArray]
    fresh: bool = True


def joint_paths(
    ranges: Ranges, residuals: Residuals | None, policy: PathPolicy, *, fresh: bool = True
) -> JointPaths | None:
    r"""Residual vectors times today's forecast volatility.

    .. math:: m_{k,u} = e^{z_{k,u} \sigma_u} - 1

    Under ``history`` each path is one date. Under ``comonotone`` (correlation 1) the
    k-th worst move of every underlying comes together; under ``independent``
    (correlation 0) the underlyings' histories are put out of step with each other, three ways.

    Returns
    -------
    paths, or None where there are no residuals or fewer than ``least_paths``: there is
    then no credit for diversification.

    References
    ----------
    Barone-Adesi, Giannopoulos & Vosper (1999), "VaR without correlations for
    portfolios of derivative securities", J. Futures Markets 19(5).
    """
    if residuals is None or len(set(residuals.rows)) < policy.least_paths:  # a row that comes again is no other date
        return None
    covered = np.array([u in residuals.names for u in ranges.underlyings]) & np.isfinite(ranges.sigma)
    taken = [residuals.names.index(u) if c else 0 for u, c in zip(ranges.underlyings, covered, strict=True)]
    drawn = np.where(covered, np.array(residuals.rows)[:, taken], 0.0)
    move = np.expm1(drawn * np.where(covered, ranges.sigma, 0.0))
    if residuals.vol_moves:
        vol = np.where(covered, np.array(residuals.vol_moves)[:, taken], 0.0)
    else:
        vol = policy.vol_response * np.abs(drawn) / NORMAL_99
    paths = scenario_set([f"path {i}" for i in range(len(move))], move, np.maximum(vol, -1.0))
    return JointPaths(paths, covered, _orders(policy.correlations, move, ranges.underlyings), fresh)


def _orders(laws: tuple[str, ...], move: FloatArray, names: tuple[str, ...]) -> dict[str, IntArray]:
    """Which row each underlying takes in each path under every law, shape (paths, u)."""
    count = len(move)
    rows = np.repeat(np.arange(count)[:, None], len(names), axis=1)
    found: dict[str, IntArray] = {}
    for law in laws:
        if law == "independent":
            for salt in range(SCRAMBLES):
                columns = [_scrambled(f"{salt} {name}", count) for name in names]
                found[f"{law} {salt + 1}"] = np.stack(columns, axis=1) if columns else rows
        else:
            found[law] = np.argsort(move, axis=0, kind="stable") if law == "comonotone" else rows
    return found


def _scrambled(name: str, count: int) -> IntArray:
    r"""Rows in an order that hangs on the name alone, so that listing another underlying changes nothing.

    .. math:: k \mapsto (a k + b) \bmod n, \quad \gcd(a, n) = 1
    """
    digest = int(sha256(name.encode()).hexdigest()[:24], 16)
    step, start = (digest >> 48) % count, (digest & (2**48 - 1)) * count >> 48
    while gcd(step, count) != 1:
        step += 1
    return (start + step * np.arange(count)) % count


def shortfall(losses: FloatArray, level: float) -> float:
    r"""Mean of the worst (1 - level) share of losses, the last one counted in part.

    .. math::

       ES = \frac{1}{k} \Bigl(\sum_{i \le \lfloor k \rfloor} l_{(i)}
       + (k - \lfloor k \rfloor) \, l_{(\lfloor k \rfloor + 1)}\Bigr), \quad k = n (1 - level)

    Examples
    --------
    >>> shortfall(np.arange(1.0, 11.0), 0.75)
    9.2
    """
    weights = tail_weights(len(losses), level)
    worst = np.sort(np.partition(losses, len(losses) - len(weights))[len(losses) - len(weights) :])[::-1]
    return float(np.add.reduce(worst * weights))


def tail_weights(count: int, level: float) -> FloatArray:
    """Weights of the worst losses, worst first; they add up to 1."""
    tail = max(count * (1.0 - level), 1.0)
    whole = int(tail + 1e-9)
    weights = np.ones(whole + 1)
    weights[whole] = max(tail - whole, 0.0)
    return (weights if weights[whole] > 1e-9 else weights[:whole])[:count] / tail


def tail_rows(losses: FloatArray, level: float) -> tuple[IntArray, FloatArray]:
    """Rows of the worst losses and their weights: what an expected shortfall is the mean of."""
    weights = tail_weights(len(losses), level)
    return np.argsort(-losses, kind="stable")[: len(weights)], weights
