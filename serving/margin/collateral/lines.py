"""One line an asset: what it is worth, what counts, and every charge between the two, to the cent."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from features.errors import AccountError, MarketError
from serving.margin.collateral.haircuts import CHARGES, Holdings, haircuts
from serving.margin.collateral.policy import CollateralPolicy
from serving.margin.liquidity.side import LEAST_VOLUME_USD
from serving.margin.money import down, usd
from serving.margin.objects.checks import not_negative, positive
from serving.margin.objects.result import CollateralLine

FloatArray = NDArray[np.float64]
TINY_CENTS = 1e-4  # a float that is whole cents on paper may lie a hair below them


@dataclass(frozen=True, slots=True)
class Holding:
    """One asset posted; what is none is not known and takes its worst value, or the policy's default, with a note.

    ``wrong_way``: from ``wrong_way_share``. ``deposits_usd`` is asked for only where ``scale_start_usd`` is given.
    """

    asset: str
    quantity: Decimal
    price_usd: Decimal
    stable: bool = False
    loss_frac: float | None = None
    volume_usd: float | None = None
    wrong_way: float = 1.0
    confidence: float | None = None
    age_s: float | None = None
    deposits_usd: float | None = None
    scale_start_usd: float | None = None


def collateral_lines(
    held: Sequence[Holding], horizon_s: float, policy: CollateralPolicy
) -> tuple[tuple[CollateralLine, ...], tuple[str, ...]]:
    """Lines of the assets posted, and notes on what was not known.

    Values are rounded down; value less charges is what counts, to the cent.

    Parameters
    ----------
    held : assets.
    horizon_s : liquidation time over which ``loss_frac`` is forecast.
    policy : factors, thresholds and defaults.

    Raises
    ------
    AccountError, MarketError
        If a number is not finite, negative or out of its range.

    Examples
    --------
    >>> btc = Holding("BTC", Decimal("0.5"), Decimal(60_000), False, 0.08, 1e10, 0.0, 1.0, 0.0)
    >>> (line,), notes = collateral_lines([btc], 14_400.0, CollateralPolicy())
    >>> line.value, line.counted, line.charges, notes
    (Decimal('30000.00'), Decimal('27565.62'), {'market loss': Decimal('2400.00'), 'liquidity': Decimal('34.38')}, ())
    """
    if not held:
        return (), ()
    for item in held:
        not_negative(item.quantity, f"collateral {item.asset}: quantity", AccountError)
        not_negative(item.price_usd, f"collateral {item.asset}: price_usd", MarketError)
    notes: list[str] = []
    counted, charges = haircuts(_columns(held, policy, notes), horizon_s, policy)
    rows = zip(held, counted.tolist(), charges.tolist(), strict=True)
    return tuple(_line(item, amount, row) for item, amount, row in rows), tuple(notes)


def debt_line(asset: str, quantity: Decimal, price_usd: Decimal, stable: bool = False) -> CollateralLine:
    """Line of an asset owed: its whole value, negative, rounded away from zero, never haircut.

    A stablecoin below its peg is owed at 1: the peg may return before the debt is paid.

    Raises
    ------
    AccountError, MarketError
        If the quantity is negative, or the price not above 0: a debt is never worth nothing.

    Examples
    --------
    >>> debt_line("USDC", Decimal(100), Decimal("0.9"), stable=True).counted
    Decimal('-100.00')
    """
    not_negative(quantity, f"debt {asset}: quantity", AccountError)
    positive(price_usd, f"debt {asset}: price_usd", MarketError)
    value = down(-quantity * (max(price_usd, Decimal(1)) if stable else price_usd), f"debt {asset}")
    return CollateralLine(asset=asset, value=value, counted=value)


def _columns(held: Sequence[Holding], policy: CollateralPolicy, notes: list[str]) -> Holdings:
    """Arrays of the holdings, with the worst value of what is missing."""

    def column(name: str, worst: Callable[[Holding], float]) -> FloatArray:
        values = [getattr(item, name) for item in held]
        for i, item in enumerate(held):
            if values[i] is None:
                values[i] = worst(item)
                notes.append(f"collateral {item.asset}: {name} is not known; taken as {values[i]:g}")
        return np.array(values, dtype=np.float64)

    start = np.array([np.inf if item.scale_start_usd is None else item.scale_start_usd for item in held])
    return Holdings(
        quantity=np.array([float(item.quantity) for item in held]),
        price=np.array([float(item.price_usd) for item in held]),
        stable=np.array([float(item.stable) for item in held]),
        loss_frac=column("loss_frac", lambda x: policy.stable_loss_frac if x.stable else policy.missing_loss_frac),
        volume_usd=_traded(column("volume_usd", lambda _: policy.missing_volume_usd)),
        wrong_way=np.array([item.wrong_way for item in held], dtype=np.float64),
        confidence=column("confidence", lambda _: 0.0),
        age_s=column("age_s", lambda _: policy.missing_age_s),
        deposits_usd=_deposits(held, policy, notes),
        scale_start_usd=start,
    )


def _traded(volume_usd: FloatArray) -> FloatArray:
    """What does not trade cannot be sold: the least volume keeps the charge finite."""
    return np.where((volume_usd >= 0) & (volume_usd < LEAST_VOLUME_USD), LEAST_VOLUME_USD, volume_usd)


def _deposits(held: Sequence[Holding], policy: CollateralPolicy, notes: list[str]) -> FloatArray:
    """Deposits of all, where weights scale with them."""
    found = []
    for item in held:
        amount = 0.0 if item.deposits_usd is None else item.deposits_usd
        if item.scale_start_usd is not None and item.deposits_usd is None:
            amount = policy.missing_deposits_multiple * item.scale_start_usd
            notes.append(f"collateral {item.asset}: deposits_usd is not known; taken as {amount:g}")
        found.append(amount)
    return np.array(found, dtype=np.float64)


def _line(item: Holding, counted_usd: float, charges_usd: list[float]) -> CollateralLine:
    """Round down and give the difference out to the charges."""
    value = down(item.quantity * item.price_usd, f"collateral {item.asset}")
    counted = min(down(counted_usd, f"collateral {item.asset}"), value)
    charges = _charges(value, counted, counted_usd, charges_usd)
    return CollateralLine(asset=item.asset, value=value, counted=counted if charges else value, charges=charges)


def _charges(value: Decimal, counted: Decimal, counted_usd: float, charges_usd: list[float]) -> dict[str, Decimal]:
    """Cents of each charge: what is left is rounded down after every one, so that they add to value less counted."""
    least, at = int(counted.scaleb(2)), int(value.scaleb(2))
    named = [(name, amount) for name, amount in zip(CHARGES, charges_usd, strict=True) if amount > 0.0]
    left, found = counted_usd + sum(amount for _, amount in named), {}
    for i, (name, amount) in enumerate(named, start=1):
        left -= amount
        after = least if i == len(named) else min(at, max(least, math.floor(100 * left + TINY_CENTS)))
        if after < at:
            found[name], at = usd(at - after), after
    return found
