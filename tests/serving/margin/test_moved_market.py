"""A market whose prices have moved: by nothing it is worth what it was, by something as much as a plain model says."""

import math
from decimal import Decimal
from typing import Final

import numpy as np
import pytest
from msgspec.structs import replace

from serving.margin.moved_market import moved_market
from serving.margin.objects import Forward, MarketSnapshot, SettlementAverage
from serving.margin.priced_market import price_market
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

FIELDS: Final = ("mark", "mark_usd", "worth_usd", "owed_usd", "usd_per_point", "share", "pays", "spot")


def off_the_model() -> MarketSnapshot:
    """Options that are marked dearer and cheaper than their volatility says, one as good as nothing."""
    market = changed.small_market()
    shares = dict(
        zip((changed.CALL, changed.PUT, changed.WING, changed.ETH_PUT), ("1.1", "0.9", "1.4", "1e-4"), strict=True)
    )
    marks = {s: replace(market.quotes[s], mark=market.quotes[s].mark * Decimal(x)) for s, x in shares.items()}
    return replace(market, quotes={**market.quotes, **marks})


def settling(fixed: float = 0.5) -> MarketSnapshot:
    """The small market a quarter of an hour before the expiry of its options of September, half of their mean fixed."""
    market, soon = changed.small_market(), markets.AS_OF_NS + 900 * 10**9
    last = markets.AS_OF_NS + markets.EXPIRIES["27SEP24"]
    own = {i.symbol for i in market.instruments if i.underlying == "BTC" and i.expiry_ns == last}
    terms = tuple(replace(i, expiry_ns=soon) if i.symbol in own else i for i in market.instruments)
    settled = (SettlementAverage(expiry_ns=soon, fixed_frac=fixed, average=Decimal(58_200)),)
    forward = Forward(expiry_ns=soon, price=Decimal(58_310))
    btc = market.underlyings["BTC"]
    btc = replace(
        btc,
        settled=settled,
        forwards=(*(f for f in btc.forwards if f.expiry_ns != last), forward),
        smiles=tuple(s for s in btc.smiles if s.expiry_ns != last),
    )
    marks = {"BTC-27SEP24": "58260", changed.CALL: "320", changed.PUT: "20", changed.WING: "0.5"}
    quotes = {s: replace(market.quotes[s], mark=Decimal(mark)) for s, mark in marks.items()}
    return replace(
        market,
        instruments=terms,
        quotes={**market.quotes, **quotes},
        underlyings={**market.underlyings, "BTC": btc},
    )


def without_vols() -> MarketSnapshot:
    """Options whose volatility is that of the smile or of the mark."""
    market = changed.small_market()
    return replace(market, quotes={symbol: replace(quote, vol=None) for symbol, quote in market.quotes.items()})


MARKETS: Final = {
    "as it is": changed.small_market(),
    "off the model": off_the_model(),
    "settling": settling(),
    "without volatilities": without_vols(),
    "fallen coin": changed.with_asset("USDC", price_usd=Decimal("0.9")),
}


@pytest.mark.parametrize("name", markets.coins())
@pytest.mark.parametrize("which", MARKETS)
def test_moved_by_nothing_everything_is_worth_what_it_was(which: str, name: str) -> None:
    before, after = (price_market(m) for m in (MARKETS[which], moved_market(MARKETS[which], name, 1.0)))
    assert set(before.faults) == set(after.faults)
    for field in FIELDS:
        np.testing.assert_allclose(getattr(after, field), getattr(before, field), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("which", MARKETS)
def test_moved_by_nothing_an_account_has_the_same_equity_and_requirement(which: str) -> None:
    account = changed.everything()
    for coin in markets.coins():
        found = [changed.quoted(account, m) for m in (MARKETS[which], moved_market(MARKETS[which], coin, 1.0))]
        assert abs(found[0].levels.equity - found[1].levels.equity) <= Decimal("0.01")
        assert abs(found[0].initial - found[1].initial) <= Decimal("0.05")
        assert abs(found[0].maintenance - found[1].maintenance) <= Decimal("0.05")


@pytest.mark.parametrize("factor", [0.6, 0.95, 1.3, 2.0])
def test_what_is_linear_moves_with_the_spot_and_the_others_stay(factor: float) -> None:
    market = changed.small_market()
    moved = moved_market(market, "BTC", factor)
    for terms in market.instruments:
        if not terms.is_option:
            expected = float(market.quotes[terms.symbol].mark) * (factor if terms.underlying == "BTC" else 1.0)
            assert float(moved.quotes[terms.symbol].mark) == pytest.approx(expected, rel=1e-12)
    assert moved.underlyings["ETH"] == market.underlyings["ETH"]
    assert float(moved.assets["BTC"].price_usd) == pytest.approx(factor * float(market.assets["BTC"].price_usd))
    assert moved.assets["USDC"] == market.assets["USDC"]
    assert price_market(moved).faults == {}


@pytest.mark.parametrize("factor", [0.8, 1.1])
def test_an_option_moves_by_the_difference_of_two_values_at_its_volatility(factor: float) -> None:
    """Black-76 by the error function, on the forward before and after; what the mark was off by is kept."""
    market = MARKETS["as it is"]
    moved = moved_market(market, "BTC", factor)
    for symbol in (changed.CALL, changed.PUT, changed.WING):
        terms = next(i for i in market.instruments if i.symbol == symbol)
        forward = next(f for f in market.underlyings["BTC"].forwards if f.expiry_ns == terms.expiry_ns)
        assert terms.expiry_ns is not None
        years, vol = (terms.expiry_ns - markets.AS_OF_NS) / (365 * markets.DAY_NS), market.quotes[symbol].vol
        assert vol is not None
        values = [
            black(float(forward.price) * x, float(terms.strike or 0), vol, years, terms.option == "call")
            for x in (1, factor)
        ]
        expected = float(market.quotes[symbol].mark) + math.exp(-forward.rate * years) * (values[1] - values[0])
        assert float(moved.quotes[symbol].mark) == pytest.approx(expected, abs=1e-6)


def black(forward: float, strike: float, vol: float, years: float, call: bool) -> float:
    """Undiscounted Black-76 by the error function."""
    deviation, sign = vol * math.sqrt(years), 1 if call else -1
    d1 = math.log(forward / strike) / deviation + deviation / 2
    up, low = (0.5 * math.erfc(-sign * d / math.sqrt(2)) for d in (d1, d1 - deviation))
    return sign * (forward * up - strike * low)


@pytest.mark.parametrize("factor", [0.9, 1.05])
def test_within_a_settlement_window_a_future_moves_by_what_is_not_fixed(factor: float) -> None:
    """Half of its mean is fixed: of a move of the spot, half reaches what it settles at."""
    market = settling()
    mark = float(market.quotes["BTC-27SEP24"].mark)
    assert price_market(market).share[price_market(market).row("BTC-27SEP24")] == pytest.approx(0.5)
    moved = moved_market(market, "BTC", factor)
    assert float(moved.quotes["BTC-27SEP24"].mark) == pytest.approx(mark * (1 + 0.5 * (factor - 1)), rel=1e-9)
