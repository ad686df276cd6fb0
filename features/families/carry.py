"""Families of derivatives' rates: funding, basis, open interest, as last known."""

import numpy as np

from features.families.family import Family, Look, Sum, mean
from features.terms import Floats, Term, channel

OPEN_INTEREST_MOVE = Term(("open_interest",), lambda x: np.diff(np.log(np.where(x > 0, x, np.nan))), memory=1)


def _total(_look: Look, total: Floats) -> Floats:
    return total


CARRY_FAMILIES: dict[str, Family] = {
    "funding": Family(
        "mean funding rate a year, as last known", "fraction per year", (Sum(channel("funding_annual")),), mean
    ),
    "basis": Family(
        "1e4 × mean (mark − index)/index", "basis points", (Sum(Term(("basis_frac",), lambda x: 1e4 * x)),), mean
    ),
    "open_interest": Family("Σ ln change of open interest", "log change", (Sum(OPEN_INTEREST_MOVE),), _total),
}
