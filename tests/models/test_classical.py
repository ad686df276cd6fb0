"""What no forecast may be, whatever the model."""

import numpy as np
import pytest

from features.errors import SettingError
from models.base import LEVELS, Forecast


def good_law() -> dict[str, object]:
    levels = np.array(LEVELS)
    quantiles = np.tile(levels - 0.5, (2, 1, 1))
    return {
        "origin_ns": np.array([0, 1]),
        "horizons_s": (3_600,),
        "variance": np.ones((2, 1)),
        "levels": LEVELS,
        "quantiles": quantiles,
        "shortfall": quantiles + np.where(levels > 0.5, 1.0, -1.0),
    }


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("variance", np.ones((2, 2)), "shape"),
        ("variance", np.array([[1.0], [np.nan]]), "finite"),
        ("variance", np.array([[1.0], [0.0]]), "positive"),
        ("quantiles", np.tile(np.array(LEVELS)[::-1], (2, 1, 1)), "cross"),
        ("shortfall", np.zeros((2, 1, 11)), "inside"),
    ],
)
def test_an_impossible_forecast_is_refused(field: str, value: np.ndarray, message: str) -> None:
    Forecast(**good_law())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        Forecast(**good_law() | {field: value})  # type: ignore[arg-type]


def test_an_unknown_level_names_the_known() -> None:
    with pytest.raises(SettingError, match=r"level 0\.02; known: 0\.005, 0\.01"):
        Forecast(**good_law()).level_index(0.02)  # type: ignore[arg-type]
