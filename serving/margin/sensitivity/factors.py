"""From net amounts to weighted sensitivities and their correlations, as arrays; one bucket at a time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import SettingError
from serving.margin.sensitivity.calibration import Rules, looked_up
from serving.margin.sensitivity.records import Factor

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frame:
    """What of a bucket does not depend on the amounts: shapes (n,) and (n, n).

    ``sizes``: for each name (or the whole bucket) the rows whose amounts add up to
    its size, and the threshold of that size.
    """

    factors: tuple[Factor, ...]
    weights: FloatArray
    scale: FloatArray
    rho: FloatArray
    sizes: tuple[tuple[tuple[int, ...], float], ...]


@dataclass(frozen=True, slots=True)
class Weighted:
    """Factors of one bucket: amounts, concentration factors (>= 1) and weighted sensitivities, shape (n,) each."""

    factors: tuple[Factor, ...]
    amounts: FloatArray
    concentration: FloatArray
    weighted: FloatArray


def frame(factors: Sequence[Factor], rules: Rules) -> Frame:
    """Weights, correlations and thresholds of the factors of one bucket.

    Raises
    ------
    SettingError
        If the calibration does not know a factor.
    """
    groups = [group_of(factor, rules) for factor in factors]
    pairs = list(zip(groups, factors, strict=True))
    weights = np.array([looked_up(rules.weights, group, factor[2], "weight") for group, factor in pairs])
    scale = np.ones(len(factors))
    if rules.scale:
        scale = np.array([looked_up(rules.scale, group, factor[2], "scale") for group, factor in pairs])
    return Frame(tuple(factors), weights, scale, correlation(factors, rules), _sizes(factors, rules))


def weigh(own: Frame, amounts: FloatArray) -> Weighted:
    r"""Weighted sensitivities of one bucket.

    .. math:: WS_k = RW_k \, s_k \, CR_k, \qquad CR = \max\left(1, \sqrt{|\textstyle\sum_j s_j| / T}\right)

    where :math:`s` is the scaled amount and the sum runs over the factors of one
    name, or of the whole bucket, as the rules say.
    """
    scaled = amounts * own.scale
    concentration = np.ones(len(amounts))
    for rows, threshold in own.sizes:
        size = abs(math.fsum(float(scaled[row]) for row in rows))
        concentration[list(rows)] = max(1.0, math.sqrt(size / threshold))
    return Weighted(own.factors, amounts, concentration, own.weights * scaled * concentration)


def group_of(factor: Factor, rules: Rules) -> str:
    """Group that a factor's weight and correlations are stated for."""
    return rules.groups.get(factor[1], factor[0])


def _sizes(factors: Sequence[Factor], rules: Rules) -> tuple[tuple[tuple[int, ...], float], ...]:
    if not rules.thresholds:
        return ()
    found: dict[str, list[int]] = {}
    for row, factor in enumerate(factors):
        if factor[2] not in rules.unconcentrated:
            found.setdefault(factor[0] if rules.concentrated_by == "bucket" else factor[1], []).append(row)
    # Where the names of a bucket have different thresholds, the smallest counts: it charges most.
    return tuple((tuple(rows), min(_threshold(factors[row], rules) for row in rows)) for rows in found.values())


def _threshold(factor: Factor, rules: Rules) -> float:
    group = rules.size_groups.get(factor[1], group_of(factor, rules))
    if group not in rules.thresholds:
        raise SettingError(f"calibration: no threshold for {group!r} ({factor[1]}); add it or map the name")
    return rules.thresholds[group]


def correlation(factors: Sequence[Factor], rules: Rules) -> FloatArray:
    r"""Correlations between the factors of one bucket, shape (n, n).

    .. math:: \rho_{kl} = \rho^{name}_{kl} \, \rho^{tenor}_{kl} \, \rho^{curve}_{kl}, \qquad \rho_{kk} = 1
    """
    groups = [group_of(factor, rules) for factor in factors]
    at = np.array([rules.names_differ.index(group, "group") for group in groups])
    names = [factor[1] if rules.same_by == "qualifier" else factor[3] for factor in factors]
    same = np.array([[a == b for b in names] for a in names])
    own = np.array([rules.names_same.get(group, 1.0) for group in groups])
    between = rules.names_differ.values[at[:, None], at[None, :]]
    names_rho = np.where(same, np.minimum(own[:, None], own[None, :]), between)
    rho: FloatArray = names_rho * _tenors(factors, rules) * _curves(factors, rules.curves)
    np.fill_diagonal(rho, 1.0)
    return rho


def _tenors(factors: Sequence[Factor], rules: Rules) -> FloatArray | float:
    if not rules.tenors.names:
        return 1.0
    at = np.array([rules.tenors.index(factor[2], "tenor") for factor in factors])
    found: FloatArray = rules.tenors.values[at[:, None], at[None, :]]
    return found


def _curves(factors: Sequence[Factor], curves: float) -> FloatArray | float:
    """Where both factors name a curve and not the same."""
    if curves == 1.0:
        return 1.0
    pairs: FloatArray = np.array(
        [[curves if a[3] and b[3] and a[3] != b[3] else 1.0 for b in factors] for a in factors], dtype=np.float64
    )
    return pairs


def by_bucket(amounts: Mapping[Factor, float]) -> dict[str, tuple[list[Factor], FloatArray]]:
    """Factors and amounts of each bucket."""
    found: dict[str, list[Factor]] = {}
    for factor in amounts:
        found.setdefault(factor[0], []).append(factor)
    return {bucket: (own, np.array([amounts[factor] for factor in own])) for bucket, own in found.items()}
