"""Acerbi and Szekely's published critical values, and the statistic itself day by day."""

import numpy as np
import pytest

from backtests.shortfall_nulls import independent_z2
from backtests.shortfall_tests import z2
from models.tails import normal_quantiles, normal_shortfall


# Acerbi & Szekely (2014), table 4: critical values of Z2, 2.5 % shortfall, 250 days, to two digits -0.70 and -0.82.
@pytest.mark.parametrize(("degrees", "critical"), [(None, -0.698), (10.0, -0.707), (5.0, -0.733), (3.0, -0.815)])
def test_published_critical_values(degrees: float | None, critical: float) -> None:
    assert np.quantile(independent_z2(250, 0.025, degrees, draws=100_000, seed=3), 0.05) == pytest.approx(
        critical, abs=0.012
    )


def test_same_law_as_the_statistic_of_every_day() -> None:
    rng, days = np.random.default_rng(4), 400
    q, e = (np.full(days, float(f((0.05,))[0])) for f in (normal_quantiles, normal_shortfall))
    slow = np.array([z2(rng.standard_normal(days), q, e, 0.05) for _ in range(8_000)])
    fast = independent_z2(days, 0.05, draws=80_000, seed=5)
    for share in (0.01, 0.05, 0.5, 0.95):
        assert np.quantile(fast, share) == pytest.approx(np.quantile(slow, share), abs=0.03)
    assert fast.mean() == pytest.approx(0.0, abs=0.005)


def test_tails_mirror_and_seeds_repeat() -> None:
    np.testing.assert_array_equal(independent_z2(250, 0.975, draws=50), independent_z2(250, 0.025, draws=50))
    assert not np.array_equal(independent_z2(250, 0.025, draws=50, seed=1), independent_z2(250, 0.025, draws=50))
