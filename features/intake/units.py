"""Units of time: a stamp between 1990 and 2200 is of one unit only."""

from datetime import UTC, datetime

import polars as pl

from features.clock import NS_PER_S
from features.errors import FormatError, SettingError
from features.schema import FIRST_NS, LAST_NS

UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": NS_PER_S}


def unit_ns(stamp: float) -> int:
    """Nanoseconds of the unit in which a stamp lies between 1990 and 2200.

    The four ranges do not touch, so a stamp has one unit or none.

    Raises
    ------
    ValueError
        If it lies there in no unit.

    Examples
    --------
    >>> unit_ns(1_575_158_405), unit_ns(1_575_158_405_045_139)
    (1000000000, 1000)
    """
    for scale in UNITS_NS.values():
        if FIRST_NS <= stamp * scale <= LAST_NS:
            return scale
    raise ValueError(f"{stamp} is no time between 1990 and 2200 in s, ms, us or ns")


def scale_ns(where: str, stamp: float, unit: str | None) -> int:
    """Nanoseconds of the unit of a file's stamps: what the first one's size tells, which ``unit`` may not contradict.

    Raises
    ------
    FormatError
        If the stamp is no time between 1990 and 2200 in any unit.
    SettingError
        If it is one in another unit than ``unit``.
    """
    try:
        size = unit_ns(stamp)
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None
    if unit is not None and UNITS_NS[unit] != size:
        found = next(name for name, scale in UNITS_NS.items() if scale == size)
        raise SettingError(
            f"{where} is to be in {unit}, but {stamp:.0f} is a time between 1990 and 2200 only in {found}; "
            f"give --unit {found}, or rename the column"
        )
    return size


def scaled(column: pl.Series, scale: int) -> pl.Series:
    """Whole stamps in nanoseconds; one that in this unit is no time between 1990 and 2200 becomes -1."""
    fits = column.is_between(FIRST_NS // scale, LAST_NS // scale)
    return pl.select(pl.when(fits | column.is_null()).then(column * scale).otherwise(-1)).to_series().alias(column.name)


def iso_ns(text: str) -> int:
    """Nanoseconds of an ISO-8601 text with up to nine decimals; without an offset it is UTC.

    Examples
    --------
    >>> iso_ns("2021-07-22T22:36:10.014Z")
    1626993370014000000
    >>> iso_ns("2021-04-17T16:43:37.075687Z") % NS_PER_S
    75687000
    """
    text = text.replace(",", ".")
    head, dot, tail = text.partition(".")
    digits = tail.rstrip("Z") if dot else ""
    zone = "+00:00"
    for sign in "+-":
        if sign in digits:
            digits, _, offset = digits.partition(sign)
            zone = sign + offset
    moment = datetime.fromisoformat(head.rstrip("Z") + zone if dot else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * NS_PER_S + (int(digits[:9].ljust(9, "0")) if digits else 0)


def texts_ns(column: pl.Series) -> pl.Series:
    """Nanoseconds of ISO-8601 texts; null where a text is none."""
    return pl.Series(column.name, [_iso_or_none(text) for text in column.to_list()], dtype=pl.Int64)


def _iso_or_none(text: object) -> int | None:
    try:
        return iso_ns(text) if isinstance(text, str) else None
    except ValueError:
        return None
