"""From weighted sensitivities to the margin of one measure: within buckets, across them, curvature."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from features.errors import ForecastError
from serving.margin.sensitivity.calibration import Rules
from serving.margin.sensitivity.factors import Frame, Weighted, by_bucket, frame, weigh
from serving.margin.sensitivity.records import Factor

FloatArray = NDArray[np.float64]
CURVATURE_QUANTILE: Final = float(ndtri(0.995)) ** 2 - 1  # square of a normal at 99.5 %, less its mean


@dataclass(frozen=True, slots=True)
class Bucket:
    r"""One bucket: ``spread`` is its margin :math:`K_b`, ``total`` the sum of its weighted sensitivities."""

    name: str
    rows: Weighted
    spread: float
    total: float

    @property
    def clamped(self) -> float:
        r""":math:`S_b = \max(\min(\sum_k WS_k, K_b), -K_b)`."""
        return max(min(self.total, self.spread), -self.spread)


def quadratic(values: FloatArray, rho: FloatArray) -> float:
    r"""Square root of :math:`\sum_{kl} \rho_{kl} v_k v_l`, at least 0; summed in a fixed order.

    Correlations that are not positive semi-definite, or rounding, can make the sum negative.

    Examples
    --------
    >>> quadratic(np.array([3.0, 4.0]), np.eye(2))
    5.0
    """
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        terms = np.ascontiguousarray(rho * (values[:, None] * values[None, :]))
        total = float(np.add.reduce(terms.ravel()))
    if not math.isfinite(total):
        raise ForecastError("sensitivity margin: the weighted sensitivities overflow; correct their units")
    return math.sqrt(max(total, 0.0))


def fill(name: str, own: Frame, amounts: FloatArray, rules: Rules, curvature: bool) -> Bucket:
    r"""Aggregate one bucket.

    .. math:: K_b = \sqrt{\sum_{kl} \rho_{kl} f_{kl} WS_k WS_l}, \qquad
              f_{kl} = \frac{\min(CR_k, CR_l)}{\max(CR_k, CR_l)}

    Curvature squares the correlations.
    """
    rows, rho = weigh(own, amounts), own.rho
    if curvature:
        rho = rho**2
    elif rules.thresholds and rules.concentrated_by == "name":
        rho = rho * ratio(rows.concentration)
    return Bucket(name, rows, quadratic(rows.weighted, rho), math.fsum(rows.weighted))


def ratio(sizes: FloatArray) -> FloatArray:
    """Smaller over larger of each pair, shape (n, n): far apart sizes diversify less."""
    return np.minimum(sizes[:, None], sizes[None, :]) / np.maximum(sizes[:, None], sizes[None, :])


def across(buckets: Sequence[Bucket], rules: Rules) -> float:
    r"""Delta or vega margin of the buckets.

    .. math:: \sqrt{\sum_b K_b^2 + \sum_{b \neq c} \gamma_{bc} \, g_{bc} \, S_b S_c} + \sum_{residual} K_b
    """
    usual, residual = _parted(buckets, rules)
    if not usual:
        return residual
    gamma = _gamma(usual, rules)
    if rules.thresholds and rules.concentrated_by == "bucket":
        gamma = gamma * ratio(np.array([float(bucket.rows.concentration.max()) for bucket in usual]))
    return math.sqrt(_square(usual, gamma)) + residual


def curved(buckets: Sequence[Bucket], rules: Rules) -> float:
    r"""Curvature margin of the buckets; residual buckets by themselves, the same way.

    .. math:: \max\left(0, \sum CVR + \lambda \sqrt{\sum_b K_b^2 + \sum_{b \neq c} \gamma_{bc}^2 S_b S_c}\right),
              \quad \lambda = (\Phi^{-1}(0.995)^2 - 1)(1 + \theta) - \theta,
              \quad \theta = \min\left(0, \frac{\sum CVR}{\sum |CVR|}\right)
    """
    usual, _ = _parted(buckets, rules)
    alone = [bucket for bucket in buckets if bucket.name in rules.residual]
    margin = _bent(usual, math.sqrt(_square(usual, _gamma(usual, rules) ** 2))) if usual else 0.0
    return margin + math.fsum(_bent([bucket], bucket.spread) for bucket in alone)


def _bent(buckets: Sequence[Bucket], spread: float) -> float:
    values = [float(value) for bucket in buckets for value in bucket.rows.weighted]
    total, size = math.fsum(values), math.fsum(map(abs, values))
    theta = min(total / size, 0.0) if size else 0.0
    return max(0.0, total + (CURVATURE_QUANTILE * (1 + theta) - theta) * spread)


def _parted(buckets: Sequence[Bucket], rules: Rules) -> tuple[list[Bucket], float]:
    usual = [bucket for bucket in buckets if bucket.name not in rules.residual]
    return usual, math.fsum(bucket.spread for bucket in buckets if bucket.name in rules.residual)


def _gamma(buckets: Sequence[Bucket], rules: Rules) -> FloatArray:
    at = np.array([rules.across.index(bucket.name, "bucket") for bucket in buckets])
    gamma: FloatArray = rules.across.values[at[:, None], at[None, :]]
    return gamma


def _square(buckets: Sequence[Bucket], gamma: FloatArray) -> float:
    """Sum of squares of the buckets' margins and of the products of their clamped totals."""
    spread, clamped = np.array([b.spread for b in buckets]), np.array([b.clamped for b in buckets])
    terms = gamma * (clamped[:, None] * clamped[None, :])
    np.fill_diagonal(terms, spread**2)
    return max(float(np.add.reduce(np.ascontiguousarray(terms).ravel())), 0.0)


def measure_margin(amounts: Mapping[Factor, float], rules: Rules, curvature: bool) -> tuple[float, list[Bucket]]:
    """Margin of one measure from its net amounts, and its buckets."""
    grouped = by_bucket(amounts)
    buckets = [fill(name, frame(own, rules), values, rules, curvature) for name, (own, values) in grouped.items()]
    return combined(buckets, rules, curvature), buckets


def combined(buckets: Sequence[Bucket], rules: Rules, curvature: bool) -> float:
    """Margin of one measure from its buckets."""
    return rules.multiplier * (curved(buckets, rules) if curvature else across(buckets, rules))
