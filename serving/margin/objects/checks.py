"""Checks at the door of the engine: each names the field, what was found and the remedy."""

import math
from collections.abc import Hashable, Iterable
from decimal import Decimal
from typing import Final

from features.errors import DataError

LARGEST: Final = Decimal("1e12")  # contracts, coins, prices: more is a slip of units
NAME_LENGTH: Final = 64
LARGEST_MARKET_USD: Final = Decimal("1e15")
EARLIEST_NS: Final = 10**18
LARGEST_VOL: Final = 20.0  # more was given in percent


def finite(value: float | Decimal, what: str, error: type[DataError]) -> None:
    """Refuse a number that is NaN, infinite or absurdly large.

    Examples
    --------
    >>> from features.errors import AccountError
    >>> finite(Decimal("NaN"), "BTC-PERP: quantity", AccountError)
    Traceback (most recent call last):
    features.errors.AccountError: BTC-PERP: quantity is NaN, not a finite number; give a number
    """
    if not math.isfinite(value):
        raise error(f"{what} is {value}, not a finite number; give a number")
    if abs(Decimal(value)) > LARGEST:
        raise error(f"{what} is {value}, beyond {LARGEST:.0e}: a slip of units? give it in the units of the contract")


def positive(value: float | Decimal, what: str, error: type[DataError]) -> None:
    """Refuse a number that is not finite and above zero."""
    finite(value, what, error)
    if value <= 0:
        raise error(f"{what} is {value}; it must be above 0")


def not_negative(value: float | Decimal, what: str, error: type[DataError]) -> None:
    """Refuse a number that is not finite or is below zero."""
    finite(value, what, error)
    if value < 0:
        raise error(f"{what} is {value}; it must not be negative")


def fraction(value: float, what: str, error: type[DataError]) -> None:
    """Refuse a number outside [0, 1]."""
    finite(value, what, error)
    if not 0 <= value <= 1:
        raise error(f"{what} is {value}; it must lie within 0 and 1")


def volatility(value: float, what: str, error: type[DataError]) -> None:
    """Refuse a volatility that is not above 0, or was given in percent."""
    positive(value, what, error)
    if value > LARGEST_VOL:
        raise error(f"{what} is {value}, {100 * value:,.0f} % a year; give a fraction (0.8 is 80 %)")


def named(name: str, what: str, error: type[DataError]) -> None:
    """Refuse an empty or overlong name, or one with white space at its ends or control characters."""
    if not name or len(name) > NAME_LENGTH or name != name.strip() or not name.isprintable():
        raise error(f"{what} is {name!r}; give a name of 1 to {NAME_LENGTH} printable characters")


def instant(ts_ns: int, what: str, error: type[DataError]) -> None:
    """Refuse what cannot be nanoseconds since 1970: seconds and milliseconds are far too small."""
    if not EARLIEST_NS <= ts_ns < 2**63:
        raise error(f"{what} is {ts_ns}, not nanoseconds since 1970 after 2001-09-09; multiply seconds by 10^9")


def money(value: Decimal, what: str, error: type[DataError]) -> None:
    """Refuse an amount of dollars of a whole market that is negative or absurd."""
    if not value.is_finite():
        raise error(f"{what} is {value}, not a finite number; give a number")
    if value < 0:
        raise error(f"{what} is {value}; it must not be negative")
    if value > LARGEST_MARKET_USD:
        raise error(f"{what} is {value}, beyond {LARGEST_MARKET_USD:.0e}: a slip of units? give it in US dollars")


def unique(names: Iterable[Hashable], what: str, error: type[DataError]) -> None:
    """Refuse a name that comes twice."""
    seen: set[Hashable] = set()
    for name in names:
        if name in seen:
            raise error(f"{what} {name} is given twice; give each once (net positions before)")
        seen.add(name)
