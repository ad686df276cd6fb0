"""Profit and loss of a portfolio under the scenarios, by holding; the basis contingency beside it."""

from dataclasses import dataclass

import numpy as np

from serving.margin.charge import FloatArray
from serving.margin.rules.derive_portfolio.parameters import Parameters, Scenario
from serving.margin.rules.derive_portfolio.portfolio import Portfolio
from serving.margin.rules.derive_portfolio.shocks import static_discounts
from serving.margin.rules.derive_portfolio.values import NOW, option_values

NAME_OF_BASIS = "forward contingency"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the scenarios do to a portfolio.

    ``pnl``: profit of each scenario, shape (s,), damped. ``pnl_by_holding``: the same,
    shape (s, n), options first, then perpetuals, then collateral. ``basis``: the
    forward contingency, shape (n,), none positive in sum. ``marks``: value of each option
    today, shape (p,).
    """

    pnl: FloatArray
    pnl_by_holding: FloatArray
    basis: FloatArray
    marks: FloatArray


def evaluate(portfolio: Portfolio, parameters: Parameters) -> Outcome:
    """Value a portfolio under every scenario and under the basis moves, each option once."""
    rule = parameters.basis
    moves = (*parameters.scenarios, NOW, Scenario(rule.spot_up, "none"), Scenario(rule.spot_down, "none"))
    values = option_values(portfolio, moves, parameters) * portfolio.options.amount
    shocked, (now, up, down) = values[:-3], values[-3:]
    options = _option_pnl(portfolio, parameters, shocked, now)
    by_holding = np.concatenate([options, _linear_pnl(portfolio, parameters.scenarios)], axis=1)
    basis = _basis_pnl(portfolio, parameters, up - now, down - now)
    return Outcome(np.add.reduce(by_holding, axis=1), by_holding, basis, now)


def _option_pnl(portfolio: Portfolio, parameters: Parameters, shocked: FloatArray, now: FloatArray) -> FloatArray:
    """Discounted change of value by option, shape (s, p); a skew counts as the loss it is in its worse direction."""
    at, scenarios = portfolio.options.expiry, parameters.scenarios
    owned, owed = _static(portfolio, parameters)
    skewed = np.array([s.is_skew for s in scenarios])
    damping = np.array([s.damping for s in scenarios])
    out = np.zeros(shocked.shape)
    for index in range(len(portfolio.expiries)):
        here = at == index
        worth = np.add.reduce(shocked[:, here], axis=1)
        factor = np.where(worth >= 0, owned[index], owed[index]) * damping
        change = shocked[:, here] * factor[:, None] - now[here] * damping[:, None]
        # a gain from one skew is about the loss from the opposite one, which is not in the list
        turned = skewed & (np.add.reduce(change, axis=1) > 0)
        out[:, here] = np.where(turned[:, None], -change, change)
    return out


def _static(portfolio: Portfolio, parameters: Parameters) -> tuple[FloatArray, FloatArray]:
    years = np.array([e.years for e in portfolio.expiries])
    rate = np.array([e.rate for e in portfolio.expiries])
    return static_discounts(years, rate, parameters.discount)


def _linear_pnl(portfolio: Portfolio, scenarios: tuple[Scenario, ...]) -> FloatArray:
    """Change of perpetuals and of collateral that hedges, which move one to one with spot; shape (s, n - p)."""
    perpetuals = np.array([p.amount * p.price for p in portfolio.perpetuals])
    hedges = portfolio.collateral_value * np.array([float(c.hedges) for c in portfolio.collateral])
    move = np.array([(s.spot - 1) * s.damping for s in scenarios])
    pnl: FloatArray = move[:, None] * np.concatenate([perpetuals, hedges])
    return pnl


def _basis_pnl(portfolio: Portfolio, parameters: Parameters, up: FloatArray, down: FloatArray) -> FloatArray:
    """The worse of the two moves of each expiry's own forward, times add + scale x years; shape (n,)."""
    options, rule = portfolio.options, parameters.basis
    out = np.zeros(len(options) + len(portfolio.perpetuals) + len(portfolio.collateral))
    for index, expiry in enumerate(portfolio.expiries):
        here = np.flatnonzero(options.expiry == index)
        worst = min((up[here], down[here]), key=lambda change: float(np.add.reduce(change)))
        if float(np.add.reduce(worst)) < 0:
            out[here] = worst * (rule.add + rule.scale * expiry.years)
    return out
