"""The quantile forest against Meinshausen's weights by a slow loop, a known truth, and its laws."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.ensemble import RandomForestRegressor

from features.clock import HOUR_NS, HOUR_S, parse_utc
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from features.spec import FeatureSpec
from features.targets import Targets
from models.base import LEVELS, outward
from models.classical.boosted_design import thinned
from models.classical.forest import QuantileForest
from models.classical.forest_leaves import GRID, Leaves

NAMES = ("log_rv_1h", "log_rv_24h", "move_24h", "downside_24h")


def simulated(seed: int, instrument: str, n: int = 4_000) -> tuple[Panel, np.ndarray]:
    """A panel whose variance is three times as high where falls and rises were even; and its log variance."""
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.normal(-9, 1, (n, 2)), rng.normal(0, 1, n), rng.uniform(0, 1, n)]).astype(np.float32)
    even = np.abs(values[:, 3] - 0.5) < 0.25
    truth = (values[:, :2].astype(float) @ [0.4, 0.5] + np.where(even, 0.55, -0.55))[:, None]
    realised = np.exp(truth - 0.08 + rng.normal(0, 0.4, (n, 1)))
    flat = np.zeros((n, 1))
    targets = Targets(realised, realised, np.exp(truth / 2) * rng.normal(size=(n, 1)), flat, flat)
    spec = FeatureSpec(bar_s=300, features=NAMES, horizons_s=(HOUR_S,))
    origin_ns = parse_utc("2021-01-01") + HOUR_NS * np.arange(n)
    return Panel(instrument, spec, origin_ns, values, targets, np.zeros(n, dtype=bool)), truth


@pytest.fixture(scope="module")
def pool() -> list[Panel]:
    return [simulated(seed, name)[0] for seed, name in ((1, "BTCUSDT"), (2, "ETHUSDT"))]


@pytest.fixture(scope="module")
def fitted(pool: list[Panel]) -> QuantileForest:
    return QuantileForest(feature_share=0.6).fit(pool)


def test_the_law_is_that_of_meinshausens_weights() -> None:
    rng = np.random.default_rng(0)
    n = 300
    assert n < GRID
    x, ratio = rng.normal(size=(n, 3)), rng.chisquare(3, n)
    z = rng.normal(size=n) * np.exp(x[:, 0])
    forest = RandomForestRegressor(15, min_samples_leaf=20, random_state=1).fit(x, np.column_stack([z, ratio]))
    leaves = Leaves.gather(forest, x, z, ratio)
    fresh = rng.normal(size=(7, 3))
    quantiles, shortfall = leaves.law(fresh, LEVELS)
    past, order = forest.apply(x), np.argsort(z)
    for row, nodes in enumerate(forest.apply(fresh)):
        weight = np.zeros(n)
        for tree, node in enumerate(nodes):
            mates = past[:, tree] == node
            weight[mates] += 1 / mates.sum() / len(nodes)
        assert leaves.mean_ratio(fresh)[row] == pytest.approx(weight @ ratio)
        reached = np.cumsum(weight[order])
        for k, (level, side) in enumerate(zip(LEVELS, outward(LEVELS), strict=True)):
            at = np.flatnonzero(reached >= level - 1e-12)[0]
            assert quantiles[row, k] == z[order][at]
            some = slice(0, at + 1) if side < 0 else slice(at + 1, None)
            if weight[order][some].sum() > 1e-9:
                expected = np.average(z[order][some], weights=weight[order][some])
                assert shortfall[row, k] == pytest.approx(expected)


def test_many_outcomes_are_binned_without_moving_the_law() -> None:
    rng = np.random.default_rng(2)
    x, z = rng.uniform(size=(40_000, 1)), rng.normal(size=40_000)
    forest = RandomForestRegressor(5, min_samples_leaf=20_000, random_state=1).fit(x, z)  # one leaf: the sample itself
    quantiles, shortfall = Leaves.gather(forest, x, z, z**2).law(x[:3], LEVELS)
    np.testing.assert_allclose(quantiles[0], np.quantile(z, LEVELS), atol=0.05)
    np.testing.assert_array_equal(quantiles[0], quantiles[2])
    low = LEVELS.index(0.01)
    assert shortfall[0, low] == pytest.approx(-norm.pdf(norm.ppf(0.01)) / 0.01, rel=0.05)


def test_an_instrument_that_it_never_saw_gets_the_law_of_its_state(fitted: QuantileForest) -> None:
    fresh, truth = simulated(9, "SOLUSDT")
    forecast = fitted.forecast(fresh)
    error = np.mean((np.log(forecast.variance) - truth) ** 2)
    assert error < 0.3 * np.mean((np.log(fitted.base.forecast(fresh).variance) - truth) ** 2)
    state = np.abs(fresh.column("downside_24h") - 0.5) < 0.25
    for level, slack in ((0.05, 0.025), (0.5, 0.04), (0.95, 0.025)):
        hit = fresh.targets.log_return[:, 0] < forecast.quantiles[:, 0, LEVELS.index(level)]
        assert [hit[state].mean(), hit[~state].mean()] == pytest.approx([level, level], abs=slack)


def test_the_past_is_forecast_without_bias(fitted: QuantileForest, pool: list[Panel]) -> None:
    ratios = [
        (panel.targets.realised_variance / fitted.forecast(panel).variance)[thinned(panel, 0), 0] for panel in pool
    ]
    assert np.concatenate(ratios).mean() == pytest.approx(1.0, rel=1e-9)


def test_the_seed_decides(fitted: QuantileForest, pool: list[Panel]) -> None:
    part = pool[0].rows(0, 200)
    again, other = (replace(fitted, seed=seed).fit(pool).forecast(part).quantiles for seed in (0, 1))
    np.testing.assert_array_equal(again, fitted.forecast(part).quantiles)
    assert (other != again).any()


def test_neither_fit_nor_forecast_sees_the_future(pool: list[Panel]) -> None:
    now_ns = int(pool[0].origin_ns[3_000])
    changed = []
    for panel in pool:
        values = np.array(panel.values)
        values[3_001:] += 1.0
        over = panel.origin_ns[:, None] + HOUR_S * 10**9 > now_ns
        later = Targets(**{name: np.where(over, 3 * value, value) for name, value in panel.targets.arrays.items()})
        changed.append(replace(panel, values=values, targets=later))
    small = QuantileForest(trees=5)
    one, two = (small.fit([panel.until(now_ns) for panel in panels]).forecast(panels[0]) for panels in (pool, changed))
    np.testing.assert_array_equal(one.quantiles[:3_001], two.quantiles[:3_001])
    np.testing.assert_array_equal(one.variance[:3_001], two.variance[:3_001])
    assert (one.variance[3_001:] != two.variance[3_001:]).any()


def test_what_is_not_known_is_a_value_of_its_own(fitted: QuantileForest, pool: list[Panel]) -> None:
    values = np.array(pool[0].values)
    values[5, 3] = np.nan
    forecast = fitted.forecast(replace(pool[0], values=values).rows(0, 10))
    assert np.isfinite(forecast.quantiles).all()
    assert len(fitted.forecast(pool[0].rows(0, 0)).variance) == 0


def test_settings_that_make_no_sense_are_refused(pool: list[Panel]) -> None:
    with pytest.raises(SettingError, match="leaf_rows=0"):
        QuantileForest(leaf_rows=0)
    with pytest.raises(SettingError, match="shares in"):
        QuantileForest(row_share=1.5)
    with pytest.raises(SettingError, match="not fitted"):
        QuantileForest().forecast(pool[0])
    with pytest.raises(ShortHistoryError, match="600 ended windows of 3600 s that hardly overlap, BTCUSDT have 300"):
        QuantileForest().fit([pool[0].rows(0, 300)])
