"""What is added to the worst scenario, each given out to the holdings that cause it.

Holdings are counted in one order: options, perpetuals, collateral; every array here has
shape (n,) over them.
"""

import numpy as np

from serving.margin.charge import Charge, FloatArray
from serving.margin.rules.derive_portfolio.parameters import Contingency
from serving.margin.rules.derive_portfolio.portfolio import Portfolio


def naked_shorts(portfolio: Portfolio) -> FloatArray:
    r"""Short options that no long one of the same expiry and strike covers, shape (p,).

    .. math:: n_j = \max\Big(0, \sum_{i \in j} s_i - \sum_{i \in j} l_i\Big)

    A long put covers a short call of its strike, and the other way round. The naked
    number of a strike is given out to its shorts in proportion to their size.
    """
    options = portfolio.options
    out = np.zeros(len(options))
    short, long = np.maximum(-options.amount, 0.0), np.maximum(options.amount, 0.0)
    for key in sorted({(int(e), float(k)) for e, k in zip(options.expiry, options.strike, strict=True)}):
        here = (options.expiry == key[0]) & (options.strike == key[1])
        sold = float(np.add.reduce(short[here]))
        naked = max(0.0, sold - float(np.add.reduce(long[here])))
        if naked:
            out[here] = short[here] * (naked / sold)
    return out


def option_contingency(portfolio: Portfolio, rule: Contingency) -> Charge:
    """Fractions of the spot notional of options sold and not covered."""
    notional = _spread(portfolio, options=naked_shorts(portfolio) * portfolio.spot)
    return _two_rates("option contingency", notional, rule.option_maintenance, rule.option_initial)


def perpetual_contingency(portfolio: Portfolio, rule: Contingency) -> Charge:
    """Fractions of the spot notional of perpetuals, long or short."""
    notional = _spread(portfolio, perpetuals=_perpetual_notional(portfolio))
    return _two_rates("perpetual contingency", notional, rule.perpetual_maintenance, rule.perpetual_initial)


def collateral_haircuts(portfolio: Portfolio) -> Charge:
    """Haircut of each asset of collateral on its value in the cash asset."""
    value = portfolio.collateral_value
    maintenance = value * np.array([c.maintenance for c in portfolio.collateral])
    initial = value * np.array([c.initial for c in portfolio.collateral])
    return Charge(
        "collateral haircut",
        _spread(portfolio, collateral=maintenance + initial),
        _spread(portfolio, collateral=maintenance),
    )


def oracle_contingency(portfolio: Portfolio, rule: Contingency) -> Charge:
    r"""Initial margin for feeds that are not trusted, :math:`(1 - confidence) \cdot scale \cdot notional`.

    Only below the threshold. A perpetual has the least confidence of spot and of every
    perpetual held; an option that and its expiry's; collateral its own and spot's.
    """
    common = portfolio.confidence
    by_expiry = np.array([min(common, e.confidence) for e in portfolio.expiries])
    own = np.array([min(c.confidence, portfolio.spot_confidence) for c in portfolio.collateral])
    charged = _spread(
        portfolio,
        options=doubt(by_expiry, rule)[portfolio.options.expiry] * np.abs(portfolio.options.amount) * portfolio.spot,
        perpetuals=doubt(np.full(len(portfolio.perpetuals), common), rule) * _perpetual_notional(portfolio),
        collateral=doubt(own, rule) * portfolio.collateral_value,
    )
    return Charge("oracle contingency", charged, np.zeros(len(charged)))


def doubt(confidence: FloatArray, rule: Contingency) -> FloatArray:
    """Fraction of notional charged at a confidence: nothing from the threshold on."""
    return np.where(confidence < rule.confidence_threshold, (1 - confidence) * rule.confidence_scale, 0.0)


def peg_surcharge(stable_price: float, rule: Contingency) -> float:
    """What is added to the initial loss factor when the cash asset trades below its peg.

    Examples
    --------
    >>> from serving.margin.rules.derive_portfolio import PUBLISHED
    >>> round(peg_surcharge(0.95, PUBLISHED.contingency), 4), peg_surcharge(1.0, PUBLISHED.contingency)
    (0.06, 0.0)
    """
    return max(0.0, rule.peg_threshold - stable_price) * rule.peg_scale


def _perpetual_notional(portfolio: Portfolio) -> FloatArray:
    return np.array([abs(p.amount) * portfolio.spot for p in portfolio.perpetuals])


def _two_rates(name: str, notional: FloatArray, maintenance: float, initial: float) -> Charge:
    return Charge(name, notional * maintenance + notional * initial, notional * maintenance)


def _spread(
    portfolio: Portfolio,
    options: FloatArray | None = None,
    perpetuals: FloatArray | None = None,
    collateral: FloatArray | None = None,
) -> FloatArray:
    """One array over all holdings; nothing for the kinds not given."""
    numbers = (len(portfolio.options), len(portfolio.perpetuals), len(portfolio.collateral))
    given = (options, perpetuals, collateral)
    return np.concatenate([np.zeros(n) if part is None else part for n, part in zip(numbers, given, strict=True)])
