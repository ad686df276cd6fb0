"""GARCH(1,1), GJR and EGARCH: a batched estimator in compiled code and the forecasters made of it."""

from models.classical.garch.ahead import egarch_ahead, log_moments, next_variance, variance_ahead, variances
from models.classical.garch.estimate import Fits, estimate, estimate_batch
from models.classical.garch.forecaster import EgarchT, Garch, GarchT, GjrT
from models.classical.garch.parameters import GarchParameters
from models.classical.garch.standard_errors import standard_errors

__all__ = [
    "EgarchT",
    "Fits",
    "Garch",
    "GarchParameters",
    "GarchT",
    "GjrT",
    "egarch_ahead",
    "estimate",
    "estimate_batch",
    "log_moments",
    "next_variance",
    "standard_errors",
    "variance_ahead",
    "variances",
]
