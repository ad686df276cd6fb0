"""Derive's portfolio margin of one market (PMRM2): the worst scenario, scaled, and the contingencies."""

from dataclasses import dataclass

import numpy as np

from features.errors import ForecastError
from serving.margin.charge import Charge, FloatArray, total
from serving.margin.rules.derive_portfolio.contingencies import (
    collateral_haircuts,
    option_contingency,
    oracle_contingency,
    peg_surcharge,
    perpetual_contingency,
)
from serving.margin.rules.derive_portfolio.parameters import Parameters
from serving.margin.rules.derive_portfolio.portfolio import Portfolio
from serving.margin.rules.derive_portfolio.scenarios import NAME_OF_BASIS, Outcome, evaluate


@dataclass(frozen=True, slots=True)
class PortfolioMargin:
    """Margin of one market and how it came about. Money in the cash asset.

    ``net_initial`` and ``net_maintenance``: what is left of value and cash after the
    requirement; below zero there is too little. ``charges``: shape (n,) each over options,
    perpetuals, collateral; they add up to the requirement. ``worst``: the scenario's name,
    ``worst_pnl`` its profit (never above 0) before the factors.
    """

    net_initial: float
    net_maintenance: float
    mark_to_market: float
    charges: tuple[Charge, ...]
    worst: str
    worst_pnl: float
    initial_factor: float
    outcome: Outcome


def portfolio_margin(portfolio: Portfolio, parameters: Parameters) -> PortfolioMargin:
    r"""Margin one market of an account.

    .. math::

        M = V + C + f \cdot \min(B, \min_s P_s) - \sum contingencies

    with V the mark-to-market value, C cash, P the damped profit of each scenario, B the
    forward contingency, f the factor of the level (the initial one rises as the cash
    asset loses its peg).

    Parameters
    ----------
    portfolio : holdings and feeds of one market.
    parameters : what the venue sets.

    Raises
    ------
    MarketError, AccountError, SettingError
        If feeds, holdings or parameters are not finite or missing.
    ForecastError
        If a scenario or a charge comes out as no number.

    References
    ----------
    https://docs.derive.xyz/docs/pm2 ; github.com/derivexyz/v2-core, PMRMLib_2 (rules only).
    """
    outcome = evaluate(portfolio, parameters)
    surcharge = peg_surcharge(portfolio.stable_price, parameters.contingency)
    worst, by_holding = _worst(outcome, parameters)
    charges = (
        Charge("worst scenario", -by_holding * parameters.initial_factor, -by_holding * parameters.maintenance_factor),
        Charge("stablecoin peg", -by_holding * surcharge, np.zeros(len(by_holding))),
        option_contingency(portfolio, parameters.contingency),
        perpetual_contingency(portfolio, parameters.contingency),
        oracle_contingency(portfolio, parameters.contingency),
        collateral_haircuts(portfolio),
    )
    initial, maintenance = total(charges)
    value = _value(portfolio, outcome)
    return PortfolioMargin(
        net_initial=value + portfolio.cash - initial,
        net_maintenance=value + portfolio.cash - maintenance,
        mark_to_market=value + portfolio.cash,
        charges=charges,
        worst=worst,
        worst_pnl=float(np.add.reduce(by_holding)),
        initial_factor=parameters.initial_factor + surcharge,
        outcome=outcome,
    )


def _worst(outcome: Outcome, parameters: Parameters) -> tuple[str, FloatArray]:
    """Name of the worst scenario and its profit by holding; the first among equals, the basis before all."""
    basis = float(np.add.reduce(outcome.basis))
    if not (np.isfinite(outcome.pnl).all() and np.isfinite(basis)):  # a NaN is below nothing: it would be passed over
        raise ForecastError("a scenario's profit is no number; no margin is made of it: correct prices and sizes")
    at = int(outcome.pnl.argmin())
    if outcome.pnl[at] < basis:
        return parameters.scenarios[at].name, outcome.pnl_by_holding[at]
    return (NAME_OF_BASIS if basis < 0 else "none"), outcome.basis


def _value(portfolio: Portfolio, outcome: Outcome) -> float:
    perpetuals = sum(p.value for p in portfolio.perpetuals)
    return float(np.add.reduce(outcome.marks) + perpetuals + np.add.reduce(portfolio.collateral_value))
