"""Gradient-boosted trees by LightGBM: plain arrays in, a text that is the model out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from features.errors import SettingError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Boosting:
    """How trees are grown.

    ``count`` trees of ``leaves`` leaves, each of at least ``least_rows`` rows, each tree moving the forecast by
    ``rate`` of its step; a tree sees ``feature_share`` of the features and ``row_share`` of the rows. ``penalty`` on
    the square of a leaf. ``threads`` changes the time that it takes; the sums, and so the last digits, depend on it.
    """

    count: int = 200
    leaves: int = 31
    least_rows: int = 200
    rate: float = 0.03
    feature_share: float = 0.3
    row_share: float = 0.5
    penalty: float = 20.0
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what grows nothing."""
        if self.count < 1 or self.leaves < 2 or self.least_rows < 1 or self.threads < 1:
            raise SettingError(f"{self}: choose count, least_rows and threads of 1 at least, leaves of 2")
        if not (0 < self.rate <= 1 and 0 < self.feature_share <= 1 and 0 < self.row_share <= 1 and self.penalty >= 0):
            raise SettingError(f"{self}: choose rate and shares in (0, 1] and a penalty that is not negative")

    def parameters(self, objective: str) -> dict[str, Any]:
        """The same in LightGBM's words."""
        return {
            "objective": objective,
            "learning_rate": self.rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.least_rows,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "lambda_l2": self.penalty,
            "max_bin": 63,
            "min_data_in_bin": 20,
            "feature_pre_filter": False,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads,
            "verbose": -1,
        }


def grow(x: FloatArray, label: FloatArray, objective: str, boosting: Boosting) -> str:
    """Fit trees, shapes (n, f), (n,); answers LightGBM's text of them. NaN in x goes to the side where it fits better.

    Parameters
    ----------
    objective : ``l2``, or ``gamma`` of a positive label: the trees then sum to the log of its mean.
    """
    data = lgb.Dataset(x, label, params={"verbose": -1}, free_raw_data=True)
    return lgb.train(boosting.parameters(objective), data, boosting.count).model_to_string()


def raw_values(trees: str, x: FloatArray, threads: int = 1) -> FloatArray:
    """Sum of the trees at each row, shape (n, f) -> (n,)."""
    options: Mapping[str, Any] = {"raw_score": True, "num_threads": threads}
    if not len(x):
        return np.zeros(0)
    return np.asarray(lgb.Booster(model_str=trees).predict(x, **options), dtype=np.float64)
