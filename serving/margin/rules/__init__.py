"""Venue rule books by name: one file and one line each."""

from functools import partial
from typing import Final

from serving.margin.rules import (
    binance,
    bybit,
    deribit_linear,
    deribit_portfolio,
    derive_portfolio,
    derive_standard,
    drift,
    dydx,
    fixed_rate,
    hyperliquid,
    paradex,
    span,
    vega,
)
from serving.margin.rules.published import preset
from serving.margin.rules.rule_book import Charges, RuleBook


def _published(name: str, title: str, charges: Charges, parameters: type, *, orders: bool = True) -> RuleBook:
    return RuleBook(title, charges, parameters, partial(preset, name, parameters), orders)


RULES: Final[dict[str, RuleBook]] = {
    "fixed_rate": _published("fixed_rate", "share of the notional", fixed_rate.charges, fixed_rate.Parameters),
    "binance": _published("binance", "leverage brackets, USD-M", binance.charges, binance.Parameters),
    "bybit": _published("bybit", "leverage brackets", bybit.charges, bybit.Parameters),
    "hyperliquid": _published("hyperliquid", "leverage tiers", hyperliquid.charges, hyperliquid.Parameters),
    "deribit_linear": _published(
        "deribit_linear", "rate linear in size", deribit_linear.charges, deribit_linear.Parameters
    ),
    "dydx": _published("dydx", "scaled by open interest", dydx.charges, dydx.Parameters),
    "drift": _published("drift", "square root of size", drift.charges, drift.Parameters),
    "vega": _published("vega", "lognormal expected shortfall", vega.charges, vega.Parameters),
    "derive_standard": RuleBook(
        "position-based, with options",
        derive_standard.charges,
        derive_standard.Parameters,
        lambda: derive_standard.PUBLISHED,
        orders=False,
        haircuts=True,
    ),
    "derive_portfolio": RuleBook(
        "scenario portfolio margin",
        derive_portfolio.charges,
        derive_portfolio.Parameters,
        lambda: derive_portfolio.PUBLISHED,
        orders=False,
        haircuts=True,
    ),
    "deribit_portfolio": _published(
        "deribit_portfolio",
        "price x volatility grid",
        deribit_portfolio.charges,
        deribit_portfolio.Parameters,
        orders=False,
    ),
    "paradex": _published("paradex", "weighted scenarios", paradex.charges, paradex.Parameters, orders=False),
    "span": _published("span", "sixteen scenarios", span.charges, span.Parameters, orders=False),
}

__all__ = ["RULES", "RuleBook"]
