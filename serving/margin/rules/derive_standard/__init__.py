"""Derive's standard margin: position by position, options of one expiry at most what they can lose together."""

from serving.margin.rules.derive_standard.account import NAME, AccountMargin, account_margin, charges
from serving.margin.rules.derive_standard.margin import MarketMargin, StandardMargin, standard_margin
from serving.margin.rules.derive_standard.market import Market, StandardAccount
from serving.margin.rules.derive_standard.parameters import PUBLISHED, Parameters, read_parameters

__all__ = [
    "NAME",
    "PUBLISHED",
    "AccountMargin",
    "Market",
    "MarketMargin",
    "Parameters",
    "StandardAccount",
    "StandardMargin",
    "account_margin",
    "charges",
    "read_parameters",
    "standard_margin",
]
