"""Families of trades: volume, its sign, its rhythm, and what it does to the price."""

import numpy as np

from features.clock import DAY_S
from features.families.family import Family, Look, Sum, positive, ratio, slope
from features.orderflow import vpin
from features.terms import RETURN, Floats, Term, channel, earlier

MILLION = 1e6
WEEK_S, WEEKS = 7 * DAY_S, 4
USUAL_S = 30 * DAY_S
VOLUME, TRADES, SIGNED = channel("volume"), channel("trades"), channel("signed_volume")
SIGNED_QUOTE = Term(("signed_quote",), lambda q: q / MILLION)
SIGNED_QUOTE_SQUARE = Term(("signed_quote",), lambda q: np.square(q / MILLION))
RETURN_SIGNED_QUOTE = Term(("log_return", "signed_quote"), lambda r, q: r * (q / MILLION))
PAID = channel("paid_spread")
BUCKETS = 50
LATER = 5  # rows after which the mid shows what a trade moved


def _illiquidity(log_return: Floats, quote_volume: Floats) -> Floats:
    """Size of the move for a million traded; 0 in rows without volume, which are left out of the mean."""
    traded = ~(quote_volume <= 0) | np.isnan(log_return)
    return np.divide(MILLION * np.abs(log_return), quote_volume, out=np.zeros_like(log_return), where=traded)


def _kept_spread(signed_quote: Floats, signed_volume: Floats, mid: Floats) -> Floats:
    """Twice what the makers keep of the trades ``LATER`` rows ago, against the mid of now."""
    ago = slice(1, len(mid) - LATER)
    return 2 * (signed_quote[ago] - mid[1 + LATER :] * signed_volume[ago]) / mid[: -1 - LATER]


KEPT = Term(("signed_quote", "signed_volume", "mid"), _kept_spread, memory=LATER + 1)
ILLIQUIDITY = Term(("log_return", "quote_volume"), _illiquidity)
TRADED = Term(("quote_volume",), lambda q: np.where(np.isnan(q), np.nan, np.sign(q)))


def _log_relative(look: Look, recent: Floats, usual: Floats) -> Floats:
    """Log of the rate over the look-back against a longer time's; it ends at a millionth."""
    usual_rows = USUAL_S // look.bar_s
    return np.log(recent / look.rows / (positive(usual) / usual_rows) + 1e-6)


def _week_relative(look: Look, recent: Floats, *before: Floats) -> Floats:
    """Log of the volume against the mean of the same hours of the weeks before; it ends at a millionth."""
    del look
    return np.log(recent / positive(np.mean(before, axis=0)) + 1e-6)


def _vpin(_look: Look, volume: Floats, buy_volume: Floats) -> Floats:
    return vpin(volume, buy_volume, BUCKETS)


def _log_intensity(look: Look, trades: Floats) -> Floats:
    return np.log((trades + 1.0) / (look.rows * look.bar_s))


def _log_quote(_look: Look, quote: Floats) -> Floats:
    return np.log1p(quote)


def _kyle(look: Look, x: Floats, y: Floats, xy: Floats, xx: Floats) -> Floats:
    return slope(look.rows, x, y, xy, xx)


def _basis_points(_look: Look, paid: Floats, volume: Floats) -> Floats:
    return 1e4 * paid / positive(volume)


_KYLE = (Sum(SIGNED_QUOTE), Sum(RETURN), Sum(RETURN_SIGNED_QUOTE), Sum(SIGNED_QUOTE_SQUARE))
_WEEKS_AGO = tuple(Sum(VOLUME, ago_s=week * WEEK_S) for week in range(1, WEEKS + 1))
FLOW_FAMILIES: dict[str, Family] = {
    "log_volume": Family(
        "ln(mean volume / its mean over 30 days)", "1", (Sum(VOLUME), Sum(VOLUME, over_s=USUAL_S)), _log_relative
    ),
    "week_volume": Family(
        "ln(volume / mean volume of the same hours of the 4 weeks before)", "1",
        (Sum(VOLUME), *_WEEKS_AGO), _week_relative,
    ),
    "log_quote": Family("ln(1 + Σ quote volume)", "log quote currency", (Sum(channel("quote_volume")),), _log_quote),
    "log_intensity": Family("ln((1 + trades) / s)", "log trades per second", (Sum(TRADES),), _log_intensity),
    "signed": Family("Σ signed volume / Σ volume", "share, −1 to 1", (Sum(SIGNED), Sum(VOLUME)), ratio),
    "vpin": Family(
        "mean of |2 bought/V − 1| over 50 buckets of equal volume V", "share",
        direct=(("volume", "buy_volume"), _vpin),
    ),
    "amihud": Family("mean |r| per million of quote currency", "1 / million", (Sum(ILLIQUIDITY), Sum(TRADED)), ratio),
    "kyle": Family("slope of r on signed millions of quote currency", "1 / million", _KYLE, _kyle, least_rows=3),
    "effective_spread": Family(
        "2 Σ q s (p − m)/m / Σ q, m the mid before the row", "basis points", (Sum(PAID), Sum(VOLUME)), _basis_points
    ),
    "realised_spread": Family(
        "2 Σ q s (p − m₊₅)/m / Σ q, m₊₅ the mid five rows later, known then", "basis points",
        (Sum(KEPT), Sum(earlier("volume", LATER))), _basis_points,
    ),
}  # fmt: skip
