"""An account as arrays: unrealised profit by hand, gaps of orders, what has no price."""

from decimal import Decimal
from typing import Literal

import numpy as np
import pytest
from msgspec.structs import replace

from features.errors import AccountError
from serving.margin.holdings import Book, book_of
from serving.margin.objects import Account, MarketSnapshot, Position
from serving.margin.policy import MarginPolicy
from serving.margin.priced_market import price_market
from tests.serving.margin import changed_markets as changed

CONSERVATIVE = MarginPolicy(missing="conservative")
USDC = 1.0001


def book(account: Account, market: MarketSnapshot | None = None, policy: MarginPolicy | None = None) -> Book:
    ready = price_market(market or changed.small_market())
    return book_of(account, account.positions, ready, policy or MarginPolicy())


def entered(symbol: str, quantity: str, price: str | None) -> Account:
    held = Position(
        instrument=symbol, quantity=Decimal(quantity), entry_price=None if price is None else Decimal(price)
    )
    return replace(changed.holding(), positions=(held,))


def test_linear_profit_by_hand() -> None:
    mark = float(changed.small_market().quotes["BTC-PERP"].mark)
    assert book(entered("BTC-PERP", "2", "50000")).unrealised[0] == pytest.approx(2 * (mark - 50_000) * USDC)
    assert book(entered("BTC-PERP", "-2", "50000")).unrealised[0] == pytest.approx(-2 * (mark - 50_000) * USDC)
    assert book(entered("BTC-PERP", "-2", None)).unrealised[0] == 0.0


def test_inverse_profit_by_hand() -> None:
    mark = float(changed.small_market().quotes["BTC-USD"].mark)
    coins = 500 * 10 * (1 / 50_000 - 1 / mark)
    assert book(entered("BTC-USD", "500", "50000")).unrealised[0] == pytest.approx(coins * mark, rel=1e-12)
    with pytest.raises(AccountError, match=r"BTC-USD: a price of 0; leave out an entry_price that is not known"):
        book(entered("BTC-USD", "500", "0"))


@pytest.mark.parametrize(("symbol", "size"), [("BTC-PERP", 1), ("BTC-27SEP24", 1), ("BTC-USD", 6000)])
def test_a_profit_since_an_entry_of_another_market_is_refused_and_a_loss_counts(symbol: str, size: int) -> None:
    """A thousand times the mark, or a thousandth, is a slip of units and no windfall; a loss is never refused."""
    mark = changed.small_market().quotes[symbol].mark
    for entry, gains in ((mark / 1001, 1), (mark * 1001, -1)):
        with pytest.raises(AccountError, match=rf"{symbol}: an entry_price of .* beside a mark of .*leave out"):
            book(entered(symbol, str(gains * size), str(entry)))
        lost = book(entered(symbol, str(-gains * size), str(entry))).unrealised[0]
        dollars = 10.0 * size if symbol == "BTC-USD" else float(mark) * USDC
        move = float(mark / entry) - 1.0 if symbol == "BTC-USD" else 1.0 - float(entry / mark)
        assert lost == pytest.approx(-gains * dollars * move)
        assert lost < 0


@pytest.mark.parametrize("quantity", ["3", "-3"])
def test_an_option_counts_at_its_value_whatever_was_paid(quantity: str) -> None:
    mark = float(changed.small_market().quotes[changed.PUT].mark)
    for price in (None, "1", "9999"):
        assert book(entered(changed.PUT, quantity, price)).unrealised[0] == pytest.approx(
            float(quantity) * mark * USDC, rel=1e-6
        )


def test_a_gap_by_hand_and_never_a_gain() -> None:
    mark = float(changed.small_market().quotes["BTC-PERP"].mark)
    orders = (
        changed.order("BTC-PERP", "buy", "2", "60000"), changed.order("BTC-PERP", "buy", "2", "50000"),
        changed.order("BTC-PERP", "sell", "2", "50000"), changed.order("BTC-PERP", "sell", "2", "60000"),
    )  # fmt: skip
    found = book(changed.holding(orders=orders))
    by_hand = [2 * (60_000 - mark) * USDC, 0.0, 2 * (mark - 50_000) * USDC, 0.0]
    assert found.gap_usd.tolist() == pytest.approx(by_hand)
    assert found.orders.quantity.tolist() == [2, 2, -2, -2]
    assert found.unrealised.shape == (0,)


def test_gaps_of_options_and_of_what_settles_in_coin_by_hand() -> None:
    market = changed.small_market()
    mark, inverse = float(market.quotes[changed.PUT].mark), float(market.quotes["BTC-USD"].mark)
    orders = (changed.order(changed.PUT, "buy", "2", "5000"), changed.order("BTC-USD", "sell", "100", "50000"))
    found = book(changed.holding(orders=orders))
    assert found.gap_usd[0] == pytest.approx(2 * (5_000 - mark) * USDC)
    assert found.gap_usd[1] == pytest.approx(100 * 10 * (inverse / 50_000 - 1))


def test_rows_are_positions_then_orders() -> None:
    account = changed.holding(
        ("ETH-PERP", 1), (changed.CALL, -2), orders=(changed.order("SOL-PERP", "sell", "3", "1"),)
    )
    found = book(account)
    market = price_market(changed.small_market())
    assert found.rows.instrument.tolist() == [market.row(s) for s in ("ETH-PERP", changed.CALL, "SOL-PERP")]
    assert found.rows.quantity.tolist() == [1.0, -2.0, -3.0]
    assert found.rows.underlying.tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("symbol", "quantity", "worst"),
    [
        ("BTC-PERP", "2", 2 * 58_300), ("BTC-PERP", "-2", 2 * 2 * 58_300), ("BTC-USD", "100", 1_000),
        ("BTC-USD", "-100", 2_000), (changed.CALL, "-3", 2 * 3 * 58_300), (changed.WING, "-3", 2 * 3 * 64_000),
    ],
)  # fmt: skip
def test_what_has_no_price_is_charged_at_its_worst(symbol: str, quantity: str, worst: float) -> None:
    found = book(entered(symbol, quantity, None), changed.without_quote(symbol), CONSERVATIVE)
    assert found.unpriced.tolist() == [worst]
    assert found.positions.quantity.tolist() == [0.0]
    assert found.unrealised.tolist() == [0.0]
    assert found.notes[0].startswith(f"{symbol}: the market has no quote of it")
    assert f"charged at its worst, {worst:.2f} USD, and worth nothing as an asset" in found.notes[0]


@pytest.mark.parametrize(
    ("symbol", "side", "price", "worst"),
    [
        ("BTC-PERP", "sell", "1", 2 * 2 * 58_300), ("BTC-PERP", "buy", "1", 2 * 58_300),
        ("BTC-PERP", "buy", "60000", 2 * 60_000), (changed.CALL, "buy", "2700", 2 * 2_700),
        (changed.CALL, "sell", "2700", 2 * 2 * 58_300), ("BTC-USD", "buy", "60000", 2 * 10),
    ],
)  # fmt: skip
def test_an_order_without_a_price_is_charged_at_its_worst(
    symbol: str, side: Literal["buy", "sell"], price: str, worst: float
) -> None:
    """What it buys may be worth nothing once it is paid for."""
    account = changed.holding(("ETH-PERP", 1), orders=(changed.order(symbol, side, "2", price),))
    found = book(account, changed.without_quote(symbol), CONSERVATIVE)
    assert found.unpriced.tolist() == [0.0, worst]
    assert found.gap_usd.tolist() == [0.0]


@pytest.mark.parametrize(
    ("quantity", "entry", "lost"), [("2", "60000", -3_400), ("2", "50000", 0), ("-2", "50000", -16_600)]
)
def test_a_loss_since_entry_stays_where_the_mark_is_missing(quantity: str, entry: str, lost: float) -> None:
    found = book(entered("BTC-PERP", quantity, entry), changed.without_quote("BTC-PERP"), CONSERVATIVE)
    assert found.unrealised.tolist() == pytest.approx([lost])


def test_size_is_measured_by_the_underlying_not_by_the_premium() -> None:
    cheap = changed.with_quote(changed.CALL, mark=Decimal("0.01"))
    limit = MarginPolicy(largest_position_usd=Decimal(1_000_000))
    assert np.isfinite(book(changed.holding((changed.CALL, 17)), cheap, limit).unrealised).all()
    with pytest.raises(AccountError, match=r"BTC-27SEP24-58000-C: a position or order of 1\.05e\+06 USD"):
        book(changed.holding((changed.CALL, 18)), cheap, limit)
    with pytest.raises(AccountError, match="BTC-PERP"):
        book(changed.holding(orders=(changed.order("BTC-PERP", "buy", "18", "1"),)), None, limit)
