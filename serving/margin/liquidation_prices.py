"""At which price of an underlying an account is liquidated under the policy, all else as it is today."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Final, Literal

import msgspec

from serving.margin.funds import funds_of
from serving.margin.liquidation import searched_price
from serving.margin.moved_market import moved_market
from serving.margin.objects import Account, ForecastSet, MarketSnapshot, Position
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import prepare
from serving.margin.running import running

REACH: Final = 4.0
STEPS: Final = 48
DIGITS: Final = 8


def liquidation_prices(
    account: Account, market: MarketSnapshot, policy: MarginPolicy, forecasts: Sequence[ForecastSet]
) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """Nearest price below and above today's at which equity no longer covers the maintenance margin.

    The whole account is margined anew at every price: options, hedges, collateral that
    moves with the underlying. Isolated positions are accounts of their own.

    Returns
    -------
    by underlying of the account's cross positions: (below, above), eight digits, rounded towards today's price;
    None where there is none within a quarter and four times today's price.
    """
    symbols = {p.instrument for p in account.positions if p.mode == "cross"} | {o.instrument for o in account.orders}
    small = _reduced(market, symbols)
    names = dict.fromkeys(i.underlying for i in small.instruments)
    return {name: _both(account, small, name, policy, forecasts) for name in names}


def _reduced(market: MarketSnapshot, symbols: set[str]) -> MarketSnapshot:
    """The market with the account's instruments alone."""
    kept = tuple(i for i in market.instruments if i.symbol in symbols)
    quotes = {i.symbol: market.quotes[i.symbol] for i in kept if i.symbol in market.quotes}
    return msgspec.structs.replace(market, instruments=kept, quotes=quotes)


def _both(
    account: Account, market: MarketSnapshot, name: str, policy: MarginPolicy, forecasts: Sequence[ForecastSet]
) -> tuple[Decimal | None, Decimal | None]:
    spot = float(market.underlyings[name].spot)
    positions = tuple(_entered(p, market) for p in account.positions if p.mode == "cross")
    cross = msgspec.structs.replace(account, positions=positions)

    def surplus(price: float) -> float:
        prepared = prepare(moved_market(market, name, price / spot), policy, forecasts)
        now = running(cross, prepared)
        return float(funds_of(cross, now.book, prepared).equity) - now.figures().maintenance

    def found(side: Literal["down", "up"], rounding: str) -> Decimal | None:
        price = searched_price(surplus, spot, side, reach=REACH, steps=STEPS)
        return None if price is None else Context(prec=DIGITS, rounding=rounding).create_decimal(price)

    return found("down", ROUND_CEILING), found("up", ROUND_FLOOR)


def _entered(position: Position, market: MarketSnapshot) -> Position:
    """A position that is settled to the mark gains and loses from today's mark on."""
    quote = market.quotes.get(position.instrument)
    if position.entry_price is not None or quote is None:
        return position
    return msgspec.structs.replace(position, entry_price=quote.mark)
