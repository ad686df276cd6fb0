"""The rich regression against scikit-learn, its laws, a known truth, and New York's clock against the tz database."""

from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from features.clock import DAY_NS, HOUR_NS, HOUR_S, parse_utc
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from features.pipeline import compute_panel
from features.spec import FeatureSpec
from features.targets import Targets
from models import FORECASTERS, POOLED
from models.classical import rich_features
from models.classical.har_rich import HarRich, HarRichPool
from models.classical.ridge import standardised

LOOKS = ("log_rv_1h", "log_rv_24h", "log_rv_168h")
LEADERS = ("BTCUSDT.log_rv_1h", "BTCUSDT.log_rv_24h", "SOLUSDT.log_rv_1h", "SOLUSDT.log_rv_24h", "BTCUSDT.move_4h")
SLOPES = np.array([0.2, 0.3, 0.4])
NOISE = 0.5


def simulated(
    seed: int, instrument: str = "ETHUSDT", names: Sequence[str] = (*LOOKS, *LEADERS), n: int = 2_000
) -> tuple[Panel, np.ndarray]:
    """A panel whose log variance is a line in the three averages and noise, and the mean of its variance."""
    rng = np.random.default_rng(seed)
    values = rng.normal(-9.0, 1.0, (n, len(names))).astype(np.float32)
    spec = FeatureSpec(bar_s=300, features=tuple(names), horizons_s=(HOUR_S, 24 * HOUR_S))
    line = -1.0 + values[:, : len(LOOKS)].astype(float) @ SLOPES
    realised = np.exp(line[:, None] + np.log([1.0, 24.0]) + rng.normal(0, NOISE, (n, 2)))
    targets = Targets(*(realised,) * 2, *(np.zeros((n, 2)),) * 3)
    origin_ns = parse_utc("2021-01-01") + HOUR_NS * np.arange(n)
    truth = np.exp(line + NOISE**2 / 2)[:, None] * [1.0, 24.0]
    return Panel(instrument, spec, origin_ns, values, targets, np.zeros(n, dtype=bool)), truth


def values_of(panel: Panel) -> np.ndarray:
    """A copy to change."""
    return panel.values.copy()  # noqa: PD011 - a panel is no pandas object


def with_column(panel: Panel, name: str, column: np.ndarray) -> Panel:
    values = np.column_stack([values_of(panel), column]).astype(np.float32)
    return replace(panel, spec=replace(panel.spec, features=(*panel.spec.features, name)), values=values)


def test_the_slopes_are_those_of_scikit_learn(panel: Panel) -> None:
    past = panel.until(parse_utc("2020-07-01"))
    fitted = HarRich(shrinkage=0.05, half_life_days=90.0).fit(past).fitted
    assert fitted is not None
    names, x = rich_features.columns(past)
    target = np.log(past.targets.realised_variance)
    used = np.isfinite(target).all(axis=1)
    z = standardised(x[used].astype(float), fitted.centre, fitted.scale)
    weight = 0.5 ** ((past.origin_ns[-1] - past.origin_ns[used]) / DAY_NS / 90.0)
    peer = Ridge(alpha=0.05 * weight.sum(), solver="cholesky").fit(z, target[used], sample_weight=weight)
    np.testing.assert_allclose(fitted.slope, peer.coef_.T, atol=1e-5)
    residual = target[used] - peer.predict(z)
    smeared = peer.intercept_ + np.log(weight @ np.exp(residual) / weight.sum())
    np.testing.assert_allclose(fitted.intercept, smeared, atol=1e-5)
    assert names == fitted.names


def test_columns_are_centred_and_scaled_by_the_weighted_moments_of_numpy(panel: Panel) -> None:
    past = panel.until(parse_utc("2020-07-01"))
    fitted = HarRich(half_life_days=1e9).fit(past).fitted
    assert fitted is not None
    x = rich_features.columns(past)[1][np.isfinite(past.targets.realised_variance).all(axis=1)].astype(float)
    np.testing.assert_allclose(fitted.centre, np.nanmean(x, axis=0), atol=1e-6)
    live = np.isfinite(fitted.scale)
    np.testing.assert_allclose(fitted.scale[live], np.nanstd(x, axis=0)[live], rtol=1e-4)
    assert (np.nanstd(x, axis=0)[~live] < 1e-6 * np.abs(fitted.centre[~live]).clip(1)).all()


def test_the_truth_is_found_on_simulated_panels_also_for_an_instrument_never_seen() -> None:
    pool = [simulated(seed, name, n=4_000)[0] for seed, name in enumerate(("BTCUSDT", "ETHUSDT", "BNBUSDT"))]
    model = HarRichPool(shrinkage=1e-3, half_life_days=1e4).fit(pool)
    new, truth = simulated(9, "XRPUSDT")
    error = np.log(model.forecast(new).variance / truth)
    assert np.abs(error.mean(axis=0)).max() < 0.03
    assert error.std(axis=0).max() < 0.15  # beside a standard deviation of 0.54 of the truth, some 250 slopes estimated


def test_recent_rows_weigh_more() -> None:
    """The level doubles half-way: with a short half-life the forecast is of the second half."""
    panel, truth = simulated(3, n=4_000)
    factor = np.where(np.arange(len(panel)) < 2_000, 1.0, 2.0)[:, None]
    moved = replace(panel, targets=Targets(*(factor * a for a in panel.targets.arrays.values())))
    level = [
        np.log(HarRich(half_life_days=days).fit(moved).forecast(moved).variance[-500:] / truth[-500:]).mean()
        for days in (15.0, 1e6)
    ]
    assert level[0] == pytest.approx(np.log(2.0), abs=0.1)
    assert level[1] < np.log(2.0) - 0.15


def test_the_order_of_the_instruments_changes_nothing() -> None:
    pool = [simulated(seed, name)[0] for seed, name in enumerate(("BTCUSDT", "ETHUSDT", "SOLUSDT"))]
    first, second = (HarRichPool().fit(p).forecast(pool[1]).variance for p in (pool, pool[::-1]))
    np.testing.assert_allclose(first, second, rtol=1e-4)


def test_a_constant_column_changes_nothing() -> None:
    panel, _ = simulated(4)
    more = with_column(panel, "jump_share_24h", np.full(len(panel), 0.3))
    first, second = (HarRich().fit(p).forecast(p).variance for p in (panel, more))
    np.testing.assert_allclose(first, second, rtol=1e-5)
    telling = with_column(panel, "jump_share_24h", np.log(panel.targets.realised_variance[:, 0]) / 10)
    assert np.abs(np.log(HarRich().fit(telling).forecast(telling).variance / first)).max() > 0.1


def test_the_unit_of_the_price_changes_nothing(bars: pd.DataFrame, panel: Panel) -> None:
    dearer = bars.copy()
    dearer[["open", "high", "low", "close"]] *= 1_000.0
    now_ns = parse_utc("2020-06-01")
    other = compute_panel(dearer, "BTCUSDT", panel.spec)
    forecasts = [HarRich().fit(p.until(now_ns)).forecast(p).variance for p in (panel, other)]
    np.testing.assert_allclose(forecasts[0], forecasts[1], rtol=1e-3)


def test_an_unknown_feature_is_read_as_its_mean() -> None:
    """A leader without a price tells nothing: the forecast of a panel where all its columns are at their means."""
    panel, _ = simulated(5, names=(*LOOKS, "jump_share_24h"))
    model = HarRich().fit(panel)
    unknown, usual = values_of(panel), values_of(panel)
    unknown[:, 3], usual[:, 3] = np.nan, np.clip(usual[:, 3], -4, 4).mean()
    first, second = (model.forecast(replace(panel, values=v)).variance for v in (unknown, usual))
    np.testing.assert_allclose(first, second, rtol=1e-3)


def test_a_leader_that_never_traded_leaves_the_others() -> None:
    panel, _ = simulated(6)
    values = values_of(panel)
    values[:, [panel.spec.features.index(n) for n in LEADERS if n.startswith("SOL")]] = np.nan
    silent = replace(panel, values=values)
    names = tuple(n for n in panel.spec.features if not n.startswith("SOL"))
    kept = [panel.spec.features.index(n) for n in names]
    without = replace(panel, values=values_of(panel)[:, kept], spec=replace(panel.spec, features=names))
    np.testing.assert_array_equal(rich_features.columns(silent)[1], rich_features.columns(without)[1])


@pytest.mark.parametrize("cut", [1_000, 1_501])
def test_rows_after_an_origin_change_nothing_at_it(cut: int) -> None:
    pool = [simulated(seed, name)[0] for seed, name in enumerate(("BTCUSDT", "ETHUSDT"))]
    model, panel = HarRichPool().fit(pool), pool[1]
    wilder = values_of(panel)
    wilder[cut:] += 1.0
    before, after = (model.forecast(p).variance for p in (panel, replace(panel, values=wilder)))
    np.testing.assert_allclose(before[:cut], after[:cut], rtol=1e-12)
    assert (before[cut:] != after[cut:]).all()


def test_a_frozen_tape_or_a_shock_stays_within_reason(panel: Panel) -> None:
    """All features far beyond what the fit knew: a forecast within the bounds of what it read them as."""
    model = HarRich().fit(panel.until(parse_utc("2020-07-01")))
    usual = model.forecast(panel).variance
    for shift in (-15.0, 15.0):
        stressed = model.forecast(replace(panel, values=values_of(panel) + np.float32(shift))).variance
        assert np.isfinite(stressed).all()
        assert np.abs(np.log(stressed / usual)).max() < 2 * abs(shift)


def test_yesterdays_hours_are_the_rows_of_a_slow_loop(panel: Panel) -> None:
    names, x = rich_features.columns(panel)
    distance = np.clip(panel.column("log_rv_1h") - panel.column("log_rv_168h"), -5, 6)
    row = 500
    ahead = [distance[row - 24 * day + 1] for day in range(1, 8)]  # the hour after the origin, on the days before
    found = {n: x[row, k] for k, n in enumerate(names) if n.startswith("3600 s ahead")}
    expected = {"1 d ago": ahead[0], "2 d ago": ahead[1], "7 d ago": ahead[6]}
    for when, value in expected.items():
        assert found[f"3600 s ahead {when}"] == pytest.approx(value, rel=1e-5)
    assert found["3600 s ahead, week"] == pytest.approx(np.mean(ahead), rel=1e-5)


def test_summer_time_is_that_of_the_tz_database() -> None:
    origin_ns = np.arange(parse_utc("2017-01-01"), parse_utc("2031-01-01"), HOUR_NS)
    local = pd.DatetimeIndex(origin_ns.view("M8[ns]"), tz="UTC").tz_convert(ZoneInfo("America/New_York"))
    np.testing.assert_array_equal(rich_features.summer_time(origin_ns), local.hour == (origin_ns // HOUR_NS - 4) % 24)


def test_each_hour_has_one_place_on_each_clock(panel: Panel) -> None:
    names, x = rich_features.columns(panel)
    local = pd.DatetimeIndex(panel.origin_ns.view("M8[ns]"), tz="UTC").tz_convert(ZoneInfo("America/New_York"))
    first = names.index("ny of week 0")
    np.testing.assert_array_equal(x[:, first : first + 168].argmax(axis=1), local.day_of_week * 24 + local.hour)
    assert (x[:, first : first + 168].sum(axis=1) == 1).all()


def test_what_cannot_be_fitted_is_refused() -> None:
    panel, _ = simulated(7)
    with pytest.raises(SettingError, match="not fitted"):
        HarRich().forecast(panel)
    with pytest.raises(SettingError, match="above zero"):
        HarRichPool(shrinkage=0.0)
    with pytest.raises(SettingError, match="one spec"):
        HarRichPool().fit([panel, simulated(7, names=LOOKS)[0]])
    with pytest.raises(SettingError, match="one spec"):
        HarRichPool().fit([])
    with pytest.raises(SettingError, match="add log_rv_1h"):
        HarRich().fit(simulated(7, names=("move_1h", "move_4h", "move_24h"))[0])
    with pytest.raises(ShortHistoryError, match="longer history"):
        HarRich().fit(panel.rows(0, 400))
    with pytest.raises(SettingError, match="spec"):
        HarRich().fit(simulated(7, names=LOOKS)[0]).forecast(panel)


def test_both_are_registered() -> None:
    assert FORECASTERS["har_rich"] is HarRich
    assert POOLED["har_rich_pool"] is HarRichPool
