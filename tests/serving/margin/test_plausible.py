"""Finite numbers that cannot be true: tails that contradict themselves, prices of two markets, early settlement."""

from decimal import Decimal
from typing import Any, Final

import pytest
from msgspec.structs import replace

from features.errors import DataError, ForecastError, MarketError
from serving.margin.objects import AssetPrice, Instrument, MarketSnapshot, SettlementAverage
from serving.margin.policy import MarginPolicy
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

SECONDS: Final = markets.AS_OF_NS // 10**9
FUTURE: Final = "BTC-27SEP24"
YEARS: Final = markets.EXPIRIES["27SEP24"] / (365 * markets.DAY_NS)


def test_a_mean_beyond_a_quantile_is_not_below_it() -> None:
    tail = markets.forecasts().tails[0]
    for level in ("0.99", "0.995"):
        quantile = tail.loss_quantiles[level]
        replace(tail, shortfall={**tail.shortfall, level: quantile, "0.995": max(quantile, tail.shortfall["0.995"])})
        with pytest.raises(
            ForecastError, match=rf"shortfall at {level} is .*, below the quantile.*correct the forecast"
        ):
            replace(tail, shortfall={level: quantile * (1 - 1e-9)})
    replace(tail, shortfall={"0.975": 0.0001})  # of another level than any quantile


@pytest.mark.parametrize("field", ["stress", "long_run"])
@pytest.mark.parametrize("value", [0.0, -0.01])
def test_a_history_that_says_nothing_is_left_out(field: str, value: float) -> None:
    tail = markets.forecasts().tails[0]
    with pytest.raises(ForecastError, match=rf"{field} \(leave out what is not known\) is .*above 0"):
        replace(tail, **{field: value})
    assert getattr(replace(tail, **{field: None}), field) is None


@pytest.mark.parametrize("field", ["as_of_ns", "expires_ns", "published_ns"])
@pytest.mark.parametrize("value", [SECONDS, SECONDS * 1_000, SECONDS * 10**6 // 2, 0, -1, 2**63])
def test_an_instant_of_a_forecast_in_another_unit_is_refused(field: str, value: int) -> None:
    found = markets.forecasts()
    sample: Any = found.tails[0] if field == "published_ns" else found
    fields = {"published": 0.1} if field == "published_ns" else {"as_of_ns": 10**18, "expires_ns": 2**62}
    with pytest.raises(ForecastError, match=rf"{field} is {value}, not nanoseconds.*multiply seconds by 10\^9"):
        replace(sample, **{**fields, field: value})


@pytest.mark.parametrize("value", [SECONDS, SECONDS * 1_000])
def test_an_expiry_in_another_unit_is_refused(value: int) -> None:
    with pytest.raises(MarketError, match=r"expiry_ns is .*multiply seconds"):
        Instrument(symbol="X", kind="future", underlying="BTC", settlement="USDC", expiry_ns=value)


def settled(left_s: float, fixed: float, window_s: float = 1_800.0) -> MarketSnapshot:
    """The small market with a settlement so many seconds ahead, of which a share is fixed."""
    average = SettlementAverage(
        expiry_ns=markets.AS_OF_NS + int(left_s * 1e9), fixed_frac=fixed, average=Decimal(58_000), window_s=window_s
    )
    return changed.with_underlying("BTC", settled=(average,))


@pytest.mark.parametrize(
    ("left_s", "window_s", "most"),
    [
        (1_800, 1_800, 0.02),
        (900, 1_800, 0.52),
        (90, 1_800, 0.97),
        (5_000, 1_800, 0.02),
        (900, 3_600, 0.77),
        (1, 10, 0.92),
    ],
)
def test_no_more_of_a_settlement_is_fixed_than_time_has_passed_of_its_window(
    left_s: float, window_s: float, most: float
) -> None:
    settled(left_s, most - 1e-9, window_s)
    with pytest.raises(
        MarketError, match=r"BTC: of the settlement of \d+ .* is fixed, but .* has passed.*correct fixed_frac"
    ):
        settled(left_s, most + 1e-6, window_s)


@pytest.mark.parametrize("window_s", [86_400.001, 1.8e6])
def test_a_window_longer_than_a_day_is_refused(window_s: float) -> None:
    with pytest.raises(MarketError, match=r"window_s is .*give seconds, a day at most"):
        settled(10.0, 0.1, window_s)
    settled(10.0, 0.1, 86_400.0)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("symbol", "field", "reach"),
    [("BTC-PERP", "mark", 1.0), ("BTC-USD", "mark", 1.0), ("BTC-PERP", "index", 1.0), (FUTURE, "mark", 1.0 + YEARS)],
)
def test_a_price_of_another_market_than_the_spot_is_refused(symbol: str, field: str, reach: float, sign: int) -> None:
    """Within a factor of 2.72 of the spot, and of as much for every year of carry more."""
    held = changed.holding((symbol, 1))
    for distance, refused in ((reach - 1e-4, False), (reach + 1e-4, True), (2.3, True)):
        price = Decimal(f"{markets.SPOT['BTC'] * 2.718281828459045 ** (sign * distance):.6f}")
        market = changed.with_quote(symbol, **{field: price})
        if not refused:
            assert changed.quoted(held, market).initial > 0
            continue
        with pytest.raises(MarketError, match=rf"{symbol}: its {field} .* and the spot 58300 .* too far apart"):
            changed.quoted(held, market)
        assert changed.quoted(changed.holding(("ETH-PERP", 1)), market).initial > 0  # a fault of its holders alone
        left = changed.quoted(held, market, MarginPolicy(missing="conservative"))
        changed.no_better(left, changed.quoted(held))


@pytest.mark.parametrize("factor", ["0.1", "10"])
def test_a_forward_of_another_market_than_the_spot_is_refused(factor: str) -> None:
    btc = changed.small_market().underlyings["BTC"]
    market = changed.with_underlying(
        "BTC", forwards=tuple(replace(f, price=f.price * Decimal(factor)) for f in btc.forwards)
    )
    with pytest.raises(MarketError, match=rf"{changed.PUT}: its forward .* too far apart"):
        changed.quoted(changed.holding((changed.PUT, -1)), market)


@pytest.mark.parametrize(
    ("asset", "refused"),
    [
        ({"price_usd": Decimal(1), "stable": False}, "neither stable nor follows an underlying"),
        ({"price_usd": Decimal(2_480), "underlying": "ETH"}, ""),
        ({"price_usd": Decimal(1), "stable": True}, ""),
    ],
)
def test_a_linear_contract_settles_in_a_stablecoin_or_in_what_follows_another_underlying(
    asset: dict[str, Any], refused: str
) -> None:
    market = replace(
        changed.small_market(),
        assets={**changed.small_market().assets, "USDC": AssetPrice(**asset, **markets.FRESH)},
    )
    held = replace(changed.holding(("BTC-PERP", 1)), collateral=())
    if not refused:
        assert changed.quoted(held, market).initial > 0
        return
    with pytest.raises(DataError, match=f"BTC-PERP: .*{refused}"):
        changed.quoted(held, market)


def test_a_contract_that_settles_in_its_own_underlying_is_inverse() -> None:
    market = changed.small_market()
    own = tuple(replace(i, settlement="BTC") if i.symbol == "BTC-PERP" else i for i in market.instruments)
    with pytest.raises(MarketError, match=r"BTC-PERP: linear, but it settles in BTC.*is inverse"):
        changed.quoted(changed.holding(("BTC-PERP", 1)), replace(market, instruments=own))


@pytest.mark.parametrize("quantity", [2, -2])
def test_spot_is_worth_its_value_in_the_equity(quantity: int) -> None:
    """Two coins held are worth two spots (dollars at 1.0001), two owed cost as much."""
    market = changed.small_market()
    perpetual = next(i for i in market.instruments if i.symbol == "BTC-PERP")
    quote = replace(market.quotes["BTC-PERP"], mark=Decimal(58_300), funding_rate_8h=0.0)
    with_spot = replace(
        market,
        instruments=(*market.instruments, replace(perpetual, symbol="BTC-SPOT", kind="spot")),
        quotes={**market.quotes, "BTC-SPOT": quote},
    )
    bare, held = (changed.quoted(changed.holding(*pairs), with_spot) for pairs in ((), (("BTC-SPOT", quantity),)))
    assert float(held.levels.equity - bare.levels.equity) == pytest.approx(quantity * 58_300 * 1.0001, abs=0.02)
