"""The aggregation of one measure once more, in plain loops over the published formulas."""

import math
from statistics import NormalDist

from serving.margin.sensitivity.calibration import Rules
from serving.margin.sensitivity.records import Sensitivity

Factor = tuple[str, str, str, str]


def amounts(sensitivities: list[Sensitivity], rules: Rules) -> dict[Factor, float]:
    """Net amount of each factor."""
    found: dict[Factor, float] = {}
    for one in sensitivities:
        first = one.label1 if "label1" in rules.labels else ""
        second = one.label2 if "label2" in rules.labels else ""
        key = (one.bucket, one.qualifier, first, second)
        found[key] = found.get(key, 0.0) + one.amount
    return found


def _group(factor: Factor, rules: Rules) -> str:
    return rules.groups.get(factor[1], factor[0])


def _entry(matrix: object, one: str, other: str) -> float:
    names = matrix.names  # type: ignore[attr-defined]
    return float(matrix.values[names.index(one), names.index(other)])  # type: ignore[attr-defined]


def _concentration(factor: Factor, net: dict[Factor, float], rules: Rules) -> float:
    if not rules.thresholds or factor[2] in rules.unconcentrated:
        return 1.0
    size, threshold = 0.0, math.inf
    for other, amount in net.items():
        together = other[0] == factor[0] and (rules.concentrated_by == "bucket" or other[1] == factor[1])
        if together and other[2] not in rules.unconcentrated:
            size += amount * _scale(other, rules)
            threshold = min(threshold, rules.thresholds[rules.size_groups.get(other[1], _group(other, rules))])
    return max(1.0, math.sqrt(abs(size) / threshold))


def _scale(factor: Factor, rules: Rules) -> float:
    return rules.scale[_group(factor, rules), "*"] if rules.scale else 1.0


def _rho(one: Factor, other: Factor, rules: Rules) -> float:
    if one == other:
        return 1.0
    if one[1] == other[1]:
        rho = rules.names_same.get(_group(one, rules), 1.0)
    else:
        rho = _entry(rules.names_differ, _group(one, rules), _group(other, rules))
    if rules.tenors.names:
        rho *= _entry(rules.tenors, one[2], other[2])
    if one[3] and other[3] and one[3] != other[3]:
        rho *= rules.curves
    return rho


def _weighted(net: dict[Factor, float], ratio: dict[Factor, float], rules: Rules) -> dict[Factor, float]:
    found = {}
    for factor, amount in net.items():
        group = _group(factor, rules)
        weight = rules.weights.get((group, factor[2]), rules.weights.get((group, "*"), math.nan))
        found[factor] = weight * _scale(factor, rules) * amount * ratio[factor]
    return found


def _spread(own: dict[Factor, float], ratio: dict[Factor, float], rules: Rules, curvature: bool) -> float:
    square = 0.0
    for one, mine in own.items():
        for other, yours in own.items():
            rho = _rho(one, other, rules)
            if curvature:
                rho = rho**2
            elif rules.concentrated_by == "name":
                rho *= min(ratio[one], ratio[other]) / max(ratio[one], ratio[other])
            square += rho * mine * yours
    return math.sqrt(max(square, 0.0))


def _gamma(one: str, other: str, ratio: dict[Factor, float], rules: Rules, curvature: bool) -> float:
    gamma = _entry(rules.across, one, other)
    if curvature:
        return gamma**2
    if rules.concentrated_by == "bucket":
        sizes = [max(r for f, r in ratio.items() if f[0] == bucket) for bucket in (one, other)]
        gamma *= min(sizes) / max(sizes)
    return gamma


def margin(sensitivities: list[Sensitivity], rules: Rules, curvature: bool = False) -> float:
    """Margin of one measure."""
    net = amounts(sensitivities, rules)
    ratio = {f: _concentration(f, net, rules) for f in net}
    weighted = _weighted(net, ratio, rules)
    owns = {bucket: {f: w for f, w in weighted.items() if f[0] == bucket} for bucket in {f[0] for f in net}}
    spread = {bucket: _spread(own, ratio, rules, curvature) for bucket, own in owns.items()}
    clamped = {b: max(min(sum(own.values()), spread[b]), -spread[b]) for b, own in owns.items()}
    usual = [b for b in spread if b not in rules.residual]
    whole = sum(spread[b] ** 2 for b in usual)
    for one in usual:
        for other in usual:
            if one != other:
                whole += _gamma(one, other, ratio, rules, curvature) * clamped[one] * clamped[other]
    root = math.sqrt(max(whole, 0.0))
    residual = [b for b in owns if b in rules.residual]
    if not curvature:
        return rules.multiplier * (root + sum(spread[b] for b in residual))
    bent = _bent([w for b in usual for w in owns[b].values()], root)
    return rules.multiplier * (bent + sum(_bent(list(owns[b].values()), spread[b]) for b in residual))


def _bent(values: list[float], spread: float) -> float:
    size = sum(abs(v) for v in values)
    theta = min(sum(values) / size, 0.0) if size else 0.0
    scale = (NormalDist().inv_cdf(0.995) ** 2 - 1) * (1 + theta) - theta
    return max(0.0, sum(values) + scale * spread)
