"""The aggregation under the shipped calibration as one compiled loop, for the figure before a trade."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.sensitivity.aggregate import CURVATURE_QUANTILE
from serving.margin.sensitivity.crypto import BASIS, CLASS, CryptoCalibration
from serving.margin.sensitivity.crypto_correlations import LABELS, TOGETHER
from serving.margin.sensitivity.crypto_groups import BUCKETS, bucket_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
DELTA, BASIS_COLUMN, CURVATURE, FIRST_VEGA = 0, 1, 2, 3  # columns of an account's sums


@dataclass(frozen=True, slots=True)
class Tables:
    """The calibration of u underlyings as arrays.

    ``weights``, shape (u, 3 + vertices): of each column of an account's sums. ``bucket``, shape (u,).
    ``names``, shape (3, u, u), and ``across``, shape (3, buckets, buckets): low, medium and high correlations.
    ``tenors``, shape (vertices, vertices).
    """

    weights: FloatArray
    bucket: IntArray
    names: FloatArray
    across: FloatArray
    tenors: FloatArray


def tables(calibration: CryptoCalibration) -> Tables:
    """Arrays of a calibration."""
    all_rules = [calibration.rules[word].rules for word in TOGETHER]
    names, first = calibration.ranges.underlyings, all_rules[0]
    flat = [first[CLASS]["delta"].weights, first[BASIS]["delta"].weights, first[CLASS]["curvature"].weights]
    vega = first[CLASS]["vega"]
    return Tables(
        np.array([[*(t[name, "*"] for t in flat), *(vega.weights[name, label] for label in LABELS)] for name in names]),
        np.array([BUCKETS.index(bucket_of(name)) for name in names], dtype=np.int64),
        np.array([rules[CLASS]["delta"].names_differ.values for rules in all_rules]),
        np.array([rules[CLASS]["delta"].across.values for rules in all_rules]),
        np.ascontiguousarray(vega.tenors.values),
    )


@compiled
def _sums(x: FloatArray, bucket: IntArray, rho: FloatArray, tenors: FloatArray, squared: bool, out: FloatArray) -> None:
    """Square of each bucket's margin and the total of its weighted sensitivities; ``out`` has shape (2, buckets)."""
    out[:] = 0.0
    for u in range(x.shape[0]):
        for i in range(x.shape[1]):
            if x[u, i] == 0.0:
                continue
            out[1, bucket[u]] += x[u, i]
            row = 0.0
            for v in range(x.shape[0]):
                if bucket[v] == bucket[u]:
                    inner = 0.0
                    for j in range(x.shape[1]):
                        inner += tenors[i, j] * x[v, j]
                    row += (rho[u, v] * rho[u, v] if squared else rho[u, v]) * inner
            out[0, bucket[u]] += x[u, i] * row


@compiled
def _across(sums: FloatArray, gamma: FloatArray, squared: bool) -> float:
    """Margin of the buckets together."""
    total = 0.0
    for b in range(gamma.shape[0]):
        total += max(sums[0, b], 0.0)
    for b in range(gamma.shape[0]):
        spread = math.sqrt(max(sums[0, b], 0.0))
        clamped = max(min(sums[1, b], spread), -spread)
        for c in range(b):
            other = math.sqrt(max(sums[0, c], 0.0))
            shared = gamma[b, c] * gamma[b, c] if squared else gamma[b, c]
            total += 2.0 * shared * clamped * max(min(sums[1, c], other), -other)
    return math.sqrt(max(total, 0.0))


@compiled
def _curved(x: FloatArray, spread: float, quantile: float) -> float:
    """Curvature margin of weighted curvatures whose diversified size is ``spread``."""
    total = size = 0.0
    for u in range(x.shape[0]):
        total += x[u, 0]
        size += abs(x[u, 0])
    theta = min(total / size, 0.0) if size > 0.0 else 0.0
    return max(0.0, total + (quantile * (1.0 + theta) - theta) * spread)


@compiled
def _worst(
    amounts: FloatArray, weights: FloatArray, bucket: IntArray, names: FloatArray, across: FloatArray,
    tenors: FloatArray, quantile: float,
) -> float:  # fmt: skip
    """Largest margin of the three sets of correlations."""
    x, single, worst = amounts * weights, np.ones((1, 1)), 0.0
    sums = np.empty((2, across.shape[1]))
    for word in range(names.shape[0]):
        rho, gamma, margin = names[word], across[word], 0.0
        _sums(x[:, 0:1], bucket, rho, single, False, sums)
        margin += _across(sums, gamma, False)
        _sums(x[:, 3:], bucket, rho, tenors, False, sums)
        margin += _across(sums, gamma, False)
        _sums(x[:, 2:3], bucket, rho, single, True, sums)
        margin += _curved(x[:, 2:3], _across(sums, gamma, True), quantile)
        _sums(x[:, 1:2], bucket, rho, single, False, sums)
        basis = _across(sums, gamma, False)
        worst = max(worst, math.sqrt(margin**2 + basis**2))
    return worst


def worst_total(amounts: FloatArray, own: Tables) -> float:
    """Sensitivity margin of sums, shape (u, 3 + vertices): delta, basis, curvature, then vega by vertex."""
    found: float = _worst(
        amounts, own.weights, own.bucket, own.names, own.across, own.tenors, CURVATURE_QUANTILE
    )  # fmt: skip
    return found
