"""Accounts of the engine under Derive's two rules: as by hand, whole by position, and no fault lowers them."""

from decimal import Decimal
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from features.errors import ExpiredError, MarketError, UnknownInstrumentError
from serving.margin.charge import total
from serving.margin.objects import Account, AssetPrice, Collateral, Debt, MarketSnapshot, Position, SettlementAverage
from serving.margin.rules import derive_portfolio, derive_standard
from serving.margin.rules.derive_portfolio import Expiry, Holding, Options, Perpetual, Portfolio, portfolio_margin
from serving.margin.rules.derive_standard import Market, StandardAccount, standard_margin
from tests.serving.margin.markets import DAY_NS, EXPIRIES, SPOT, account, market, mixed

RULES = [derive_portfolio, derive_standard]
MARKET = market()
CALL = "BTC-27SEP24-64000-C"
USD = 1.0001  # per unit of the cash asset in this market


def changed(**underlying: Any) -> MarketSnapshot:
    """The market with fields of BTC changed."""
    moved = {**MARKET.underlyings, "BTC": msgspec.structs.replace(MARKET.underlyings["BTC"], **underlying)}
    return msgspec.structs.replace(MARKET, underlyings=moved)


def with_asset(name: str, **terms: Any) -> MarketSnapshot:
    return msgspec.structs.replace(MARKET, assets={**MARKET.assets, name: AssetPrice(**terms)})


def posted(held: Account, *collateral: tuple[str, str]) -> Account:
    return msgspec.structs.replace(
        held, collateral=tuple(Collateral(asset=a, quantity=Decimal(q)) for a, q in collateral)
    )


def margined(rule: ModuleType, held: Account, snapshot: MarketSnapshot = MARKET) -> Any:
    return rule.account_margin(held, snapshot, rule.PUBLISHED)


def option(symbol: str) -> tuple[float, float, float, float]:
    """Strike, vol, forward, seconds to expiry of a listed option."""
    terms = next(i for i in MARKET.instruments if i.symbol == symbol)
    assert terms.strike is not None
    assert terms.expiry_ns is not None
    forward = next(f for f in MARKET.underlyings[terms.underlying].forwards if f.expiry_ns == terms.expiry_ns)
    vol = MARKET.quotes[symbol].vol
    assert vol is not None
    return float(terms.strike), vol, float(forward.price), (terms.expiry_ns - MARKET.as_of_ns) / 1e9


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_portfolio_margin_of_an_account_is_that_of_its_market() -> None:
    """A call sold against a perpetual and bitcoin posted, half of it counted as hedge terms say."""
    held = posted(account(**{CALL.replace("-", "_"): "-2", "BTC_PERP": "1.5"}), ("USDC", "5000"), ("BTC", "0.25"))
    found = margined(derive_portfolio, held)
    strike, vol, forward, seconds = option(CALL)
    by_hand = Portfolio(
        cash=5_000.0,
        spot=SPOT["BTC"],
        stable_price=USD,
        expiries=(Expiry(seconds, 0.0, forward, 0.05, 1.0),),
        options=Options(np.zeros(1, np.int64), column(strike), column(-2), column(vol), np.ones(1, np.bool_)),
        perpetuals=(Perpetual(1.5, SPOT["BTC"] * 1.0002),),
        collateral=(Holding(0.25, SPOT["BTC"], 0.005, 0.015, True),),
    )
    expected = portfolio_margin(by_hand, derive_portfolio.PUBLISHED)
    assert found.net_initial == pytest.approx(expected.net_initial * USD)
    assert found.net_maintenance == pytest.approx(expected.net_maintenance * USD)
    assert found.worst == {"BTC": expected.worst}


def test_standard_margin_of_an_account_is_that_of_its_markets() -> None:
    held = posted(account(**{CALL.replace("-", "_"): "-2", "ETH_PERP": "-3"}), ("USDC", "5000"), ("BTC", "0.25"))
    found = margined(derive_standard, held)
    strike, vol, forward, seconds = option(CALL)
    bitcoin = Market(
        SPOT["BTC"],
        expiries=(Expiry(seconds, 0.0, forward, 0.05, 1.0),),
        options=Options(np.zeros(1, np.int64), column(strike), column(-2), column(vol), np.ones(1, np.bool_)),
        base=0.25,
    )
    ether = Market(SPOT["ETH"], perpetuals=(Perpetual(-3.0, SPOT["ETH"] * 1.0002),))
    expected = standard_margin(StandardAccount(5_000.0, USD, (bitcoin, ether)), derive_standard.PUBLISHED)
    assert found.net_initial == pytest.approx(expected.net_initial * USD)
    assert found.net_maintenance == pytest.approx(expected.net_maintenance * USD)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_charges_are_the_whole_requirement(rule: ModuleType, seed: int) -> None:
    held = posted(mixed(seed, 20, 6), ("USDC", "10000"), ("BTC", "2"), ("ETH", "30"), ("USDT", "1000"))
    found = margined(rule, held, with_asset("USDT", price_usd=Decimal("0.999"), stable=True))
    initial, maintenance = total(found.charges)
    assert all(one.initial.shape == (len(held.positions),) for one in found.charges)
    assert initial == pytest.approx(found.mark_to_market - found.net_initial)
    assert maintenance == pytest.approx(found.mark_to_market - found.net_maintenance)
    assert initial > 0


@pytest.mark.parametrize("rule", RULES)
def test_an_answer_is_the_same_to_the_bit(rule: ModuleType) -> None:
    one, two = (rule.charges(mixed(3), MARKET, rule.PUBLISHED) for _ in range(2))
    assert all((a.initial == b.initial).all() and a.name == b.name for a, b in zip(one, two, strict=True))


def test_underlyings_do_not_offset_each_other() -> None:
    long, short = account(BTC_PERP="1"), account(ETH_PERP="-20")
    both = account(BTC_PERP="1", ETH_PERP="-20")
    for rule in RULES:
        apart = [total(margined(rule, held).charges) for held in (long, short)]
        assert total(margined(rule, both).charges) == pytest.approx(tuple(np.sum(apart, axis=0)))


def test_an_inverse_perpetual_counts_as_the_coins_it_moves_with() -> None:
    """583 contracts of 10 USD at the mark are as many coins as 5,830 / mark."""
    mark = SPOT["BTC"] * 1.0001
    coins = 5_830 / float(f"{mark:.4f}")
    for rule in RULES:
        inverse = total(margined(rule, account(BTC_USD="583")).charges)
        linear = account(BTC_PERP=str(coins))
        expected = total(margined(rule, linear, _same_mark(mark)).charges)
        assert inverse == pytest.approx(expected, rel=2e-4)  # the inverse one is not paid in the cash asset at 1.0001


def _same_mark(mark: float) -> MarketSnapshot:
    quote = msgspec.structs.replace(MARKET.quotes["BTC-PERP"], mark=Decimal(f"{mark:.4f}"))
    return msgspec.structs.replace(MARKET, quotes={**MARKET.quotes, "BTC-PERP": quote})


def test_bitcoin_posted_hedges_a_perpetual_sold_and_weighs_on_one_bought() -> None:
    """One coin beside one perpetual sold: what is left of a 18 % move is that of the mark's 0.02 % premium."""
    for quantity, left in (("-1", 0.18 * (1.0002 - 1 / USD)), ("1", 0.18 * (1.0002 + 1 / USD))):
        found = margined(derive_portfolio, posted(account(BTC_PERP=quantity), ("BTC", "1")))
        worst = next(one for one in found.charges if one.name == "worst scenario")
        assert float(worst.initial.sum()) == pytest.approx(left * SPOT["BTC"] * USD)
    assert found.collateral["BTC"][0] == pytest.approx((0.18 + 0.02) * SPOT["BTC"])


def test_collateral_without_terms_counts_for_nothing() -> None:
    snapshot = with_asset("XYZ", price_usd=Decimal(2), confidence=1.0)
    held = posted(account(BTC_PERP="0.1"), ("USDC", "5000"))
    more = posted(account(BTC_PERP="0.1"), ("USDC", "5000"), ("XYZ", "700"))
    for rule in RULES:
        before, after = margined(rule, held, snapshot), margined(rule, more, snapshot)
        assert after.net_initial == pytest.approx(before.net_initial)
        assert after.mark_to_market == pytest.approx(before.mark_to_market + 1_400)


def test_a_debt_counts_whole() -> None:
    owing = msgspec.structs.replace(account(), debts=(Debt(asset="ETH", quantity=Decimal(2)),))
    for rule in RULES:
        assert margined(rule, owing).net_initial == pytest.approx(100_000 * USD - 2 * SPOT["ETH"])


def test_profit_since_entry_is_in_the_value_and_not_in_the_requirement() -> None:
    flat = account(BTC_PERP="2", BTC_USD="100")
    entered = tuple(msgspec.structs.replace(p, entry_price=Decimal(50_000)) for p in flat.positions)
    ahead = msgspec.structs.replace(flat, positions=entered)
    linear, inverse = (float(MARKET.quotes[s].mark) for s in ("BTC-PERP", "BTC-USD"))
    gain = 2 * (linear - 50_000) + 1_000 * (inverse / 50_000 - 1)
    for rule in RULES:
        before, after = margined(rule, flat), margined(rule, ahead)
        assert after.net_initial - before.net_initial == pytest.approx(gain * USD)
        assert total(after.charges) == pytest.approx(total(before.charges))


def test_a_settlement_average_that_is_fixed_takes_the_risk_away() -> None:
    """900 s before expiry half of the average is fixed, so a deep call loses half as much in every scenario."""
    soon = MARKET.as_of_ns + 900 * 10**9
    terms = [
        msgspec.structs.replace(i, expiry_ns=soon, strike=Decimal(10_000)) if i.symbol == CALL else i
        for i in MARKET.instruments
    ]
    forward = msgspec.structs.replace(MARKET.underlyings["BTC"].forwards[0], expiry_ns=soon, price=Decimal(58_300))
    held = account(**{CALL.replace("-", "_"): "-1"})
    losses = []
    for fixed in (0.0, 0.5):
        average = (SettlementAverage(expiry_ns=soon, fixed_frac=fixed, average=Decimal(58_300)),)
        snapshot = msgspec.structs.replace(
            changed(forwards=(forward,), smiles=(), settled=average), instruments=tuple(terms)
        )
        outcome = margined(derive_portfolio, held, snapshot).markets["BTC"].outcome
        assert outcome.marks == pytest.approx(10_000 - 58_300, rel=1e-4)
        losses.append(outcome.pnl[0])
    assert losses == pytest.approx([-0.18 * 58_300, -0.09 * 58_300], rel=1e-4)


def test_the_least_trusted_feed_of_an_expiry_counts() -> None:
    held, sure = account(**{CALL.replace("-", "_"): "-1"}), MARKET.underlyings["BTC"]
    date = MARKET.as_of_ns + EXPIRIES["27SEP24"]

    def doubted(rows: Any) -> tuple[Any, ...]:
        return tuple(msgspec.structs.replace(r, confidence=0.3) if r.expiry_ns == date else r for r in rows)

    quote = msgspec.structs.replace(MARKET.quotes[CALL], confidence=0.3)
    snapshots = [
        changed(confidence=0.3),
        changed(forwards=doubted(sure.forwards)),
        changed(smiles=doubted(sure.smiles)),
        msgspec.structs.replace(MARKET, quotes={**MARKET.quotes, CALL: quote}),
    ]
    for rule, scale in ((derive_portfolio, 1.0), (derive_standard, 0.4)):
        for snapshot in snapshots:
            extra = margined(rule, held).net_initial - margined(rule, held, snapshot).net_initial
            assert extra == pytest.approx(0.7 * scale * SPOT["BTC"] * USD)


def test_of_two_cash_assets_the_weaker_counts_for_the_peg_and_the_dearer_for_the_requirement() -> None:
    """A perpetual in each: 18 % of both, times 1 + 2 x (0.98 - 0.95) initially, in USD at 1.0001."""
    symbol = "BTC-PERP-T"
    twin = next(i for i in MARKET.instruments if i.symbol == "BTC-PERP")
    listed = (*MARKET.instruments, msgspec.structs.replace(twin, symbol=symbol, settlement="USDT"))
    weak = with_asset("USDT", price_usd=Decimal("0.95"), stable=True)
    quotes = {**MARKET.quotes, symbol: MARKET.quotes["BTC-PERP"]}
    snapshot = msgspec.structs.replace(weak, instruments=listed, quotes=quotes)
    found = margined(derive_portfolio, account(BTC_PERP="1", BTC_PERP_T="1"), snapshot)
    loss = {one.name: float(one.initial.sum()) for one in found.charges}
    move = 0.18 * 2 * SPOT["BTC"] * 1.0002 * USD
    assert loss["worst scenario"] == pytest.approx(move)
    assert loss["stablecoin peg"] == pytest.approx(move * 2 * 0.03)


@pytest.mark.parametrize("quantity", ["2", "-2"])
def test_spot_held_is_collateral_and_spot_sold_a_perpetual(quantity: str) -> None:
    symbol = "BTC-SPOT"
    perpetual = next(i for i in MARKET.instruments if i.symbol == "BTC-PERP")
    spot = msgspec.structs.replace(perpetual, symbol=symbol, kind="spot")
    quote = msgspec.structs.replace(MARKET.quotes["BTC-PERP"], mark=Decimal(str(SPOT["BTC"])))
    snapshot = msgspec.structs.replace(
        MARKET, instruments=(*MARKET.instruments, spot), quotes={**MARKET.quotes, symbol: quote}
    )
    found = {rule: total(margined(rule, account(BTC_SPOT=quantity), snapshot).charges) for rule in RULES}
    notional = 2 * SPOT["BTC"]
    held = {derive_portfolio: (0.18 + 0.02, 0.18 * 0.8 + 0.015), derive_standard: (1 - 0.8 * USD, 1 - 0.8 * USD)}
    sold = {derive_portfolio: (0.18 + 0.02, 0.18 * 0.8 + 0.015), derive_standard: (0.065, 0.05)}
    for rule, shares in (held if quantity == "2" else sold).items():
        scale = USD if quantity == "-2" else 1.0  # what is held is worth its USD price, divided by the cash asset's
        assert found[rule] == pytest.approx(tuple(share * notional * scale for share in shares))


def test_collateral_is_trusted_no_more_than_the_market_beside_it() -> None:
    held = posted(account(ETH_PERP="1"), ("USDC", "1"), ("BTC", "1"))
    ether = msgspec.structs.replace(MARKET.underlyings["ETH"], confidence=0.5)
    doubted = msgspec.structs.replace(MARKET, underlyings={**MARKET.underlyings, "ETH": ether})
    sure, less = (margined(derive_portfolio, held, snapshot).collateral["BTC"][0] for snapshot in (MARKET, doubted))
    assert less - sure == pytest.approx(0.5 * SPOT["BTC"])


@pytest.mark.parametrize("rule", RULES)
def test_an_account_without_positions_stands_on_its_collateral(rule: ModuleType) -> None:
    found = margined(rule, posted(account(), ("USDC", "1000"), ("ETH", "1")))
    weight = {derive_portfolio: (0.8, 0.85), derive_standard: (0.8, 0.8)}[rule]
    value = SPOT["ETH"] / USD if rule is derive_portfolio else SPOT["ETH"]
    expected = [(1_000 + share * value) * USD for share in weight]
    assert [found.net_initial, found.net_maintenance] == pytest.approx(expected)
    assert total(found.charges) == (0.0, 0.0)


@pytest.mark.parametrize("rule", RULES)
def test_what_cannot_be_priced_is_refused(rule: ModuleType) -> None:
    held = account(**{CALL.replace("-", "_"): "-1"})
    with pytest.raises(UnknownInstrumentError):
        margined(rule, account(DOGE_PERP="1"))
    with pytest.raises(MarketError, match="forward"):
        margined(rule, held, changed(forwards=()))
    with pytest.raises(ExpiredError):
        margined(rule, held, msgspec.structs.replace(MARKET, as_of_ns=MARKET.as_of_ns + 30 * DAY_NS))
    with pytest.raises(MarketError, match="asset"):
        margined(rule, posted(held, ("USDC", "1"), ("GOLD", "1")))
    with pytest.raises(MarketError, match=f"{CALL}: it settles in USDC.*say stable: true"):
        margined(rule, held, with_asset("USDC", price_usd=Decimal(1), stable=False))


@pytest.mark.parametrize("rule", RULES)
def test_the_same_instrument_crossed_and_isolated_is_counted_twice(rule: ModuleType) -> None:
    once = account(BTC_PERP="2")
    twice = msgspec.structs.replace(
        once,
        positions=(
            Position(instrument="BTC-PERP", quantity=Decimal(1)),
            Position(instrument="BTC-PERP", quantity=Decimal(1), mode="isolated"),
        ),
    )
    assert total(margined(rule, twice).charges) == pytest.approx(total(margined(rule, once).charges))
