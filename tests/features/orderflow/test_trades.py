"""Signs, joins and spreads of trades against hand-made tapes, slow loops and the law that binds the spreads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import NS_PER_S
from features.errors import SettingError, TimeOrderError
from features.orderflow import (
    effective_spread_frac,
    later_mid,
    prevailing,
    prevailing_mid,
    price_impact_frac,
    realised_spread_frac,
    signed_volume,
    tick_sign,
    trade_intensity,
    trade_sign,
)

TIMES = st.lists(st.integers(0, 30), max_size=25).map(sorted).map(lambda t: np.array(t, dtype=np.int64))


def signs(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int8)


def test_tick_test_by_hand() -> None:
    price = np.array([5.0, 5.0, 6.0, 6.0, 6.0, 5.0, 5.0, 7.0])
    assert tick_sign(price).tolist() == [0, 0, 1, 1, 1, -1, -1, 1]  # up-tick, zero-up-ticks, down, zero-down, up


def test_tick_test_passes_over_a_price_that_is_not_known() -> None:
    price = np.array([np.nan, 5.0, np.nan, 4.0, np.nan, 4.0])
    assert tick_sign(price).tolist() == [0, 0, 0, -1, 0, -1]
    assert tick_sign(np.array([])).tolist() == []


@given(st.lists(st.integers(1, 4), max_size=30))
def test_tick_test_against_a_loop_and_in_the_mirror(ticks: list[int]) -> None:
    expected, last, sign = [], None, 0
    for tick in ticks:
        if last is not None and tick != last:
            sign = 1 if tick > last else -1
        expected.append(sign)
        last = tick
    assert tick_sign(np.array(ticks, dtype=float)).tolist() == expected
    assert tick_sign(-np.array(ticks, dtype=float)).tolist() == [-s for s in expected]


def test_each_witness_of_a_sign_in_its_turn() -> None:
    price = np.array([100.0, 101.0, 100.5, 100.5, 102.0, 100.0])
    mid = np.array([np.nan, 100.5, 100.5, 101.0, np.nan, 99.0])
    side = signs(0, 0, 0, 0, 0, -1)
    # Nothing decides; above mid; at mid, after a fall; below mid; no mid, after a rise; the venue told.
    assert trade_sign(price, mid, side).tolist() == [0, 1, -1, -1, 1, -1]


def test_a_quote_at_the_instant_of_the_trade_does_not_count() -> None:
    quote_ns, mid = np.array([10, 20, 20, 30]), np.array([1.0, 2.0, 3.0, 4.0])
    trade_ns = np.array([5, 10, 11, 20, 21, 30, 99])
    assert prevailing(quote_ns, trade_ns).tolist() == [-1, -1, 0, 0, 2, 2, 3]
    np.testing.assert_array_equal(prevailing_mid(quote_ns, mid, trade_ns), [np.nan, np.nan, 1.0, 1.0, 3.0, 3.0, 4.0])


@given(quote_ns=TIMES, trade_ns=TIMES)
def test_the_join_against_a_search_through_all(quote_ns: np.ndarray, trade_ns: np.ndarray) -> None:
    slow = [max((i for i, q in enumerate(quote_ns) if q < t), default=-1) for t in trade_ns]
    assert prevailing(quote_ns, trade_ns).tolist() == slow


def test_the_later_mid_is_not_guessed_behind_the_last_quote() -> None:
    quote_ns, mid = np.array([0, 3, 6]) * NS_PER_S, np.array([100.0, 101.0, 102.0])
    trade_ns = np.array([1, 2, 3, 4, 5]) * NS_PER_S
    found = later_mid(quote_ns, mid, trade_ns, delay_s=2.0)  # at 3 (quote of 0), 4, 5, 6 (quote of 3), 7 (none)
    np.testing.assert_array_equal(found, [100.0, 101.0, 101.0, 101.0, np.nan])
    assert np.isnan(later_mid(np.array([], dtype=np.int64), np.array([]), trade_ns, 1.0)).all()


def test_spreads_by_hand() -> None:
    price, mid, later, sign = np.array([100.5, 99.0]), np.array([100.0, 100.0]), np.array([100.2, 98.5]), signs(1, -1)
    np.testing.assert_allclose(effective_spread_frac(price, mid, sign), [0.01, 0.02])
    np.testing.assert_allclose(realised_spread_frac(price, mid, later, sign), [0.006, -0.01])
    np.testing.assert_allclose(price_impact_frac(mid, later, sign), [0.004, 0.03])


def test_effective_is_realised_and_impact_and_the_mirror_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    mid = 100 + np.cumsum(rng.normal(0, 0.1, 500))
    later, price = mid + rng.normal(0, 0.2, 500), mid + rng.normal(0, 0.3, 500)
    sign = rng.choice(signs(-1, 1), 500)
    effective, realised = effective_spread_frac(price, mid, sign), realised_spread_frac(price, mid, later, sign)
    impact = price_impact_frac(mid, later, sign)
    np.testing.assert_allclose(effective, realised + impact, atol=1e-15)
    np.testing.assert_allclose(effective_spread_frac(2 * mid - price, mid, -sign), effective, atol=1e-15)


def test_bounce_without_news_is_all_realised_and_news_without_bounce_is_all_impact() -> None:
    """Roll: trades half a spread around a still value. Glosten-Milgrom: each trade moves the value for good."""
    sign = np.random.default_rng(1).choice(signs(-1, 1), 400)
    still = np.full(400, 100.0)
    price = still + 0.5 * sign
    np.testing.assert_allclose(realised_spread_frac(price, still, still, sign), 0.01)
    np.testing.assert_array_equal(price_impact_frac(still, still, sign), 0.0)
    value = 100.0 + 0.5 * np.cumsum(sign)
    before = value - 0.5 * sign
    np.testing.assert_allclose(realised_spread_frac(value, before, value, sign), 0.0, atol=1e-15)
    np.testing.assert_allclose(price_impact_frac(before, value, sign), 1.0 / before)


def test_without_sign_or_mid_there_is_no_spread() -> None:
    price, mid = np.array([1.0, 1.0, 1.0]), np.array([1.0, np.nan, 0.0])
    assert np.isnan(effective_spread_frac(price, mid, signs(0, 1, 1))).all()
    assert np.isnan(realised_spread_frac(price, mid, np.ones(3), signs(0, 1, 1))).all()
    assert np.isnan(price_impact_frac(mid, np.ones(3), signs(0, 1, 1))).all()


def test_signed_volume_adds_up_to_bought_less_sold() -> None:
    size, sign = np.array([3.0, 5.0, 7.0, 11.0]), signs(1, -1, 0, 1)
    assert signed_volume(size, sign).sum() == 14.0 - 5.0


@given(trade_ns=TIMES, at_ns=TIMES, window=st.integers(1, 9))
def test_intensity_counts_what_came_before(trade_ns: np.ndarray, at_ns: np.ndarray, window: int) -> None:
    found = trade_intensity(trade_ns * NS_PER_S, at_ns * NS_PER_S, float(window))
    slow = [sum(t - window <= s < t for s in trade_ns) / window for t in at_ns]
    np.testing.assert_allclose(found, slow)


def test_intensity_of_a_poisson_stream_is_its_rate() -> None:
    rng = np.random.default_rng(2)
    trade_ns = np.cumsum(rng.exponential(NS_PER_S / 20, 40_000)).astype(np.int64)
    at_ns = np.arange(10, 1_900, 10) * NS_PER_S
    found = trade_intensity(trade_ns, at_ns, 10.0)
    assert found.mean() == pytest.approx(20.0, abs=4 * np.sqrt(20 / 10 / len(at_ns)))
    assert found.var() == pytest.approx(20 / 10, rel=4 * np.sqrt(2 / len(at_ns)))  # Poisson: variance is the mean


def test_times_that_step_back_and_windows_of_nothing_are_refused() -> None:
    back, at = np.array([1, 3, 2]), np.array([4])
    for ask in (lambda: prevailing(back, at), lambda: trade_intensity(back, at, 1.0)):
        with pytest.raises(TimeOrderError, match=r"_ns steps back at index 2 \(2 after 3\)"):
            ask()
    for window_s in (0.0, -1.0, np.nan):
        with pytest.raises(SettingError, match="window of trades has a positive length"):
            trade_intensity(at, at, window_s)
