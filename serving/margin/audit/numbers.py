"""The one text of a number: decimals, integers and floats as canonical JSON writes them.

References
----------
RFC 8785, section 3.2.2.3, which takes Number::toString of ECMAScript (ECMA-262, 7.1.12.1).
"""

import math
from decimal import Decimal

from features.errors import RecordError

MAX_DECIMAL_DIGITS = 200  # in plain notation, sign and point counted: more is a slip of the exponent
INTEGER_BOUND = 10**21  # from here on a float is written with an exponent, and no integer is meant


def decimal_text(value: Decimal, path: str = "$") -> str:
    """Plain notation without trailing zeros, whatever the decimal context; minus zero is zero.

    Raises
    ------
    RecordError
        If the value is not finite or its plain notation is longer than 200 characters.

    Examples
    --------
    >>> [decimal_text(Decimal(t)) for t in ("1.00", "1E0", "-0.0", "1E+3", "0.0250", "-12.30")]
    ['1', '1', '0', '1000', '0.025', '-12.3']
    """
    if not value.is_finite():
        raise RecordError(f"{path}: {value} is no finite number; a record holds none, correct the input")
    if not value:
        return "0"
    if abs(value.adjusted()) < MAX_DECIMAL_DIGITS:
        plain = f"{value:f}"
        text = plain.rstrip("0").rstrip(".") if "." in plain else plain
        if len(text) <= MAX_DECIMAL_DIGITS:
            return text
    raise RecordError(f"{path}: {value:.6E} takes more than {MAX_DECIMAL_DIGITS} characters; correct the exponent")


def integer_text(value: int, path: str = "$") -> str:
    """All digits of an integer.

    Raises
    ------
    RecordError
        If it has more than 21 digits.

    Examples
    --------
    >>> integer_text(1_700_000_000_123_456_789)
    '1700000000123456789'
    """
    if not -INTEGER_BOUND < value < INTEGER_BOUND:
        raise RecordError(f"{path}: an integer of more than 21 digits; give a decimal")
    return int.__repr__(value)


def float_text(value: float, path: str = "$") -> str:
    r"""Shortest digits that read back to the same bits, written as ECMAScript does; minus zero is zero.

    With the digits d and the power n of

    .. math:: x = 0.d_1 d_2 \dots d_k \times 10^n

    the number is plain for -6 < n <= 21 and has an exponent elsewhere.

    Raises
    ------
    RecordError
        If the value is NaN or infinite.

    Examples
    --------
    >>> [float_text(x) for x in (-0.0, 1.0, 0.1, 1e-6, 1e-7, 1e20, 1e21, 5e-324)]
    ['0', '1', '0.1', '0.000001', '1e-7', '100000000000000000000', '1e+21', '5e-324']
    """
    if not math.isfinite(value):
        raise RecordError(f"{path}: {float(value)} is no finite number; a record holds none, correct the input")
    if value == 0:
        return "0"
    told = float.__repr__(value)
    if "e" not in told:  # from 1e-4 to 1e16 Python writes the same, but for a whole number's ".0"
        return told.removesuffix(".0")
    sign, digits, power = _shortest(told)
    k = len(digits)
    if not -6 < power <= 21:
        fraction = f".{digits[1:]}" if k > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{power - 1:+d}"
    if power <= 0:
        return f"{sign}0.{'0' * -power}{digits}"
    return f"{sign}{digits}{'0' * (power - k)}"  # at most 17 digits, and power is 17 or more


def _shortest(told: str) -> tuple[str, str, int]:
    """Sign, digits and power of ten of the shortest decimal, of which Python's repr has the digits."""
    negative, digits, exponent = Decimal(told).as_tuple()
    text = "".join(map(str, digits))
    power = len(text) + int(exponent)
    return "-" if negative else "", text.rstrip("0"), power
