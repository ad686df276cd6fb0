"""Forecasts made up from what came, for tests of how files are written, read and scored."""

import numpy as np

from backtests.outcomes import Outcomes
from models.base import LEVELS, Forecast
from models.tails import normal_quantiles, normal_shortfall, student_t_quantiles, student_t_shortfall


def law_of(variance: np.ndarray, degrees: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles and shortfalls of normal laws, or of Student's."""
    sd = np.sqrt(variance)[..., None]
    if degrees is None:
        return sd * normal_quantiles(LEVELS), sd * normal_shortfall(LEVELS)
    return sd * student_t_quantiles(LEVELS, degrees), sd * student_t_shortfall(LEVELS, degrees)


def trial(outcomes: dict[int, Outcomes], noise: float, seed: int, degrees: float | None = None) -> Forecast:
    """A forecast that knows the outcomes' variance up to noise of so many log units, at every origin."""
    rng = np.random.default_rng(seed)
    first = next(iter(outcomes.values()))
    columns = []
    for o in outcomes.values():
        known = np.where(o.scoreable, o.realised_variance, 1e-6)
        columns.append(known * np.exp(noise * rng.standard_normal(len(o))))
    variance = np.maximum(np.stack(columns, axis=1), 1e-10)
    quantiles, shortfall = law_of(variance, degrees)
    return Forecast(first.origin_ns, tuple(outcomes), variance, LEVELS, quantiles, shortfall)
