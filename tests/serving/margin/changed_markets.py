"""The market of the margin tests with one thing changed, and what accounts then need."""

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Final, Literal

from msgspec.structs import replace

from serving.margin.objects import Account, ForecastSet, MarginResult, MarketSnapshot, OpenOrder, Position, Tail
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import Prepared, prepare
from serving.margin.quote import quote
from tests.serving.margin import markets

KEPT: Final = ("6SEP24-58000", "27SEP24-58000", "27SEP24-64000", "27SEP24-2500")
CALL: Final = "BTC-27SEP24-58000-C"
PUT: Final = "BTC-27SEP24-58000-P"
WING: Final = "BTC-27SEP24-64000-C"
ETH_PUT: Final = "ETH-27SEP24-2500-P"


@cache
def small_market() -> MarketSnapshot:
    """Everything but options, and eight options: what a test margins often."""
    whole = markets.market()
    kept = tuple(i for i in whole.instruments if not i.is_option or i.symbol[4:-2] in KEPT)
    return replace(whole, instruments=kept, quotes={i.symbol: whole.quotes[i.symbol] for i in kept})


@cache
def whole_prepared() -> Prepared:
    """The whole market under the default policy and the forecast."""
    return prepare(markets.market(), MarginPolicy(), [markets.forecasts()])


@cache
def prepared() -> Prepared:
    """The small market under the default policy and the forecast."""
    return prepare(small_market(), MarginPolicy(), [markets.forecasts()])


def quoted(
    account: Account,
    market: MarketSnapshot | None = None,
    policy: MarginPolicy | None = None,
    forecasts: Sequence[ForecastSet] | None = None,
) -> MarginResult:
    """Requirement in the small market, but for what is given."""
    if market is None and policy is None and forecasts is None:
        return quote(account, prepared())
    given = [markets.forecasts()] if forecasts is None else forecasts
    return quote(account, prepare(market or small_market(), policy or MarginPolicy(), given))


def holding(*pairs: tuple[str, str | float], **fields: Any) -> Account:
    """An account of positions with 100,000 USDC."""
    positions = tuple(Position(instrument=symbol, quantity=Decimal(str(q))) for symbol, q in pairs)
    return replace(markets.account(), positions=positions, **fields)


def everything(**fields: Any) -> Account:
    """Long and short of every kind: perpetuals, inverse, future, options of two coins and two expiries."""
    return holding(
        ("BTC-PERP", "1.5"), ("BTC-USD", "-300"), ("BTC-27SEP24", "0.7"), (CALL, "-2"), (PUT, "-1"), (WING, "3"),
        ("BTC-6SEP24-58000-P", "-1"), ("ETH-PERP", "-12"), (ETH_PUT, "-6"), ("ETH-27SEP24-2500-C", "2"),
        ("SOL-PERP", "150"), **fields,
    )  # fmt: skip


def order(symbol: str, side: Literal["buy", "sell"], quantity: str, price: str) -> OpenOrder:
    """An open order."""
    return OpenOrder(instrument=symbol, side=side, quantity=Decimal(quantity), price=Decimal(price))


def with_quote(symbol: str, **fields: Any) -> MarketSnapshot:
    """The small market with fields of one quote changed."""
    market = small_market()
    return replace(market, quotes={**market.quotes, symbol: replace(market.quotes[symbol], **fields)})


def without_quote(symbol: str) -> MarketSnapshot:
    """The small market without a quote."""
    market = small_market()
    return replace(market, quotes={name: q for name, q in market.quotes.items() if name != symbol})


def with_underlying(name: str, **fields: Any) -> MarketSnapshot:
    """The small market with fields of one underlying changed."""
    market = small_market()
    return replace(market, underlyings={**market.underlyings, name: replace(market.underlyings[name], **fields)})


def with_asset(name: str, **fields: Any) -> MarketSnapshot:
    """The small market with fields of one asset price changed."""
    market = small_market()
    return replace(market, assets={**market.assets, name: replace(market.assets[name], **fields)})


def with_tails(change: Any, **fields: Any) -> ForecastSet:
    """The forecast with every tail changed."""
    found = markets.forecasts()
    return replace(found, tails=tuple(change(tail) for tail in found.tails), **fields)


def times(tail: Tail, factor: float) -> Tail:
    """A tail whose losses, present and past, are a multiple; its variance stays."""
    return replace(
        tail,
        loss_quantiles={level: factor * loss for level, loss in tail.loss_quantiles.items()},
        shortfall={level: factor * loss for level, loss in tail.shortfall.items()},
        stress=factor * (tail.stress or 0.0),
        floor=factor * (tail.floor or 0.0),
        long_run=factor * (tail.long_run or 0.0),
    )


def component(result: MarginResult, name: str) -> Decimal:
    """Initial margin of one component, 0 where the result has none of that name."""
    return next((c.initial for c in result.components if c.name == name), Decimal(0))


def not_less(after: MarginResult, before: MarginResult) -> None:
    """Requirements not smaller, equity not larger."""
    assert after.initial >= before.initial
    assert after.maintenance >= before.maintenance
    assert after.levels.equity <= before.levels.equity


def no_better(after: MarginResult, before: MarginResult) -> None:
    """Not more left above either margin: an option without a price leaves the equity, and its loss the requirement."""
    assert after.levels.equity - after.initial <= before.levels.equity - before.initial
    assert after.levels.equity - after.maintenance <= before.levels.equity - before.maintenance
