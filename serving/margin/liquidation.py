"""The price at which a position is liquidated: where equity falls to the maintenance requirement.

Exact for every bracket rule, linear and inverse contracts, isolated and cross; by search
for a general requirement (options, portfolio margin), see :func:`searched_price`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise
from math import exp, isfinite, log
from typing import Final, Literal

from features.errors import AccountError, ForecastError, SettingError
from serving.margin.brackets import Brackets, Exact

DIGITS: Final = Context(prec=34)
INFINITE: Final = Decimal("Infinity")
CLOSE: Final = 1e-12  # relative; far below a tick
STEPS: Final = 400  # of a search, before it halves the step in which the account is liquidated


@dataclass(frozen=True, slots=True)
class Holding:
    """One position with the brackets it is margined by.

    Parameters
    ----------
    quantity : signed; units of the underlying (contracts x multiplier), of an inverse contract US dollars.
    entry, mark : prices, above zero.
    brackets : of the notional in the currency of settlement: quantity x price, of an inverse contract
        quantity / price.
    inverse : whether it is settled in coin.

    Raises
    ------
    AccountError
        If a price is not positive or a number is not finite.
    """

    quantity: Decimal
    entry: Decimal
    mark: Decimal
    brackets: Brackets
    inverse: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        for name in ("quantity", "entry", "mark"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or (name != "quantity" and value <= 0):
                raise AccountError(f"holding: {name} is {value}; give a finite {name}, prices above 0")

    @property
    def slope(self) -> Fraction:
        """Profit as x rises by one, where x is the price, of an inverse contract one over the price."""
        return -Fraction(self.quantity) if self.inverse else Fraction(self.quantity)

    def x(self, price: Decimal) -> Fraction:
        """What profit and notional are linear in: the price, of an inverse contract one over the price."""
        return 1 / Fraction(price) if self.inverse else Fraction(price)

    def surplus(self, price: Decimal) -> Fraction:
        """Profit since entry less the maintenance margin at a price, in the currency of settlement."""
        x = self.x(price)
        return self.slope * (x - self.x(self.entry)) - self.brackets.margin(abs(self.slope) * x)


def liquidation_price(holding: Holding, balance: Exact) -> Decimal | None:
    r"""Price at which balance and profit together are just the maintenance margin.

    .. math:: W + q (P - P_0) = r_i |q| P - d_i \quad\Rightarrow\quad P = \frac{W - q P_0 + d_i}{r_i |q| - q}

    in the bracket i that contains the notional at that price. Rates do not exceed 1, so that the surplus of
    a long position never falls with the price and that of a short one always does: there is one such price.

    Parameters
    ----------
    balance : W: isolated collateral, or the account's balance and the surplus of its other holdings; in the
        currency of settlement.

    Returns
    -------
    The price, to 34 digits; None if no price liquidates; if every price does, infinite for a long position
    and 0 for a short one.

    References
    ----------
    Binance, "How to calculate liquidation price of USD-M futures contracts"; a taker fee for closing adds to
    the rate (Gate, OKX).

    Examples
    --------
    >>> from serving.margin.brackets import from_rates
    >>> long = Holding(Decimal(1), Decimal(10), Decimal(10), from_rates([0], [Fraction(1, 100)]))
    >>> round(liquidation_price(long, 2), 6), liquidation_price(long, 10)
    (Decimal('8.080808'), None)
    """
    q, start = holding.slope, Fraction(balance) - holding.slope * holding.x(holding.entry)  # surplus at x = 0
    if q == 0 or (q > 0 and start >= 0):
        return None
    if q < 0 and start <= 0:
        return _price(holding, Fraction(0))
    found = list(_crossings(holding.brackets, q, start))
    return _price(holding, (max if q > 0 else min)(found) if found else None)


def _crossings(brackets: Brackets, q: Fraction, start: Fraction) -> Iterator[Fraction]:
    """Each x at which the surplus is zero or jumps over it; in tiers that join there is one at most."""
    edges = [floor / abs(q) for floor in brackets.floors]
    for i, (rate, deduction) in enumerate(zip(brackets.rates, brackets.deductions, strict=True)):
        fall = rate * abs(q) - q
        x = (start + deduction) / fall if fall else None
        if x is not None and x >= edges[i] and (i + 1 == len(edges) or x <= edges[i + 1]):
            yield x
    for edge, (r0, r1), (d0, d1) in zip(
        edges[1:], pairwise(brackets.rates), pairwise(brackets.deductions), strict=True
    ):
        below, above = (start + q * edge - r * abs(q) * edge + d for r, d in ((r0, d0), (r1, d1)))
        if (below > 0) != (above > 0):
            yield edge


def _price(holding: Holding, x: Fraction | None) -> Decimal:
    """Price of an x; none stands for infinity."""
    if holding.inverse:
        x = Fraction(0) if x is None else 1 / x if x else None
    return INFINITE if x is None else DIGITS.divide(Decimal(x.numerator), Decimal(x.denominator))


def cross_prices(holdings: Sequence[Holding], balance: Exact) -> tuple[Decimal | None, ...]:
    r"""Liquidation price of each of several positions that share a balance, the others held at their mark.

    .. math:: W_i = W + \sum_{j \ne i} \bigl( q_j (P_j - P_{0,j}) - M_j(|q_j| P_j) \bigr)

    All in one currency of settlement; entry prices of what has no unrealised profit are their marks.

    Examples
    --------
    >>> from serving.margin.brackets import from_rates
    >>> flat = from_rates([0], [Fraction(1, 100)])
    >>> pair = [Holding(Decimal(q), Decimal(10), Decimal(10), flat) for q in (1, -1)]
    >>> [round(price, 4) for price in cross_prices(pair, 2)]
    [Decimal('8.1818'), Decimal('11.7822')]
    """
    surplus = [holding.surplus(holding.mark) for holding in holdings]
    whole = Fraction(balance) + sum(surplus)
    return tuple(liquidation_price(one, whole - own) for one, own in zip(holdings, surplus, strict=True))


def searched_price(
    surplus: Callable[[float], float],
    mark: float,
    side: Literal["down", "up"],
    *,
    reach: float = 100.0,
    steps: int = STEPS,
) -> float | None:
    r"""Price nearest to the mark, on one side, at which a general account is liquidated.

    Walks from the mark in steps of equal ratio to ``reach`` times (up) or one ``reach``-th of it (down), then
    halves the first step in which the surplus turns from positive until its ends are 1e-12 apart.
    A dip below zero that ends within one step, :math:`reach^{1/steps}`, can be walked over; the requirement of
    bracket rules is monotone in the price, so that there none is.

    Parameters
    ----------
    surplus : equity less maintenance requirement at a price of the underlying; pure.
    mark : today's price.
    side : to which the price moves.
    reach, steps : how far to walk, and in how many steps.

    Returns
    -------
    A price at which the surplus is not positive; the mark where it is not positive today; None if it stays
    positive as far as the search reaches.

    Raises
    ------
    SettingError
        If the mark is not positive or the reach not above 1.
    ForecastError
        If the surplus is not finite at a price.

    Examples
    --------
    >>> round(searched_price(lambda p: 2 + (p - 10) - 0.01 * p, 10.0, "down"), 6)
    8.080808
    """
    if not (isfinite(mark) and mark > 0 and isfinite(reach) and reach > 1):
        raise SettingError(f"search of a liquidation price: mark {mark} must be above 0 and reach {reach} above 1")
    ratio = exp((1 if side == "up" else -1) * log(reach) / steps)
    safe = mark
    if _finite(surplus, mark) <= 0:
        return mark
    for _ in range(steps):
        price = safe * ratio
        if _finite(surplus, price) <= 0:
            return _halved(surplus, safe, price)
        safe = price
    return None


def _halved(surplus: Callable[[float], float], safe: float, liquidated: float) -> float:
    while abs(liquidated - safe) > CLOSE * abs(liquidated):
        middle = safe + (liquidated - safe) / 2
        if _finite(surplus, middle) <= 0:
            liquidated = middle
        else:
            safe = middle
    return liquidated


def _finite(surplus: Callable[[float], float], price: float) -> float:
    value = surplus(price)
    if not isfinite(value):
        raise ForecastError(f"the surplus at price {price:g} is {value}; no liquidation price is made of it")
    return value
