"""Panels to forecasts; knows no market files, no MLflow.

``FORECASTERS`` holds the models of one instrument that are fitted in one call, by the
name that configurations use; ``POOLED`` those that learn from several at once. With
:mod:`models.calibration` their tails become filtered historical simulation (FHS).
"""

from collections.abc import Callable
from functools import partial

from models.base import Forecaster, PooledForecaster
from models.classical.boosted import Boosted
from models.classical.caviar import Caviar, caviar_asymmetric
from models.classical.ewma import Ewma
from models.classical.ewma_r2 import EwmaR2
from models.classical.forest import QuantileForest
from models.classical.garch import EgarchT, GarchT, GjrT
from models.classical.gas import GasFz
from models.classical.har import Har
from models.classical.har_regime import HarRegime
from models.classical.har_rich import HarRich, HarRichPool
from models.classical.har_semivariance import HarSemivariance
from models.classical.har_wls import HarWls
from models.classical.harq import Harq
from models.classical.historical import HistoricalSimulation, historical_weighted
from models.classical.log_har import LogHar
from models.classical.log_har_daily import LogHarDaily
from models.classical.realised_garch import RealisedGarch
from models.classical.ridge import LogRidge
from models.foundation import Foundation

FORECASTERS: dict[str, Callable[..., Forecaster]] = {
    "caviar_as": caviar_asymmetric,
    "caviar_sav": Caviar,
    "ewma": Ewma,
    "ewma_r2": EwmaR2,
    "egarch_t": EgarchT,
    "foundation": Foundation,
    "garch_t": GarchT,
    "gas_fz": GasFz,
    "gjr_t": GjrT,
    "har": Har,
    "har_regime": HarRegime,
    "har_rich": HarRich,
    "har_semivariance": HarSemivariance,
    "har_wls": HarWls,
    "harq": Harq,
    "hs": HistoricalSimulation,
    "hs_weighted": historical_weighted,
    "log_har": LogHar,
    "log_har_daily": LogHarDaily,
    "log_ridge": LogRidge,
    "realised_garch": RealisedGarch,
}

POOLED: dict[str, Callable[..., PooledForecaster]] = {
    "har_rich_pool": HarRichPool,
    "lgbm_gamma": Boosted,
    "lgbm_log": partial(Boosted, loss="log"),
    "lgbm_tails": partial(Boosted, tails=True),
    "qrf": QuantileForest,
}
