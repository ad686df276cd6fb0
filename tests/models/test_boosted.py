"""Boosted trees against closed forms, a known truth that no line can follow, a slow clock, and their laws."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from features.clock import HOUR_NS, HOUR_S, parse_utc
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from features.spec import FeatureSpec
from features.targets import Targets
from models import POOLED
from models.base import LEVELS
from models.classical.boosted import Boosted
from models.classical.boosted_clock import CYCLES, recent_clock
from models.classical.boosted_design import OUTAGE, Design, thinned
from models.classical.boosted_tails import Tails
from models.classical.boosted_trees import Boosting, grow, raw_values

NAMES = ("log_rv_1h", "log_rv_24h", "log_rv_168h", "move_24h", "downside_24h")
WILD = 1.5  # factor of falls after a rise
NOISE = 0.4


def simulated(seed: int, instrument: str = "ETHUSDT", n: int = 5_000) -> tuple[Panel, np.ndarray]:
    """A panel whose variance is four times as high where falls and rises were even, with falls wild after a rise."""
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.normal(-9, 1, (n, 3)), rng.normal(0, 1, n), rng.uniform(0, 1, n)]).astype(np.float32)
    even = np.abs(values[:, 4] - 0.5) < 0.25
    truth = (-1 + values[:, :3].astype(float) @ [0.2, 0.3, 0.4] + np.where(even, 0.7, -0.7))[:, None] + np.log([1, 4])
    realised = np.exp(truth - NOISE**2 / 2 + rng.normal(0, NOISE, (n, 2)))
    z = rng.normal(size=(n, 2))
    z = np.where((z < 0) & (values[:, 3:4] > 0), WILD * z, z)
    flat = np.zeros((n, 2))
    spec = FeatureSpec(bar_s=300, features=NAMES, horizons_s=(HOUR_S, 4 * HOUR_S))
    targets = Targets(realised, realised, np.exp(truth / 2) * z, flat, flat)
    origin_ns = parse_utc("2021-01-01") + HOUR_NS * np.arange(n)
    return Panel(instrument, spec, origin_ns, values, targets, np.zeros(n, dtype=bool)), truth


@pytest.fixture(scope="module")
def pool() -> list[Panel]:
    return [simulated(seed, name)[0] for seed, name in ((1, "BTCUSDT"), (2, "ETHUSDT"))]


@pytest.fixture(scope="module")
def fitted(pool: list[Panel]) -> Boosted:
    return Boosted(tails=True, rate=0.05).fit(pool)


def test_trees_of_one_step_are_the_means_of_its_sides() -> None:
    """Gamma deviance is least at the log of the mean, squares at the mean of the logs: two groups, no penalty."""
    rng = np.random.default_rng(0)
    group = np.repeat([0.0, 1.0], 500)
    label = rng.chisquare(4, 1_000) * np.where(group > 0, 3.0, 1.0)
    steps = Boosting(count=200, leaves=2, least_rows=50, rate=0.2, row_share=1.0, feature_share=1.0, penalty=0.0)
    x = group[:, None]
    log_mean = [np.log(label[group == g].mean()) for g in (0, 1)]
    np.testing.assert_allclose(
        raw_values(grow(x, label, "gamma", steps), np.array([[0.0], [1.0]])), log_mean, atol=1e-5
    )
    mean_log = [np.log(label[group == g]).mean() for g in (0, 1)]
    np.testing.assert_allclose(
        raw_values(grow(x, np.log(label), "l2", steps), np.array([[0.0], [1.0]])), mean_log, atol=1e-5
    )


@pytest.mark.parametrize("name", ["lgbm_gamma", "lgbm_log"])
def test_trees_follow_what_a_line_cannot_on_an_instrument_that_they_never_saw(name: str, pool: list[Panel]) -> None:
    model = POOLED[name](rate=0.05).fit(pool)
    assert isinstance(model, Boosted)
    fresh, truth = simulated(7, "SOLUSDT")
    off = [np.mean((np.log(m.forecast(fresh).variance) - truth) ** 2) for m in (model, model.base)]
    assert off[1] > 0.4  # the line is wrong by .7 either way
    assert off[0] < 0.1
    assert np.mean(fresh.targets.realised_variance / model.forecast(fresh).variance) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("loss", ["gamma", "log"])
def test_the_past_is_forecast_without_bias(loss: str, pool: list[Panel]) -> None:
    model = POOLED[f"lgbm_{loss}"](trees=20).fit(pool)
    forecasts = [model.forecast(panel).variance for panel in pool]
    for h in range(2):
        few = [thinned(panel, h) for panel in pool]
        ratios = [p.targets.realised_variance[r, h] / f[r, h] for p, f, r in zip(pool, forecasts, few, strict=True)]
        assert np.concatenate(ratios).mean() == pytest.approx(1.0, rel=1e-9)


def test_tails_recover_a_normal_law_of_two_sides() -> None:
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 1, (30_000, 2))
    wild = x[:, 0] > 0.5
    z = rng.normal(size=len(x))
    z = np.where((z < 0) & wild, WILD * z, z)
    quantiles, shortfall = Tails().fit(x, z).at(x[:5_000])
    some = wild[:5_000]
    low, high = LEVELS.index(0.01), LEVELS.index(0.99)
    reach = norm.ppf(0.01)
    assert quantiles[some, low].mean() == pytest.approx(WILD * reach, rel=0.06)
    assert quantiles[~some, low].mean() == pytest.approx(reach, rel=0.06)
    assert shortfall[some, low].mean() == pytest.approx(-WILD * norm.pdf(reach) / 0.01, rel=0.06)
    for side in (some, ~some):
        assert quantiles[side, high].mean() == pytest.approx(-reach, rel=0.06)
        assert shortfall[side, high].mean() == pytest.approx(norm.pdf(reach) / 0.01, rel=0.06)


def test_the_conditional_law_hits_as_often_as_it_says_in_either_state(fitted: Boosted) -> None:
    fresh, _ = simulated(8, "SOLUSDT", n=6_000)
    forecast = fitted.forecast(fresh)
    wild = fresh.column("move_24h") > 0
    for level, slack in ((0.05, 0.02), (0.5, 0.03), (0.95, 0.02)):
        hit = fresh.targets.log_return < forecast.quantiles[:, :, LEVELS.index(level)]
        assert hit[wild].mean() == pytest.approx(level, abs=slack)
        assert hit[~wild].mean() == pytest.approx(level, abs=slack)


def test_without_tails_the_law_is_normal(fitted: Boosted, pool: list[Panel]) -> None:
    plain = replace(fitted, laws=()).forecast(pool[0])
    np.testing.assert_array_equal(plain.variance, fitted.forecast(pool[0]).variance)
    np.testing.assert_allclose(plain.quantiles[:, 0], np.sqrt(plain.variance[:, :1]) * norm.ppf(LEVELS))


def test_the_seed_decides(fitted: Boosted, pool: list[Panel]) -> None:
    again, other = (replace(fitted, seed=seed).fit(pool) for seed in (0, 1))
    assert again.grown == fitted.grown
    assert other.grown != fitted.grown


def test_neither_fit_nor_forecast_sees_the_future(pool: list[Panel]) -> None:
    now_ns = int(pool[0].origin_ns[2_500])
    changed = []
    for panel in pool:
        values, targets = np.array(panel.values), panel.targets.arrays
        values[2_501:] += 1.0
        over = panel.origin_ns[:, None] + np.array(panel.spec.horizons_s) * 10**9 > now_ns
        later = Targets(**{name: np.where(over, 3 * value, value) for name, value in targets.items()})
        changed.append(replace(panel, values=values, targets=later))
    models = [Boosted(trees=20, tails=True).fit([p.until(now_ns) for p in panels]) for panels in (pool, changed)]
    one, two = (model.forecast(panels[0]) for model, panels in zip(models, (pool, changed), strict=True))
    np.testing.assert_array_equal(one.variance[:2_501], two.variance[:2_501])
    np.testing.assert_array_equal(one.quantiles[:2_501], two.quantiles[:2_501])
    assert (one.variance[2_501:] != two.variance[2_501:]).any()


def test_the_clock_equals_a_slow_loop() -> None:
    panel, _ = simulated(5, n=800)
    panel = replace(panel, spec=replace(panel.spec, horizons_s=(3 * HOUR_S, 48 * HOUR_S)))
    u = panel.column("log_rv_1h") + 9
    u[300] = np.nan
    found = recent_clock(panel, u, np.full(800, -1.0))
    v = np.nan_to_num(np.maximum(u + 1, -5))
    for i in (500, 799):
        for h, hours in enumerate((3, 48)):
            for c, (period_s, turns) in enumerate(CYCLES):
                period, terms = period_s // HOUR_S, []
                for j in range(1, min(hours, period) + 1):
                    at = i + j - period
                    past = [v[at - d * period] for d in range(turns) if at - d * period >= 0]
                    span = v[max(0, at - turns * period + 1) : at + 1]
                    terms.append(np.mean(past) - span.mean())
                assert found[i, h, c] == pytest.approx(np.mean(terms), abs=1e-9)


def test_an_hour_of_the_day_that_moves_more_is_seen_before_it_comes() -> None:
    panel, _ = simulated(5, n=24 * 40)
    busy = (panel.origin_ns // HOUR_NS - 1) % 24 == 14  # the hour from 14:00
    found = recent_clock(panel, np.where(busy, 2.0, 0.0), np.zeros(len(panel)))
    before = (panel.origin_ns // HOUR_NS % 24 == 14)[24 * 30 :]
    week = found[24 * 30 :, 0, CYCLES.index((24 * HOUR_S, 7))]
    np.testing.assert_allclose(week[before], 2.0 * 23 / 24)
    np.testing.assert_allclose(week[~before], -2.0 / 24)


def test_an_outage_is_no_calm() -> None:
    panel, _ = simulated(6, n=100)
    values = np.array(panel.values)
    values[50, 0] = -20.7
    design = Design.of(replace(panel, values=values))
    assert design.values[50, 0] == pytest.approx(values[50, 2] - OUTAGE)
    assert design.values[51, 0] == pytest.approx(values[51, 0])
    np.testing.assert_array_equal(design.variance, [True, True, True, False, False])
    columns = design.beside(0, np.full(100, -9.0))
    np.testing.assert_allclose(columns[:, 1], values[:, 1] + 9.0, rtol=1e-6)
    np.testing.assert_allclose(columns[:, 3], values[:, 3])


def test_a_real_panel_gets_a_proper_law(panel: Panel) -> None:
    forecast = POOLED["lgbm_tails"](trees=30).fit([panel.until(parse_utc("2020-06-01"))]).forecast(panel)
    assert forecast.levels == LEVELS  # Forecast itself refuses crossings
    assert (np.diff(forecast.variance.mean(axis=0)) > 0).all()
    scaled = replace(panel, values=np.array(panel.values))
    assert len(POOLED["lgbm_gamma"](trees=2).fit([scaled]).forecast(panel.rows(0, 0)).variance) == 0


def test_settings_that_make_no_sense_are_refused(pool: list[Panel]) -> None:
    with pytest.raises(SettingError, match="unknown loss of boosted trees 'cubic'; known: gamma, log"):
        POOLED["lgbm_gamma"](loss="cubic")
    with pytest.raises(SettingError, match="leaves of 2"):
        Boosted(leaves=1)
    with pytest.raises(SettingError, match="rate and shares"):
        Boosted(rate=0.0)
    with pytest.raises(SettingError, match="not fitted"):
        Boosted().forecast(pool[0])
    with pytest.raises(ShortHistoryError, match="no panel"):
        Boosted().fit([])
    with pytest.raises(
        ShortHistoryError, match=r"600 ended windows of 3600 s that hardly overlap, BTCUSDT, ETHUSDT have 400; give"
    ):
        Boosted().fit([panel.rows(0, 200) for panel in pool])
    coarse = replace(pool[1], spec=replace(pool[1].spec, bar_s=900))
    with pytest.raises(SettingError, match="ETHUSDT has another than BTCUSDT"):
        Boosted().fit([pool[0], coarse])
    bare = replace(pool[0], spec=replace(pool[0].spec, features=("move_1h",)), values=pool[0].values[:, 3:4])
    with pytest.raises(SettingError, match="log_rv"):
        Design.of(bare)
