"""What the name of a feature means.

A feature is ``family_LOOKBACK`` (``log_rv_4h``); a family with a number of levels or a notional is
``family_N_LOOKBACK`` (``ofi_5_60s``); one of the clock stands alone (``weekend``). A leading instrument's feature has
its symbol in front: ``BTCUSDT.log_rv_4h``. Look-backs are whole numbers of s, m, h or d.

A value is known at its origin: it uses rows that had closed by then and no other. Variances are logs of the hourly
rate, floored far below any traded hour, so that a frozen tape gives a low number and not minus infinity. Where
nothing can be said (no trade, an unknown book, a window that is not full) the value is NaN, never 0.
"""

import re
from dataclasses import dataclass

from features.clock import DAY_S, HOUR_S
from features.errors import SettingError, lookup
from features.families import BOOK_FAMILIES_OF_N, CROSS_FAMILIES, FAMILIES, Family
from features.families.family import Look

MOST_ROWS = 10_000_000
UNIT_S = {"s": 1, "m": 60, "h": HOUR_S, "d": DAY_S}
LOOKBACK = re.compile(r"(?P<stem>.+?)_(?P<count>[1-9]\d*)(?P<unit>[smhd])")
NUMBERED = re.compile(r"(?P<stem>.+)_(?P<number>[1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of a panel."""

    name: str
    leader: str
    family: Family
    look: Look


def parse(name: str, bar_s: int) -> Feature:
    """Read a feature's name.

    Raises
    ------
    SettingError
        If the family is unknown, or the look-back is missing or no whole number of rows.

    Examples
    --------
    >>> parse("log_rv_4h", 900).look.rows, parse("ofi_5_60s", 1).look.rows, parse("BTCUSDT.log_rv_1h", 300).leader
    (16, 60, 'BTCUSDT')
    """
    leader, dot, rest = name.rpartition(".")
    match = LOOKBACK.fullmatch(rest)
    stem = match["stem"] if match else rest
    family = _family(stem, is_cross=bool(leader) and stem in CROSS_FAMILIES)
    if dot and (not leader or family.clock):
        raise SettingError(f"feature {name!r}: nothing leads it; write {rest}, or name the leader of another family")
    if match is None:
        if family.looks_back:
            raise SettingError(f"feature {name!r} has no look-back; write for example {name}_24h")
        return Feature(name, leader, family, Look(1, bar_s))
    if not family.looks_back:
        raise SettingError(f"feature {name!r} takes no look-back; write {stem}")
    seconds = int(match["count"]) * UNIT_S[match["unit"]]
    if seconds < family.least_rows * bar_s:
        raise SettingError(
            f"feature {name!r} needs at least {family.least_rows} rows of {bar_s} s; lengthen its look-back"
        )
    if seconds > MOST_ROWS * bar_s:
        raise SettingError(f"feature {name!r}: more than {MOST_ROWS:,} rows of {bar_s} s; shorten the look-back")
    if seconds % bar_s:
        raise SettingError(
            f"feature {name!r}: {seconds} s is no whole number of rows of {bar_s} s; change the look-back"
        )
    return Feature(name, leader, family, Look(seconds // bar_s, bar_s))


def _family(stem: str, *, is_cross: bool) -> Family:
    if is_cross:
        return CROSS_FAMILIES[stem]
    numbered = NUMBERED.fullmatch(stem)
    if numbered and numbered["stem"] in BOOK_FAMILIES_OF_N:
        return BOOK_FAMILIES_OF_N[numbered["stem"]](int(numbered["number"]))
    if stem in CROSS_FAMILIES:
        raise SettingError(f"feature family {stem!r} needs a leading instrument; write for example BTCUSDT.{stem}_24h")
    if stem in BOOK_FAMILIES_OF_N:
        raise SettingError(
            f"feature family {stem!r} needs a number of levels or a notional; write for example {stem}_5_60s"
        )
    known = {**FAMILIES, **CROSS_FAMILIES, **{f"{name}_N": None for name in BOOK_FAMILIES_OF_N}}
    lookup(known, stem, "feature family")
    return FAMILIES[stem]
