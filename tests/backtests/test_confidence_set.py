"""Model confidence set against arch's, and what its theory promises."""

import numpy as np
import pytest
from arch.bootstrap import MCS

from backtests.confidence_set import circular_block_counts, model_confidence_set


@pytest.mark.parametrize("seed", range(4))
def test_the_same_models_stay_as_in_arch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shared = np.convolve(rng.standard_normal(609), np.ones(10) / np.sqrt(10), mode="valid")[:, None]
    losses = shared + 0.5 * rng.standard_normal((600, 5)) + np.array([0.0, 0.0, 0.03, 0.2, 0.4])
    other = MCS(losses, size=0.10, reps=1_000, block_size=10, method="max", bootstrap="circular", seed=seed)
    other.compute()
    p = model_confidence_set(losses, seed=seed)
    assert np.flatnonzero(p >= 0.10).tolist() == sorted(other.included, key=str)
    theirs = other.pvalues["Pvalue"].sort_index().to_numpy()
    np.testing.assert_allclose(p, theirs, atol=0.06)  # their draws are others


def test_the_best_stays_as_often_as_promised_and_bad_ones_go() -> None:
    rng = np.random.default_rng(5)
    best, bad = [], []
    for _ in range(60):
        losses = rng.standard_normal((300, 1)) + rng.standard_normal((300, 4)) + np.array([0.0, 0.1, 0.2, 0.6])
        p = model_confidence_set(losses, draws=300, seed=rng)
        best.append(p[0] >= 0.10)
        bad.append(p[3] >= 0.10)
    assert np.mean(best) > 0.9
    assert np.mean(bad) < 0.05


def test_order_of_models_does_not_matter_and_one_stays() -> None:
    losses = np.random.default_rng(1).standard_normal((200, 4)) + np.array([0.0, 0.1, 0.3, 0.2])
    order = np.array([2, 0, 3, 1])
    np.testing.assert_allclose(model_confidence_set(losses[:, order]), model_confidence_set(losses)[order])
    assert model_confidence_set(losses).max() == 1.0
    assert model_confidence_set(losses[:, :1]).tolist() == [1.0]


def test_twins_are_equally_good() -> None:
    loss = np.random.default_rng(2).standard_normal(100)
    assert model_confidence_set(np.column_stack([loss, loss])).tolist() == [1.0, 1.0]


def test_blocks_are_drawn_whole_and_around_the_end() -> None:
    counts = circular_block_counts(40, 8, 2_000, 0)
    assert (counts.sum(axis=1) == 40).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.11)  # each day as often as any, those at the ends too
    neighbours = (counts * np.roll(counts, 1, axis=1)).mean() - 1
    single = circular_block_counts(40, 1, 2_000, 0)
    within, across = (
        7 / 8,
        5 * 4 * (8 / 40) ** 2,
    )  # seven of a block's eight days bring a neighbour; or another block does
    assert neighbours == pytest.approx(within + across - 1, abs=0.05)
    assert (single * np.roll(single, 1, axis=1)).mean() - 1 == pytest.approx(-1 / 40, abs=0.05)
