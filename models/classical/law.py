"""From a variance to a law of one shape; calibration turns it into filtered historical simulation."""

import numpy as np
from numpy.typing import NDArray

from features.panel import Panel
from models.base import LEVELS, Forecast
from models.tails import normal_quantiles, normal_shortfall

FloatArray = NDArray[np.float64]


def scaled(panel: Panel, variance: FloatArray, quantiles: FloatArray, shortfall: FloatArray) -> Forecast:
    """Forecast of one shape, shape (q,) each, scaled by variances of shape (n, h)."""
    scale = np.sqrt(variance)[..., None]
    return Forecast(
        origin_ns=np.asarray(panel.origin_ns),
        horizons_s=panel.spec.horizons_s,
        variance=variance,
        levels=LEVELS,
        quantiles=scale * quantiles,
        shortfall=scale * shortfall,
    )


def normal(panel: Panel, variance: FloatArray) -> Forecast:
    """Forecast with normal tails, mean zero."""
    return scaled(panel, variance, normal_quantiles(LEVELS), normal_shortfall(LEVELS))
