"""What a rule on single positions sees of an account: each position's instrument, mark and notional."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.errors import AccountError, ExpiredError, MarketError, SettingError, UnknownInstrumentError
from serving.margin.brackets import Exact
from serving.margin.charge import Charge
from serving.margin.objects import Account, Instrument, MarketSnapshot, Position, Quote
from serving.margin.objects.checks import finite

T = TypeVar("T")
FloatArray = NDArray[np.float64]
Pair = tuple[Exact, Exact]


@dataclass(frozen=True, slots=True)
class Exposure:
    """One position with the open orders that may add to it, as venues margin it.

    ``held``: signed size; ``buys`` and ``sells``: sizes of open orders; all in contracts x multiplier, which
    is units of the underlying, of an inverse contract US dollars. ``price``: notional of one of these, in a
    currency of which one is worth ``usd`` dollars.
    """

    instrument: Instrument
    quote: Quote
    held: Decimal
    buys: Decimal
    sells: Decimal
    price: Decimal
    usd: Decimal

    @property
    def units(self) -> Decimal:
        """Absolute size after the worst fills: all buys, all sells or none."""
        return max(abs(self.held), abs(self.held + self.buys), abs(self.held - self.sells))

    @property
    def notional(self) -> Decimal:
        """Absolute value at the mark after the worst fills."""
        return self.units * self.price


def exposures(account: Account, market: MarketSnapshot, rule: str, *, inverse: bool = False) -> tuple[Exposure, ...]:
    """Exposure of each position, in order; a position that the rule does not cover is refused, never left out.

    Open orders act on the cross position of their instrument, in maintenance as in initial margin.

    Parameters
    ----------
    rule : name of the rule, for messages.
    inverse : whether the rule covers contracts that are settled in coin.

    Raises
    ------
    SettingError
        If a position is an option, spot or, where these are not covered, an inverse contract.
    UnknownInstrumentError
        If the market does not know the instrument.
    MarketError
        If it has no quote, a mark of zero or no price of the currency of settlement.
    ExpiredError
        If it had expired when the market was taken.
    AccountError
        If there is an order in an instrument without a cross position, see :func:`with_order_rows`.
    """
    held = {position.instrument for position in account.positions if position.mode == "cross"}
    for order in account.orders:
        if order.instrument not in held:
            raise AccountError(
                f"{rule}: there is an order but no cross position in {order.instrument}; add a position of 0"
            )
    instruments = {instrument.symbol: instrument for instrument in market.instruments}
    return tuple(_exposure(p, instruments.get(p.instrument), account, market, rule, inverse) for p in account.positions)


def _exposure(
    position: Position,
    instrument: Instrument | None,
    account: Account,
    market: MarketSnapshot,
    rule: str,
    inverse: bool,
) -> Exposure:
    name = position.instrument
    if instrument is None:
        raise UnknownInstrumentError(f"{rule}: the market has no instrument {name}; add its terms to instruments")
    _covered(instrument, rule, inverse)
    if instrument.expiry_ns is not None and instrument.expiry_ns <= market.as_of_ns:
        raise ExpiredError(f"{rule}: {name} expired at or before the market's as_of_ns; settle it, then ask again")
    quote = market.quotes.get(name)
    if quote is None or quote.mark <= 0:
        found = "no quote" if quote is None else f"a mark of {quote.mark}"
        raise MarketError(f"{rule}: {name} has {found}; give a mark above 0")
    buys, sells = (_ordered(position, account, side) * instrument.multiplier for side in ("buy", "sell"))
    coin = instrument.contract == "inverse"  # its multiplier is in US dollars
    price, usd = (Decimal(1), Decimal(1)) if coin else (quote.mark, _usd(instrument.settlement, market, rule))
    return Exposure(instrument, quote, position.quantity * instrument.multiplier, buys, sells, price, usd)


def _ordered(position: Position, account: Account, side: str) -> Decimal:
    """Contracts of the open orders of one side that act on a position."""
    if position.mode == "isolated":
        return Decimal(0)
    sizes = (o.quantity for o in account.orders if o.instrument == position.instrument and o.side == side)
    return sum(sizes, Decimal(0))


def _covered(instrument: Instrument, rule: str, inverse: bool) -> None:
    kind = instrument.kind
    if kind in ("perpetual", "future") and (inverse or instrument.contract == "linear"):
        return
    what = f"inverse {kind}" if instrument.contract == "inverse" and kind != "option" else kind
    raise SettingError(
        f"{rule}: {instrument.symbol} is of kind {what}, which the rule does not cover; choose a rule that does"
    )


def _usd(asset: str, market: MarketSnapshot, rule: str) -> Decimal:
    if asset == "USD":
        return Decimal(1)
    price = market.assets.get(asset)
    if price is None or price.price_usd <= 0:
        raise MarketError(f"{rule}: no price above 0 of {asset}, in which profits are settled; add it to assets")
    return max(price.price_usd, Decimal(1)) if price.stable else price.price_usd


def terms(markets: Mapping[str, T], instrument: Instrument, rule: str, default: T | None = None) -> T:
    """What a rule's parameters say of an instrument: by its symbol, else its underlying, else the default.

    Raises
    ------
    SettingError
        If they say nothing of it.
    """
    for name in (instrument.symbol, instrument.underlying):
        if name in markets:
            return markets[name]
    if default is None:
        known = ", ".join(sorted(markets)) or "none"
        raise SettingError(f"{rule}: no parameters for {instrument.symbol}; known: {known}; add its market")
    return default


def charge(name: str, rows: Sequence[Exposure], requirement: Callable[[Exposure], Pair]) -> tuple[Charge, ...]:
    """One charge of a requirement (initial, maintenance) of each position, turned into US dollars.

    The initial requirement is never below maintenance.
    """
    pairs = [requirement(row) for row in rows]
    maintenance = np.array([_dollars(low, row) for (_, low), row in zip(pairs, rows, strict=True)], dtype=np.float64)
    initial = np.array([_dollars(high, row) for (high, _), row in zip(pairs, rows, strict=True)], dtype=np.float64)
    return (Charge(name, np.maximum(initial, maintenance), maintenance),)


def _dollars(amount: Exact, row: Exposure) -> float:
    return float(Fraction(amount) * Fraction(row.usd))


def at_least_one(value: Decimal, what: str) -> None:
    """Refuse a multiple, such as a leverage, that is no number or below 1."""
    finite(value, what, SettingError)
    if value < 1:
        raise SettingError(f"{what} is {value}; give 1 or more")


def with_order_rows(account: Account) -> Account:
    """The account with a position of 0 in each instrument in which it has orders but no cross position.

    Examples
    --------
    >>> from serving.margin.objects import OpenOrder
    >>> order = OpenOrder(instrument="BTC-PERP", side="sell", quantity=Decimal(3), price=Decimal(1))
    >>> [p.instrument for p in with_order_rows(Account(account_id="a", orders=(order,))).positions]
    ['BTC-PERP']
    """
    held = {position.instrument for position in account.positions if position.mode == "cross"}
    names = dict.fromkeys(order.instrument for order in account.orders if order.instrument not in held)
    rows = tuple(Position(instrument=name, quantity=Decimal(0)) for name in names)
    return msgspec.structs.replace(account, positions=account.positions + rows)
