"""The whole margin as a tree: total, products, risk classes, measures, buckets, factors."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from features.errors import SettingError
from serving.margin.sensitivity.aggregate import Bucket, measure_margin, quadratic
from serving.margin.sensitivity.calibration import Calibration
from serving.margin.sensitivity.records import Sensitivity, blocks, net


class Margin(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the tree, USD, and the figures that it is made of.

    ``level``: total, product, class, measure, bucket, factor or addon. The amount of
    a factor is its weighted sensitivity, signed; all others are not negative.
    ``figures``: of a bucket its clamped total, of a factor its concentration factor.
    """

    level: str
    name: str
    amount: float
    figures: dict[str, float] = {}
    parts: tuple["Margin", ...] = ()

    def part(self, *names: str) -> "Margin":
        """The figure below this one along a path of names.

        Raises
        ------
        SettingError
            If there is none of that name.
        """
        found = self
        for name in names:
            matching = [part for part in found.parts if part.name == name]
            if not matching:
                raise SettingError(
                    f"{found.name or found.level} has no part {name!r}; it has "
                    f"{', '.join(repr(part.name) for part in found.parts) or 'none'}"
                )
            found = matching[0]
        return found


@dataclass(frozen=True)
class Addons:
    """Amounts beside the sensitivities: ``fixed_usd``, ``notional`` pairs of (factor, USD), product ``multipliers``.

    Raises
    ------
    SettingError
        If an amount or a factor is negative or a multiplier below 1: none of them may lower a margin.
    """

    fixed_usd: tuple[float, ...] = ()
    notional: tuple[tuple[float, float], ...] = ()
    multipliers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what could lower a margin."""
        plain = (*self.fixed_usd, *(factor for factor, _ in self.notional), *(m - 1 for m in self.multipliers.values()))
        if not all(0 <= value < math.inf for value in plain) or not all(math.isfinite(n) for _, n in self.notional):
            raise SettingError("addons: an amount or factor is negative, a multiplier below 1, or not finite")


NO_ADDONS = Addons()


def aggregate(sensitivities: Iterable[Sensitivity], calibration: Calibration, addons: Addons = NO_ADDONS) -> Margin:
    r"""Sensitivity margin of a portfolio.

    .. math:: M = \sum_p m_p \sqrt{\sum_{rs} \psi_{rs} M_{pr} M_{ps}} + \sum fixed + \sum factor \cdot |notional|,
              \qquad M_{pr} = delta + vega + curvature + base

    Parameters
    ----------
    sensitivities : of the whole portfolio, in any order.
    calibration : weights, thresholds and correlations.
    addons : amounts beside the sensitivities.

    Raises
    ------
    SettingError
        If the calibration does not know a class, bucket or label.

    Notes
    -----
    The shape of the aggregation follows the public description of the ISDA
    standard initial margin model; the calibration decides what it says.
    """
    figures: dict[str, dict[str, list[Margin]]] = {}
    for (product, risk_class, measure), own in blocks(sensitivities).items():
        rules = calibration.of(risk_class, measure)
        amount, buckets = measure_margin(net(own, rules.labels), rules, measure == "curvature")
        leaf = Margin(level="measure", name=measure, amount=amount, parts=tuple(map(_bucket, buckets)))
        figures.setdefault(product, {}).setdefault(risk_class, []).append(leaf)
    products = [_product(name, classes, calibration, addons) for name, classes in figures.items()]
    return _total([*products, *_addons(addons)])


def _bucket(bucket: Bucket) -> Margin:
    rows = bucket.rows
    parts = tuple(
        Margin(
            level="factor",
            name=" ".join(filter(None, factor[1:])),
            amount=float(weighted),
            figures={"amount": float(amount), "concentration": float(concentration)},
        )
        for factor, amount, concentration, weighted in zip(
            rows.factors, rows.amounts, rows.concentration, rows.weighted, strict=True
        )
    )
    return Margin(
        level="bucket", name=bucket.name, amount=bucket.spread, figures={"clamped": bucket.clamped}, parts=parts
    )


def _product(name: str, classes: Mapping[str, list[Margin]], calibration: Calibration, addons: Addons) -> Margin:
    """Combine the risk classes of one product."""
    parts = tuple(
        Margin(level="class", name=risk_class, amount=math.fsum(m.amount for m in measures), parts=tuple(measures))
        for risk_class, measures in classes.items()
    )
    amount = combine_classes({part.name: part.amount for part in parts}, calibration)
    multiplier = addons.multipliers.get(name, 1.0)
    return Margin(
        level="product", name=name, amount=amount * multiplier, figures={"multiplier": multiplier}, parts=parts
    )


def combine_classes(amounts: Mapping[str, float], calibration: Calibration) -> float:
    r"""Margin of one product: :math:`\sqrt{\sum_{rs} \psi_{rs} M_r M_s}`."""
    at = np.array([calibration.psi.index(name, "risk class") for name in amounts])
    return quadratic(np.array(list(amounts.values())), calibration.psi.values[at[:, None], at[None, :]])


def _addons(addons: Addons) -> list[Margin]:
    """Add-ons that there are."""
    amounts = {"fixed": math.fsum(addons.fixed_usd), "notional": math.fsum(f * abs(n) for f, n in addons.notional)}
    return [Margin(level="addon", name=name, amount=amount) for name, amount in amounts.items() if amount]


def _total(parts: list[Margin]) -> Margin:
    return Margin(level="total", name="total", amount=math.fsum(part.amount for part in parts), parts=tuple(parts))
