"""Skill: its figure, and that its interval covers the truth where days are alike."""

import numpy as np
import pytest

from backtests.skill import skill


def losses(rng: np.random.Generator, n_days: int, memory: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positive losses of a model whose skill is .10; days share a shock that lasts ``memory`` days."""
    shock = np.convolve(rng.exponential(size=n_days + memory - 1), np.ones(memory) / memory, mode="valid")
    day = np.repeat(np.arange(n_days), 24)
    own = np.convolve(rng.normal(0.90, 0.4, n_days + memory - 1), np.ones(memory) / memory, mode="valid")
    return np.repeat(shock * own, 24), np.repeat(shock, 24), day


def test_figure_is_of_all_windows_and_days_may_be_unequal() -> None:
    loss, base, day = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 4.0]), np.array([5, 5, 9])
    assert skill(loss, base, day, draws=20).skill == pytest.approx(1 - 6 / 8)
    order = np.array([2, 0, 1])
    assert skill(loss[order], base[order], day[order], draws=20) == skill(loss, base, day, draws=20)


def test_interval_is_that_of_the_delta_method_where_days_are_independent() -> None:
    loss, base, day = losses(np.random.default_rng(1), 2_000)
    found = skill(loss, base, day, block=1, draws=2_000)
    a, b = loss[::24], base[::24]
    error = np.std(a - b * (a.mean() / b.mean())) / b.mean() / np.sqrt(len(a))
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert found.skill == pytest.approx(1 - a.mean() / b.mean())


def test_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(2)
    inside, naive = [], []
    for _ in range(120):
        loss, base, day = losses(rng, 300, memory=3)
        found = skill(loss, base, day, draws=200, seed=rng, confidence=0.90)
        inside.append(found.low <= 0.10 <= found.high)
        hour = np.arange(len(loss))  # each hour on its own: as if there were 24 times as much to learn from
        found = skill(loss, base, hour, block=1, draws=50, seed=rng, confidence=0.90)
        naive.append(found.low <= 0.10 <= found.high)
    assert np.mean(inside) > 0.80
    assert np.mean(naive) < 0.45


def test_a_wrong_sign_is_told() -> None:
    loss, base, day = losses(np.random.default_rng(3), 500)
    assert skill(loss, base, day, draws=200).low > 0
    assert skill(base, loss, day, draws=200).high < 0
