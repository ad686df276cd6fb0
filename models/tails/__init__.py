"""Quantiles and expected shortfalls of standardised returns.

``TAILS`` holds the laws that :mod:`models.calibration` can give any model, by the name that configurations use.
"""

from models.tails.base import Tail
from models.tails.historical import Historical
from models.tails.normal import Normal, normal_quantiles, normal_shortfall
from models.tails.pareto import GeneralisedPareto
from models.tails.skew_t import SkewT, skew_t_quantiles, skew_t_shortfall
from models.tails.student_t import StudentT, student_t_quantiles, student_t_shortfall

TAILS: dict[str, Tail] = {
    "normal": Normal(),
    "student_t": StudentT(),
    "skew_t": SkewT(),
    "fhs": Historical(),
    "gpd": GeneralisedPareto(),
}

__all__ = [
    "TAILS",
    "Tail",
    "normal_quantiles",
    "normal_shortfall",
    "skew_t_quantiles",
    "skew_t_shortfall",
    "student_t_quantiles",
    "student_t_shortfall",
]
