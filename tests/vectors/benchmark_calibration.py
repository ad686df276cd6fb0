"""The calibration of the published benchmark cases as an object of the aggregator."""

import functools
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from serving.margin.sensitivity.calibration import Calibration, Matrix, Rules

PARAMETERS = tomllib.loads((Path(__file__).parent / "benchmark_calibration_2_5.toml").read_text("utf-8"))
CALCULATION_CURRENCY = "USD"
DAYS = {"ten_day": 14.0, "one_day": 1.4}  # calendar days of the horizon, which curvature is stated over


@functools.cache
def calibration(horizon: str) -> Calibration:
    """All rules over ``ten_day`` or ``one_day``; concentration thresholds are of the longer horizon only."""
    psi = PARAMETERS["psi"]
    return Calibration(
        name=f"benchmark 2.5 {horizon}",
        rules={
            "rates": _rates(horizon),
            "fx": _fx(horizon),
            **{name: _credit(name, horizon) for name in ("credit_q", "credit_nonq")},
            **{name: _named(name, horizon) for name in ("equity", "commodity")},
        },
        psi=Matrix.lower(psi["names"], psi["lower"]),
    )


def _implied(horizon: str) -> float:
    """Annual volatility of a weight that is the 99 % loss over the horizon."""
    return math.sqrt(365 / DAYS[horizon]) / float(ndtri(0.99))


def _named(name: str, horizon: str) -> dict[str, Rules]:
    """Equity and commodity: one correlation a bucket, volatility from the weight of the delta."""
    own, now = PARAMETERS[name], PARAMETERS[name][horizon]
    buckets = _buckets(len(now["delta"]), name == "equity")
    fixed: dict[str, Any] = {
        "names_differ": Matrix(tuple(buckets), np.diag(own["within"])),
        "across": Matrix.lower(_usual(buckets), own["across_lower"]),
        "residual": frozenset({"Residual"}),
    }
    sigma = {(b, "*"): w * _implied(horizon) for b, w in zip(buckets, now["delta"], strict=True)}
    vol = {key: value * now["volatility_ratio"] for key, value in sigma.items()}
    return {
        "delta": Rules(
            weights=_by(buckets, now["delta"]), thresholds=_sizes(horizon, buckets, own["delta_thresholds"]), **fixed
        ),
        "vega": Rules(
            weights=_by(buckets, now["vega"]),
            scale=vol,
            thresholds=_sizes(horizon, buckets, own["vega_thresholds"]),
            **fixed,
        ),
        "curvature": Rules(weights=sigma, **fixed),
    }


def _credit(name: str, horizon: str) -> dict[str, Rules]:
    """Credit: names with tenors and curves; base correlation with the qualifying ones."""
    own, now = PARAMETERS[name], PARAMETERS[name][horizon]
    buckets = _buckets(len(now["delta"]), True)
    last = len(buckets) - 1
    fixed: dict[str, Any] = {
        "names_differ": Matrix(tuple(buckets), np.diag([own["different"]] * last + [own["residual"]])),
        "names_same": dict.fromkeys(_usual(buckets), own["same"]) | {"Residual": own["residual"]},
        "across": Matrix.lower(_usual(buckets), own["across_lower"]),
        "labels": frozenset({"label1", "label2"}),
        "residual": frozenset({"Residual"}),
        "same_by": "qualifier" if name == "credit_q" else "label2",  # the others' names are groups of pools
    }
    rules = {
        "delta": Rules(
            weights=_by(buckets, now["delta"]), thresholds=_sizes(horizon, buckets, own["delta_thresholds"]), **fixed
        ),
        "vega": Rules(
            weights=_by(buckets, now["vega"]), thresholds=_sizes(horizon, buckets, own["vega_thresholds"]), **fixed
        ),
        "curvature": Rules(weights={(bucket, "*"): 1.0 for bucket in buckets}, **fixed),
    }
    if "base" in now:
        single = Matrix.lower(["base"], [])
        rules["base"] = Rules(
            weights={("base", "*"): now["base"]},
            names_differ=Matrix(("base",), np.array([[own["base_within"]]])),
            across=single,
        )
    return rules


def _rates(horizon: str) -> dict[str, Rules]:
    """Rates: a bucket is a currency, its factors are tenors, curves, inflation and basis."""
    own, now = PARAMETERS["rates"], PARAMETERS["rates"][horizon]
    currencies = sorted(
        {c for table in (own["volatility_groups"], own["size_groups"]) for v in table.values() for c in v}
    )
    currencies += [c for c in ("BRL", "CNY", "INR", "MXN", "RUB", "QAR", "TRY", "ZAR") if c not in currencies]
    vol = _group_map(own["volatility_groups"], currencies, own["volatility_group_of_others"])
    size = _group_map(own["size_groups"], currencies, own["size_group_of_others"])
    groups = ("1", "2", "3")
    special = {(g, "inflation"): now["inflation"] for g in groups} | {(g, "basis"): now["basis"] for g in groups}
    weights = {(g, t): w for g in groups for t, w in zip(own["tenors"], now["delta"][g], strict=True)}
    extra = [[own["inflation"]] * 12, [own["basis"]] * 13]
    fixed: dict[str, Any] = {
        "names_differ": Matrix.lower(groups, [[0.0], [0.0, 0.0]]),
        "across": Matrix(tuple(currencies), np.full((len(currencies),) * 2, own["across"])),
        "groups": vol,
        "size_groups": size,
        "concentrated_by": "bucket",
        "tenors": Matrix.lower([*own["tenors"], "inflation", "basis"], [*own["tenor_lower"], *extra]),
        "labels": frozenset({"label1", "label2"}),
    }
    plain = {(g, "*"): 1.0 for g in groups}
    return {
        "delta": Rules(
            weights=weights | special,
            thresholds=_sizes(horizon, list(own["delta_thresholds"]), list(own["delta_thresholds"].values())),
            curves=own["subcurves"],
            unconcentrated=frozenset({"basis"}),
            **fixed,
        ),
        "vega": Rules(
            weights=dict.fromkeys(plain, now["vega"]),
            thresholds=_sizes(horizon, list(own["vega_thresholds"]), list(own["vega_thresholds"].values())),
            **fixed,
        ),
        "curvature": Rules(weights=plain, multiplier=now["volatility_ratio"] ** -2, **fixed),
    }


def _fx(horizon: str) -> dict[str, Rules]:
    """Currencies against the calculation currency: one bucket."""
    own, now = PARAMETERS["fx"], PARAMETERS["fx"][horizon]
    known = sorted({*own["first_size"], *own["second_size"], *own["high_volatility"], "QAR"})
    pairs = ["".join(pair) for at, a in enumerate(known) for pair in [(a, b) for b in known[at + 1 :]]]
    high = {c: c in own["high_volatility"] for c in known}
    size = {c: 0 if c in own["first_size"] else 1 if c in own["second_size"] else 2 for c in known}
    own_vol = high[CALCULATION_CURRENCY]
    regular, mixed, both = own["within"]
    vol_groups = {p: f"{high[p[:3]] + high[p[3:]]}" for p in pairs}
    sigma = {(str(g), "*"): now["delta"][g] * _implied(horizon) for g in range(3)}
    at_pair = {(0, 0): 0, (0, 1): 1, (0, 2): 2, (1, 1): 3, (1, 2): 4, (2, 2): 5}
    pair_size = {p: str(at_pair[tuple(sorted((size[p[:3]], size[p[3:]])))]) for p in pairs}  # type: ignore[index]
    single = Matrix.lower(["fx"], [])
    vols = Matrix(("0", "1", "2"), np.full((3, 3), own["vega_within"]))
    return {
        "delta": Rules(
            weights={(str(g), "*"): now["delta"][g + own_vol] for g in (0, 1)},
            names_differ=Matrix(("0", "1"), np.array([[regular, mixed], [mixed, both]])),
            groups={c: str(int(high[c])) for c in known},
            size_groups={c: str(size[c]) for c in known},
            thresholds=_sizes(horizon, "012", own["delta_thresholds"]),
            across=single,
        ),
        "vega": Rules(
            weights={(str(g), "*"): now["vega"] for g in range(3)},
            scale={key: value * now["volatility_ratio"] for key, value in sigma.items()},
            names_differ=vols,
            groups=vol_groups,
            size_groups=pair_size,
            thresholds=_sizes(horizon, "012345", own["vega_thresholds"]),
            across=single,
        ),
        "curvature": Rules(weights=sigma, names_differ=vols, groups=vol_groups, across=single),
    }


def _buckets(count: int, residual: bool) -> list[str]:
    usual = [str(at + 1) for at in range(count - residual)]
    return [*usual, "Residual"] if residual else usual


def _usual(buckets: list[str]) -> list[str]:
    return [bucket for bucket in buckets if bucket != "Residual"]


def _by(buckets: list[str], values: list[float]) -> dict[tuple[str, str], float]:
    return {(bucket, "*"): value for bucket, value in zip(buckets, values, strict=True)}


def _sizes(horizon: str, names: list[str] | str, millions: list[float]) -> dict[str, float]:
    if horizon == "one_day":
        return {}
    return {name: value * 1e6 for name, value in zip(names, millions, strict=True)}


def _group_map(groups: Mapping[str, list[str]], names: list[str], other: str) -> dict[str, str]:
    listed = {name: group for group, own in groups.items() for name in own}
    return {name: listed.get(name, other) for name in names}
