"""Jump tests: how often they cry wolf, what they find, and their formulas step by step."""

import numpy as np
import pytest

from features.measures.jumps import bns_jump_statistic
from features.measures.lee_mykland import (
    gumbel_critical_value,
    gumbel_scaled,
    lee_mykland_jumps,
    lee_mykland_maximum,
    lee_mykland_statistic,
)
from features.measures.quarticity import absolute_moment
from tests.features.measures.paths import constant, jumping

N = 1_000
CALM = constant(np.random.default_rng(21), 3_000, N).log_returns


def test_ratio_statistic_step_by_step() -> None:
    r = [0.01, -0.012, 0.008, 0.05, -0.011, 0.02, -0.003]
    n = len(r)
    rv = sum(x**2 for x in r)
    bv = np.pi / 2 * n / (n - 1) * sum(abs(r[i] * r[i - 1]) for i in range(1, n))
    products = sum(abs(r[i] * r[i - 1] * r[i - 2]) ** (4 / 3) for i in range(2, n))
    tpq = n * n / (n - 2) * absolute_moment(4 / 3) ** -3 * products
    z = (1 - bv / rv) / np.sqrt((np.pi**2 / 4 + np.pi - 5) / n * max(1.0, tpq / bv**2))
    assert bns_jump_statistic(np.array(r)) == pytest.approx(z)
    assert tpq > bv**2  # the maximum is used


def test_ratio_statistic_is_standard_normal_without_jumps() -> None:
    z = bns_jump_statistic(CALM)
    assert abs(z.mean()) < 0.15  # of the order of 1 / sqrt(n)
    assert z.std() == pytest.approx(1.0, abs=0.06)
    assert (z > 1.645).mean() == pytest.approx(0.05, abs=0.02)


def test_ratio_statistic_finds_a_jump_of_half_the_variance() -> None:
    jumped = jumping(np.random.default_rng(22), 500, N, share=0.5).log_returns
    assert (bns_jump_statistic(jumped) > 2.326).mean() > 0.99


def test_ratio_statistic_has_no_scale_in_a_price_that_moves_once() -> None:
    single = np.zeros(30)
    single[10] = 0.02
    assert np.isnan(bns_jump_statistic(single))


@pytest.mark.parametrize("length", [3, 4, 9])
def test_local_statistic_against_a_slow_loop(length: int) -> None:
    r = CALM[0, :40]
    expected = np.full(40, np.nan)
    for i in range(length - 1, 40):
        pairs = [abs(r[j]) * abs(r[j - 1]) for j in range(i - length + 2, i)]
        assert len(pairs) == length - 2
        expected[i] = r[i] / np.sqrt(np.mean(pairs))
    np.testing.assert_allclose(lee_mykland_statistic(r, length), expected)


def test_local_statistic_knows_only_the_past() -> None:
    changed = CALM[0, :60].copy()
    changed[40:] *= 7
    np.testing.assert_array_equal(lee_mykland_statistic(changed, 20)[:40], lee_mykland_statistic(CALM[0, :60], 20)[:40])


def test_local_statistic_is_normal_with_variance_half_pi() -> None:
    found = lee_mykland_statistic(CALM[:300])
    known = found[:, np.isfinite(found[0])]
    assert known.shape[1] == N - np.ceil(N**0.75) + 1
    assert known.var() == pytest.approx(np.pi / 2, rel=0.02)  # the volatility is measured on 176 pairs


def test_local_test_cries_wolf_as_often_as_told() -> None:
    share = (lee_mykland_maximum(CALM) > gumbel_critical_value(0.05)).mean()
    assert 0.02 < share < 0.08


def test_local_test_finds_the_return_that_jumped_and_its_sign() -> None:
    rng = np.random.default_rng(23)
    moves = CALM[:200].copy()
    where, sign = rng.integers(300, N, size=200), rng.choice([-1.0, 1.0], 200)
    moves[np.arange(200), where] += 10 * sign * np.sqrt(4e-4 / N)
    flags = lee_mykland_jumps(moves, level=0.01)
    np.testing.assert_array_equal(flags[np.arange(200), where], sign)
    others = np.nansum(np.abs(flags), axis=1) - 1
    assert others.mean() < 0.03
    assert np.isnan(flags[:, : int(np.ceil(N**0.75)) - 1]).all()


def test_flags_and_maximum_agree() -> None:
    level = 0.3
    flags = np.nansum(np.abs(lee_mykland_jumps(CALM[:500], level, 100)), axis=1)
    largest = lee_mykland_maximum(CALM[:500], 100)
    np.testing.assert_array_equal(flags > 0, largest > gumbel_critical_value(level))
    assert (flags > 0).sum() > 20
    tested = N - 100 + 1
    size = np.nanmax(np.abs(lee_mykland_statistic(CALM[:500], 100)), axis=1)
    np.testing.assert_allclose(largest, gumbel_scaled(size, tested))


def test_no_flag_where_the_price_stood_still_before() -> None:
    moves = CALM[0, :60].copy()
    moves[20:40] = 0.0
    found = lee_mykland_jumps(moves, local_bars=10)
    assert np.isnan(found[30:41]).all()
    assert np.isfinite(found[50:]).all()


def test_gap_in_the_tape_is_no_calm() -> None:
    moves = CALM[0, :60].copy()
    moves[30] = np.nan
    found = lee_mykland_jumps(moves, local_bars=10)
    assert np.isnan(found[30:40]).all()
    assert np.isfinite(found[40:]).all()


@pytest.mark.parametrize(("n", "length", "demand"), [(50, 2, "at least 3 returns, got 2"), (50, 49, "at least 51 ret")])
def test_impossible_local_windows_are_refused(n: int, length: int, demand: str) -> None:
    with pytest.raises(ValueError, match=demand):
        lee_mykland_statistic(CALM[0, :n], length)
