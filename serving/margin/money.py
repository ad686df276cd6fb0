"""Money at the boundary: requirements are rounded up to the cent, the value of collateral down.

Inside the engine money is float64. A float is a binary fraction, so that a sum
which is whole cents on paper may lie a hair above them; amounts are therefore
read to fifteen significant digits before they are rounded, which is far below
what a price is known to.
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import ForecastError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
CENT: Final = Decimal("0.01")
WIDE: Final = Context(prec=80)
FLOAT_DIGITS: Final = Context(prec=15, rounding=ROUND_HALF_EVEN)
LARGEST_USD: Final = Decimal("1e13")  # beyond it a cent is below the precision of a float


def exact(amount: float | Decimal, what: str) -> Decimal:
    """An amount as a decimal: fifteen significant digits of a float, a decimal as it is.

    Raises
    ------
    ForecastError
        If it is not finite or beyond 10^13: no margin is made of it.

    Examples
    --------
    >>> exact(0.1 + 0.2, "fee")
    Decimal('0.300000000000000')
    """
    value = Decimal(amount)
    if not value.is_finite() or abs(value) > LARGEST_USD:
        raise ForecastError(f"{what} is {amount}: no margin is made of a number like that; correct the inputs")
    return value if isinstance(amount, Decimal) else FLOAT_DIGITS.plus(value)


def up(amount: float | Decimal, what: str) -> Decimal:
    """A requirement to the cent, never below what was computed.

    Examples
    --------
    >>> up(12.340000001, "scan"), up(12.34, "scan"), up(-0.019, "gain")
    (Decimal('12.35'), Decimal('12.34'), Decimal('-0.01'))
    """
    return exact(amount, what).quantize(CENT, rounding=ROUND_CEILING, context=WIDE) + 0


def down(amount: float | Decimal, what: str) -> Decimal:
    """A value of collateral to the cent, never above what was computed.

    Examples
    --------
    >>> down(12.349, "USDC"), down(-0.011, "debt")
    (Decimal('12.34'), Decimal('-0.02'))
    """
    return exact(amount, what).quantize(CENT, rounding=ROUND_FLOOR, context=WIDE) + 0


def cents(totals: Sequence[Decimal], shares: FloatArray) -> IntArray:
    """Cents of totals given out to shares, so that each total's add up to it exactly.

    Each share is rounded down to the cent; the cents left over go, one each, to
    the largest remainders, the first in order among equals.

    Parameters
    ----------
    totals : k decimals of whole cents.
    shares : array of shape (k, p), amounts that add up to about their total; may be negative.

    Examples
    --------
    >>> cents([Decimal("1.00")], np.array([[1 / 3, 1 / 3, 1 / 3]]))
    array([[34, 33, 33]])
    """
    wanted = 100.0 * shares
    whole = np.floor(wanted)
    given = whole.astype(np.int64)
    if not given.size:
        return given
    due = np.array([int(total.scaleb(2)) for total in totals], dtype=np.int64)
    even, over = np.divmod(due - np.add.reduce(given, axis=1), shares.shape[1])
    out: IntArray = given + even[:, None]
    _add_rest(out, np.argsort(whole - wanted, axis=1, kind="stable"), over)
    return out


@compiled
def _add_rest(out: IntArray, order: IntArray, over: IntArray) -> None:
    """A cent more for the first in each row's order, as many as are over."""
    for row in range(over.size):
        for i in range(over[row]):
            out[row, order[row, i]] += 1


def usd(amount_cents: int) -> Decimal:
    """Cents as a decimal of dollars.

    Examples
    --------
    >>> usd(-150)
    Decimal('-1.50')
    """
    return amount_cents * CENT
