"""The plain law around a variance: normal, mean zero. Calibration turns it into filtered historical simulation."""

import numpy as np
from numpy.typing import NDArray

from features.pipeline import Panel
from models.base import Forecast
from models.tails import normal_quantiles, normal_shortfall


def normal_forecast(panel: Panel, variance: NDArray[np.float64], levels: tuple[float, ...]) -> Forecast:
    """Forecast with normal tails from variances of shape (n, h)."""
    scale = np.sqrt(variance)[..., None]
    return Forecast(
        origin_ns=np.asarray(panel.origin_ns),
        horizons_s=panel.spec.horizons_s,
        variance=variance,
        levels=levels,
        quantiles=scale * normal_quantiles(levels),
        shortfall=scale * normal_shortfall(levels),
    )
