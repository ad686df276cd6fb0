"""The normal law against fifty digits of mpmath."""

import mpmath
import numpy as np
import pytest

from serving.margin.pricing.normal import normal_cdf, normal_pdf


@pytest.mark.parametrize(
    ("low", "high"), [(-37.5, -25.0), (-25.0, -10.1), (-10.1, -9.9), (-9.9, -4.0), (-4.0, 0.0), (0.0, 12.0)]
)
def test_law_and_density_are_exact_to_1e_14(low: float, high: float) -> None:
    points = np.random.default_rng(7).uniform(low, high, 150)
    with mpmath.workdps(50):
        law = np.array([float(mpmath.ncdf(mpmath.mpf(x))) for x in points])
        density = np.array([float(mpmath.npdf(mpmath.mpf(x))) for x in points])
    np.testing.assert_allclose(normal_cdf(points), law, rtol=2e-15, atol=0)
    np.testing.assert_allclose(normal_pdf(points), density, rtol=2e-15, atol=0)


def test_borders_of_cells_leave_no_step() -> None:
    """The law never falls where one polynomial takes over from the next."""
    borders = (np.arange(-2400, 640) + 0.5) / 64
    points = np.stack([np.nextafter(borders, -np.inf), borders, np.nextafter(borders, np.inf)], axis=1)
    law = normal_cdf(points)
    steps = np.diff(law, axis=1)
    assert np.all(steps >= -2e-15 * law[:, 1:])


def test_ends_of_the_line() -> None:
    ends = np.array([-np.inf, -1e300, -38.6, 12.0, 1e300, np.inf, np.nan])
    np.testing.assert_array_equal(normal_cdf(ends), [0, 0, 0, 1, 1, 1, np.nan])
    np.testing.assert_array_equal(normal_pdf(ends)[[0, 1, 4, 5, 6]], [0, 0, 0, 0, np.nan])
    assert normal_cdf(np.zeros((2, 3))).shape == (2, 3)
