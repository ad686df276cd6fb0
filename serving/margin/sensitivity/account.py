"""The sensitivity margin of an account: the fast figure before a trade, and what the challenger compares."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from serving.margin.objects import Account, Position
from serving.margin.priced_market import PricedMarket
from serving.margin.scenarios.vol import DAYS_PER_YEAR
from serving.margin.sensitivity.crypto import BASIS, CLASS, CryptoCalibration
from serving.margin.sensitivity.crypto_groups import bucket_of
from serving.margin.sensitivity.exposures import Exposures, at_vertices, exposures
from serving.margin.sensitivity.margin import Margin, aggregate
from serving.margin.sensitivity.records import Measure, Sensitivity

CROSS = "cross"


@dataclass(frozen=True)
class SensitivityMarket:
    """A priced market with a calibration: the exposures of its instruments are computed once for all accounts."""

    market: PricedMarket
    calibration: CryptoCalibration

    @cached_property
    def exposures(self) -> Exposures:
        """Of one long contract of every instrument."""
        return exposures(self.market, self.calibration)

    def of(self, symbol: str, quantity: float, product: str = CROSS) -> list[Sensitivity]:
        """Sensitivities of a number of contracts: a delta, a basis, a curvature and at most two vegas.

        Raises
        ------
        UnknownInstrumentError, MarketError, ExpiredError
            If the market does not have the instrument or cannot price it.
        """
        row = self.market.row(symbol)
        own, name = self.exposures, self.market.snapshot.instruments[row].underlying
        days, delta = float(own.days[row]), float(own.delta[row])

        def one(measure: Measure, unit: float, label: str = "", risk_class: str = CLASS) -> Sensitivity:
            return Sensitivity(
                risk_class=risk_class, measure=measure, product=product, bucket=bucket_of(name), qualifier=name,
                label1=label, amount=quantity * unit,
            )  # fmt: skip

        parts = [one("delta", delta)]
        if days > 0:
            parts.append(one("delta", delta * days / DAYS_PER_YEAR, risk_class=BASIS))
        if self.market.options.is_option[row]:
            parts += [one("vega", float(own.vega[row]) * part, label) for label, part in at_vertices(days)]
            parts.append(one("curvature", float(own.bend[row])))
        return parts


def product_of(position: Position) -> str:
    """Isolated positions net with nothing: each is a product of its own."""
    return CROSS if position.mode == CROSS else f"isolated {position.instrument}"


def sensitivities_of(account: Account, market: SensitivityMarket) -> list[Sensitivity]:
    """Sensitivities of the positions of an account; open orders are charged by the full revaluation alone."""
    return _sensitivities(account.positions, market)


def sensitivity_margin(account: Account, market: SensitivityMarket) -> Margin:
    r"""Sensitivity margin of an account, USD, with all its figures.

    .. math:: M = \sum_p \min\left(\max_c M_c(p), \; \max_c M_c(p \setminus L) + V(L)\right)

    over the products (the cross account, each isolated position) and the sets c of correlations; an option held
    long cannot lose more than its value, so that the long options L cost their value at most.

    Raises
    ------
    DataError
        If an instrument is unknown, expired or cannot be priced, or a sensitivity is not finite.
    """
    held: dict[str, list[Position]] = {}
    for position in account.positions:
        held.setdefault(product_of(position), []).append(position)
    parts = tuple(_product_margin(name, held[name], market) for name in sorted(held))
    return Margin(level="total", name=account.account_id, amount=math.fsum(part.amount for part in parts), parts=parts)


def _product_margin(name: str, positions: Sequence[Position], market: SensitivityMarket) -> Margin:
    """The whole product, or the rest and the value of its long options, whichever is less."""
    whole = worst(_sensitivities(positions, market), market)
    options = market.market.options.is_option
    long = [p for p in positions if p.quantity > 0 and options[market.market.row(p.instrument)]]
    if long:
        value = math.fsum(
            float(p.quantity) * float(market.market.mark_usd[market.market.row(p.instrument)]) for p in long
        )
        rest = worst(_sensitivities([p for p in positions if p not in long], market), market)
        if rest.amount + value < whole.amount:
            limit = Margin(level="addon", name="value of long options", amount=value)
            return Margin(level="product", name=name, amount=rest.amount + value, parts=(rest, limit))
    return Margin(level="product", name=name, amount=whole.amount, parts=(whole,))


def _sensitivities(positions: Sequence[Position], market: SensitivityMarket) -> list[Sensitivity]:
    return [one for p in positions for one in market.of(p.instrument, float(p.quantity), product_of(p))]


def worst(sensitivities: Sequence[Sensitivity], market: SensitivityMarket) -> Margin:
    """Largest margin of the three sets of correlations, which it is named after; the first among equals."""
    figures = {word: aggregate(sensitivities, rules) for word, rules in market.calibration.rules.items()}
    word = max(figures, key=lambda name: figures[name].amount)
    found = figures[word]
    return Margin(level=found.level, name=f"{word} correlations", amount=found.amount, parts=found.parts)
