"""The requirement of one account: under the policy, or under a venue's rule book."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.errors import lookup
from serving.margin.charge import Charge
from serving.margin.closing_costs import closing_charges
from serving.margin.contingent import contingent_charges
from serving.margin.debts import debt_rows, with_debts
from serving.margin.expired import held_up
from serving.margin.funds import Funds, funds_of
from serving.margin.holdings import Book, book_of
from serving.margin.levels import levels
from serving.margin.money import WIDE
from serving.margin.objects import Account, Collateral, Debt, MarginResult, Position
from serving.margin.prepared import Prepared
from serving.margin.rules import RULES, RuleBook
from serving.margin.rules.exposure import with_order_rows
from serving.margin.rules.order_fills import EXACT, of_held, order_charge
from serving.margin.scan_charges import Scanned, scan_charges
from serving.margin.statement import Row, statement

FloatArray = NDArray[np.float64]
POLICY: Final = "policy"
SEARCHED: Final = f"open orders on more than {EXACT} sides: their worst fills were searched for, not all tried"


def quote(account: Account, prepared: Prepared) -> MarginResult:
    """Requirement under the prepared policy.

    Cross positions and open orders share the account's collateral; every isolated
    position is margined alone, on its own, in ``isolated``.

    Raises
    ------
    AccountError, UnknownInstrumentError, ExpiredError, MarketError
        If the account or what it holds cannot be margined; nothing is answered then.
    """
    with localcontext(WIDE):  # whatever the caller's context rounds to
        return _quoted(netted(account), prepared)


def _quoted(account: Account, prepared: Prepared) -> MarginResult:
    cross = tuple(p for p in account.positions if p.mode == "cross")
    book = book_of(account, cross, prepared.market, prepared.policy)
    charges, initial, notes = _charges(account, prepared, book)
    funds = funds_of(account, book, prepared)
    rows = [*_rows(cross, account), *debt_rows(account)]
    result = _result(account, prepared, POLICY, charges, rows, funds, (*notes, *funds.notes))
    return msgspec.structs.replace(
        result,
        worst_scenario=worst_scenario(prepared, initial),
        isolated=tuple(_marked(quote(alone(account, p), prepared)) for p in account.positions if p.mode == "isolated"),
        notes=tuple(dict.fromkeys((*prepared.notes, *result.notes))),
    )


def _charges(account: Account, prepared: Prepared, book: Book) -> tuple[list[Charge], Scanned, list[str]]:
    """All charges, the debts' among them, and what holds them up where a forecast has expired."""
    charges, initial, notes = charges_of(prepared, book)
    owed = with_debts(charges, account, prepared)
    if prepared.before is not None:
        before, _, _ = _charges(account, prepared.before, book)
        owed.append(held_up(owed, before))
    return owed, initial, notes


def quote_rule(account: Account, prepared: Prepared, rule: str, parameters: Any = None) -> MarginResult:  # noqa: ANN401
    """Requirement under a venue's rule book; collateral counts as under the policy.

    Orders are charged as the rule says, or, where it looks at positions alone, at the worst combination of fills.

    Parameters
    ----------
    rule : name in ``RULES``.
    parameters : of the rule; those that the venue publishes without any.

    Raises
    ------
    SettingError
        If there is no such rule, or it does not cover something that the account holds.
    """
    book = lookup(RULES, rule, "rule")
    given = book.published() if parameters is None else parameters
    with localcontext(WIDE):
        return _quoted_rule(netted(account), prepared, rule, book, given)


def _quoted_rule(account: Account, prepared: Prepared, rule: str, book: RuleBook, given: Any) -> MarginResult:  # noqa: ANN401
    apart = tuple(p for p in account.positions if p.mode == "isolated")
    cross = tuple(p for p in account.positions if p.mode == "cross")
    placed = with_order_rows(msgspec.structs.replace(account, positions=cross))
    bare = msgspec.structs.replace(placed, orders=())
    charges, notes = _rule_charges(placed, prepared, book, given)
    held = book_of(bare, placed.positions, prepared.market, prepared.policy)
    funds = funds_of(account, held, prepared, haircut=not (book.haircuts and any(p.quantity for p in cross)))
    result = _result(account, prepared, rule, charges, _rows(placed.positions, bare), funds, (*notes, *funds.notes))
    isolated = tuple(_marked(quote_rule(alone(account, p), prepared, rule, given)) for p in apart)
    return msgspec.structs.replace(result, isolated=isolated)


def _rule_charges(
    account: Account,
    prepared: Prepared,
    book: RuleBook,
    given: Any,  # noqa: ANN401
) -> tuple[tuple[Charge, ...], tuple[str, ...]]:
    """Charges of a rule, its orders among them, and what to say of these."""
    snapshot = prepared.market.snapshot
    if book.orders:
        return book.charges(account, snapshot, given), ()

    def rule(filled: Account) -> list[Charge]:
        return of_held(filled, lambda held: book.charges(held, snapshot, given))

    if not account.orders:
        return tuple(rule(account)), ()
    gap_usd = book_of(account, account.positions, prepared.market, prepared.policy).gap_usd
    charge, exact = order_charge(account, gap_usd, rule)
    return (*rule(msgspec.structs.replace(account, orders=())), charge), () if exact else (SEARCHED,)


def netted(account: Account) -> Account:
    """The account with what it has posted and owes of one asset set off against each other."""
    both = {c.asset for c in account.collateral} & {d.asset for d in account.debts}
    if not both:
        return account
    net = {c.asset: c.quantity for c in account.collateral}
    for debt in account.debts:
        net[debt.asset] = net.get(debt.asset, Decimal(0)) - debt.quantity
    return msgspec.structs.replace(
        account,
        collateral=tuple(Collateral(asset=a, quantity=q) for a, q in net.items() if q > 0),
        debts=tuple(Debt(asset=a, quantity=-q) for a, q in net.items() if q < 0),
    )


def charges_of(prepared: Prepared, book: Book) -> tuple[list[Charge], Scanned, list[str]]:
    """All charges of cross positions and orders, the initial scan and what had to be assumed."""
    charges, initial, maintenance = scan_charges(prepared, book)
    rows, held, market, policy = book.rows, len(book.positions.quantity), prepared.market, prepared.policy
    closing, notes = closing_charges(prepared.closing, market, rows, held, (initial, maintenance), policy)
    contingent = contingent_charges(prepared.contingent, market, rows, held, policy)
    remarks = prepared.contingent.remarks
    assumed = [note for i in rows.instrument.tolist() for note in remarks[i]]
    return [*charges, *closing, *contingent], initial, [*book.notes, *notes, *assumed]


def worst_scenario(prepared: Prepared, scanned: Scanned) -> str:
    """Worst scenario of each underlying that loses in any, and the law of the joint paths where that binds."""
    names = prepared.initial.scenarios.names
    found = [
        f"{name}: {names[s]}" for name, s in zip(prepared.market.underlyings, scanned.loss.worst, strict=True) if s >= 0
    ]
    if scanned.loss.excess > 0:
        found.append(f"joint paths, correlation law {scanned.loss.law}")
    return "; ".join(found) or "none"


def _rows(positions: Sequence[Position], account: Account) -> list[Row]:
    held = [Row(p.instrument, p.mode, p.quantity) for p in positions]
    signed = [o.quantity if o.side == "buy" else -o.quantity for o in account.orders]
    return held + [Row(o.instrument, "order", q) for o, q in zip(account.orders, signed, strict=True)]


def _result(
    account: Account,
    prepared: Prepared,
    rule: str,
    charges: Sequence[Charge],
    rows: Sequence[Row],
    funds: Funds,
    notes: Sequence[str],
) -> MarginResult:
    said = statement(charges, rows)
    maintenance = max(said.maintenance, Decimal("0.00"))
    return MarginResult(
        account_id=account.account_id,
        rule=rule,
        as_of_ns=prepared.market.snapshot.as_of_ns,
        initial=said.initial,
        maintenance=said.maintenance,
        levels=levels(maintenance, max(said.initial, maintenance), funds.equity, prepared.policy.levels),
        components=said.components,
        positions=said.positions,
        collateral=funds.lines,
        worst_scenario="",
        notes=tuple(dict.fromkeys(notes)),
    )


def alone(account: Account, position: Position) -> Account:
    """An isolated position as an account of its own."""
    posted = (Collateral(asset="USD", quantity=position.isolated_collateral),) if position.isolated_collateral else ()
    bare = msgspec.structs.replace(position, mode="cross", isolated_collateral=Decimal(0))
    return Account(account_id=f"{account.account_id}/{position.instrument}"[:64], positions=(bare,), collateral=posted)


def _marked(result: MarginResult) -> MarginResult:
    """The result of an isolated position, which says that it is one."""
    positions = tuple(msgspec.structs.replace(p, mode="isolated") for p in result.positions)
    return msgspec.structs.replace(result, positions=positions)
