"""At which price of an underlying an account is liquidated, under the policy or a venue's rule, all else as today."""

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any, Final, Literal

import msgspec

from serving.margin.funds import funds_of
from serving.margin.liquidation import searched_price
from serving.margin.moved_market import moved_market
from serving.margin.objects import Account, ForecastSet, MarketSnapshot, Position
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import prepare
from serving.margin.quote import quote_rule
from serving.margin.running import running

Surplus = Callable[[Account, MarketSnapshot], float]
REACH: Final = 4.0
STEPS: Final = 48
DIGITS: Final = 8
STANDING: Final = ("age_s", "funding_rate_8h")  # of which the worst in the market stands for a missing one


def policy_surplus(policy: MarginPolicy, forecasts: Sequence[ForecastSet]) -> Surplus:
    """Equity of an account less its maintenance margin under the policy, USD, in a market that may have moved."""

    def surplus(account: Account, market: MarketSnapshot) -> float:
        prepared = prepare(market, policy, forecasts)
        now = running(account, prepared)
        return float(funds_of(account, now.book, prepared).equity) - now.figures().maintenance

    return surplus


def rule_surplus(
    rule: str,
    parameters: Any,  # noqa: ANN401
    policy: MarginPolicy,
    forecasts: Sequence[ForecastSet],
) -> Surplus:
    """The same under a venue's rule; collateral counts as under the policy, to the cent."""

    def surplus(account: Account, market: MarketSnapshot) -> float:
        levels = quote_rule(account, prepare(market, policy, forecasts), rule, parameters).levels
        return float(levels.equity - levels.maintenance)

    return surplus


def liquidation_prices(
    account: Account, market: MarketSnapshot, surplus: Surplus
) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """Nearest price below and above today's at which equity no longer covers the maintenance margin.

    The whole account is margined anew at every price: options, hedges, collateral that
    moves with the underlying. Isolated positions are accounts of their own.

    Parameters
    ----------
    surplus : ``policy_surplus`` or ``rule_surplus``.

    Returns
    -------
    by underlying of the account's cross positions: (below, above), eight digits, rounded towards today's price;
    None where there is none within a quarter and four times today's price.
    """
    symbols = {p.instrument for p in account.positions if p.mode == "cross"} | {o.instrument for o in account.orders}
    small = _reduced(market, symbols)
    positions = tuple(_entered(p, small) for p in account.positions if p.mode == "cross")
    cross = msgspec.structs.replace(account, positions=positions)
    names = dict.fromkeys(i.underlying for i in small.instruments if i.symbol in symbols)
    return {name: _both(cross, small, name, surplus) for name in names}


def _reduced(market: MarketSnapshot, symbols: set[str]) -> MarketSnapshot:
    """The market with the account's instruments, and those whose age or funding stands for one that is missing."""
    sizes = ({s: abs(getattr(q, field) or 0.0) for s, q in market.quotes.items()} for field in STANDING)
    worst = {max(size, key=size.__getitem__) for size in sizes if size}
    kept = tuple(i for i in market.instruments if i.symbol in symbols | worst)
    quotes = {i.symbol: market.quotes[i.symbol] for i in kept if i.symbol in market.quotes}
    return msgspec.structs.replace(market, instruments=kept, quotes=quotes)


def _both(
    account: Account, market: MarketSnapshot, name: str, surplus: Surplus
) -> tuple[Decimal | None, Decimal | None]:
    spot = float(market.underlyings[name].spot)

    def at(price: float) -> float:
        return surplus(account, moved_market(market, name, price / spot))

    def found(side: Literal["down", "up"], rounding: str) -> Decimal | None:
        price = searched_price(at, spot, side, reach=REACH, steps=STEPS)
        return None if price is None else Context(prec=DIGITS, rounding=rounding).create_decimal(price)

    return found("down", ROUND_CEILING), found("up", ROUND_FLOOR)


def _entered(position: Position, market: MarketSnapshot) -> Position:
    """A position that is settled to the mark gains and loses from today's mark on."""
    quote = market.quotes.get(position.instrument)
    if position.entry_price is not None or quote is None:
        return position
    return msgspec.structs.replace(position, entry_price=quote.mark)
