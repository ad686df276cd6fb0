"""What every rule on single positions owes: nothing left out, orders at their worst, presets that load."""

from collections.abc import Callable
from decimal import Decimal
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import AccountError, ExpiredError, MarketError, SettingError, UnknownInstrumentError
from serving.margin.charge import total
from serving.margin.objects import Account, AssetPrice, OpenOrder, Position
from serving.margin.rules import binance, bybit, deribit_linear, drift, dydx, fixed_rate, hyperliquid, vega
from serving.margin.rules.exposure import with_order_rows
from serving.margin.rules.published import preset
from tests.serving.margin.markets import account, market

RULES = (fixed_rate, binance, bybit, hyperliquid, deribit_linear, dydx, drift, vega)
HOMOGENEOUS = {"fixed_rate"}  # the others charge large positions more
MARKET = market()


def required(rule: ModuleType, who: Account) -> tuple[float, float]:
    """Initial and maintenance requirement under a rule's preset."""
    return total(rule.charges(who, MARKET, preset(rule.NAME, rule.Parameters)))


def by_rule(test: Callable[..., None]) -> Any:
    return pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.NAME)(test)


@by_rule
def test_presets_name_their_source_and_refuse_unknown_keys(rule: ModuleType) -> None:
    parameters = preset(rule.NAME, rule.Parameters)
    assert parameters.source.startswith("https://")
    with pytest.raises(msgspec.ValidationError, match="unknown field `surprise`"):
        msgspec.convert(msgspec.to_builtins(parameters) | {"surprise": 1}, rule.Parameters, strict=False)
    with pytest.raises(AttributeError):
        parameters.source = "elsewhere"


@by_rule
def test_charges_are_by_position_and_initial_is_not_below_maintenance(rule: ModuleType) -> None:
    who = account(BTC_PERP="-3", BTC_27SEP24="2.5")
    (charge,) = rule.charges(who, MARKET, preset(rule.NAME, rule.Parameters))
    assert charge.initial.shape == charge.maintenance.shape == (2,)
    assert (charge.initial >= charge.maintenance).all()
    assert (charge.maintenance > 0).all()
    alone = [required(rule, msgspec.structs.replace(who, positions=(p,))) for p in who.positions]
    assert list(zip(charge.initial, charge.maintenance, strict=True)) == alone


@by_rule
@settings(max_examples=15)
@given(
    sizes=st.lists(st.decimals("0.001", "4000", places=3), min_size=2, max_size=2),
    side=st.sampled_from(["", "-"]),
)
def test_monotone_in_size_and_not_below_proportion(rule: ModuleType, sizes: list[Decimal], side: str) -> None:
    low, high = (np.array(required(rule, account(BTC_PERP=f"{side}{size}"))) for size in sorted(sizes))
    cent = 0.01  # integers of a venue round by a millionth
    assert (low <= high + cent).all()
    share = float(min(sizes) / max(sizes))
    assert (high * share >= low - cent).all()  # convex from nought: the margin a unit does not fall with the size
    if rule.NAME in HOMOGENEOUS:
        np.testing.assert_allclose(high * share, low, rtol=1e-12)


@by_rule
def test_options_spot_and_inverse_contracts_are_refused_by_name(rule: ModuleType) -> None:
    option = next(i.symbol for i in MARKET.instruments if i.is_option)
    short = Account(account_id="a", positions=(Position(instrument=option, quantity=Decimal(-1)),))
    with pytest.raises(SettingError, match=f"{rule.NAME}: {option} is of kind option, which the rule does not cover"):
        required(rule, short)
    inverse = account(BTC_USD="1000")
    if rule is fixed_rate:  # 1,000 contracts of 10 USD at 10 % and 5 %
        assert required(rule, inverse) == (1000.0, 500.0)
    else:
        with pytest.raises(SettingError, match="BTC-USD is of kind inverse perpetual"):
            required(rule, inverse)


@by_rule
def test_orders_count_at_their_worst_fills(rule: ModuleType) -> None:
    def ordered(side: Any, quantity: str, position: str) -> Account:
        order = OpenOrder(instrument="BTC-PERP", side=side, quantity=Decimal(quantity), price=Decimal(1))
        return msgspec.structs.replace(account(BTC_PERP=position), orders=(order,))

    for side, sign in (("buy", 1), ("sell", -1)):
        plain, larger = (required(rule, account(BTC_PERP=str(sign * q))) for q in (3, 5))
        adding = required(rule, ordered(side, "2", str(sign * 3)))
        reducing = required(rule, ordered(side, "2", str(sign * -3)))
        closed = required(rule, account(BTC_PERP=str(sign * -3)))
        assert plain < adding
        if rule is not vega:  # whose orders pay no slippage
            assert adding == larger
            assert required(rule, ordered(side, "9", str(sign * -3))) == required(rule, account(BTC_PERP=str(sign * 6)))
        assert reducing == closed


@by_rule
def test_orders_without_a_position_need_a_row(rule: ModuleType) -> None:
    order = OpenOrder(instrument="BTC-PERP", side="buy", quantity=Decimal(2), price=Decimal(1))
    who = Account(account_id="a", orders=(order,))
    with pytest.raises(AccountError, match="no cross position in BTC-PERP; add a position of 0"):
        required(rule, who)
    assert required(rule, with_order_rows(who))[0] > 0
    assert with_order_rows(account(BTC_PERP="1")) == account(BTC_PERP="1")


def test_orders_leave_isolated_positions_alone() -> None:
    isolated = Position(instrument="BTC-PERP", quantity=Decimal(1), mode="isolated", isolated_collateral=Decimal(9))
    cross = Position(instrument="BTC-PERP", quantity=Decimal(1))
    order = OpenOrder(instrument="BTC-PERP", side="buy", quantity=Decimal(2), price=Decimal(1))
    both = Account(account_id="a", positions=(isolated, cross), orders=(order,))
    (charge,) = fixed_rate.charges(both, MARKET, preset("fixed_rate", fixed_rate.Parameters))
    assert charge.initial[1] == pytest.approx(3 * charge.initial[0], rel=1e-14)


def test_requirement_is_turned_into_dollars_by_the_price_of_the_settlement() -> None:
    plain = required(fixed_rate, account(BTC_PERP="1"))[0]
    assets = MARKET.assets | {"USDC": AssetPrice(price_usd=Decimal("1.02"), stable=True)}
    dear = msgspec.structs.replace(MARKET, assets=assets)
    parameters = preset("fixed_rate", fixed_rate.Parameters)
    assert total(fixed_rate.charges(account(BTC_PERP="1"), dear, parameters))[0] == pytest.approx(
        plain * 1.02 / 1.0001, rel=1e-14
    )


def test_what_the_market_lacks_is_named() -> None:
    who, parameters = account(BTC_27SEP24="1"), preset("fixed_rate", fixed_rate.Parameters)
    expiry = next(i.expiry_ns for i in MARKET.instruments if i.symbol == "BTC-27SEP24")
    assert expiry is not None
    broken: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"instruments": (), "quotes": {}}, UnknownInstrumentError, "no instrument BTC-27SEP24"),
        ({"quotes": {}}, MarketError, "BTC-27SEP24 has no quote"),
        ({"assets": {}}, MarketError, "no price above 0 of USDC"),
        ({"as_of_ns": expiry}, ExpiredError, "BTC-27SEP24 expired"),
        (
            {"quotes": {"BTC-27SEP24": msgspec.structs.replace(MARKET.quotes["BTC-27SEP24"], mark=Decimal(0))}},
            MarketError,
            "a mark of 0",
        ),
    ]
    for change, error, says in broken:
        with pytest.raises(error, match=says):
            fixed_rate.charges(who, msgspec.structs.replace(MARKET, **change), parameters)


def test_settlement_in_dollars_needs_no_price() -> None:
    in_usd = tuple(
        msgspec.structs.replace(i, settlement="USD") if i.symbol == "BTC-PERP" else i for i in MARKET.instruments
    )
    changed = msgspec.structs.replace(MARKET, instruments=in_usd, assets={})
    mark = float(MARKET.quotes["BTC-PERP"].mark)
    charge = fixed_rate.charges(account(BTC_PERP="2"), changed, preset("fixed_rate", fixed_rate.Parameters))
    assert total(charge) == pytest.approx((0.2 * mark, 0.1 * mark), rel=1e-14)


def test_markets_without_parameters_are_refused() -> None:
    for rule in (bybit, deribit_linear, vega):
        with pytest.raises(SettingError, match=rf"{rule.NAME}: no parameters for (ETH|SOL)-PERP; known: BTC"):
            required(rule, account(ETH_PERP="1") if rule is not vega else account(SOL_PERP="1"))


def test_an_account_without_positions_needs_nothing() -> None:
    for rule in RULES:
        assert required(rule, Account(account_id="empty")) == (0.0, 0.0)
