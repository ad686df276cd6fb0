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
from serving.margin.sensitivity.crypto_groups import BUCKETS, bucket_of, default_between

FloatArray = NDArray[np.float64]
CLASS: Final = "crypto"
BASIS: Final = "basis"
VERTEX_DAYS: Final = (1, 7, 14, 30, 60, 90, 180, 365, 730)
LABELS: Final = tuple(f"{days}d" for days in VERTEX_DAYS)
DEVIATIONS: Final = float(ndtri(0.995))  # what the curvature's quantile multiplies by: the range is that many
BASIS_RATE: Final = 0.10  # an assumption: in stress a future and the spot move apart by a tenth of the price a year
VEGA_DECAY: Final = 0.01  # Basel MAR21.93, correlation of volatilities of two expiries
TOGETHER: Final = ("low", "medium", "high")  # correlations


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
    rho = _between_names(ranges.underlyings, correlation)
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
        _between_buckets(names, rho, word),
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
        tenors=_expiries(),
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


def stressed(rho: FloatArray, word: str) -> FloatArray:
    r"""Correlations under which offsets count least (``low``) or diversification does (``high``).

    .. math:: low = \tfrac12 (\rho + I), \qquad high = \tfrac12 (\rho + J)

    half way to independence and to all moving as one (J is all ones). On the worst 5 % of the returns that the
    default correlations were measured on, the correlations were within 0.03 of ``high``. Both stay positive
    semi-definite where :math:`\rho` is, unlike the scaling of Basel's MAR21.6, so that the margin of deltas
    remains sub-additive.

    Examples
    --------
    >>> rho = np.array([[1.0, 0.8], [0.8, 1.0]])
    >>> stressed(rho, "low")[0].round(3), stressed(rho, "high")[0].round(3)
    (array([1. , 0.4]), array([1. , 0.9]))
    """
    if word == "medium":
        return rho
    return 0.5 * (rho + (np.eye(len(rho)) if word == "low" else np.ones_like(rho)))


def _between_names(names: Sequence[str], correlation: Correlation | None) -> FloatArray:
    """Correlations of the underlyings: forecast, else the default of their buckets."""
    rho = np.array([[1.0 if a == b else default_between(bucket_of(a), bucket_of(b)) for b in names] for a in names])
    if correlation is not None:
        known = [name for name in names if name in correlation.names]
        here, there = [list(names).index(n) for n in known], [correlation.names.index(n) for n in known]
        rho[np.ix_(here, here)] = np.array(correlation.matrix)[np.ix_(there, there)]
    return rho.reshape(len(names), len(names))


def _between_buckets(names: Sequence[str], rho: FloatArray, word: str) -> Matrix:
    """Correlations of the buckets: mean of those of their names, else the default."""
    rows = {bucket: [i for i, name in enumerate(names) if bucket_of(name) == bucket] for bucket in BUCKETS}
    gamma = np.eye(len(BUCKETS))
    for i, one in enumerate(BUCKETS):
        for j, other in enumerate(BUCKETS[:i]):
            own = rho[np.ix_(rows[one], rows[other])]
            gamma[i, j] = gamma[j, i] = own.mean() if own.size else default_between(one, other)
    return Matrix(BUCKETS, stressed(gamma, word))


def _expiries() -> Matrix:
    r"""Correlation of the volatilities of two expiries, :math:`e^{-0.01 |T_1 - T_2| / \min(T_1, T_2)}` (MAR21.93)."""
    days = np.array(VERTEX_DAYS, dtype=np.float64)
    gap = np.abs(days[:, None] - days[None, :]) / np.minimum(days[:, None], days[None, :])
    return Matrix(LABELS, np.exp(-VEGA_DECAY * gap))
