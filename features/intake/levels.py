"""Prices and sizes out of the JSON arrays of books, compiled: ``[["30000.1","0.5"],["30000.0","2"]]``.

A number of up to fifteen digits and twenty-two decimals is a whole number over a power of ten, both exact in a double,
so that their quotient is the double nearest to the decimal (Clinger 1990), the same as Python's ``float``. Whatever
else stands in an array, an exponent or more digits, sends it to Python's own parser.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TENS: Floats = np.array([float(10**k) for k in range(23)])
MOST_DIGITS = 15
ZERO, NINE, DOT, COMMA, QUOTE, OPEN, CLOSE, SPACE = (ord(c) for c in '09.,"[] ')


def parse_levels(arrays: Sequence[bytes], depth: int) -> Floats:
    """Best levels of sides of books.

    Parameters
    ----------
    arrays : n JSON arrays of levels, best first; a level is an array of a price, a size and whatever follows.
    depth : levels to keep.

    Returns
    -------
    array of shape (n, 2 * depth)
        Price, size, price, size, ...; NaN where a side has fewer levels.

    Raises
    ------
    ValueError
        If an array is none of levels; the message says which.

    Examples
    --------
    >>> parse_levels([b'[["9.5","1"],["9.0","2.25","0"]]'], 2)
    array([[9.5 , 1.  , 9.  , 2.25]])
    """
    out = np.full((len(arrays), 2 * depth), np.nan)
    ends = np.cumsum([len(a) for a in arrays], dtype=np.int64)
    text = np.frombuffer(b"".join(arrays), dtype=np.uint8)
    plain: NDArray[np.bool_] = np.ones(len(arrays), dtype=np.bool_)
    scan(text, ends, TENS, out, plain)
    for i in np.flatnonzero(~plain):
        out[i] = np.nan
        _slowly(arrays[int(i)], out[i], int(i))
    return out


@compiled
def scan(text: NDArray[np.uint8], ends: Ints, tens: Floats, out: Floats, plain: NDArray[np.bool_]) -> None:
    """Read every array that is plain; mark those that are not."""
    start = 0
    for i in range(len(ends)):
        plain[i] = scan_one(text[start : ends[i]], tens, out[i])
        start = ends[i]


@compiled
def scan_one(text: NDArray[np.uint8], tens: Floats, out: Floats) -> bool:  # noqa: C901 - one loop over the characters
    """Read one array; false if it is not as plain as the compiled reader wants it, or none at all."""
    nesting = level = part = digits = decimals = number = 0
    opened = quoted = fraction = inside = ended = closed = False
    for c in text:
        if ZERO <= c <= NINE:
            number = number * 10 + (c - ZERO)
            digits += number > 0
            decimals += fraction
            if nesting != 2 or ended or digits > MOST_DIGITS or decimals >= len(tens):
                return False
            inside = True
        elif c == DOT and inside and not fraction:
            fraction = True
        elif c == QUOTE and nesting == 2 and quoted == inside and not ended:
            quoted, ended = not quoted, inside
        elif quoted:
            return False
        elif c == SPACE:
            ended = ended or inside
        elif c in (COMMA, CLOSE):
            if nesting == 1 and not closed and (c == COMMA or level > 0):
                return False
            closed = c == CLOSE
            if nesting == 2:
                if not inside:
                    return False
                if part < 2 and 2 * level < len(out):
                    out[2 * level + part] = number / tens[decimals]
                part += 1
                number, digits, decimals, fraction, inside, ended = 0, 0, 0, False, False, False
            if c == CLOSE:
                if nesting == 2:
                    if part < 2:
                        return False
                    level += 1
                nesting -= 1
        elif c == OPEN and nesting < 2 and not closed:
            opened = True
            nesting += 1
            part = 0
        else:
            return False
    return opened and nesting == 0


def _slowly(array: bytes, row: Floats, number: int) -> None:
    """Read an array with Python's numbers."""
    try:
        levels = msgspec.json.decode(array, type=list[list[Any]])
        parts = [float(x) for level in levels for x in (level[0], level[1])][: len(row)]
    except (msgspec.DecodeError, ValueError, TypeError, IndexError, KeyError) as error:
        raise ValueError(
            f"side {number} is no array of levels: {array[:60].decode(errors='replace')} ({error})"
        ) from error
    if not np.isfinite(parts).all():
        raise ValueError(f"side {number} has a number that is none: {array[:60].decode(errors='replace')}")
    row[: len(parts)] = parts
