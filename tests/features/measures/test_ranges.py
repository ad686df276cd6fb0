"""Range measures on bars that were watched without pause, with and without drift and gaps."""

import numpy as np
import pytest
from scipy import special

from features.measures.range import garman_klass, parkinson, rogers_satchell, yang_zhang
from tests.features.measures.paths import bars, in_errors

RANGES = (parkinson, garman_klass, rogers_satchell, yang_zhang)
PLAIN = bars(np.random.default_rng(31), 2_000, 20)
DRIFTING = bars(np.random.default_rng(32), 1_000, 20, drift=1.0, gap_variance=0.5)


@pytest.mark.parametrize("measure", RANGES)
def test_unbiased_without_drift(measure) -> None:  # type: ignore[no-untyped-def]
    assert abs(in_errors(measure(*PLAIN), 20.0)) < 4


def test_bars_of_the_simulation_follow_the_law_of_the_range() -> None:
    spread = PLAIN[1] - PLAIN[2]
    # Feller (1951): the mean range of a Brownian path of unit variance is sqrt(8 / pi).
    assert spread.mean() == pytest.approx(np.sqrt(8 / np.pi), rel=0.01)


@pytest.mark.parametrize("measure", [parkinson, garman_klass])
def test_drift_is_taken_for_variance(measure) -> None:  # type: ignore[no-untyped-def]
    assert in_errors(measure(*DRIFTING), 20.0) > 20


def test_rogers_satchell_sees_neither_drift_nor_gaps() -> None:
    assert abs(in_errors(rogers_satchell(*DRIFTING), 20.0)) < 4


def test_yang_zhang_sees_the_gaps_and_no_drift() -> None:
    assert abs(in_errors(yang_zhang(*DRIFTING), 20 * 1.5)) < 4


@pytest.mark.parametrize(
    ("measure", "published"),
    [
        (parkinson, 9 * special.zeta(3) / (16 * np.log(2) ** 2) - 1),  # Parkinson (1980): 0.407
        (garman_klass, 2 / 7.4),  # Garman & Klass (1980): 7.4 times as efficient as the close
        (rogers_satchell, 0.331),  # Rogers & Satchell (1991)
    ],
)
def test_efficiency(measure, published: float) -> None:  # type: ignore[no-untyped-def]
    one_bar = measure(*(series.reshape(-1, 1) for series in PLAIN))
    assert one_bar.var() == pytest.approx(published, rel=0.06)  # 40,000 bars: 1 to 2 %


def test_yang_zhang_step_by_step() -> None:
    o, h, low, c = (series[0] for series in DRIFTING)
    n = len(o)
    m = n - 1
    gaps = [o[i] - c[i - 1] for i in range(1, n)]
    moves = [c[i] - o[i] for i in range(1, n)]
    terms = [(h[i] - o[i]) * (h[i] - c[i]) + (low[i] - o[i]) * (low[i] - c[i]) for i in range(1, n)]
    k = 0.34 / (1.34 + (m + 1) / (m - 1))
    one_bar = np.var(gaps, ddof=1) + k * np.var(moves, ddof=1) + (1 - k) * np.mean(terms)
    assert yang_zhang(o, h, low, c) == pytest.approx(n * one_bar)


def test_parkinson_ignores_what_it_does_not_need() -> None:
    void = np.full_like(PLAIN[0], np.nan)
    np.testing.assert_array_equal(parkinson(void, PLAIN[1], PLAIN[2], void), parkinson(*PLAIN))


def test_a_bar_that_only_rises_has_no_rogers_satchell_variance() -> None:
    up = np.array([0.02])
    assert rogers_satchell(np.zeros(1), up, np.zeros(1), up) == 0
    assert garman_klass(np.zeros(1), up, np.zeros(1), up) == pytest.approx((1.5 - 2 * np.log(2)) * 4e-4)
