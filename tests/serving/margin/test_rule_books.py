"""What every rule book keeps to, whoever wrote it: each entry of RULES is held to the same contract."""

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import pytest
from msgspec.structs import replace

from features.errors import DataError, ExpiredError, MarketError, SettingError, UnknownInstrumentError
from serving.margin.charge import total
from serving.margin.objects import Account, MarginResult
from serving.margin.objects.documents import read, write
from serving.margin.quote import quote_rule
from serving.margin.rules import RULES
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

ACCOUNTS = {
    "one perpetual": changed.holding(("BTC-PERP", "0.5")),
    "a short one": changed.holding(("ETH-PERP", "-7")),
    "two": changed.holding(("BTC-PERP", "0.5"), ("ETH-PERP", "-7")),
    "a future": changed.holding(("BTC-27SEP24", 1)),
    "inverse": changed.holding(("BTC-USD", 600)),
    "options": changed.holding((changed.CALL, -2), (changed.PUT, 1)),
    "of everything": changed.everything(),
    "nothing": changed.holding(),
}


def asked(account: Account, rule: str) -> MarginResult | DataError:
    try:
        return quote_rule(account, changed.prepared(), rule)
    except DataError as refused:
        return refused


def answers(rule: str) -> Iterator[tuple[str, Account, MarginResult]]:
    """Every account that the rule covers."""
    for name, account in ACCOUNTS.items():
        found = asked(account, rule)
        if isinstance(found, MarginResult):
            yield name, account, found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ACCOUNTS)
def test_a_rule_margins_an_account_or_names_what_it_does_not_cover(rule: str, name: str) -> None:
    account, found = ACCOUNTS[name], asked(ACCOUNTS[name], rule)
    if isinstance(found, MarginResult):
        assert found.rule == rule
        assert [p.instrument for p in found.positions] == [p.instrument for p in account.positions]
    else:
        assert isinstance(found, SettingError)
        assert any(p.instrument in str(found) for p in account.positions)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_margins_a_perpetual(rule: str) -> None:
    covered = {name for name, _, _ in answers(rule)}
    assert "one perpetual" in covered


@pytest.mark.parametrize("rule", RULES)
def test_requirements_are_finite_ordered_and_add_up(rule: str) -> None:
    for name, account, found in answers(rule):
        assert found.initial >= found.maintenance >= 0
        assert (found.initial > 0) == bool(account.positions), name
        for amount in ("initial", "maintenance"):
            assert sum((getattr(c, amount) for c in found.components), Decimal(0)) == getattr(found, amount)
            assert sum((getattr(p, amount) for p in found.positions), Decimal(0)) == getattr(found, amount)
        assert read(write(found), MarginResult, rule) == found


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_gives_a_number_a_position_and_the_same_twice(rule: str) -> None:
    book = RULES[rule]
    for _, account, _ in answers(rule):
        first, second = (book.charges(account, changed.small_market(), book.published()) for _ in range(2))
        for charge, again in zip(first, second, strict=True):
            assert charge.initial.shape == charge.maintenance.shape == (len(account.positions),)
            assert np.array_equal(charge.initial, again.initial)
            assert np.array_equal(charge.maintenance, again.maintenance)
        assert total(first)[0] <= float(quote_rule(account, changed.prepared(), rule).initial) * (1 + 1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_more_of_the_same_never_needs_less(rule: str) -> None:
    for symbol in ("BTC-PERP", "ETH-PERP", changed.CALL):
        found = [asked(changed.holding((symbol, -q)), rule) for q in (0.1, 1, 5, 80, 2000)]
        if isinstance(found[0], MarginResult):
            amounts = [x.initial for x in found if isinstance(x, MarginResult)]
            assert amounts == sorted(amounts)
            assert amounts[0] < amounts[-1]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_refuses_what_no_rule_could_margin(rule: str) -> None:
    with pytest.raises(UnknownInstrumentError, match="DOGE-PERP"):
        quote_rule(changed.holding(("DOGE-PERP", 1)), changed.prepared(), rule)
    book, one = RULES[rule], changed.holding(("BTC-PERP", 1))
    with pytest.raises(MarketError, match="BTC-PERP"):
        book.charges(one, changed.without_quote("BTC-PERP"), book.published())
    with pytest.raises(MarketError, match="BTC-PERP"):
        book.charges(one, changed.with_quote("BTC-PERP", mark=Decimal(0)), book.published())
    late = replace(changed.small_market(), as_of_ns=markets.AS_OF_NS + markets.EXPIRIES["27SEP24"])
    if isinstance(asked(ACCOUNTS["a future"], rule), MarginResult):
        with pytest.raises(ExpiredError, match="BTC-27SEP24"):
            book.charges(ACCOUNTS["a future"], late, book.published())


@pytest.mark.parametrize("rule", RULES)
def test_an_order_that_adds_is_charged_under_every_rule(rule: str) -> None:
    account = changed.holding(("BTC-PERP", 1))
    placed = replace(account, orders=(changed.order("BTC-PERP", "buy", "2", "58000"),))
    before, after = (quote_rule(a, changed.prepared(), rule) for a in (account, placed))
    assert after.initial > before.initial
    assert after.maintenance >= before.maintenance
    fresh = replace(changed.holding(), orders=placed.orders)
    assert quote_rule(fresh, changed.prepared(), rule).initial > 0


def test_an_unknown_rule_is_named_with_those_there_are() -> None:
    with pytest.raises(SettingError, match=r"unknown rule 'spam'; known: binance.*vega"):
        quote_rule(changed.holding(), changed.prepared(), "spam")


def test_a_new_rule_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "twice_fixed", RULES["fixed_rate"])
    one = changed.holding(("BTC-PERP", 1))
    found, fixed = (quote_rule(one, changed.prepared(), rule) for rule in ("twice_fixed", "fixed_rate"))
    assert (found.rule, found.initial) == ("twice_fixed", fixed.initial)
