"""What the aggregator is told: how much a portfolio's value answers to one risk factor."""

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from features.errors import ForecastError

Measure = Literal["delta", "vega", "curvature", "base"]
MEASURES: tuple[Measure, ...] = ("delta", "vega", "curvature", "base")


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Response of a portfolio to one risk factor, in the units its weight is stated for.

    ``risk_class``, ``measure``: which rules apply. ``bucket``, ``qualifier``: the
    group of names and the name. ``label1``, ``label2``: tenor and curve, empty
    where there is none. ``amount``: signed; of a ``curvature`` positive is what
    the payer of the margin loses when the price moves, either way. ``base``:
    a further measure added to its class, as the correlation of a basket.
    ``product``: margins of different product classes are added without netting.

    Raises
    ------
    ForecastError
        If the amount is not finite: a missing sensitivity must stop a margin, not lower it.

    Examples
    --------
    >>> Sensitivity(risk_class="crypto", measure="delta", qualifier="BTC", bucket="BTC", amount=float("nan"))
    Traceback (most recent call last):
    features.errors.ForecastError: crypto delta BTC/BTC//: amount is nan, not a finite number; no margin is made of it
    """

    risk_class: str
    measure: Measure
    qualifier: str
    bucket: str
    amount: float
    label1: str = ""
    label2: str = ""
    product: str = ""

    def __post_init__(self) -> None:
        """Refuse an amount that is none."""
        if not math.isfinite(self.amount):
            raise ForecastError(
                f"{self.risk_class} {self.measure} {self.bucket}/{self.qualifier}/{self.label1}/{self.label2}: "
                f"amount is {self.amount}, not a finite number; no margin is made of it"
            )


Block = tuple[str, str, str]  # product, risk class, measure
Factor = tuple[str, str, str, str]  # bucket, qualifier, label1, label2


def blocks(sensitivities: Iterable[Sensitivity]) -> dict[Block, list[Sensitivity]]:
    """Sensitivities by product, class and measure, in the order of their names, not of their arrival."""
    found: dict[Block, list[Sensitivity]] = {}
    for one in sensitivities:
        found.setdefault((one.product, one.risk_class, one.measure), []).append(one)
    return dict(sorted(found.items(), key=lambda item: (*item[0][:2], MEASURES.index(item[1][0].measure))))


def net(sensitivities: Iterable[Sensitivity], labels: frozenset[str]) -> dict[Factor, float]:
    """Net amounts of one block by factor, sorted by name.

    Each sum is the exact one, rounded once, so that neither the order of the
    sensitivities nor their number changes a bit of the result.

    Parameters
    ----------
    sensitivities : of one product, class and measure.
    labels : which of ``label1`` and ``label2`` tell factors apart; the others are netted over.

    Examples
    --------
    >>> of = lambda tenor, amount: Sensitivity(
    ...     risk_class="crypto", measure="vega", qualifier="BTC", bucket="BTC", label1=tenor, amount=amount)
    >>> net([of("1m", 5.0), of("1w", 1.0), of("1m", -2.0)], frozenset({"label1"}))
    {('BTC', 'BTC', '1m', ''): 3.0, ('BTC', 'BTC', '1w', ''): 1.0}
    """
    amounts: dict[Factor, list[float]] = {}
    for one in sensitivities:
        amounts.setdefault(factor_of(one, labels), []).append(one.amount)
    return {factor: _exact_sum(amounts[factor], factor) for factor in sorted(amounts)}


def factor_of(one: Sensitivity, labels: frozenset[str]) -> Factor:
    """The risk factor of a sensitivity under the labels that a measure keeps."""
    first = one.label1 if "label1" in labels else ""
    return one.bucket, one.qualifier, first, one.label2 if "label2" in labels else ""


def _exact_sum(amounts: list[float], factor: Factor) -> float:
    try:
        return math.fsum(amounts)
    except OverflowError as error:
        raise ForecastError(f"{'/'.join(factor)}: the amounts' sum overflows; correct their units") from error
