"""The traffic light against the Committee's tables."""

import pytest
from scipy.stats import binom

from backtests.traffic_light import multiplier, zone

# Basel Committee (1996), table 2: cumulative probability of 0 to 9 exceptions of 250 at 1 %, percent.
CUMULATIVE = (8.11, 28.58, 54.32, 75.81, 89.22, 95.88, 98.63, 99.60, 99.89, 99.97)
MULTIPLIERS = (1.5, 1.5, 1.5, 1.5, 1.5, 1.70, 1.76, 1.83, 1.88, 1.92, 2.00)


@pytest.mark.parametrize(("n_hits", "percent"), list(enumerate(CUMULATIVE)))
def test_zones_of_the_published_probabilities(n_hits: int, percent: float) -> None:
    assert 100 * binom.cdf(n_hits, 250, 0.01) == pytest.approx(percent, abs=0.005)
    assert zone(n_hits) == ("green" if percent < 95 else "yellow")


def test_red_from_ten_on_and_multipliers() -> None:
    assert [zone(k) for k in (10, 11, 40)] == ["red"] * 3
    assert [multiplier(k) for k in range(11)] == list(MULTIPLIERS)
    assert multiplier(99) == 2.0


def test_other_lengths_and_levels_have_other_zones() -> None:
    for n_obs, level in ((1_000, 0.01), (250, 0.025), (500, 0.05)):
        yellow, red = (int(binom.ppf(p, n_obs, level)) for p in (0.95, 0.9999))
        found = [zone(k, n_obs, level) for k in (yellow - 1, yellow, red - 1, red)]
        assert found == ["green", "yellow", "yellow", "red"]
