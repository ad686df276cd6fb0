"""Scaling: of the training rows alone, with a mask for what is not known."""

import numpy as np
import pytest

from features.errors import ShortHistoryError
from features.scaling import Scaling

RNG = np.random.default_rng(2)


def test_normal_features_come_out_standard_and_outliers_move_nothing() -> None:
    values = np.array([3.0, -1.0]) + np.array([2.0, 0.1]) * RNG.standard_normal((20_000, 2))
    values[:100] = 1e9
    scaled, known = Scaling.fit(values).apply(values[100:])
    assert np.abs(scaled.mean(axis=0)).max() < 0.03
    assert np.abs(scaled.std(axis=0) - 1).max() < 0.03
    assert known.all()
    assert scaled.dtype == np.float32


def test_later_rows_change_nothing() -> None:
    values = RNG.standard_normal((500, 3))
    scaling = Scaling.fit(values[:300])
    np.testing.assert_array_equal(scaling.apply(values)[0][:300], scaling.apply(values[:300])[0])


def test_what_is_not_known_is_masked_and_the_far_is_cut_off() -> None:
    values = RNG.standard_normal((100, 2))
    values[3, 0], values[4, 1], values[5, 1] = np.nan, np.inf, 1e6
    scaled, known = Scaling.fit(values).apply(values)
    assert np.argwhere(~known).tolist() == [[3, 0], [4, 1]]
    assert scaled[3, 0] == scaled[4, 1] == 0
    assert scaled[5, 1] == 5
    assert np.isfinite(scaled).all()


def test_a_flat_feature_has_a_scale_and_an_unknown_one_none() -> None:
    values = np.zeros((10, 2))
    values[0, 0] = 1.0
    assert (Scaling.fit(values).spread > 0).all()
    values[:, 1] = np.nan
    with pytest.raises(ShortHistoryError, match="feature 1 is not known in any of 10"):
        Scaling.fit(values)
