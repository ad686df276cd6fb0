"""Any account of the engine under Derive's standard margin.

The options of an expiry are given out by what each adds to the reading that was chosen:
its own isolated margin, or its payoff at the settlement price where they lose most
together; every other charge goes to the position that causes it, and what collateral
costs to the positions in proportion to their notional.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.margin.charge import Charge, FloatArray, allocated
from serving.margin.objects import Account, Collateral, MarketSnapshot
from serving.margin.priced_market import PricedMarket, price_market
from serving.margin.rules.derive_portfolio.account import follows
from serving.margin.rules.derive_portfolio.holdings import Cash, MarketHoldings, cash_of, market_holdings, scattered
from serving.margin.rules.derive_standard.margin import StandardMargin, standard_margin
from serving.margin.rules.derive_standard.market import Market, StandardAccount
from serving.margin.rules.derive_standard.parameters import Parameters

NAME = "derive_standard"


@dataclass(frozen=True, slots=True)
class AccountMargin:
    """Margin of an account, USD: ``charges`` by position add up to value less net balance where there are positions."""

    net_initial: float
    net_maintenance: float
    mark_to_market: float
    charges: tuple[Charge, ...]
    margin: StandardMargin


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    """Charges of an account, USD by position: options, perpetuals, haircuts, contingencies."""
    return account_margin(account, market, parameters).charges


def account_margin(account: Account, market: MarketSnapshot, parameters: Parameters) -> AccountMargin:
    """Margin an account: underlyings add up; collateral counts by the weight of the underlying it follows.

    Collateral that follows no underlying, and is no cash, is charged at its whole value.

    Raises
    ------
    UnknownInstrumentError, ExpiredError, MarketError, SettingError
        If a position cannot be priced, a feed is missing or a contract does not settle in a stable asset.
    """
    priced = price_market(market)
    cash = cash_of(account, priced)
    held = {m.name: m for m in market_holdings(account, priced)}
    posted = _posted(account, priced, cash)
    others = tuple(name for name in posted if name not in held)
    markets = tuple(_market(name, held.get(name), posted.get(name, ()), priced) for name in (*held, *others))
    margin = standard_margin(StandardAccount(cash.amount, cash.price, markets), parameters)
    rows = [_rows(held.get(name)) for name in (*held, *others)]
    return AccountMargin(
        net_initial=margin.net_initial * cash.usd,
        net_maintenance=margin.net_maintenance * cash.usd,
        mark_to_market=margin.mark_to_market * cash.usd,
        charges=_by_position(account, cash, margin, rows, list(held.values())),
        margin=margin,
    )


def _posted(account: Account, market: PricedMarket, cash: Cash) -> dict[str, tuple[Collateral, ...]]:
    """Collateral by the underlying it follows; by its own name where it follows none."""
    out: dict[str, tuple[Collateral, ...]] = {}
    for c in account.collateral:
        if c.asset not in cash.assets:
            followed = follows(c.asset, market)
            name = followed if followed in market.snapshot.underlyings else c.asset
            out[name] = (*out.get(name, ()), c)
    return out


def _market(name: str, held: MarketHoldings | None, posted: tuple[Collateral, ...], market: PricedMarket) -> Market:
    """One underlying with the collateral that follows it, in units of spot; or one asset that follows none."""
    assets, underlying = market.snapshot.assets, market.snapshot.underlyings.get(name)
    confidence = min([assets[c.asset].confidence or 0.0 for c in posted if c.asset in assets], default=1.0)
    value = sum(float(c.quantity) * market.asset_usd(c.asset) for c in posted)
    if underlying is None:
        return Market(1.0, base=value, base_counts=False)
    spot, base = float(underlying.spot), value / float(underlying.spot)
    if held is None:
        return Market(spot, underlying.confidence or 0.0, base=base, base_confidence=confidence)
    base += sum(held.spot_amounts)
    return Market(spot, underlying.confidence or 0.0, held.expiries, held.options, held.perpetuals, base, confidence)


def _rows(held: MarketHoldings | None) -> NDArray[np.int64]:
    """Position of each holding of a market; -1 for its base."""
    rows = () if held is None else (*held.option_rows, *held.linear_rows)
    return np.array((*rows, -1), dtype=np.int64)


def _by_position(
    account: Account,
    cash: Cash,
    margin: StandardMargin,
    rows: list[NDArray[np.int64]],
    held: list[MarketHoldings],
) -> tuple[Charge, ...]:
    count = len(account.positions)
    notional = np.zeros(count)
    for one in held:
        notional += one.notional(count)

    def gathered(index: int, level: str) -> FloatArray:
        out = np.zeros(count)
        for market, at in zip(margin.markets, rows, strict=True):
            values: FloatArray = getattr(market.charges[index], level)
            out += (scattered(values, at, count) + allocated(float(values[-1]), notional)) * cash.usd
        return out

    names = [charge.name for charge in margin.markets[0].charges] if margin.markets else []
    return tuple(Charge(n, gathered(i, "initial"), gathered(i, "maintenance")) for i, n in enumerate(names))
