r"""An alarm where the sensitivity margin and the full revaluation part: one of the two is wrong.

Each part of an account (an underlying's price, an underlying's volatility) is margined
by sensitivities alone and revalued in full over the same ranges. The alarm says
which parts diverge; it never changes a requirement, least of all lowers it.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from features.errors import ForecastError
from serving.margin.objects import Account
from serving.margin.sensitivity.account import SensitivityMarket, sensitivities_of, worst
from serving.margin.sensitivity.band import USUAL_BAND, Band
from serving.margin.sensitivity.crypto import CLASS
from serving.margin.sensitivity.records import Sensitivity

Part = tuple[str, Literal["price", "volatility"]]
PART_OF_MEASURE: Mapping[str, Literal["price", "volatility"]] = {
    "delta": "price",
    "curvature": "price",
    "vega": "volatility",
}


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """One part on which the two figures differ, USD."""

    underlying: str
    measure: str
    sensitivity_usd: float
    revaluation_usd: float


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """The two figures, the band that they left, and the parts that diverge, the largest difference first."""

    account_id: str
    sensitivity_usd: float
    revaluation_usd: float
    low: float
    high: float
    parts: tuple[Divergence, ...]
    message: str


def part_figures(account: Account, market: SensitivityMarket) -> dict[Part, float]:
    """Sensitivity margin of each part by itself, USD; the basis is no part, a revaluation has none."""
    own: dict[Part, list[Sensitivity]] = {}
    for one in sensitivities_of(account, market):
        if one.risk_class == CLASS:
            own.setdefault((one.qualifier, PART_OF_MEASURE[one.measure]), []).append(one)
    return {part: worst(found, market).amount for part, found in own.items()}


def challenge(
    account_id: str,
    sensitivity_usd: float,
    revaluation_usd: float,
    sensitivities: Mapping[Part, float],
    revaluations: Mapping[Part, float],
    band: Band = USUAL_BAND,
) -> Alarm | None:
    """Compare the two figures of an account and of its parts.

    Parameters
    ----------
    account_id : whose.
    sensitivity_usd, revaluation_usd : whole scenario loss by both methods, without charges that one of them lacks
        (liquidity, concentration, contingencies).
    sensitivities, revaluations : the same of each part; a part that one lacks is 0 there.
    band : what is still agreement.

    Returns
    -------
    alarm, or None where the ratio and every part that matters are within the band.

    Raises
    ------
    ForecastError
        If a figure is not finite: what cannot be compared does not agree.
    """
    figures = [sensitivity_usd, revaluation_usd, *sensitivities.values(), *revaluations.values()]
    if not all(0 <= figure < float("inf") for figure in figures):
        raise ForecastError(f"{account_id}: a figure to compare is negative or not finite; correct the inputs")
    whole = band.broken(sensitivity_usd, revaluation_usd)
    parts = _diverging(
        sensitivities,
        revaluations,
        lambda ours, theirs: band.broken(ours, theirs, part=not whole),
        0.0 if whole else band.material_frac * max(sensitivity_usd, revaluation_usd),
    )
    if not whole and not parts:
        return None
    return Alarm(
        account_id=account_id,
        sensitivity_usd=sensitivity_usd,
        revaluation_usd=revaluation_usd,
        low=band.low,
        high=band.high,
        parts=parts,
        message=_message(account_id, sensitivity_usd, revaluation_usd, band, parts),
    )


def _diverging(
    sensitivities: Mapping[Part, float],
    revaluations: Mapping[Part, float],
    broken: Callable[[float, float], bool],
    least_usd: float,
) -> tuple[Divergence, ...]:
    found = []
    for part in sorted({*sensitivities, *revaluations}):
        ours, theirs = sensitivities.get(part, 0.0), revaluations.get(part, 0.0)
        if broken(ours, theirs) and abs(ours - theirs) >= least_usd:
            found.append(Divergence(underlying=part[0], measure=part[1], sensitivity_usd=ours, revaluation_usd=theirs))
    return tuple(sorted(found, key=lambda one: -abs(one.sensitivity_usd - one.revaluation_usd)))


def _message(
    account_id: str, sensitivity_usd: float, revaluation_usd: float, band: Band, parts: tuple[Divergence, ...]
) -> str:
    told = "; ".join(
        f"{one.underlying} {one.measure} {one.sensitivity_usd:.2f} against {one.revaluation_usd:.2f}" for one in parts
    )
    where = told or "no single part; the parts are put together differently"
    return (
        f"{account_id}: sensitivity margin {sensitivity_usd:.2f} USD against {revaluation_usd:.2f} USD by full "
        f"revaluation, agreement is a ratio of {band.low:g} to {band.high:g}; {where}. The requirement stands; "
        "check the diverging part's forward, volatility and range"
    )
