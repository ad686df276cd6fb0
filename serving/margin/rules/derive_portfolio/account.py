"""Any account of the engine under Derive's portfolio margin.

Underlyings are margined apart, as the venue's accounts hold one market each, and added
up. A worst scenario is given out by each position's own profit in it (Euler: the profit
is linear in the sizes while the scenario stays the worst); contingencies go to the
positions that cause them; what collateral costs or hedges goes to the positions beside
it in proportion to their notional, so that charges are whole.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.margin.charge import Charge, FloatArray, allocated
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.priced_market import PricedMarket, price_market
from serving.margin.rules.derive_portfolio.holdings import Cash, MarketHoldings, cash_of, market_holdings, scattered
from serving.margin.rules.derive_portfolio.margin import PortfolioMargin, portfolio_margin
from serving.margin.rules.derive_portfolio.parameters import CollateralTerms, Parameters
from serving.margin.rules.derive_portfolio.portfolio import Holding, Portfolio

NAME = "derive_portfolio"
COUNTS_FOR_NOTHING = CollateralTerms(initial=0.0, maintenance=1.0)
ALONE = ""  # name of the market that holds collateral beside no position


@dataclass(frozen=True, slots=True)
class AccountMargin:
    """Margin of an account, USD; cash counts at its price, at par where that is lower.

    ``charges``: by position, shape (positions,); they add up to the requirement, which is
    value less net balance. ``collateral``: what of it each asset of collateral causes,
    initial and maintenance: haircut, doubt about its feed, and its loss in the worst
    scenario where it moves with the positions beside it (negative where it hedges them).
    An account without positions has no charges; then these alone are the requirement.
    """

    net_initial: float
    net_maintenance: float
    mark_to_market: float
    charges: tuple[Charge, ...]
    collateral: dict[str, tuple[float, float]]
    worst: dict[str, str]
    markets: dict[str, PortfolioMargin]


@dataclass(frozen=True, slots=True)
class _Margined:
    """One market with where its holdings came from: position rows (-1: collateral) and assets.

    ``notional``: of the positions that stand beside its collateral, shape (positions,).
    """

    margin: PortfolioMargin
    rows: NDArray[np.int64]
    assets: tuple[str, ...]
    notional: FloatArray


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    """Charges of an account, USD by position: worst scenario, peg, contingencies, haircuts of collateral."""
    return account_margin(account, market, parameters).charges


def account_margin(account: Account, market: MarketSnapshot, parameters: Parameters) -> AccountMargin:
    """Margin an account: every underlying by itself, other collateral by its haircuts.

    Raises
    ------
    UnknownInstrumentError, ExpiredError, MarketError, SettingError
        If a position cannot be priced, a feed is missing or a contract does not settle in a stable asset.
    """
    priced = price_market(market)
    cash = cash_of(account, priced)
    held = market_holdings(account, priced)
    markets = {m.name: _margined(m, account, priced, cash, parameters) for m in held}
    markets[ALONE] = _alone(account, priced, cash, parameters, held)
    return _assembled(account, cash, markets)


def _margined(
    held: MarketHoldings, account: Account, market: PricedMarket, cash: Cash, parameters: Parameters
) -> _Margined:
    """One underlying's positions with the collateral that moves with them."""
    beside = [c for c in account.collateral if c.asset not in cash.assets and follows(c.asset, market) == held.name]
    posted = [_holding(c.asset, float(c.quantity), market, parameters, hedges=True) for c in beside]
    spot = [_spot_held(held, amount, parameters) for amount in held.spot_amounts]
    portfolio = Portfolio(
        cash=0.0,
        spot=held.spot,
        stable_price=cash.price,
        spot_confidence=held.confidence,
        expiries=held.expiries,
        options=held.options,
        perpetuals=held.perpetuals,
        collateral=(*spot, *posted),
    )
    rows = (*held.option_rows, *held.linear_rows, *held.spot_rows, *(-1 for _ in posted))
    names = tuple(c.asset for c in beside)
    notional = held.notional(len(account.positions))
    return _Margined(portfolio_margin(portfolio, parameters), np.array(rows, dtype=np.int64), names, notional)


def _alone(
    account: Account, market: PricedMarket, cash: Cash, parameters: Parameters, held: tuple[MarketHoldings, ...]
) -> _Margined:
    """Cash, and collateral that moves with no position; its feeds are trusted no more than any market's spot."""
    names = {m.name for m in held}
    apart = [c for c in account.collateral if c.asset not in cash.assets and follows(c.asset, market) not in names]
    posted = tuple(_holding(c.asset, float(c.quantity), market, parameters, hedges=False) for c in apart)
    portfolio = Portfolio(
        cash=cash.amount,
        spot=1.0,
        stable_price=cash.price,
        spot_confidence=min([m.confidence for m in held], default=1.0),
        collateral=posted,
    )
    rows, notional = np.full(len(posted), -1, dtype=np.int64), np.zeros(len(account.positions))
    for one in held:
        notional += one.notional(len(account.positions))
    return _Margined(portfolio_margin(portfolio, parameters), rows, tuple(c.asset for c in apart), notional)


def follows(asset: str, market: PricedMarket) -> str | None:
    """Which underlying an asset's price follows: as the market says, else the one of its name."""
    price = market.snapshot.assets.get(asset)
    if price is not None and price.underlying is not None:
        return price.underlying
    return asset if asset in market.snapshot.underlyings else None


def _holding(asset: str, amount: float, market: PricedMarket, parameters: Parameters, *, hedges: bool) -> Holding:
    terms = parameters.collateral.get(asset, COUNTS_FOR_NOTHING)
    price = market.snapshot.assets.get(asset)
    return _haircut(
        terms, amount, market.asset_usd(asset), 1.0 if price is None else price.confidence or 0.0, hedges=hedges
    )


def _spot_held(held: MarketHoldings, amount: float, parameters: Parameters) -> Holding:
    terms = parameters.collateral.get(held.name, COUNTS_FOR_NOTHING)
    return _haircut(terms, amount, held.spot, held.confidence, hedges=True)


def _haircut(terms: CollateralTerms, amount: float, price: float, confidence: float, *, hedges: bool) -> Holding:
    """Haircuts beside positions that it moves with where there are such terms, else those that always hold."""
    if hedges and terms.hedge_initial is not None and terms.hedge_maintenance is not None:
        return Holding(amount, price, terms.hedge_initial, terms.hedge_maintenance, True, confidence)
    return Holding(amount, price, terms.initial, terms.maintenance, False, confidence)


def _assembled(account: Account, cash: Cash, markets: dict[str, _Margined]) -> AccountMargin:
    """Markets added up, in USD."""
    margins = {name: m.margin for name, m in markets.items()}
    return AccountMargin(
        net_initial=cash.usd * sum(m.net_initial for m in margins.values()),
        net_maintenance=cash.usd * sum(m.net_maintenance for m in margins.values()),
        mark_to_market=cash.usd * sum(m.mark_to_market for m in margins.values()),
        charges=_by_position(len(account.positions), cash.usd, list(markets.values())),
        collateral=_by_asset(cash.usd, list(markets.values())),
        worst={name: m.worst for name, m in margins.items() if name != ALONE},
        markets=margins,
    )


def _by_position(positions: int, usd: float, markets: list[_Margined]) -> tuple[Charge, ...]:
    """Charges of all markets by position, what collateral causes given out by notional."""

    def gathered(index: int, level: str) -> FloatArray:
        out = np.zeros(positions)
        for market in markets:
            values: FloatArray = getattr(market.margin.charges[index], level)
            beside = float(np.add.reduce(values[market.rows < 0]))
            out += (scattered(values, market.rows, positions) + allocated(beside, market.notional)) * usd
        return out

    names = [charge.name for charge in markets[0].margin.charges]
    return tuple(Charge(n, gathered(i, "initial"), gathered(i, "maintenance")) for i, n in enumerate(names))


def _by_asset(usd: float, markets: list[_Margined]) -> dict[str, tuple[float, float]]:
    """Charges of each asset of collateral; it stands in one market only."""
    out = {}
    for market in markets:
        at = np.flatnonzero(market.rows < 0)
        for asset, i in zip(market.assets, at, strict=True):
            initial = sum(float(charge.initial[i]) for charge in market.margin.charges)
            maintenance = sum(float(charge.maintenance[i]) for charge in market.margin.charges)
            out[asset] = (initial * usd, maintenance * usd)
    return out
