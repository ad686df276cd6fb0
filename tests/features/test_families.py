"""Rolled families equal the measures of each window; what has no answer is NaN."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from features.catalogue import parse
from features.clock import HOUR_NS, NS_PER_S
from features.engine import Channels, Engine
from features.errors import SettingError
from features.families import BOOK_FAMILIES_OF_N, CROSS_FAMILIES, FAMILIES
from features.families.variance import ROLLED
from features.measures import MEASURES
from features.measures.covariance import realised_beta, realised_correlation
from features.orderflow import amihud, kyle_lambda, resilience
from features.plan import Plan
from features.spec import FeatureSpec

ROWS, SLOT = 400, 1_000_003
FAR_BACK = ("log_volume_1h", "week_volume_1h")
RNG = np.random.default_rng(11)


def channels() -> Channels:
    """Made-up rows with everything that a feature may ask for."""
    returns = 1e-3 * RNG.standard_t(4, ROWS)
    close = 8.0 + np.cumsum(returns)
    open_ = np.append(8.0, close[:-1]) + 1e-4 * RNG.standard_normal(ROWS)
    volume, bought = RNG.gamma(2.0, 1.0, ROWS), RNG.uniform(0, 1, ROWS)
    mid = np.exp(close)
    signed = volume * (2 * bought - 1)
    bid_depth, ask_depth = RNG.gamma(3.0, 1.0, (2, ROWS))
    return {
        "log_close": close,
        "log_open": open_,
        "log_high": np.maximum(open_, close) + 1e-4 * RNG.gamma(1.0, 1.0, ROWS),
        "log_low": np.minimum(open_, close) - 1e-4 * RNG.gamma(1.0, 1.0, ROWS),
        "log_return": np.append(np.nan, returns[1:]),
        "missing": np.zeros(ROWS),
        "volume": volume,
        "quote_volume": volume * mid,
        "trades": RNG.poisson(3.0, ROWS).astype(float),
        "buy_volume": volume * bought,
        "signed_volume": signed,
        "signed_quote": signed * mid,
        "paid_spread": volume * 1e-4,
        "mid": mid,
        "spread_frac": RNG.uniform(1e-5, 1e-4, ROWS),
        "microprice_frac": RNG.normal(0, 1e-5, ROWS),
        "slope_bid": RNG.uniform(100, 200, ROWS),
        "slope_ask": RNG.uniform(100, 200, ROWS),
        "depth_bid_5": bid_depth,
        "depth_ask_5": ask_depth,
        "log_size_5": np.log(bid_depth + ask_depth),
        "imbalance_5": RNG.uniform(-1, 1, ROWS),
        "ofi_5": RNG.normal(0, 1, ROWS),
        "cost_buy_5": RNG.uniform(1e-5, 1e-4, ROWS),
        "cost_sell_5": RNG.uniform(1e-5, 1e-4, ROWS),
        "funding_annual": RNG.normal(0.1, 0.01, ROWS),
        "basis_frac": RNG.normal(0, 1e-4, ROWS),
        "open_interest": RNG.gamma(50.0, 1.0, ROWS),
        "LEAD.log_return": 1e-3 * RNG.standard_t(4, ROWS),
    }


WHOLE = channels()


def column(name: str, rows: Channels = WHOLE, bar_s: int = 60) -> np.ndarray:
    """A feature at the rows from its first one on."""
    spec = FeatureSpec(bar_s=bar_s, every_s=bar_s, horizons_s=(3_600,), features=(name,))
    plan = Plan(spec)
    given = {c: rows[c] for c in (*plan.memory, "log_close")}
    return Engine(plan).add(given, SLOT)[1][:, 0]


def windows(name: str, length: int) -> np.ndarray:
    """The windows that a feature of ``length`` rows is of: the first whole one lacks the first return."""
    return sliding_window_view(WHOLE[name], length)[1:]


@pytest.mark.parametrize(("measure", "family"), sorted(ROLLED.items()))
@pytest.mark.parametrize("length", [7, 60])
def test_a_rolled_family_is_the_measure_of_each_window(measure: str, family: str, length: int) -> None:
    told = MEASURES[measure]
    names = ("log_return",) if told.inputs == "returns" else ("log_open", "log_high", "log_low", "log_close")
    expected = told.compute(*(windows(n, length) for n in names))
    if told.power == 2:
        expected = np.log(np.where(expected < 0, np.nan, np.maximum(expected / (length / 60), 1e-9)))
    np.testing.assert_allclose(column(f"{family}_{length}m"), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("length", [8, 90])
def test_the_kernel_family_is_the_realised_kernel_of_five_lags(length: int) -> None:
    expected = MEASURES["realised_kernel"].compute(windows("log_return", length), 5)
    np.testing.assert_allclose(np.exp(column(f"log_kernel_{length}m")) * length / 60, expected, rtol=1e-9)


def test_flow_and_book_families_are_their_measures_of_each_window() -> None:
    returns, length = windows("log_return", 30), 30
    np.testing.assert_allclose(
        column("kyle_30m"), 1e6 * kyle_lambda(returns, windows("signed_quote", length)), rtol=1e-7
    )
    np.testing.assert_allclose(column("amihud_30m"), 1e6 * amihud(returns, windows("quote_volume", length)), rtol=1e-9)
    depth = windows("depth_bid_5", length) + windows("depth_ask_5", length)
    np.testing.assert_allclose(column("resilience_5_30m"), resilience(depth), rtol=1e-7)


def test_cross_families_are_their_measures_of_each_window() -> None:
    own, lead = windows("log_return", 45), windows("LEAD.log_return", 45)
    np.testing.assert_allclose(column("LEAD.beta_45m"), realised_beta(own, lead), rtol=1e-9)
    np.testing.assert_allclose(column("LEAD.correlation_45m"), realised_correlation(own, lead), rtol=1e-9)
    tracking = np.square(own - lead).sum(axis=-1) / np.square(lead).sum(axis=-1)
    np.testing.assert_allclose(column("LEAD.tracking_45m"), tracking, rtol=1e-9)
    leaders = np.log(np.square(lead).sum(axis=-1) / 0.75)
    np.testing.assert_allclose(column("LEAD.log_rv_45m"), leaders, rtol=1e-9)


def test_week_volume_compares_with_the_same_hours_of_four_weeks() -> None:
    rows = {"volume": RNG.gamma(2.0, 1.0, 5 * 168), "log_close": np.zeros(5 * 168)}
    found = column("week_volume_2h", rows, bar_s=3_600)
    sums = np.convolve(rows["volume"], [1, 1], "valid")
    usual = np.mean([sums[-1 - 168 * k] for k in range(1, 5)])
    assert found[-1] == pytest.approx(np.log(sums[-1] / usual + 1e-6))


def test_realised_spread_counts_trades_against_the_mid_five_rows_later() -> None:
    found = column("realised_spread_10m")
    t = ROWS - 1
    kept = [
        2 * (WHOLE["signed_quote"][k] - WHOLE["mid"][k + 5] * WHOLE["signed_volume"][k]) / WHOLE["mid"][k - 1]
        for k in range(t - 14, t - 4)
    ]
    assert found[-1] == pytest.approx(1e4 * sum(kept) / WHOLE["volume"][t - 14 : t - 4].sum())


def all_names() -> list[str]:
    """One name of every family."""
    looks = [f"{name}_1h" if family.looks_back else name for name, family in FAMILIES.items()]
    return [*looks, *(f"LEAD.{name}_1h" for name in CROSS_FAMILIES), *(f"{name}_5_1h" for name in BOOK_FAMILIES_OF_N)]


@pytest.mark.parametrize("name", all_names())
def test_no_family_sees_the_future_and_rows_do_not_depend_on_chunks(name: str) -> None:
    bar_s = 3_600 if name in FAR_BACK else 60
    long = {c: np.tile(v, 3) for c, v in WHOLE.items()}
    spec = FeatureSpec(bar_s=bar_s, every_s=bar_s, horizons_s=(3_600,), features=(name,))
    plan = Plan(spec)
    rows = {c: long[c] for c in (*plan.memory, "log_close")}
    origins, whole = Engine(plan).add(rows, SLOT)
    engine, pieces = Engine(plan), []
    for first in range(0, 3 * ROWS, 97):
        part = {c: v[first : first + 97] for c, v in rows.items()}
        pieces.append(engine.add(part, SLOT + first)[1])
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-12, atol=1e-12)
    cut = 2 * ROWS + 5
    changed = {c: np.concatenate([v[:cut], 1.5 * v[cut:] + 1e-3]) for c, v in rows.items()}
    other = Engine(plan).add(changed, SLOT)[1]
    past = origins <= (SLOT + cut) * bar_s * NS_PER_S
    np.testing.assert_array_equal(other[past], whole[past])
    assert np.isfinite(whole).any()
    if not FAMILIES.get(name, parse(name, bar_s).family).clock:
        assert (other[~past] != whole[~past]).any()  # else the test could not fail


@pytest.mark.parametrize("name", all_names())
def test_an_unknown_row_makes_every_window_with_it_unknown(name: str) -> None:
    if name in FAR_BACK or parse(name, 60).family.clock:
        return  # looks back for weeks, or not at all
    holed = {c: v.copy() for c, v in WHOLE.items()}
    for values in holed.values():
        values[200] = np.nan
    found, whole = column(name, holed), column(name)
    first = ROWS - len(found)
    touched = slice(200 - first, 200 - first + 60)
    assert np.isnan(found[touched]).all()
    np.testing.assert_array_equal(found[: touched.start], whole[: touched.start])


@pytest.mark.parametrize("name", all_names())
def test_one_unknown_channel_is_enough_to_make_a_window_unknown(name: str) -> None:
    if name in FAR_BACK or parse(name, 60).family.clock:
        return
    needed = Plan(FeatureSpec(bar_s=60, every_s=60, horizons_s=(3_600,), features=(name,))).memory
    for channel in needed:
        holed = {c: v.copy() for c, v in WHOLE.items()}
        holed[channel][200] = np.nan
        found = column(name, holed)
        first = ROWS - len(found)
        inner = slice(200 - first + 6, 200 - first + 54)  # what counts a row later or not at a window's ends is let off
        assert np.isnan(found[inner]).all(), channel


def test_flat_prices_and_no_trade_are_told_not_passed_for_calm() -> None:
    flat = {c: np.full(ROWS, v[1]) for c, v in WHOLE.items()}
    flat["log_return"] = np.zeros(ROWS)
    for name in ("volume", "quote_volume", "trades", "buy_volume", "signed_volume", "signed_quote", "paid_spread"):
        flat[name] = np.zeros(ROWS)
    assert (column("log_rv_30m", flat) == np.log(1e-9)).all()  # the floor
    nothing = (
        "signed_30m",
        "amihud_30m",
        "kyle_30m",
        "effective_spread_30m",
        "vpin_30m",
        "skewness_30m",
        "kurtosis_30m",
        "jump_z_30m",
    )
    for name in nothing:
        assert np.isnan(column(name, flat)).all(), name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("log_yang_zhang_2m", "at least 3 rows"),
        ("log_medrv_2m", "too short"),
        ("lee_mykland_maximum_1m", "lee_mykland_maximum_1m"),
        ("ofi_60m", "a number of levels"),
        ("beta_60m", "needs a leading instrument"),
        ("log_rv_90s", "no whole number of rows"),
        ("weekend_4h", "takes no look-back"),
        ("log_rv", "has no look-back"),
    ],
)
def test_a_feature_that_makes_no_sense_is_refused_by_name(name: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        column(name)


def test_origins_come_when_the_longest_look_back_is_full() -> None:
    spec = FeatureSpec(bar_s=60, every_s=600, horizons_s=(3_600,), features=("log_rv_1h", "weekend"))
    origins, values = Engine(Plan(spec)).add({c: WHOLE[c] for c in ("log_return", "log_close")}, SLOT)
    first_ns = (SLOT + 61) * 60 * NS_PER_S
    assert origins[0] == first_ns + -first_ns % (600 * NS_PER_S)
    assert (np.diff(origins) == HOUR_NS // 6).all()
    assert np.isfinite(values).all()
