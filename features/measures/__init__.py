"""Realised measures: arrays in, arrays out; each in ``MEASURES`` under the name that a spec uses."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from features.measures.range import parkinson
from features.measures.variance import (
    bipower_variation,
    downside_semivariance,
    realised_quarticity,
    realised_variance,
    upside_semivariance,
)

MEASURES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "bipower_variation": bipower_variation,
    "downside_semivariance": downside_semivariance,
    "parkinson": parkinson,
    "realised_quarticity": realised_quarticity,
    "realised_variance": realised_variance,
    "upside_semivariance": upside_semivariance,
}
