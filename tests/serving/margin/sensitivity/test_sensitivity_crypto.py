"""The shipped calibration: weights from the ranges in force, correlations stressed both ways."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import ForecastError
from serving.margin.objects import Correlation
from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.sensitivity.crypto import BASIS, CLASS, calibrate
from serving.margin.sensitivity.crypto_correlations import LABELS, TOGETHER, VERTEX_DAYS, stressed
from serving.margin.sensitivity.crypto_groups import BUCKETS, GROUPS, bucket_of, default_between

NAMES = ("BTC", "ETH", "SOL", "XRP", "PEPE", "USDC")


def _ranges(**changes: object) -> Ranges:
    down = np.array([0.10, 0.12, 0.18, 0.2, 0.4, 0.01])
    plain = Ranges(NAMES, 28_800, down, down[::-1].copy() * 0 + 0.11, np.full(6, 0.3), down / 3, ())
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_delta_weight_is_the_wider_side_of_the_range() -> None:
    weights = calibrate(_ranges(), ScenarioPolicy()).rules["medium"].of(CLASS, "delta").weights
    assert [weights[name, "*"] for name in NAMES] == [0.11, 0.12, 0.18, 0.2, 0.4, 0.11]


def test_vega_weight_follows_the_policy_or_a_higher_forecast() -> None:
    policy = ScenarioPolicy()
    usual = calibrate(_ranges(), policy).rules["low"].of(CLASS, "vega").weights
    at = LABELS.index("30d")
    assert usual["BTC", "30d"] == policy.vol_up
    assert usual["BTC", "7d"] == pytest.approx(policy.vol_up * (30 / VERTEX_DAYS[at - 2]) ** 0.30)
    assert usual["BTC", "365d"] == pytest.approx(policy.vol_up * (30 / 365) ** 0.13)
    wild = calibrate(_ranges(vol_up=np.full(6, 0.9)), policy).rules["low"].of(CLASS, "vega").weights
    assert wild["BTC", "30d"] == 0.9


def test_basis_is_a_class_that_adds_like_an_independent_risk() -> None:
    rules = calibrate(_ranges(), ScenarioPolicy()).rules["medium"]
    assert rules.psi.values[0, 1] == 0.0
    assert rules.of(BASIS, "delta").weights["BTC", "*"] == 0.10


def test_high_correlations_are_those_of_the_worst_days() -> None:
    """Binance spot, 8-hour returns, 2020-08 to 2025-06 (BTC, ETH, BNB, SOL): of all of them and of the worst 5 %."""
    usual = {"BTC ETH": 0.822, "BTC BNB": 0.670, "BTC SOL": 0.612, "ETH BNB": 0.702, "ETH SOL": 0.664, "BNB SOL": 0.579}
    worst = {"BTC ETH": 0.923, "BTC BNB": 0.851, "BTC SOL": 0.779, "ETH BNB": 0.880, "ETH SOL": 0.832, "BNB SOL": 0.798}
    for pair, rho in usual.items():
        high = stressed(np.array([[1.0, rho], [rho, 1.0]]), "high")[0, 1]
        assert high == pytest.approx(worst[pair], abs=0.03)


@given(st.integers(0, 1000))
def test_stressed_correlations_stay_those_of_a_law(seed: int) -> None:
    draws = np.random.default_rng(seed).normal(size=(5, 3))
    rho = np.asarray(np.corrcoef(draws), dtype=np.float64)  # rank 3 at most: as near to failing as a law can be
    assert all(np.linalg.eigvalsh(stressed(rho, word)).min() > -1e-12 for word in TOGETHER)


def test_forecast_correlations_replace_the_defaults() -> None:
    forecast = Correlation(names=("XRP", "SOL", "BTC"), matrix=((1, 0.9, 0.3), (0.9, 1, 0.2), (0.3, 0.2, 1)))
    rules = calibrate(_ranges(), ScenarioPolicy(), forecast).rules["medium"].of(CLASS, "delta")
    table = {(a, b): float(rules.names_differ.values[i, j]) for i, a in enumerate(NAMES) for j, b in enumerate(NAMES)}
    assert (table["SOL", "XRP"], table["BTC", "XRP"], table["BTC", "SOL"]) == (0.9, 0.3, 0.2)
    assert table["BTC", "ETH"] == default_between("BTC", "ETH")  # the forecast has no ETH
    gamma = rules.across.values
    assert gamma[BUCKETS.index("BTC"), BUCKETS.index("large")] == pytest.approx((0.3 + 0.2) / 2)
    assert gamma[BUCKETS.index("BTC"), BUCKETS.index("stable")] == 0.0


def test_curvature_at_its_quantile_is_half_the_gamma_times_the_squared_range() -> None:
    weight = calibrate(_ranges(), ScenarioPolicy()).rules["high"].of(CLASS, "curvature").weights["ETH", "*"]
    quantile = 2.5758293035489004  # standard normal at 99.5 %
    assert weight * quantile**2 == pytest.approx(0.12**2)


@pytest.mark.parametrize("width", [0.0, -0.1, math.nan, math.inf])
def test_range_that_is_none_is_refused(width: float) -> None:
    both = np.array([0.1, 0.1, width, 0.1, 0.1, 0.1])
    with pytest.raises(ForecastError, match="scan range of SOL is not positive"):
        calibrate(_ranges(down=both, up=both), ScenarioPolicy())


def test_groups_are_buckets_and_no_name_is_in_two() -> None:
    assert set(GROUPS.values()) | {"other"} == set(BUCKETS)
    assert [bucket_of(name) for name in NAMES] == ["BTC", "ETH", "large", "large", "other", "stable"]


def test_default_correlations_are_those_of_a_law() -> None:
    """A matrix of correlations has no negative eigenvalue; the stressed ones are capped, not checked."""
    names = ["BTC", "ETH", *[n for n, g in GROUPS.items() if g == "large"], "A", "B", "C", "USDT", "USDC"]
    rho = np.array([[1.0 if a == b else default_between(bucket_of(a), bucket_of(b)) for b in names] for a in names])
    assert np.linalg.eigvalsh(rho).min() > 0
    assert set(TOGETHER) == {"low", "medium", "high"}
