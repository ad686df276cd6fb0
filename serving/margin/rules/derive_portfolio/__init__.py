"""Derive's portfolio margin, second version (PMRM2): scenarios with tails and skew, and contingencies."""

from serving.margin.rules.derive_portfolio.account import NAME, AccountMargin, account_margin, charges
from serving.margin.rules.derive_portfolio.margin import PortfolioMargin, portfolio_margin
from serving.margin.rules.derive_portfolio.parameters import Parameters, Scenario, read_parameters
from serving.margin.rules.derive_portfolio.portfolio import (
    Expiry,
    Holding,
    Options,
    Perpetual,
    Portfolio,
    forward_parts,
)
from serving.margin.rules.derive_portfolio.published import PUBLISHED

__all__ = [
    "NAME",
    "PUBLISHED",
    "AccountMargin",
    "Expiry",
    "Holding",
    "Options",
    "Parameters",
    "Perpetual",
    "Portfolio",
    "PortfolioMargin",
    "Scenario",
    "account_margin",
    "charges",
    "forward_parts",
    "portfolio_margin",
    "read_parameters",
]
