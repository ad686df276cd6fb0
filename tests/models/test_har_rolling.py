"""Rolling least squares by update against numpy's on each window."""

import numpy as np
import pytest

from features.errors import ConvergenceError, SettingError, ShortHistoryError
from models.classical.moments import rolling_least_squares


def walk(n: int = 6_000) -> tuple[np.ndarray, np.ndarray]:
    """Regressors like log variances: persistent, far from zero, close to each other; rows missing here and there."""
    rng = np.random.default_rng(7)
    shocks = rng.normal(size=(n, 4))
    levels = np.stack(
        [np.convolve(shocks[:, j], np.full(k, 1 / k))[:n] for j, k in enumerate((4, 24, 96, 300))], axis=1
    )
    design = -11 + 0.5 * levels + 0.8 * levels[:, 3:]
    target = 0.5 + design @ np.array([0.4, 0.3, 0.2, 0.1]) + 0.7 * rng.normal(size=n)
    target[rng.random(n) < 0.05] = np.nan
    target[2_000:2_040] = np.nan
    design[77, 2] = np.nan
    return design, target


def on_each_window(design: np.ndarray, target: np.ndarray, refits: np.ndarray, window: int, purge: int) -> np.ndarray:
    out = []
    for refit in refits:
        rows = slice(max(0, refit - purge - window + 1), refit - purge + 1)
        x = np.column_stack([np.ones(len(target[rows])), design[rows]])
        known = np.isfinite(target[rows]) & np.isfinite(x).all(axis=1)
        out.append(np.linalg.lstsq(x[known], target[rows][known], rcond=None)[0])
    return np.array(out)


@pytest.mark.parametrize(("window", "purge", "every"), [(1_000, 24, 24), (700, 1, 1), (5_000, 0, 168), (500, 3, 900)])
def test_every_refit_equals_numpys(window: int, purge: int, every: int) -> None:
    design, target = walk()
    refits = np.arange(200, len(target), every)
    ours = rolling_least_squares(design, target, refits, window_rows=window, purge_rows=purge)
    sample = slice(None, None, max(1, len(refits) // 60))
    expected = on_each_window(design, target, refits[sample], window, purge)
    scale = np.abs(expected).max(axis=1, keepdims=True)
    np.testing.assert_allclose(ours[sample] / scale, expected / scale, rtol=0, atol=1e-9)


def test_an_outlier_leaves_no_trace_when_it_goes() -> None:
    design, target = walk()
    wild = target.copy()
    wild[1_500] = 1e6
    refits = np.arange(1_000, 6_000, 24)
    plain, after = (rolling_least_squares(design, y, refits, window_rows=800, purge_rows=0) for y in (target, wild))
    gone = refits > 1_500 + 800
    np.testing.assert_allclose(after[gone], plain[gone], rtol=1e-8, atol=1e-9)
    inside = (refits >= 1_500) & ~gone
    assert (np.abs(after[inside] - plain[inside]).max(axis=1) > 1).all()


def test_a_purge_hides_the_last_outcomes() -> None:
    design, target = walk(1_000)
    changed = target.copy()
    changed[877:] = 1e3
    one, other = (
        rolling_least_squares(design, y, np.array([900]), window_rows=500, purge_rows=24) for y in (target, changed)
    )
    np.testing.assert_array_equal(one, other)
    seen = rolling_least_squares(design, changed, np.array([901]), window_rows=500, purge_rows=24)
    assert np.abs(seen - one).max() > 0.1


def test_what_cannot_be_fitted_is_refused() -> None:
    design, target = walk(400)
    with pytest.raises(ShortHistoryError, match="ends at row 10 has not more known rows than the 5 coefficients"):
        rolling_least_squares(design, target, np.array([10]), window_rows=100, purge_rows=8)
    twice = np.column_stack([design, design[:, 0] - design[:, 1]])
    with pytest.raises(ConvergenceError, match="regressor 4 is a combination of others in the window of row 300"):
        rolling_least_squares(twice, target, np.array([300]), window_rows=100, purge_rows=0)
    with pytest.raises(SettingError, match="go forward"):
        rolling_least_squares(design, target, np.array([300, 200]), window_rows=100, purge_rows=0)
    with pytest.raises(SettingError, match="outside the 400 rows"):
        rolling_least_squares(design, target, np.array([400]), window_rows=100, purge_rows=0)
