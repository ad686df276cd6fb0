"""Portfolio margin as Paradex publishes it: weighted scenarios, a minimum on delta, half of it for maintenance."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError, SettingError
from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.objects.checks import fraction
from serving.margin.policy import ScenarioPolicy
from serving.margin.rules.scenario_scan import Shock, scan, shocks

FloatArray = NDArray[np.float64]
NAME = "paradex"


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The venue's scenarios and rates.

    ``short_power``, ``long_power``: of the volatility shock, below and from 30 days on.
    ``net_rate``, ``hedged_rate``: of the net and of the offset delta, the minimum. ``maintenance_share``:
    of the initial margin. ``funding_hours``: of funding at the present rate that is provided for.
    """

    source: str = ""
    scenarios: tuple[Shock, ...]
    short_power: float
    long_power: float
    net_rate: float
    hedged_rate: float
    maintenance_share: float
    funding_hours: float = 8.0

    def __post_init__(self) -> None:
        """Refuse rates that are none."""
        for field in ("short_power", "long_power", "net_rate", "hedged_rate", "maintenance_share"):
            fraction(getattr(self, field), f"{NAME}: {field}", SettingError)
        if not self.scenarios or self.funding_hours < 0:
            raise SettingError(f"{NAME}: give at least one scenario and funding_hours of 0 or more")


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    r"""Worst scenario per underlying, at least the minimum on delta, and a provision for funding.

    .. math:: IM = \max(scan, (r_n |\Delta| + r_h \Delta_h) S) + funding, \quad MM = 0.5 \cdot scan\ part + funding

    References
    ----------
    https://docs.paradex.trade/risk/portfolio-margin
    """
    terms = ScenarioPolicy(short_power=parameters.short_power, long_power=parameters.long_power, vol_floor=0.0)
    found = scan(account, market, shocks(parameters.scenarios, len(market.underlyings)), terms)
    delta = found.delta_usd
    net, gross = np.abs(found.by_underlying(delta)), found.by_underlying(np.abs(delta))
    least = parameters.net_rate * net + parameters.hedged_rate * (gross - net) / 2
    lacking = np.maximum(least - found.by_underlying(found.worst), 0.0)
    share = np.abs(delta) / np.maximum(gross, np.finfo(float).tiny)[found.book.positions.underlying]
    topped = lacking[found.book.positions.underlying] * share
    funding = _funding(account, market, delta, parameters.funding_hours)
    half = parameters.maintenance_share
    return (
        Charge("scan", found.worst, found.worst * half),
        Charge("minimum on delta", topped, topped * half),
        Charge("funding provision", funding, funding),
    )


def _funding(account: Account, market: MarketSnapshot, delta: FloatArray, hours: float) -> FloatArray:
    """Funding that each perpetual would pay; what it would receive is no credit."""
    rates = [_rate(p.instrument, market) for p in account.positions]
    paid: FloatArray = np.maximum(delta * np.array(rates), 0.0) * hours / 8
    return paid


def _rate(symbol: str, market: MarketSnapshot) -> float:
    """Funding rate of a perpetual; 0 of what pays none."""
    kind = next(i.kind for i in market.instruments if i.symbol == symbol)
    rate = market.quotes[symbol].funding_rate_8h
    if kind == "perpetual" and rate is None:
        raise MarketError(f"{NAME}: {symbol} has no funding_rate_8h, which the rule provides for; add it to its quote")
    return rate or 0.0
