"""Families of an instrument and the one that leads it: ``BTCUSDT.beta_24h``."""

import numpy as np

from features.families.family import Family, Look, Sum, positive, ratio
from features.terms import SQUARE, Floats, Term

CROSS = Term(("log_return", "leader.log_return"), np.multiply)
LEADER_SQUARE = Term(("leader.log_return",), np.square)
SPREAD = Term(("log_return", "leader.log_return"), lambda r, lead: np.square(r - lead))


def _correlation(_look: Look, cross: Floats, square: Floats, leaders: Floats) -> Floats:
    return cross / np.sqrt(positive(square) * positive(leaders))


CROSS_FAMILIES: dict[str, Family] = {
    "beta": Family("Σ r r_lead / Σ r_lead²", "1", (Sum(CROSS), Sum(LEADER_SQUARE)), ratio),
    "correlation": Family(
        "Σ r r_lead / √(Σ r² Σ r_lead²)", "1", (Sum(CROSS), Sum(SQUARE), Sum(LEADER_SQUARE)), _correlation, least_rows=2
    ),
    "tracking": Family("Σ (r − r_lead)² / Σ r_lead²", "1", (Sum(SPREAD), Sum(LEADER_SQUARE)), ratio),
}
