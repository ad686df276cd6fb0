"""The last word on a slice: lifted until neither butterfly nor calendar can be arbitraged."""

import math

from serving.margin.surface.arbitrage import W_ROUNDING, butterfly, stays_above
from serving.margin.surface.svi import RawSvi

HALVINGS = 40
DOUBLINGS = 60
WING_MARGIN = 1 + 1e-6
STEEPEST = 1.99  # of a wing, below Lee's 2


def is_free(svi: RawSvi, previous: RawSvi | None) -> bool:
    """Whether a slice has no butterfly and never lies below the expiry before."""
    return butterfly(svi).free and (previous is None or stays_above(previous, svi))


def lifted(svi: RawSvi, previous: RawSvi | None) -> tuple[RawSvi, float]:
    r"""Raise a slice by the least constant that leaves no arbitrage; give it and what was added at the money.

    Wings beyond Lee's bound are first cut to just below it, wings flatter than those of the expiry before made as
    steep, the least variance kept. Then a constant
    is added to total variance until no strike lies below the expiry before or below where it was, and no butterfly
    is left: :math:`g \to 1 - w'^2/16 + w''/2 > 0` as w grows, for wings below 2.
    """
    steep = _as_steep(svi, previous)

    def good(tried: RawSvi) -> bool:
        return is_free(tried, previous) and (steep is svi or not _no_flatter(steep, svi) or stays_above(svi, tried))

    if good(steep):
        return steep, _rise(svi, steep)
    high = 1e-6 * max(steep.least_variance, 1e-8)
    for _ in range(DOUBLINGS):
        if good(_raised(steep, high)):
            break
        high *= 2
    low = high / 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if good(_raised(steep, middle)):
            high = middle
        else:
            low = middle
    raised = _raised(steep, high + 2 * W_ROUNDING)  # above what a check rounds away
    return raised, _rise(svi, raised)


def _raised(svi: RawSvi, by: float) -> RawSvi:
    return RawSvi(svi.a + by, svi.b, svi.rho, svi.m, svi.sigma)


def _rise(before: RawSvi, after: RawSvi) -> float:
    at_money = [s.a + s.b * (math.hypot(s.m, s.sigma) - s.rho * s.m) for s in (before, after)]
    return at_money[1] - at_money[0]


def _as_steep(svi: RawSvi, previous: RawSvi | None) -> RawSvi:
    """Wings below Lee's bound, at least as steep as those of the expiry before, the least variance as it was."""
    left, right = min(svi.left_slope, STEEPEST), min(svi.right_slope, STEEPEST)
    if previous is not None:
        left = max(left, previous.left_slope * WING_MARGIN)
        right = max(right, previous.right_slope * WING_MARGIN)
    if left == svi.left_slope and right == svi.right_slope:
        return svi
    a = svi.least_variance - svi.sigma * math.sqrt(left * right)
    return RawSvi(a, (left + right) / 2, (right - left) / (left + right), svi.m, svi.sigma)


def _no_flatter(svi: RawSvi, than: RawSvi) -> bool:
    return min(svi.left_slope - than.left_slope, svi.right_slope - than.right_slope) > -W_ROUNDING
