"""Many tests at once against statsmodels and by simulation."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from backtests.many import benjamini_hochberg, benjamini_yekutieli, count_rejections

RNG = np.random.default_rng(10)


@pytest.mark.parametrize("n", [1, 2, 24, 300])
def test_adjusted_p_values_are_those_of_statsmodels(n: int) -> None:
    p = RNG.random(n) ** 2
    p[-1] = p[0]  # a tie
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])
    np.testing.assert_allclose(benjamini_yekutieli(p), multipletests(p, method="fdr_by")[1])


def test_what_cannot_be_tested_is_not_counted() -> None:
    p = np.array([0.01, np.nan, 0.04])
    for adjust in (benjamini_hochberg, benjamini_yekutieli):
        np.testing.assert_allclose(adjust(p)[[0, 2]], adjust(p[[0, 2]]))
        assert np.isnan(adjust(p)[1])
        assert len(adjust(np.array([]))) == 0
    assert count_rejections(p) == count_rejections(p[[0, 2]])


def test_share_of_false_discoveries() -> None:
    """20 of 100 tests are of wrong models: of what is rejected at 10 % at most 8 % is false."""
    false = []
    for _ in range(1_000):
        p = RNG.random(100)
        p[:20] = p[:20] ** 8
        rejected = benjamini_hochberg(p) <= 0.10
        false.append(rejected[20:].sum() / max(rejected.sum(), 1))
    assert np.mean(false) == pytest.approx(0.08, abs=0.015)


def test_band_of_rejections_holds_for_right_models_and_not_for_wrong_ones() -> None:
    counts = [count_rejections(RNG.random(24)) for _ in range(800)]
    assert (counts[0].tested, counts[0].fewest, counts[0].most) == (24, 0, 4)
    assert np.mean([c.fewest <= c.rejected <= c.most for c in counts]) > 0.95
    wrong = count_rejections(RNG.random((4, 6)) ** 4)
    assert wrong.rejected > wrong.most
