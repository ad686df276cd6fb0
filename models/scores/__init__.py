"""Losses and scores: the loss in training and the score in a backtest are the same function.

Every function that training may use takes NumPy arrays or torch tensors and
answers the same kind (array API). Smaller is better. No pandas, no torch, no I/O here.
"""

from models.scores.intervals import crps_from_quantiles, interval_score, weighted_interval_score
from models.scores.tails import FZ_LEVELS, fz0, fz0_of_tails, pinball
from models.scores.variance import log_variance_error, qlike, qlike_floor

__all__ = [
    "FZ_LEVELS",
    "crps_from_quantiles",
    "fz0",
    "fz0_of_tails",
    "interval_score",
    "log_variance_error",
    "pinball",
    "qlike",
    "qlike_floor",
    "weighted_interval_score",
]
