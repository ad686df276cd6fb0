"""What a trade would change: the account after trades at the mark, and the requirement before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from features.errors import AccountError
from serving.margin.instrument_terms import USD
from serving.margin.objects import Account, Collateral, Debt, MarginResult, Position
from serving.margin.objects.checks import finite
from serving.margin.priced_market import PricedMarket


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a comparison, USD."""

    name: str
    before: Decimal
    after: Decimal

    @property
    def difference(self) -> Decimal:
        """After less before."""
        return self.after - self.before


def traded(account: Account, trades: Mapping[str, Decimal], market: PricedMarket) -> Account:
    """The account after trades at the mark: cross positions grow, shrink, turn, appear or go.

    What a trade costs (options, spot) or realises moves to or from its dollars, so that a trade at the mark
    leaves what the account is worth as it was.

    Parameters
    ----------
    trades : signed contracts by instrument.

    Raises
    ------
    AccountError
        If a quantity is not finite, or the account holds an instrument isolated.
    UnknownInstrumentError, MarketError, ExpiredError
        If an instrument cannot be priced.
    """
    _refuse_isolated(account, trades)
    kept = [p for p in account.positions if p.mode == "isolated" or p.instrument not in trades]
    held = {p.instrument: p for p in account.positions if p.mode == "cross"}
    cash = Decimal(0)
    for symbol, quantity in trades.items():
        finite(quantity, f"trade in {symbol}: quantity", AccountError)
        before = held.get(symbol, Position(instrument=symbol, quantity=Decimal(0)))
        after, moved = _after(before, quantity, market)
        cash += moved
        if after.quantity:
            kept.append(after)
    return _paid(msgspec.structs.replace(account, positions=tuple(kept)), cash)


def _refuse_isolated(account: Account, trades: Mapping[str, Decimal]) -> None:
    cross = {p.instrument for p in account.positions if p.mode == "cross"}
    apart = {p.instrument for p in account.positions if p.mode == "isolated"} - cross
    for symbol in trades:
        if symbol in apart:
            raise AccountError(f"trade in {symbol}: the account holds it isolated; trades are of cross positions")


def _after(position: Position, traded_contracts: Decimal, market: PricedMarket) -> tuple[Position, Decimal]:
    """A position after a trade at the mark, and the dollars that it brings in or costs."""
    row = market.row(position.instrument)
    terms = market.snapshot.instruments[row]
    quantity = position.quantity + traded_contracts
    if terms.is_option or terms.kind == "spot":
        worth = float(market.mark_usd[row]) * (float(market.pays[row]) if traded_contracts < 0 else 1.0)
        cost = traded_contracts * Decimal(repr(worth))
        return msgspec.structs.replace(position, quantity=quantity), -cost
    entry, mark = position.entry_price, market.snapshot.quotes[position.instrument].mark
    if entry is None or not position.quantity:
        return msgspec.structs.replace(position, quantity=quantity), Decimal(0)
    if position.quantity * traded_contracts > 0:
        blended = _blended(position.quantity, entry, traded_contracts, mark, inverse=terms.contract == "inverse")
        return msgspec.structs.replace(position, quantity=quantity, entry_price=blended), Decimal(0)
    closed = min(abs(traded_contracts), abs(position.quantity)).copy_sign(position.quantity)
    whole = Decimal(repr(float(market.mark_usd[row])))
    realised = closed * whole * (1 - entry / mark if terms.contract == "linear" else mark / entry - 1)
    if realised > 0:  # in a fallen stablecoin a profit is worth what the coin is
        realised *= Decimal(repr(float(market.pays[row])))
    turned = quantity * position.quantity < 0
    return msgspec.structs.replace(position, quantity=quantity, entry_price=mark if turned else entry), realised


def _blended(held: Decimal, entry: Decimal, more: Decimal, mark: Decimal, *, inverse: bool) -> Decimal:
    """Mean entry price: of an inverse contract, whose profit is in 1 / price, the harmonic one."""
    if inverse:
        return (held + more) / (held / entry + more / mark)
    return (held * entry + more * mark) / (held + more)


def _paid(account: Account, cash: Decimal) -> Account:
    """The account with dollars more, or less, or owed."""
    dollars = cash + sum((c.quantity for c in account.collateral if c.asset == USD), Decimal(0))
    dollars -= sum((d.quantity for d in account.debts if d.asset == USD), Decimal(0))
    posted = [c for c in account.collateral if c.asset != USD]
    owed = [d for d in account.debts if d.asset != USD]
    if dollars > 0:
        posted.append(Collateral(asset=USD, quantity=dollars))
    if dollars < 0:
        owed.append(Debt(asset=USD, quantity=-dollars))
    return msgspec.structs.replace(account, collateral=tuple(posted), debts=tuple(owed))


def changes(before: MarginResult, after: MarginResult) -> list[Change]:
    """Initial margin by component, then both totals, before and after."""
    names = dict.fromkeys([c.name for c in (*before.components, *after.components)])
    tables = [{c.name: c.initial for c in result.components} for result in (before, after)]
    zero = Decimal("0.00")
    lines = [Change(name, *(table.get(name, zero) for table in tables)) for name in names]
    return [
        *lines,
        Change("initial margin", before.initial, after.initial),
        Change("maintenance margin", before.maintenance, after.maintenance),
    ]
