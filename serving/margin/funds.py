"""What an account has to cover its requirement with: collateral after haircuts, less debts, with profit and loss."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError
from serving.margin.collateral import Holding, collateral_lines, debt_line, wrong_way_share
from serving.margin.holdings import Book
from serving.margin.instrument_terms import USD
from serving.margin.money import down
from serving.margin.objects import Account, AssetPrice, Collateral
from serving.margin.objects.result import CollateralLine
from serving.margin.prepared import Prepared

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
DOLLAR: Final = AssetPrice(price_usd=Decimal(1))
ZERO: Final = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Funds:
    """Equity, USD, rounded down, and the lines that add up to it."""

    equity: Decimal
    lines: tuple[CollateralLine, ...]
    notes: tuple[str, ...]


def funds_of(account: Account, book: Book, prepared: Prepared, *, haircut: bool = True) -> Funds:
    r"""Equity of an account.

    .. math:: E = \sum_a counted_a - \sum_d owed_d + unrealised

    Dollars count whole. What follows an underlying loses that underlying's range over
    the liquidation time, more where the account is long what falls with it; a stablecoin
    the policy's share; anything else has no forecast and counts for nothing.

    Parameters
    ----------
    haircut : false where the rule charges its own haircuts: collateral then counts at its price.

    Raises
    ------
    MarketError
        If the market has no price of an asset.
    """
    cash = tuple(c for c in account.collateral if c.asset == USD and USD not in prepared.market.snapshot.assets)
    rest = tuple(c for c in account.collateral if c not in cash)
    lines, notes = _lines(rest, book, prepared) if haircut else (tuple(_whole(c, prepared) for c in rest), ())
    dollars = tuple(_dollars(c) for c in cash)
    owed = tuple(
        debt_line(d.asset, d.quantity, _price(d.asset, prepared).price_usd, _price(d.asset, prepared).stable)
        for d in account.debts
    )
    every = (*dollars, *lines, *owed, *_held(book, prepared))
    return Funds(sum((line.counted for line in every), ZERO), every, notes)


def _held(book: Book, prepared: Prepared) -> list[CollateralLine]:
    """What the positions add to the equity: profit since entry, and what is paid for and held."""
    paid = prepared.market.paid[book.positions.instrument]
    sums = {"profit since entry": book.unrealised[~paid], "options and spot held": book.unrealised[paid]}
    found = {name: down(float(np.add.reduce(parts)), name) for name, parts in sums.items() if parts.any()}
    return [CollateralLine(asset=name, value=amount, counted=amount) for name, amount in found.items()]


def _lines(
    posted: tuple[Collateral, ...], book: Book, prepared: Prepared
) -> tuple[tuple[CollateralLine, ...], tuple[str, ...]]:
    """Lines after the policy's haircuts."""
    horizon_s = float(prepared.policy.scan.liquidation_s)
    return collateral_lines(_holdings(posted, book, prepared), horizon_s, prepared.policy.collateral)


def _whole(posted: Collateral, prepared: Prepared) -> CollateralLine:
    value = down(posted.quantity * _price(posted.asset, prepared).price_usd, f"collateral {posted.asset}")
    return CollateralLine(asset=posted.asset, value=value, counted=value)


def _dollars(cash: Collateral) -> CollateralLine:
    value = down(cash.quantity, USD)
    return CollateralLine(asset=USD, value=value, counted=value)


def _price(asset: str, prepared: Prepared) -> AssetPrice:
    found = prepared.market.snapshot.assets.get(asset, DOLLAR if asset == USD else None)
    if found is None:
        raise MarketError(f"asset {asset}: the market has no price of it; add it to assets")
    return found


def _holdings(posted: tuple[Collateral, ...], book: Book, prepared: Prepared) -> list[Holding]:
    """What haircuts are made of, asset by asset."""
    if not posted:
        return []
    prices = [_price(c.asset, prepared) for c in posted]
    ways = _wrong_ways(posted, prices, book, prepared)
    return [_holding(c, price, way, prepared) for c, price, way in zip(posted, prices, ways, strict=True)]


def _holding(posted: Collateral, price: AssetPrice, wrong_way: float, prepared: Prepared) -> Holding:
    ranges, terms = prepared.maintenance.ranges, prepared.market.snapshot.underlyings
    loss = prepared.policy.collateral.stable_loss_frac if price.stable else None
    volume = price.volume_24h_usd
    if price.underlying in terms:
        loss = float(ranges.down[ranges.underlyings.index(price.underlying)])
        volume = terms[price.underlying].volume_24h_usd if volume is None else volume
    return Holding(
        asset=posted.asset,
        quantity=posted.quantity,
        price_usd=price.price_usd,
        stable=price.stable,
        loss_frac=loss,
        volume_usd=_float(volume),
        wrong_way=wrong_way,
        confidence=price.confidence,
        age_s=price.age_s,
        deposits_usd=_float(price.deposits_usd),
        scale_start_usd=_float(price.scale_start_usd),
    )


def _wrong_ways(
    posted: tuple[Collateral, ...], prices: list[AssetPrice], book: Book, prepared: Prepared
) -> list[float]:
    """How much of the collateral the positions lose as each asset falls."""
    held = book.positions
    delta = np.zeros(len(prepared.market.underlyings))
    np.add.at(delta, held.underlying, prepared.closing.greeks.delta_usd[held.instrument] * held.quantity)
    whole = sum(float(c.quantity * price.price_usd) for c, price in zip(posted, prices, strict=True))
    rows = [_correlations(price, prepared) for price in prices]
    known, missing = (np.array([row[i] for row in rows]) for i in (0, 1))
    ways: list[float] = wrong_way_share(delta, known, whole, missing.astype(np.bool_)).tolist()
    return ways


def _correlations(price: AssetPrice, prepared: Prepared) -> tuple[list[float], list[bool]]:
    """Correlation of an asset with every underlying, and where it is not known."""
    names = prepared.market.underlyings
    if price.underlying is None:
        return [0.0] * len(names), [not price.stable] * len(names)
    table = next((f.correlation for f in prepared.forecasts if f.correlation is not None), None)
    row, missing = [], []
    for name in names:
        both = table is not None and {name, price.underlying} <= set(table.names)
        row.append(
            table.matrix[table.names.index(price.underlying)][table.names.index(name)] if table and both else 1.0
        )
        missing.append(not both and name != price.underlying)
    return row, missing


def _float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
