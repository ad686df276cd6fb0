"""A market, forecasts and accounts to margin: three coins, perpetuals, futures, options, linear and settled in coin."""

from decimal import Decimal
from typing import Any, Final

import numpy as np

from serving.margin.objects import (
    Account,
    AssetPrice,
    Collateral,
    Correlation,
    ForecastSet,
    Forward,
    Instrument,
    Level,
    MarketSnapshot,
    Position,
    Quote,
    Residuals,
    Smile,
    Svi,
    Tail,
    Underlying,
)
from serving.margin.pricing.black import black_value

AS_OF_NS: Final = 1_725_285_600 * 10**9  # 2024-09-02 14:00 UTC
HOUR_NS: Final = 3_600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
EXPIRIES: Final = {"6SEP24": 3 * DAY_NS + 18 * HOUR_NS, "27SEP24": 24 * DAY_NS + 18 * HOUR_NS, "27DEC24": 115 * DAY_NS}
SPOT: Final = {"BTC": 58_300.0, "ETH": 2_480.0, "SOL": 131.0}
DAILY_VOL: Final = {"BTC": 0.026, "ETH": 0.033, "SOL": 0.045}
FRESH: Final[Any] = {"age_s": 0.5, "confidence": 1.0}
LADDER: Final = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)


def coins() -> tuple[str, ...]:
    """Names of the underlyings."""
    return tuple(SPOT)


def svi(days: float, level: float) -> Svi:
    """A smile whose at-the-money volatility is about ``level``."""
    years = days / 365
    return Svi(
        a=0.85 * level**2 * years,
        b=0.25 * level**2 * float(np.sqrt(years)),
        rho=-0.2,
        m=0.0,
        sigma=0.6 * float(np.sqrt(years)),
    )


def market(as_of_ns: int = AS_OF_NS) -> MarketSnapshot:
    """Perpetuals of all three, an inverse BTC perpetual, a future, and options on BTC and ETH."""
    instruments: list[Instrument] = []
    quotes: dict[str, Quote] = {}
    underlyings = {}
    for coin, spot in SPOT.items():
        underlyings[coin] = _underlying(coin, spot, as_of_ns)
        _add_linear(coin, spot, as_of_ns, instruments, quotes)
        if coin != "SOL":
            _add_options(coin, spot, as_of_ns, underlyings[coin], instruments, quotes)
    assets = {
        "USDC": AssetPrice(price_usd=Decimal("1.0001"), stable=True, volume_24h_usd=Decimal("5e9"), **FRESH),
        "BTC": AssetPrice(price_usd=Decimal(str(SPOT["BTC"])), underlying="BTC", **FRESH),
        "ETH": AssetPrice(price_usd=Decimal(str(SPOT["ETH"])), underlying="ETH", **FRESH),
    }
    return MarketSnapshot(
        as_of_ns=as_of_ns, instruments=tuple(instruments), quotes=quotes, underlyings=underlyings, assets=assets
    )


def _forward(spot: float, ahead_ns: int) -> float:
    return round(spot * float(np.exp(0.05 * ahead_ns / (365 * DAY_NS))), 2)


def _underlying(coin: str, spot: float, as_of_ns: int) -> Underlying:
    tick = spot * 1e-4
    sizes = [2e5 / spot * (1 + i) for i in range(20)]
    return Underlying(
        spot=Decimal(str(spot)),
        forwards=tuple(
            Forward(expiry_ns=as_of_ns + ahead, price=Decimal(str(_forward(spot, ahead))), rate=0.05)
            for ahead in EXPIRIES.values()
        ),
        smiles=tuple(
            Smile(expiry_ns=as_of_ns + ahead, svi=svi(ahead / DAY_NS, 16 * DAILY_VOL[coin]), half_spread_vol=0.01)
            for ahead in EXPIRIES.values()
        ),
        bids=tuple(
            Level(price=Decimal(f"{spot - (i + 0.5) * tick:.4f}"), size=Decimal(f"{s:.4f}"))
            for i, s in enumerate(sizes)
        ),
        asks=tuple(
            Level(price=Decimal(f"{spot + (i + 0.5) * tick:.4f}"), size=Decimal(f"{s:.4f}"))
            for i, s in enumerate(sizes)
        ),
        open_interest_usd=Decimal("5e9"),
        volume_24h_usd=Decimal("1e10"),
        market_cap_usd=Decimal("5e11"),
        **FRESH,
    )


def _add_linear(coin: str, spot: float, as_of_ns: int, instruments: list[Instrument], quotes: dict[str, Quote]) -> None:
    perpetual = Instrument(symbol=f"{coin}-PERP", kind="perpetual", underlying=coin, settlement="USDC")
    inverse = Instrument(
        symbol=f"{coin}-USD",
        kind="perpetual",
        underlying=coin,
        settlement=coin,
        contract="inverse",
        multiplier=Decimal(10),
    )
    ahead = EXPIRIES["27SEP24"]
    future = Instrument(
        symbol=f"{coin}-27SEP24", kind="future", underlying=coin, settlement="USDC", expiry_ns=as_of_ns + ahead
    )
    index = Decimal(str(spot))
    volume = Decimal("1e9")
    for terms, mark in ((perpetual, spot * 1.0002), (inverse, spot * 1.0001), (future, _forward(spot, ahead))):
        if terms.contract == "inverse" and coin == "SOL":
            continue
        instruments.append(terms)
        quotes[terms.symbol] = Quote(
            mark=Decimal(f"{mark:.4f}"),
            index=index,
            open_interest=Decimal("1e5"),
            volume_24h_usd=volume,
            funding_rate_8h=0.0001 if terms.kind == "perpetual" else 0.0,
            **FRESH,
        )


def _add_options(
    coin: str,
    spot: float,
    as_of_ns: int,
    underlying: Underlying,
    instruments: list[Instrument],
    quotes: dict[str, Quote],
) -> None:
    step = 1000 if coin == "BTC" else 50
    for (name, ahead), smile in zip(EXPIRIES.items(), underlying.smiles, strict=True):
        forward, years = _forward(spot, ahead), ahead / (365 * DAY_NS)
        for strike in sorted({round(spot * m / step) * step for m in LADDER}):
            k = float(np.log(strike / forward))
            law = smile.svi
            assert law is not None
            variance = law.a + law.b * (law.rho * (k - law.m) + float(np.hypot(k - law.m, law.sigma)))
            vol = round(float(np.sqrt(variance / years)), 4)
            for option in ("call", "put"):
                symbol = f"{coin}-{name}-{strike}-{option[0].upper()}"
                value = float(black_value(forward, strike, vol, years, option == "call", float(np.exp(-0.05 * years))))
                instruments.append(
                    Instrument(
                        symbol=symbol,
                        kind="option",
                        underlying=coin,
                        settlement="USDC",
                        expiry_ns=as_of_ns + ahead,
                        strike=Decimal(strike),
                        option="call" if option == "call" else "put",
                    )
                )
                quotes[symbol] = Quote(mark=Decimal(f"{value:.4f}"), vol=vol, open_interest=Decimal(1000), **FRESH)


def forecasts(as_of_ns: int = AS_OF_NS, paths: int = 500, seed: int = 7) -> ForecastSet:
    """Tails of all three over 1, 8 and 24 hours, with residuals of correlated Student t draws."""
    rng = np.random.default_rng(seed)
    correlation = np.array([[1.0, 0.8, 0.7], [0.8, 1.0, 0.75], [0.7, 0.75, 1.0]])
    draws = rng.standard_normal((paths, 3)) @ np.linalg.cholesky(correlation).T
    residuals = draws / np.sqrt(rng.chisquare(5, (paths, 1)) / 5) * np.sqrt(3 / 5)
    tails = tuple(_tail(coin, side, hours) for coin in SPOT for side in ("down", "up") for hours in (1, 8, 24))
    return ForecastSet(
        model="network",
        model_hash="0" * 64,
        as_of_ns=as_of_ns - 60 * 10**9,
        expires_ns=as_of_ns + HOUR_NS,
        tails=tails,
        correlation=Correlation(names=coins(), matrix=tuple(tuple(float(x) for x in row) for row in correlation)),
        residuals=Residuals(names=coins(), rows=tuple(tuple(round(float(x), 6) for x in row) for row in residuals)),
    )


def _tail(coin: str, side: str, hours: int) -> Tail:
    sigma = DAILY_VOL[coin] * (hours / 24) ** 0.5
    heavy = 1.1 if side == "down" else 1.0
    return Tail(
        underlying=coin,
        side="down" if side == "down" else "up",
        horizon_s=3600 * hours,
        variance=sigma**2,
        loss_quantiles={"0.99": 2.6 * sigma * heavy, "0.995": 3.1 * sigma * heavy},
        shortfall={"0.99": 3.6 * sigma * heavy, "0.995": 4.2 * sigma * heavy},
        stress=8.0 * sigma * heavy,
        floor=2.2 * sigma * heavy,
        long_run=4.0 * sigma * heavy,
        vol_move=0.3,
        depth_frac=0.3,
    )


def account(**quantities: str) -> Account:
    """An account with 100,000 USDC and positions by symbol, underscores for dashes."""
    return Account(
        account_id="test",
        positions=tuple(
            Position(instrument=name.replace("_", "-"), quantity=Decimal(quantity))
            for name, quantity in quantities.items()
        ),
        collateral=(Collateral(asset="USDC", quantity=Decimal(100_000)),),
    )


def mixed(seed: int, options: int = 50, perpetuals: int = 10) -> Account:
    """Positions drawn at random among the market's instruments."""
    rng = np.random.default_rng(seed)
    listed = market().instruments
    kinds = {True: [i.symbol for i in listed if i.is_option], False: [i.symbol for i in listed if not i.is_option]}
    chosen = [
        *rng.choice(kinds[True], min(options, len(kinds[True])), replace=False),
        *rng.choice(kinds[False], min(perpetuals, len(kinds[False])), replace=False),
    ]
    positions = tuple(
        Position(instrument=str(symbol), quantity=Decimal(str(round(float(rng.normal()), 3)))) for symbol in chosen
    )
    return Account(
        account_id=f"mixed-{seed}", positions=positions, collateral=(Collateral(asset="USDC", quantity=Decimal(10**6)),)
    )
