r"""The calibration that ships: weights from the scan ranges in force, not from a fixed table.

=========== ============================================ ==========================================
measure     amount of a sensitivity, USD                 weight
=========== ============================================ ==========================================
delta       gain if spot doubled along the delta         scan range, the wider side
vega        gain if volatility doubled along the vega    volatility rise at the expiry
curvature   loss of half the gamma, per squared return   square of the range in standard deviations
basis       delta times years to expiry                  annual rate by which futures leave the spot
=========== ============================================ ==========================================

The basis is a risk class of its own, uncorrelated with the price. The weights are
those of the full revaluation's scenarios, so that the two figures differ by method
alone: that is what makes this one its challenger. The wider side counts because a
sum of sensitivities has no sides. Concentration is charged by its own module and
would count twice here, so that no thresholds are set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from features.errors import ForecastError
from serving.margin.objects import Correlation
from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.vol import DAYS_PER_YEAR, term_scale
from serving.margin.sensitivity.calibration import Calibration, Matrix, Rules
from serving.margin.sensitivity.crypto_correlations import (
    LABELS,
    TOGETHER,
    VERTEX_DAYS,
    between_buckets,
    between_names,
    expiries,
    stressed,
)

FloatArray = NDArray[np.float64]
CLASS: Final = "crypto"
BASIS: Final = "basis"
DEVIATIONS: Final = float(ndtri(0.995))  # what the curvature's quantile multiplies by: the range is that many
BASIS_RATE: Final = 0.10  # an assumption: in stress a future and the spot move apart by a tenth of the price a year


@dataclass(frozen=True)
class CryptoCalibration:
    """Rules under three sets of correlations; the worst counts.

    By underlying: ``deviation``, one of the return over the period of risk; ``rise``,
    relative, of volatility at 30 days.
    """

    ranges: Ranges
    policy: ScenarioPolicy
    deviation: Mapping[str, float]
    rise: Mapping[str, float]
    rules: Mapping[str, Calibration]


def calibrate(ranges: Ranges, policy: ScenarioPolicy, correlation: Correlation | None = None) -> CryptoCalibration:
    """Calibration of today's ranges.

    Parameters
    ----------
    ranges : how far each underlying is moved over the period of risk.
    policy : moves of implied volatility and their dependence on the expiry.
    correlation : forecast; pairs that it lacks, or all without it, have the defaults.

    Raises
    ------
    ForecastError
        If a range is not positive and finite: no weight is made of it.
    """
    widths = np.maximum(ranges.down, ranges.up)
    if not (np.isfinite(widths).all() and (widths > 0).all()):
        wrong = [name for name, width in zip(ranges.underlyings, widths, strict=True) if not 0 < width < np.inf]
        raise ForecastError(f"scan range of {', '.join(wrong)} is not positive; no sensitivity margin without it")
    rho = between_names(ranges.underlyings, correlation)
    rises = np.maximum(np.maximum(policy.vol_up, ranges.vol_up), policy.vol_down)
    return CryptoCalibration(
        ranges,
        policy,
        dict(zip(ranges.underlyings, map(float, widths / DEVIATIONS), strict=True)),
        dict(zip(ranges.underlyings, map(float, rises), strict=True)),
        {word: _calibration(word, ranges, policy, widths, rises, rho) for word in TOGETHER},
    )


def _calibration(
    word: str, ranges: Ranges, policy: ScenarioPolicy, widths: FloatArray, rises: FloatArray, rho: FloatArray
) -> Calibration:
    names, by_name = ranges.underlyings, dict(zip(ranges.underlyings, map(float, widths), strict=True))
    differ, across, groups = (
        Matrix(names, stressed(rho, word)),
        between_buckets(names, rho, word),
        {n: n for n in names},
    )

    def flat(weights: Mapping[str, float]) -> Rules:
        return Rules({(n, "*"): w for n, w in weights.items()}, differ, across, groups=groups)

    vega = Rules(
        _vol_rises(names, rises, policy),
        differ,
        across,
        groups=groups,
        labels=frozenset({"label1"}),
        tenors=expiries(),
    )
    curvature = flat({n: (w / DEVIATIONS) ** 2 for n, w in by_name.items()})
    return Calibration(
        f"crypto, {word} correlations",
        {
            CLASS: {"delta": flat(by_name), "vega": vega, "curvature": curvature},
            BASIS: {"delta": flat(dict.fromkeys(names, BASIS_RATE))},
        },
        Matrix.lower([CLASS, BASIS], [[0.0]]),
    )


def _vol_rises(names: Sequence[str], rises: FloatArray, policy: ScenarioPolicy) -> dict[tuple[str, str], float]:
    """Relative move of volatility by underlying and expiry: the larger of the policy's and the forecast's."""
    scale = term_scale(np.array(VERTEX_DAYS) / DAYS_PER_YEAR, policy)
    return {
        (name, label): float(rise * at)
        for name, rise in zip(names, rises, strict=True)
        for label, at in zip(LABELS, scale, strict=True)
    }
