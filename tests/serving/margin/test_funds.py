"""Equity: every haircut by hand in decimals, rounded down; debts whole; profit, wrong way, what is not known."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from features.errors import MarketError
from serving.margin.objects import Account, AssetPrice, Collateral, Debt, MarketSnapshot, Position
from serving.margin.objects.result import CollateralLine
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

HOUR_S = Decimal(3600)


def posted(
    *pairs: tuple[str, str], debts: tuple[tuple[str, str], ...] = (), positions: Account | None = None
) -> Account:
    return replace(
        changed.holding() if positions is None else positions,
        collateral=tuple(Collateral(asset=a, quantity=Decimal(q)) for a, q in pairs),
        debts=tuple(Debt(asset=a, quantity=Decimal(q)) for a, q in debts),
    )


def line(account: Account, asset: str, market: MarketSnapshot | None = None) -> CollateralLine:
    return next(x for x in changed.quoted(account, market).collateral if x.asset == asset)


def kept(base: Decimal, share: Decimal, loss: Decimal, volume: Decimal) -> Decimal:
    """What a sale of it all brings in: half the spread and the square root of its size come off."""
    with localcontext(prec=50):
        sigma = loss * (Decimal(86_400) / HOUR_S).sqrt() / Decimal("2.326")
        return base * (share - Decimal("0.001") - sigma * (base / volume).sqrt())


@pytest.mark.parametrize("quantity", ["0.01", "1", "12345.67", "100000", "3000000"])
def test_a_stablecoin_by_hand(quantity: str) -> None:
    counted = kept(Decimal(quantity), Decimal("0.98"), Decimal("0.02"), Decimal("5e9"))
    found = line(posted(("USDC", quantity)), "USDC")
    assert found.counted <= counted
    assert counted - found.counted < Decimal("0.01")
    assert found.value <= Decimal(quantity) * Decimal("1.0001")
    assert found.value - sum(found.charges.values()) == found.counted


def test_a_coin_loses_its_range_over_the_liquidation_time() -> None:
    down = changed.prepared().maintenance.ranges.down[0]
    loss = Decimal(float(down))
    counted = kept(2 * Decimal(58_300), 1 - loss, loss, Decimal("1e10"))
    found = line(posted(("BTC", "2")), "BTC")
    assert abs(counted - found.counted) < Decimal("0.011")
    assert set(found.charges) == {"market loss", "liquidity"}


def test_a_coin_against_a_long_position_in_it_loses_twice() -> None:
    alone = line(posted(("BTC", "2")), "BTC")
    against = line(posted(("BTC", "2"), positions=changed.holding(("BTC-PERP", 50))), "BTC")
    hedged = line(posted(("BTC", "2"), positions=changed.holding(("BTC-PERP", -50))), "BTC")
    assert abs(against.charges["wrong way"] - alone.charges["market loss"]) <= Decimal("0.02")
    assert hedged.counted == alone.counted > against.counted


def test_dollars_count_whole_and_what_is_not_known_counts_for_nothing() -> None:
    market = changed.small_market()
    odd = replace(market, assets={**market.assets, "ODD": AssetPrice(price_usd=Decimal(7))})
    found = changed.quoted(posted(("USD", "10.009"), ("ODD", "1000")), odd)
    assert [x.counted for x in found.collateral] == [Decimal("10.00"), Decimal("0.00")]
    assert found.levels.equity == Decimal("10.00")
    assert any("ODD: loss_frac is not known" in note for note in found.notes)
    with pytest.raises(MarketError, match="asset NONE: the market has no price of it; add it to assets"):
        changed.quoted(posted(("NONE", "1")))
    with pytest.raises(MarketError, match="asset NONE"):
        changed.quoted(posted(debts=(("NONE", "1"),)))


def test_debts_count_whole_rounded_up() -> None:
    assert line(posted(debts=(("BTC", "0.1"),)), "BTC").counted == Decimal("-5830.00")
    assert line(posted(debts=(("USDC", "10.001"),)), "USDC").counted == Decimal("-10.01")
    fallen = changed.with_asset("USDC", price_usd=Decimal("0.5"))
    assert line(posted(debts=(("USDC", "10"),)), "USDC", fallen).counted == Decimal("-10.00")
    assert line(posted(debts=(("USD", "3"),)), "USD").counted == Decimal("-3.00")
    assert changed.quoted(posted(debts=(("USD", "3"),))).levels.state == "liquidation"


@settings(max_examples=40, deadline=None)
@given(
    st.decimals("0.001", "1000000", places=3),
    st.decimals("0.001", "30", places=3),
    st.decimals("0.001", "5000", places=3),
    st.decimals("30000", "90000", places=2),
)
def test_equity_is_the_sum_of_its_lines_and_the_profit_rounded_down(
    usdc: Decimal, btc: Decimal, debt: Decimal, entry: Decimal
) -> None:
    held = Position(instrument="BTC-PERP", quantity=Decimal("1.5"), entry_price=entry)
    account = posted(
        ("USDC", str(usdc)), ("BTC", str(btc)), debts=(("ETH", str(debt)),),
        positions=replace(changed.holding(), positions=(held,)),
    )  # fmt: skip
    found = changed.quoted(account)
    market = changed.small_market()
    profit = Decimal("1.5") * Decimal("1.0001") * (market.quotes["BTC-PERP"].mark - entry)
    assert [x.asset for x in found.collateral] == ["USDC", "BTC", "ETH", "profit since entry"]
    assert sum((x.counted for x in found.collateral), Decimal(0)) == found.levels.equity  # to the cent
    exact = sum((x.counted for x in found.collateral[:3]), Decimal(0)) + profit
    assert found.levels.equity <= exact + Decimal("1e-6")
    assert exact - found.levels.equity < Decimal("0.011")
    for x in found.collateral:
        assert x.value - sum(x.charges.values()) == x.counted
        assert x.counted <= x.value
    assert -found.collateral[2].counted >= debt * Decimal(2480)


@pytest.mark.parametrize("symbol", [changed.CALL, changed.WING])
@pytest.mark.parametrize("quantity", ["2", "-3"])
def test_what_is_paid_for_and_held_is_a_line_of_its_own(symbol: str, quantity: str) -> None:
    """An option at its mark beside the profit of a perpetual since its entry, each rounded down."""
    market = changed.small_market()
    entered = Position(instrument="BTC-PERP", quantity=Decimal(-1), entry_price=Decimal(60_000))
    held = changed.holding((symbol, quantity))
    found = changed.quoted(replace(held, positions=(*held.positions, entered)))
    lines = {x.asset: x.counted for x in found.collateral}
    assert list(lines) == ["USDC", "profit since entry", "options and spot held"]
    assert sum(lines.values()) == found.levels.equity
    dollar = Decimal("1.0001")
    gained = (60_000 - market.quotes["BTC-PERP"].mark) * dollar
    assert 0 <= gained - lines["profit since entry"] < Decimal("0.0100001")
    value = Decimal(quantity) * market.quotes[symbol].mark * dollar
    assert float(lines["options and spot held"]) == pytest.approx(float(value), abs=0.02)


def test_more_collateral_never_counts_for_less() -> None:
    counted = [line(posted(("BTC", q)), "BTC").counted for q in ("1", "100", "10000", "1000000", "100000000")]
    assert counted == sorted(counted)


def test_an_asset_whose_underlying_is_gone_counts_for_nothing() -> None:
    market = changed.small_market()
    without = replace(market, underlyings={k: v for k, v in market.underlyings.items() if k != "ETH"})
    assert line(posted(("ETH", "5")), "ETH", without).counted == 0
    assert line(posted(("ETH", "5")), "ETH").counted > 0


def test_a_correlation_that_is_not_known_is_against_the_account() -> None:
    account = posted(("ETH", "5"), positions=changed.holding(("SOL-PERP", 100)))
    without = [replace(markets.forecasts(), correlation=None)]
    known, unknown = changed.quoted(account), changed.quoted(account, forecasts=without)
    assert unknown.collateral[0].charges["wrong way"] > known.collateral[0].charges["wrong way"]
