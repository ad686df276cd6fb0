"""Duration test: maximum likelihood against scipy's, the exact null's size, power against clusters."""

import numpy as np
import pytest
from scipy import stats

from backtests.durations import duration_exact_p, duration_lr, duration_p, fit_weibull, waiting_times

RNG = np.random.default_rng(9)


def clustered(n: int) -> np.ndarray:
    """Hits whose probability is 20 % in one fortnight of six and nearly nothing in the others."""
    return RNG.random(n) < np.where(np.arange(n) % 84 < 14, 0.20, 0.01)


@pytest.mark.parametrize("ends", [(False, False), (True, False), (False, True), (True, True)])
def test_waiting_times_by_counting(ends: tuple[bool, bool]) -> None:
    hits = RNG.random(300) < 0.05
    hits[[0, -1]] = ends
    waits, cut = waiting_times(hits)
    count, wanted = 0, []
    for hit in hits:
        count += 1
        if hit:
            wanted.append(count)
            count = 0
    wanted = wanted[1:] if ends[0] else wanted
    assert waits[~cut].tolist() == (wanted if ends[0] else wanted[1:])
    assert cut.sum() == 2 - sum(ends)
    assert waits.sum() == (299 if ends[0] else 300)  # nothing is lost


def test_fit_is_scipys_for_censored_observations() -> None:
    for hits in (RNG.random(2_000) < 0.05, clustered(2_000)):
        waits, cut = waiting_times(hits)
        observed = stats.CensoredData(uncensored=waits[~cut], right=waits[cut])
        shape, _, scale = stats.weibull_min.fit(observed, floc=0)
        found = fit_weibull(waits, cut)
        assert found.shape == pytest.approx(shape, rel=1e-3)
        assert 1 / found.rate == pytest.approx(scale, rel=1e-3)
        exponential = waits.sum() / (~cut).sum()  # the closed form without memory
        laws = stats.weibull_min(found.shape, scale=1 / found.rate), stats.expon(scale=exponential)
        likelihood = [law.logpdf(waits[~cut]).sum() + law.logsf(waits[cut]).sum() for law in laws]
        assert found.lr == pytest.approx(2 * (likelihood[0] - likelihood[1]), abs=1e-8)


def test_clusters_have_a_falling_hazard_and_are_rejected() -> None:
    together = clustered(3_000)
    assert fit_weibull(*waiting_times(together)).shape < 0.8
    assert duration_p(together) < 1e-3
    assert duration_exact_p(together, 199) == 1 / 200
    regular = np.zeros(3_000, bool)
    regular[::20] = True
    assert fit_weibull(*waiting_times(regular)).shape > 5
    assert duration_p(regular) < 1e-3


def test_size_with_few_hits() -> None:
    p = np.array([duration_exact_p(RNG.random(250) < 0.04, 19, RNG) for _ in range(300)])
    assert np.mean(p[~np.isnan(p)] <= 0.10) == pytest.approx(0.10, abs=0.05)


def test_size_with_many_hits() -> None:
    """Days are whole numbers: with rare hits the law for many nearly holds."""
    p = np.array([duration_p(RNG.random(5_000) < 0.01) for _ in range(500)])
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.03)


def test_one_hit_has_no_waiting_time() -> None:
    hits = np.zeros(100, bool)
    assert np.isnan(duration_lr(hits))
    hits[4] = True
    assert np.isnan(duration_exact_p(hits))
    assert np.isnan(duration_p(hits))
    hits[60] = True
    assert 0 <= duration_lr(hits) < 10
