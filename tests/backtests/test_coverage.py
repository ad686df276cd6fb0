"""Coverage tests against published figures and simulated nulls."""

import numpy as np
import pytest

from backtests.coverage import (
    christoffersen_lr,
    christoffersen_p,
    conditional_coverage_p,
    hits_of,
    kupiec_lr,
    kupiec_p,
    over_phases,
    tail_probability,
)
from backtests.overlap import combine_phases
from models.base import LEVELS

RNG = np.random.default_rng(6)


def hits_at(*places: int, n: int) -> np.ndarray:
    hits = np.zeros(n, dtype=bool)
    hits[list(places)] = True
    return hits


# Kupiec (1995): breach counts not rejected at 95 % confidence.
@pytest.mark.parametrize(
    ("level", "n_obs", "fewest", "most"),
    [(0.01, 255, 1, 6), (0.01, 510, 2, 10), (0.01, 1000, 5, 16), (0.05, 255, 7, 20), (0.05, 1000, 38, 64)],
)
def test_kupiec_acceptance_region(level: float, n_obs: int, fewest: int, most: int) -> None:
    accepted = [k for k in range(n_obs) if kupiec_lr(k, n_obs, level) < 3.841]
    # One breach of 255 at 1 % is the published lower end: none is rejected.
    assert (accepted[0], accepted[-1]) == (fewest, most)


# Published worked examples: 57 and 17 of 1043.
@pytest.mark.parametrize(
    ("n_hits", "level", "ratio", "p"), [(57, 0.05, 0.46147, 0.49694), (17, 0.01, 3.5118, 0.060933)]
)
def test_kupiec_worked_examples(n_hits: int, level: float, ratio: float, p: float) -> None:
    assert kupiec_lr(n_hits, 1043, level) == pytest.approx(ratio, rel=2e-5)
    assert kupiec_p(hits_at(*range(n_hits), n=1043), level) == pytest.approx(p, rel=2e-5)


def test_christoffersen_worked_example() -> None:
    hits = hits_at(10, 50, 51, 100, 150, 151, 152, n=250)
    unconditional, independence = kupiec_lr(7, 250, 0.01), christoffersen_lr(hits)
    assert unconditional == pytest.approx(5.49699, abs=5e-6)
    assert independence == pytest.approx(13.48756, abs=5e-6)
    assert unconditional + independence == pytest.approx(18.98455, abs=5e-6)
    assert conditional_coverage_p(hits, 0.01) == pytest.approx(np.exp(-18.98455 / 2), rel=1e-5)


def test_christoffersen_from_published_transitions() -> None:
    """932 / 53 / 53 / 4 transitions: LR of independence .25866."""
    blocks = [True] * 5 + [False]  # four transitions from hit to hit in one run of five
    hits = np.array(blocks + [True, False] * 52 + [False] * (932 - 1) + [False])
    before, after = hits[:-1], hits[1:]
    counts = [(~before & ~after).sum(), (before & ~after).sum(), (~before & after).sum(), (before & after).sum()]
    assert counts == [932, 53, 52, 4]  # a sequence cannot have the table's 53 and 53 with these ends
    assert christoffersen_lr(np.concatenate([[False], hits])) == pytest.approx(0.25866, abs=2e-3)


@pytest.mark.parametrize("hits", [np.zeros(300, bool), np.ones(300, bool), hits_at(5, n=300)])
def test_extreme_sequences_have_finite_ratios(hits: np.ndarray) -> None:
    assert np.isfinite(kupiec_lr(int(hits.sum()), len(hits), 0.01))
    assert np.isfinite(christoffersen_lr(hits))


def test_a_hit_is_strictly_beyond_its_quantile() -> None:
    r = np.array([-1.1, -1.0, 0.0, 1.0, 1.1])
    assert hits_of(r, np.full(5, -1.0), 0.01).tolist() == [True, False, False, False, False]
    assert hits_of(r, np.full(5, 1.0), 0.99).tolist() == [False, False, False, False, True]
    assert [tail_probability(p) for p in LEVELS if p < 0.1] == [tail_probability(p) for p in LEVELS[::-1] if p > 0.9]


def markov(n: int, into: float, stay: float) -> np.ndarray:
    """Hits that begin with probability ``into`` and go on with probability ``stay``."""
    hits, draws = np.zeros(n, dtype=bool), RNG.random(n)
    for i in range(1, n):
        hits[i] = draws[i] < (stay if hits[i - 1] else into)
    return hits


def test_sizes_under_the_null() -> None:
    rejected = np.zeros(3)
    for _ in range(1_500):
        hits = RNG.random(2_000) < 0.05
        rejected += np.array([kupiec_p(hits, 0.05), christoffersen_p(hits), conditional_coverage_p(hits, 0.05)]) < 0.05
    np.testing.assert_allclose(rejected / 1_500, 0.05, atol=0.015)


def test_wrong_models_are_rejected_by_the_test_that_is_meant_for_them() -> None:
    often = [RNG.random(1_500) < 0.08 for _ in range(60)]  # 8 % where 5 % were forecast
    clustered = [markov(1_500, 0.04, 0.24) for _ in range(60)]  # 5 % of hits, that come together
    assert np.mean([kupiec_p(h, 0.05) < 0.05 for h in often]) > 0.9
    assert np.mean([christoffersen_p(h) < 0.05 for h in often]) < 0.2
    assert np.mean([christoffersen_p(h) < 0.05 for h in clustered]) > 0.9
    assert np.mean([kupiec_p(h, 0.05) < 0.05 for h in clustered]) < 0.4
    assert np.mean([conditional_coverage_p(h, 0.05) < 0.05 for h in often + clustered]) > 0.9


def test_phases_that_cannot_tell_are_left_out() -> None:
    phase = np.arange(9) % 3
    told = combine_phases(lambda rows: np.nan if rows[0] == 1 else 0.1 + 0.1 * rows[0], phase, 3)
    assert told == pytest.approx(2 * np.median([0.1, 0.3]))
    assert np.isnan(combine_phases(lambda _: np.nan, phase, 3))
    assert combine_phases(lambda _: 0.8, phase, 3) == 1.0
    assert combine_phases(lambda _: 0.8, np.zeros(9, int), 1) == 0.8


def test_phases_keep_their_size_under_overlap_where_a_naive_test_does_not() -> None:
    naive, phased = [], []
    for _ in range(300):
        blocks = np.repeat(RNG.random(250) < 0.05, 8)  # each hit lasts the eight hours of a window
        naive.append(kupiec_p(blocks, 0.05) < 0.05)
        phased.append(over_phases(kupiec_p, blocks, 0.05, 8) < 0.05)
    assert np.mean(phased) <= 0.06
    assert np.mean(naive) > 0.25
