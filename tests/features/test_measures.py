"""Measures on closed forms, on paths of known variance, and under their laws."""

import numpy as np
import pytest

from features.measures import MEASURES
from features.measures.range import parkinson
from features.measures.variance import (
    bipower_variation,
    downside_semivariance,
    realised_quarticity,
    realised_variance,
    upside_semivariance,
)

VARIANCE = 4e-4
RETURNS = np.random.default_rng(7).normal(0.0, np.sqrt(VARIANCE / 20_000), (50, 20_000))


def test_closed_forms() -> None:
    r = np.array([0.03, -0.01, 0.02, -0.04])
    assert realised_variance(r) == pytest.approx(30e-4)
    assert bipower_variation(r) == pytest.approx(np.pi / 2 * 13e-4)
    assert downside_semivariance(r) == pytest.approx(17e-4)
    assert upside_semivariance(r) == pytest.approx(13e-4)
    assert realised_quarticity(r) == pytest.approx(4 / 3 * 354e-8)
    assert parkinson(np.array([0.03, 0.01])) == pytest.approx(10e-4 / (4 * np.log(2)))


@pytest.mark.parametrize("measure", [realised_variance, bipower_variation])
def test_integrated_variance_of_a_brownian_path(measure) -> None:  # type: ignore[no-untyped-def]
    found = measure(RETURNS)
    # Asymptotic variance: 2 / n for RV, (pi^2/4 + pi - 3) / n for BV, relative to the squared variance.
    spread = np.sqrt({realised_variance: 2.0, bipower_variation: 2.609}[measure] / 20_000 / 50)
    assert found.mean() == pytest.approx(VARIANCE, rel=4 * spread)


def test_quarticity_of_a_brownian_path() -> None:
    assert realised_quarticity(RETURNS).mean() == pytest.approx(VARIANCE**2, rel=0.02)


def test_semivariances_share_a_symmetric_path_and_add_up() -> None:
    down, up = downside_semivariance(RETURNS), upside_semivariance(RETURNS)
    np.testing.assert_allclose(down + up, realised_variance(RETURNS))
    assert down.mean() == pytest.approx(VARIANCE / 2, rel=0.01)


def test_bipower_ignores_one_jump_that_realised_variance_sees() -> None:
    jumped = RETURNS[0].copy()
    jumped[10_000] += 0.05
    neighbours = np.abs(RETURNS[0, [9_999, 10_001]]).sum()
    added = bipower_variation(jumped) - bipower_variation(RETURNS[0])
    assert added == pytest.approx(np.pi / 2 * 0.05 * neighbours, rel=0.01)  # of the order of 1 % of the jump
    assert realised_variance(jumped) == pytest.approx(realised_variance(RETURNS[0]) + 25e-4, rel=0.02)


def test_parkinson_of_a_densely_watched_path() -> None:
    steps = np.random.default_rng(3).normal(0.0, np.sqrt(1e-4 / 4_000), (2_000, 4_000))
    path = np.cumsum(steps, axis=1)
    ranges = np.maximum(path.max(axis=1), 0) - np.minimum(path.min(axis=1), 0)
    # Watching 4,000 times misses some of the range: Rogers & Satchell's correction is of this order.
    assert parkinson(ranges) / 2_000 == pytest.approx(1e-4, rel=0.06)


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_every_measure_scales_propagates_nan_and_works_row_by_row(name: str) -> None:
    measure = MEASURES[name]
    data = np.abs(RETURNS[:3, :50]) if name == "parkinson" else RETURNS[:3, :50]
    power = 4 if name == "realised_quarticity" else 2
    np.testing.assert_allclose(measure(3 * data), 3.0**power * measure(data))
    np.testing.assert_allclose(measure(data), [measure(row) for row in data])
    holed = data.copy()
    holed[1, 20] = np.nan
    assert np.isnan(measure(holed)).tolist() == [False, True, False]
    assert (measure(data) >= 0).all()


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_every_measure_refuses_an_empty_window(name: str) -> None:
    with pytest.raises(ValueError, match="at least"):
        MEASURES[name](np.empty((2, 0)))
