"""Covariance of ticks without a common clock against the double sum, the aligned case and a known truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.measures.asynchronous import IntArray, hayashi_yoshida
from features.measures.covariance import realised_covariance
from features.measures.window import FloatArray
from tests.features.measures.paths import in_errors

TIMES = st.lists(st.integers(0, 40), min_size=2, max_size=25, unique=True).map(sorted)


def double_sum(a_ns: IntArray, a: FloatArray, b_ns: IntArray, b: FloatArray) -> float:
    """Every pair of steps looked at."""
    products = [
        (a[i] - a[i - 1]) * (b[j] - b[j - 1])
        for i in range(1, len(a))
        for j in range(1, len(b))
        if max(a_ns[i - 1], b_ns[j - 1]) < min(a_ns[i], b_ns[j])
    ]
    return float(sum(products)) if products else np.nan


@given(TIMES, TIMES, st.integers(0, 2**31))
def test_against_the_double_sum(first: list[int], second: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    series = (np.array(first), rng.normal(size=len(first)), np.array(second), rng.normal(size=len(second)))
    assert hayashi_yoshida(*series) == pytest.approx(double_sum(*series), nan_ok=True)


def test_on_one_clock_it_is_the_realised_covariance() -> None:
    moves = np.random.default_rng(1).normal(size=(2, 100))
    times = np.arange(101) * 10**9
    prices = np.concatenate([np.zeros((2, 1)), moves.cumsum(axis=1)], axis=1)
    found = hayashi_yoshida(times, prices[0], times, prices[1])
    assert found == pytest.approx(realised_covariance(moves[0], moves[1]))


def test_order_of_the_series_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    a_ns, b_ns = np.cumsum(rng.integers(1, 9, 80)), np.cumsum(rng.integers(1, 5, 120))
    a, b = rng.normal(size=80), rng.normal(size=120)
    assert hayashi_yoshida(a_ns, a, b_ns, b) == pytest.approx(hayashi_yoshida(b_ns, b, a_ns, a))


def test_known_covariance_that_a_grid_of_last_prices_misses() -> None:
    rng = np.random.default_rng(3)
    correlation, instants = 0.6, 2_000
    exact, gridded = [], []
    for _ in range(400):
        moves = rng.normal(0.0, np.sqrt(1 / instants), (2, instants))
        path = np.stack([moves[0], correlation * moves[0] + np.sqrt(1 - correlation**2) * moves[1]]).cumsum(axis=1)
        ticks = [np.flatnonzero(np.append(True, rng.random(instants - 1) < 0.1)) for _ in range(2)]
        for one in ticks:
            one[-1] = instants - 1  # both cover the whole stretch
        exact.append(hayashi_yoshida(ticks[0], path[0, ticks[0]], ticks[1], path[1, ticks[1]]))
        grid = np.arange(0, instants, 10)
        last = [path[i, one[np.searchsorted(one, grid, side="right") - 1]] for i, one in enumerate(ticks)]
        gridded.append(realised_covariance(np.diff(last[0]), np.diff(last[1])))
    truth = correlation * (instants - 1) / instants
    assert abs(in_errors(np.array(exact), truth)) < 4
    assert in_errors(np.array(gridded), truth) < -20  # Epps (1979)


def test_no_shared_time_is_no_number() -> None:
    early, late = np.array([0, 5]), np.array([5, 9])
    assert np.isnan(hayashi_yoshida(early, np.array([0.0, 1.0]), late, np.array([0.0, 1.0])))


def test_nan_counts_where_the_series_overlap() -> None:
    times = np.arange(6)
    flat = np.arange(6.0)
    holed = flat.copy()
    holed[2] = np.nan
    assert np.isnan(hayashi_yoshida(times, holed, times, flat))
    assert hayashi_yoshida(times, holed, times[3:], flat[3:]) == pytest.approx(2.0)


def test_nanoseconds_of_today_are_told_apart() -> None:
    start = 1_700_000_000_000_000_000
    first, second = np.array([start, start + 2]), np.array([start + 1, start + 3])
    assert hayashi_yoshida(first, np.array([0.0, 2.0]), second, np.array([0.0, 3.0])) == 6.0
    assert np.isnan(hayashi_yoshida(first, np.array([0.0, 2.0]), second + 1, np.array([0.0, 3.0])))


@pytest.mark.parametrize(
    ("times", "prices", "demand"),
    [
        ([0, 1, 1], [0.0, 0.0, 0.0], "strictly ascending"),
        ([0, 2, 1], [0.0, 0.0, 0.0], "strictly ascending"),
        ([0], [0.0], "at least 2 ticks, got 1"),
        ([0, 1], [0.0], "one shape"),
    ],
)
def test_ticks_out_of_shape_are_refused(times: list[int], prices: list[float], demand: str) -> None:
    good = np.array([0, 1]), np.array([0.0, 0.1])
    bad = np.array(times), np.array(prices)
    with pytest.raises(ValueError, match=demand):
        hayashi_yoshida(*good, *bad)
    with pytest.raises(ValueError, match=demand):
        hayashi_yoshida(*bad, *good)
