"""Isotonic and affine recalibration against scikit-learn, a linear programme and laws that are known."""

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.special import expit
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression

from features.clock import HOUR_NS, parse_utc
from models.base import LEVELS, outward
from models.calibration import RECALIBRATIONS, Memory
from models.calibration.conformal.levels import place_at, places_of
from models.calibration.recalibration import Affine, Isotonic, recalibrated
from models.tails import normal_quantiles, normal_shortfall

P = np.array(LEVELS)


def wrong(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal outcomes of mean .3 and standard deviation 1.4, and laws that think it is 0 and 1."""
    z = np.random.default_rng(seed).normal(0.3, 1.4, n)
    return z, np.tile(normal_quantiles(LEVELS), (n, 1)), np.tile(normal_shortfall(LEVELS), (n, 1))


def test_the_isotonic_map_is_that_of_scikit_learn() -> None:
    """Its regression of the frequencies on the levels, asked at the levels found, has the levels wanted."""
    z, shape, beyond = wrong(3_000)
    places = places_of(LEVELS)
    level = expit([place_at(shape[0], places, value) for value in z])
    frequency = np.searchsorted(np.sort(level), level, side="right") / len(z)
    regression = IsotonicRegression(out_of_bounds="clip").fit(level, frequency)
    asked = expit(Isotonic().fit(z, shape, beyond, LEVELS)[0])
    np.testing.assert_allclose(regression.predict(asked), LEVELS, atol=1e-9)


def test_the_isotonic_map_finds_the_true_quantiles() -> None:
    z, shape, beyond = wrong(100_000)
    moved, tails = Isotonic().apply(Isotonic().fit(z, shape, beyond, LEVELS), shape[:1], beyond[:1], LEVELS)
    truth = norm.ppf(LEVELS, 0.3, 1.4)
    error = np.sqrt(P * (1 - P) / len(z)) / norm.pdf(truth, 0.3, 1.4)
    assert (np.abs(moved[0] - truth) < 4 * error).all()
    means = 0.3 + 1.4 * normal_shortfall(LEVELS)  # a normal law's, shifted and stretched
    np.testing.assert_allclose(tails[0], means, atol=0.12)


def test_the_isotonic_map_covers_its_own_windows() -> None:
    z, shape, beyond = wrong(2_000)
    moved, _ = Isotonic().apply(Isotonic().fit(z, shape, beyond, LEVELS), shape, beyond, LEVELS)
    assert (np.abs((z[:, None] <= moved).mean(axis=0) - P) <= 1 / 2_000 + 1e-12).all()


@pytest.mark.parametrize("stretch", [2.0, 10.0])
def test_the_isotonic_map_covers_its_own_windows_however_far_out_they_are(stretch: float) -> None:
    """Outcomes beyond all that the law can tell apart in levels still have places of their own."""
    z, shape, beyond = wrong(4_000)
    moved, _ = Isotonic().apply(Isotonic().fit(stretch * z, shape, beyond, LEVELS), shape, beyond, LEVELS)
    assert (np.abs((stretch * z[:, None] <= moved).mean(axis=0) - P) <= 1 / 4_000 + 1e-12).all()


def test_the_affine_map_is_the_optimum_of_the_linear_programme() -> None:
    n = 60
    z, shape, beyond = wrong(n)
    shape = shape * np.random.default_rng(2).uniform(0.5, 1.5, (n, 1))
    weight = 1 / np.sqrt(P * (1 - P))
    x, y = shape.ravel(), np.repeat(z, len(P))
    levels, weights = np.tile(P, n), np.tile(weight, n)
    cost = np.concatenate([[0, 0], weights * levels, weights * (1 - levels)])
    equal = np.column_stack([np.ones_like(x), x, np.eye(len(x)), -np.eye(len(x))])
    bounds = [(-2, 2), (0.5, 2), *[(0, None)] * (2 * len(x))]
    least = linprog(cost, A_eq=equal, b_eq=y, bounds=bounds)
    shift, stretch = Affine().fit(z, shape, beyond, LEVELS)
    error = y - shift - stretch * x
    loss = (weights * np.maximum(levels * error, (levels - 1) * error)).sum()
    assert loss == pytest.approx(least.fun, rel=1e-5)
    np.testing.assert_allclose([shift, stretch], least.x[:2], atol=0.02)


def test_the_affine_map_finds_shift_and_stretch_and_stays_in_bounds() -> None:
    z, shape, beyond = wrong(50_000)
    found = Affine().fit(z, shape, beyond, LEVELS)
    np.testing.assert_allclose(found, [0.3, 1.4], atol=0.03)
    moved, tails = Affine().apply(found, shape[:1], beyond[:1], LEVELS)
    np.testing.assert_allclose(tails[0], found[0] + found[1] * beyond[0])
    assert (outward(LEVELS) * (tails - moved) >= 0).all()
    assert Affine().fit(20 * z, shape, beyond, LEVELS)[1] == pytest.approx(2.0)
    assert Affine().fit(z / 20, shape, beyond, LEVELS)[1] == pytest.approx(0.5)


@pytest.mark.parametrize("name", list(RECALIBRATIONS))
def test_each_month_uses_what_had_ended_before_it(name: str) -> None:
    """The fit of one month, written out; the month before the memory has enough is left alone."""
    n, ahead, least = 24 * 150, 8, 24 * 40
    origin_ns = parse_utc("2022-01-01") + HOUR_NS * np.arange(n)
    z, shape, beyond = wrong(n, 3)
    z[300:320] = np.nan
    memory = Memory(origin_ns, ahead * HOUR_NS, 24 * 60 * HOUR_NS, least)
    moved, tails = recalibrated(RECALIBRATIONS[name], z, shape, beyond, LEVELS, memory)
    march = int(np.searchsorted(origin_ns, parse_utc("2022-03-01")))
    april = int(np.searchsorted(origin_ns, parse_utc("2022-04-01")))
    february = int(np.searchsorted(origin_ns, parse_utc("2022-02-01")))
    np.testing.assert_array_equal(moved[: february + 27 * 24], shape[: february + 27 * 24])
    past = np.arange(max(0, april - ahead - 24 * 60 + 1), april - ahead + 1)
    past = past[np.isfinite(z[past])]
    method = RECALIBRATIONS[name]
    expected, _ = method.apply(
        method.fit(z[past], shape[past], beyond[past], LEVELS), shape[april:], beyond[april:], LEVELS
    )
    np.testing.assert_allclose(moved[april : april + 24 * 30], expected[: 24 * 30])
    assert not np.allclose(moved[march], moved[april])
    assert (np.diff(moved, axis=1) >= 0).all()
    assert (outward(LEVELS) * (tails - moved) >= 0).all()
