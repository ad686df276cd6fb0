"""Coverage tests and comparisons against published figures, an independent library and simulated nulls."""

import numpy as np
import pytest
import statsmodels.api as sm

from backtests.compare import diebold_mariano, newey_west_t
from backtests.coverage import christoffersen_lr, conditional_coverage_p, kupiec_lr, kupiec_p, over_phases

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


def test_size_of_kupiec_under_its_null() -> None:
    rejections = [kupiec_p(RNG.random(2_000) < 0.05, 0.05) < 0.05 for _ in range(2_000)]
    assert np.mean(rejections) == pytest.approx(0.05, abs=0.015)


def test_phases_keep_their_size_under_overlap_where_a_naive_test_does_not() -> None:
    naive, phased = [], []
    for _ in range(300):
        blocks = np.repeat(RNG.random(250) < 0.05, 8)  # each hit lasts the eight hours of a window
        naive.append(kupiec_p(blocks, 0.05) < 0.05)
        phased.append(over_phases(kupiec_p, blocks, 0.05, 8) < 0.05)
    assert np.mean(phased) <= 0.06
    assert np.mean(naive) > 0.25


def test_newey_west_equals_statsmodels() -> None:
    x = np.convolve(RNG.standard_normal(400), np.ones(4), mode="valid") + 0.3
    for lag in (0, 3, 9):
        fit = sm.OLS(x, np.ones(len(x))).fit(cov_type="HAC", cov_kwds={"maxlags": lag})
        assert newey_west_t(x, lag) == pytest.approx(fit.tvalues[0])


def test_diebold_mariano_sign_zero_and_size() -> None:
    day = np.repeat(np.arange(300), 24)
    base = RNG.standard_normal(len(day))
    better = base - 0.2 + 0.1 * RNG.standard_normal(len(day))
    assert diebold_mariano(better, base, day, 3_600) < -5
    assert diebold_mariano(base, better, day, 3_600) > 5
    assert diebold_mariano(base, base, day, 3_600) == 0
    values = []
    for _ in range(400):
        shock = np.repeat(RNG.standard_normal(300), 24)  # a day's hours share their luck
        values.append(diebold_mariano(shock, np.zeros_like(shock), day, 3_600))
    assert np.mean(np.abs(values) > 1.96) == pytest.approx(0.06, abs=0.04)
