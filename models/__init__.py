"""Panels to forecasts; knows no market files, no MLflow.

``FORECASTERS`` holds the models of one instrument that are fitted in one call, by the
name that configurations use; ``POOLED`` those that learn from several at once. With :mod:`models.calibration` their tails become
filtered historical simulation (FHS).
"""

from collections.abc import Callable

from models.base import Forecaster, PooledForecaster
from models.classical.ewma import Ewma
from models.classical.garch import GarchT
from models.classical.log_har import LogHar
from models.classical.ridge import LogRidge

FORECASTERS: dict[str, Callable[..., Forecaster]] = {
    "ewma": Ewma,
    "garch_t": GarchT,
    "log_har": LogHar,
    "log_ridge": LogRidge,
}

POOLED: dict[str, Callable[..., PooledForecaster]] = {}
