"""A trade, a fresh quote of the changed account and the running figures agree."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from features.errors import AccountError, MarketError, UnknownInstrumentError
from serving.margin.batch import batch
from serving.margin.objects import MarginResult, Position
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import prepare
from serving.margin.priced_market import price_market
from serving.margin.running import Figures, running
from serving.margin.what_if import Change, changes, traded
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

SYMBOLS = [i.symbol for i in changed.small_market().instruments]
MARKET = changed.prepared().market
TRADES = st.lists(
    st.tuples(st.sampled_from(SYMBOLS), st.decimals("-5", "5", places=2).filter(bool)), min_size=1, max_size=5
)


def agree(figures: Figures, found: MarginResult) -> None:
    """To a cent a component, by which the statement rounds up."""
    cents = 0.01 * (len(found.components) + 1) + 1e-9 * float(found.initial)
    assert 0 <= float(found.initial) - figures.initial + 1e-6 <= cents
    assert 0 <= float(found.maintenance) - figures.maintenance + 1e-6 <= cents
    for c in found.components:
        if c.name != "maintenance floor":
            initial, maintenance = figures.components[c.name]
            assert float(c.initial) == pytest.approx(initial, abs=0.0101, rel=1e-9)
            assert float(c.maintenance) == pytest.approx(maintenance, abs=0.0101, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(TRADES)
def test_after_trades_the_figures_are_those_of_the_changed_account(trades: list[tuple[str, Decimal]]) -> None:
    placed = (changed.order("BTC-PERP", "buy", "2", "58000"), changed.order(changed.CALL, "sell", "1", "2000"))
    account = changed.everything(orders=placed)
    now = running(account, changed.prepared())
    for symbol, quantity in trades:
        now, account = (
            now.after(symbol, float(quantity)),
            traded(account, {symbol: quantity}, changed.prepared().market),
        )
    agree(now.figures(), changed.quoted(account))


def test_the_running_figures_are_the_quotes() -> None:
    for account in (changed.everything(), changed.holding(), changed.holding(("BTC-PERP", "0.001"))):
        agree(running(account, changed.prepared()).figures(), changed.quoted(account))


def test_a_trade_and_its_reverse_change_nothing() -> None:
    before = running(changed.everything(), changed.prepared())
    after = before.after("ETH-PERP", 3.0).after(changed.WING, -2.0).after(changed.WING, 2.0).after("ETH-PERP", -3.0)
    assert after.figures().initial == pytest.approx(before.figures().initial, rel=1e-12)
    assert before.figures() == running(changed.everything(), changed.prepared()).figures()  # not touched


def test_trades_by_hand() -> None:
    alone = Position(instrument="BTC-PERP", quantity=Decimal(9), mode="isolated")
    held = changed.holding(("BTC-PERP", 2), ("ETH-PERP", -1))
    held = replace(held, positions=(*held.positions, alone))
    after = traded(held, {"BTC-PERP": Decimal(-3), "ETH-PERP": Decimal(1), "SOL-PERP": Decimal(4)}, MARKET)
    assert sorted((p.instrument, p.mode, int(p.quantity)) for p in after.positions) == [
        ("BTC-PERP", "cross", -1), ("BTC-PERP", "isolated", 9), ("SOL-PERP", "cross", 4),
    ]  # fmt: skip
    assert traded(held, {}, MARKET) == held
    turned = replace(held, positions=held.positions[::-1])
    assert {*traded(turned, {"BTC-PERP": Decimal(1)}, MARKET).positions} == {
        *(replace(p, quantity=Decimal(3)) if p is held.positions[0] else p for p in held.positions)
    }
    apart = replace(held, positions=(alone,))
    with pytest.raises(AccountError, match="trade in BTC-PERP: the account holds it isolated"):
        traded(apart, {"BTC-PERP": Decimal(1)}, MARKET)
    assert held.positions[0].quantity == 2


ENTRIES = {"BTC-PERP": "48300", "BTC-USD": "61000", "ETH-PERP": "2600", "SOL-PERP": "140"}
HELD = tuple(
    replace(p, entry_price=Decimal(ENTRIES[p.instrument])) if p.instrument in ENTRIES else p
    for p in changed.everything().positions
)


@settings(max_examples=40, deadline=None)
@given(TRADES)
def test_a_trade_at_the_mark_leaves_the_equity(trades: list[tuple[str, Decimal]]) -> None:
    """Whether a position grows, shrinks, turns or goes: what was gained is realised, what is bought is paid for."""
    account = replace(changed.holding(), positions=HELD)
    before = changed.quoted(account).levels.equity
    for symbol, quantity in trades:
        account = traded(account, {symbol: quantity * (100 if symbol == "BTC-USD" else 1)}, MARKET)
    assert float(changed.quoted(account).levels.equity) == pytest.approx(float(before), abs=0.05)


@pytest.mark.parametrize("price", ["0.5", "0.9", "1", "1.1"])
@pytest.mark.parametrize("symbol", ["BTC-PERP", "BTC-USD", changed.WING, changed.PUT, "ETH-PERP", "SOL-PERP"])
def test_a_trade_at_the_mark_never_adds_to_the_equity(symbol: str, price: str) -> None:
    """In a fallen stablecoin a gain is worth what the coin is, before and after it is realised."""
    market = changed.with_asset("USDC", price_usd=Decimal(price))
    account, priced = replace(changed.holding(), positions=HELD), price_market(market)
    before = changed.quoted(account, market).levels.equity
    held = next(p.quantity for p in HELD if p.instrument == symbol)
    for share in ("-0.5", "-1", "-1.5", "0.5"):
        after = changed.quoted(traded(account, {symbol: held * Decimal(share)}, priced), market).levels.equity
        assert after <= before + Decimal("0.05")


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "1e13"])
def test_a_trade_that_is_no_number_is_refused(bad: str) -> None:
    with pytest.raises(AccountError, match="trade in BTC-PERP: quantity is"):
        traded(changed.holding(), {"BTC-PERP": Decimal(bad)}, MARKET)
    now = running(changed.holding(), changed.prepared())
    with pytest.raises(AccountError, match="trade in BTC-PERP"):
        now.after("BTC-PERP", float(bad))
    with pytest.raises(AccountError, match="trade in BTC-PERP"):
        now.after("BTC-PERP", -float(bad))


def test_what_a_quote_refuses_the_running_figures_refuse() -> None:
    now = running(changed.holding(), changed.prepared())
    with pytest.raises(UnknownInstrumentError, match="DOGE"):
        now.after("DOGE-PERP", 1.0)
    with pytest.raises(AccountError, match="largest_position_usd"):
        now.after("BTC-PERP", 1e10)
    bare = prepare(changed.without_quote("BTC-PERP"), MarginPolicy(missing="conservative"), [markets.forecasts()])
    with pytest.raises(MarketError, match="BTC-PERP"):
        running(changed.holding(), bare).after("BTC-PERP", 1.0)


def test_trades_beside_a_position_without_a_price() -> None:
    policy = MarginPolicy(missing="conservative")
    bare = prepare(changed.without_quote(changed.CALL), policy, [markets.forecasts()])
    account = changed.holding((changed.CALL, -2), ("ETH-PERP", 1))
    now = running(account, bare).after("BTC-PERP", 1.0).after("ETH-PERP", 2.0)
    fresh = changed.quoted(
        traded(account, {"BTC-PERP": Decimal(1), "ETH-PERP": Decimal(2)}, bare.market),
        changed.without_quote(changed.CALL),
        policy,
    )
    agree(now.figures(), fresh)


def test_changes_line_up_before_and_after() -> None:
    before, after = changed.quoted(changed.holding(("BTC-PERP", 1))), changed.quoted(changed.holding((changed.PUT, -1)))
    lines = changes(before, after)
    assert lines[-2:] == [
        Change("initial margin", before.initial, after.initial),
        Change("maintenance margin", before.maintenance, after.maintenance),
    ]
    assert {c.name for c in lines[:-2]} == {c.name for c in (*before.components, *after.components)}
    assert sum(c.difference for c in lines[:-2]) == lines[-2].difference == after.initial - before.initial


def test_a_batch_gives_each_account_its_figures_and_keeps_faults_apart() -> None:
    accounts = [changed.everything(), changed.holding(("DOGE-PERP", 1)), changed.holding(("BTC-PERP", 1))]
    first, second, third = batch(accounts, changed.prepared())
    assert first.initial == running(accounts[0], changed.prepared()).figures().initial
    assert (second.initial, second.maintenance) == (None, None)
    assert second.fault is not None
    assert "DOGE-PERP" in second.fault
    assert third.maintenance == running(accounts[2], changed.prepared()).figures().maintenance
