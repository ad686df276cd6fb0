"""What each window costs a model: losses and hits, by the names that the scoring protocol gives them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from backtests.coverage import hits_of, tail_probability
from backtests.forecast_file import EXCURSIONS, SHORTFALL_LEVELS
from backtests.outcomes import Outcomes
from backtests.shortfall_tests import z2_terms
from models.base import LEVELS
from models.scores import crps_from_quantiles, fz0, pinball, qlike

FloatArray = NDArray[np.float64]
Losses = dict[str, FloatArray]
TAIL_LEVELS = tuple(level for level in LEVELS if not 0.1 < level < 0.9)
SHOWN_LEVELS = tuple(level for level in TAIL_LEVELS if 0.01 <= level <= 0.99)  # whose hits the tests look at
NUMBERS = ("variance", *(f"q_{p:g}" for p in LEVELS), *(f"es_{p:g}" for p in SHORTFALL_LEVELS))
PER_BP = 1e4
SINGLE = ("pin_0", "xpin")  # kept in single precision in a pool


def losses_of(outcomes: Outcomes, numbers: Mapping[str, FloatArray]) -> Losses:
    """Losses of one model at one horizon, arrays of shape (n,).

    ``qlike``; ``le``: log RV less log forecast; ``ratio``: RV / forecast; ``crps``, ``pin_LEVEL``, ``pin_tail``: in
    basis points; ``fz_LEVEL``, ``fz_tail``: FZ0, NaN where a shortfall has the wrong sign; ``hit_LEVEL``: 1 beyond the
    quantile; ``z2_LEVEL``: terms of Acerbi & Szekely's Z2; ``xpin_*``, ``xhit_*``: of the excursions' quantiles.

    Parameters
    ----------
    outcomes : of n windows, all scoreable.
    numbers : columns of a file of forecasts at the same origins, arrays of shape (n,).
    """
    realised, log_return = outcomes.realised_variance, outcomes.log_return
    variance = numbers["variance"]
    quantiles = np.column_stack([numbers[f"q_{p:g}"] for p in LEVELS])
    pins = pinball(log_return[:, None], quantiles, np.array(LEVELS)) * PER_BP
    found = {
        "qlike": qlike(realised, variance),
        "le": np.log(realised) - np.log(variance),
        "ratio": realised / variance,
        "crps": crps_from_quantiles(log_return, quantiles, LEVELS) * PER_BP,
        "pin_tail": pins[:, [LEVELS.index(p) for p in TAIL_LEVELS]].mean(axis=1),
    }
    found |= {f"pin_{p:g}": pins[:, k].copy() for k, p in enumerate(LEVELS)}
    found |= {f"hit_{p:g}": hits_of(log_return, numbers[f"q_{p:g}"], p).astype(np.float64) for p in TAIL_LEVELS}
    for level in SHORTFALL_LEVELS:
        found |= _shortfall_losses(log_return, numbers, level)
    found["fz_tail"] = sum(found[f"fz_{p:g}"] for p in SHORTFALL_LEVELS) / len(SHORTFALL_LEVELS)
    return found | _excursion_losses(outcomes, numbers)


def _shortfall_losses(log_return: FloatArray, numbers: Mapping[str, FloatArray], level: float) -> Losses:
    """FZ0, and the terms whose mean is Z2: 0 expected, negative where the risk is understated."""
    sign = 1.0 if level < 0.5 else -1.0  # an upper tail is the lower one of the mirrored return
    tail = tail_probability(level)
    shortfall = sign * numbers[f"es_{level:g}"]
    negative = np.where(shortfall < 0, shortfall, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):  # a shortfall of 0 can be no forecast: its term is not finite
        terms = z2_terms(log_return, numbers[f"q_{level:g}"], numbers[f"es_{level:g}"], level)
    return {
        f"fz_{level:g}": fz0(sign * log_return, sign * numbers[f"q_{level:g}"], negative, tail),
        f"z2_{level:g}": terms,
    }


def _excursion_losses(outcomes: Outcomes, numbers: Mapping[str, FloatArray]) -> Losses:
    """Pinball loss and hits of the quantiles of adverse excursions; NaN where a file has none."""
    found: Losses = {}
    unknown = np.full(len(outcomes), np.nan)
    by_side = {"dn": outcomes.excursion_down, "up": outcomes.excursion_up}
    for name in EXCURSIONS:
        side, level = name[1:3], float(name[4:])
        quantile = numbers.get(name, unknown)
        found[f"xpin_{side}_{level:g}"] = pinball(by_side[side], quantile, level) * PER_BP
        found[f"xhit_{side}_{level:g}"] = np.where(np.isfinite(quantile), by_side[side] > quantile, np.nan)
    return found


def pooled(parts: list[Losses]) -> Losses:
    """Losses of several instruments one after the other.

    Those of single levels are kept in single precision, as the protocol's reference keeps them: it is where their
    pooled means are told, to the last digit.
    """
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {k: v.astype(np.float32) if k.startswith(SINGLE) else v for k, v in joined.items()}
