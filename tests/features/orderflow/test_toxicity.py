"""VPIN against buckets filled lot by lot, figures by hand, and the law of fair coins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from features.errors import SettingError
from features.orderflow import vpin


def classic(sizes: list[int], signs: list[int], bucket: int) -> float:
    """Easley, Lopez de Prado and O'Hara: lots of 1 in the order of the tape, equal buckets, mean of |B - S| / V."""
    lots = [sign for size, sign in zip(sizes, signs, strict=True) for _ in range(size)]
    full = [lots[i : i + bucket] for i in range(0, len(lots) - bucket + 1, bucket)]
    return float(np.mean([abs(sum(lot > 0 for lot in b) - sum(lot < 0 for lot in b)) / bucket for b in full]))


def by_interpolation(volume: np.ndarray, buy_volume: np.ndarray, buckets: int) -> float:
    """Purchases as a line over volume, read off at the boundaries."""
    through, bought = (np.concatenate([[0.0], np.cumsum(v)]) for v in (volume, buy_volume))
    edges = np.interp(np.linspace(0, through[-1], buckets + 1), through, bought)
    return float(np.abs(2 * np.diff(edges) * buckets / through[-1] - 1).mean())


def test_by_hand() -> None:
    volume, buys = np.array([2.0, 6.0, 4.0]), np.array([2.0, 3.0, 0.0])
    # Buckets of 4: 2 + 1 of the first two rows bought; 2 of the rest of the second; none of the third... 3, 2, 0 of 4.
    assert vpin(volume, buys, 3) == pytest.approx((0.5 + 0.0 + 1.0) / 3)
    assert vpin(volume, buys, 1) == pytest.approx(abs(2 * 5 / 12 - 1))


@given(
    trades=st.lists(st.tuples(st.integers(1, 30), st.sampled_from([-1, 1])), min_size=1, max_size=40),
    bucket=st.integers(1, 12),
)
def test_of_trades_it_is_the_classic_one(trades: list[tuple[int, int]], bucket: int) -> None:
    sizes, signs = [list(column) for column in zip(*trades, strict=True)]
    sizes[-1] += -sum(sizes) % bucket  # the last bucket is full
    size, sign = np.array(sizes, dtype=float), np.array(signs)
    buckets = sum(sizes) // bucket
    assert vpin(size, size * (sign > 0), buckets) == pytest.approx(classic(sizes, signs, bucket), abs=1e-12)


@given(seed=st.integers(0, 999), n=st.integers(1, 60), buckets=st.integers(1, 20))
def test_rows_over_a_boundary_are_split_in_proportion(seed: int, n: int, buckets: int) -> None:
    rng = np.random.default_rng(seed)
    volume = rng.exponential(1.0, n) * (rng.random(n) < 0.8) + 1e-9
    buys = volume * rng.random(n)
    expected = by_interpolation(volume, buys, buckets)
    assert vpin(volume, buys, buckets) == pytest.approx(expected, abs=1e-10)
    assert vpin(volume * 7, buys * 7, buckets) == pytest.approx(expected, abs=1e-10)
    assert vpin(volume, volume - buys, buckets) == pytest.approx(expected, abs=1e-10)  # sold for bought
    halves, bought = np.repeat(volume, 2) / 2, np.repeat(buys, 2) / 2
    assert vpin(halves, bought, buckets) == pytest.approx(expected, abs=1e-10)  # rows of half the length


def test_fair_coins_give_the_mean_of_a_binomial() -> None:
    lots, buckets = 40, 20_000
    buys = np.random.default_rng(6).integers(0, 2, lots * buckets).astype(float)
    k = np.arange(lots + 1)
    each, weight = np.abs(2 * k / lots - 1), binom.pmf(k, lots, 0.5)
    mean = float(each @ weight)
    error = np.sqrt((each**2 @ weight - mean**2) / buckets)
    assert vpin(np.ones_like(buys), buys, buckets) == pytest.approx(mean, abs=4 * error)


def test_bounds() -> None:
    volume = np.random.default_rng(0).exponential(1.0, 50)
    assert vpin(volume, volume, 7) == pytest.approx(1.0)
    assert vpin(volume, 0 * volume, 7) == pytest.approx(1.0)
    assert vpin(volume, volume / 2, 7) == pytest.approx(0.0, abs=1e-12)


def test_windows_are_taken_one_by_one() -> None:
    rng = np.random.default_rng(8)
    volume = rng.exponential(1.0, (3, 4, 30))
    buys = volume * rng.random(volume.shape)
    found = vpin(volume, buys, 5)
    assert found.shape == (3, 4)
    for i in np.ndindex(3, 4):
        assert found[i] == pytest.approx(by_interpolation(volume[i], buys[i], 5))


def test_no_volume_and_unknown_volume_are_not_calm() -> None:
    volume, buys = np.array([1.0, 0.0, 2.0]), np.array([1.0, 0.0, 0.0])
    assert np.isnan(vpin(0 * volume, 0 * buys, 2))
    for hole in range(3):
        gap = np.where(np.arange(3) == hole, np.nan, 0.0)
        assert np.isnan(vpin(volume + gap, buys, 2))
        assert np.isnan(vpin(volume, buys + gap, 2))


def test_windows_without_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"VPIN needs at least 1 row .*, got \(0,\)"):
        vpin(np.empty(0), np.empty(0), 2)
    with pytest.raises(ValueError, match=r"as many of both, got \(3,\), \(2,\)"):
        vpin(np.ones(3), np.ones(2), 2)
    with pytest.raises(SettingError, match="at least 1 bucket, got 0"):
        vpin(np.ones(3), np.ones(3), 0)
