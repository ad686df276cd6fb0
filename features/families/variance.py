"""Families of returns and ranges: variance at several scales, its parts, and moves in its units."""

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from features.families.family import Family, Look, Sum, positive
from features.measures.jumps import RATIO_VARIANCE
from features.measures.kernel import parzen
from features.measures.quarticity import absolute_moment
from features.measures.truncation import MED_SCALE, MIN_SCALE
from features.terms import RETURN, SQUARE, Floats, Term, of_returns

VARIANCE_FLOOR = 1e-9  # per hour: a third of a basis point of price
SLOW_ROWS = 5  # of the slow scale in two_scale


def _median_of_three(x: Floats) -> Floats:
    a, b, c = x[:-2], x[1:-1], x[2:]
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


CUBE = of_returns(lambda r: r * r * r)
FOURTH = of_returns(lambda r: np.square(np.square(r)))
DOWN_SQUARE = of_returns(lambda r: np.square(np.minimum(r, 0.0)))
BIPOWER = of_returns(lambda r: np.abs(r[1:] * r[:-1]), span=2)
MIN_SQUARE = of_returns(lambda r: np.square(np.minimum(np.abs(r[1:]), np.abs(r[:-1]))), span=2)
MEDIAN_SQUARE = of_returns(lambda r: np.square(_median_of_three(np.abs(r))), span=3)
TRI_POWER = of_returns(lambda r: np.cbrt(np.square(np.square(r[2:] * r[1:-1] * r[:-2]))), span=3)
SLOW_SQUARE = of_returns(lambda r: np.square(sliding_window_view(r, SLOW_ROWS).sum(axis=-1)), span=SLOW_ROWS)

KERNEL_ROWS = 5  # bandwidth of the realised kernel


def _at_lag(lag: int) -> Term:
    return of_returns(lambda r: r[lag:] * r[: max(len(r) - lag, 0)], span=lag + 1)


KERNEL_TERMS = tuple(_at_lag(lag) for lag in range(KERNEL_ROWS + 1))

_OHLC = ("log_open", "log_high", "log_low", "log_close")
RANGE_SQUARE = Term(("log_high", "log_low"), lambda h, low: np.square(h - low))
GARMAN_KLASS = Term(_OHLC, lambda o, h, low, c: 0.5 * np.square(h - low) - (2 * np.log(2) - 1) * np.square(c - o))
ROGERS_SATCHELL = Term(_OHLC, lambda o, h, low, c: (h - o) * (h - c) + (low - o) * (low - c))


def _after(compute: Callable[[Floats, Floats, Floats, Floats, Floats], Floats]) -> Term:
    """A function of a bar and of the close before it: of a window's first bar only the close counts."""
    return Term(_OHLC, lambda o, h, low, c: compute(c[:-1], o[1:], h[1:], low[1:], c[1:]), span=2)


YANG_ZHANG_TERMS = (
    _after(lambda before, o, _h, _low, _c: o - before),
    _after(lambda before, o, _h, _low, _c: np.square(o - before)),
    _after(lambda _before, o, _h, _low, c: c - o),
    _after(lambda _before, o, _h, _low, c: np.square(c - o)),
    _after(lambda _before, o, h, low, c: (h - o) * (h - c) + (low - o) * (low - c)),
)


def log_rate(look: Look, variance: Floats) -> Floats:
    """Log of a variance over the look-back, per hour."""
    return np.log(np.maximum(variance * (1 / look.hours), VARIANCE_FLOOR))


def log_rate_if_any(look: Look, variance: Floats) -> Floats:
    """Log of a measure that subtracts what it takes for noise, per hour; NaN where that came out negative."""
    return log_rate(look, np.where(variance < 0, np.nan, variance))


def _scaled(scale: float, span: int = 1) -> Callable[..., Floats]:
    """Log rate of a scaled sum; one of fewer values than the window has returns is brought up to their number."""

    def finish(look: Look, total: Floats) -> Floats:
        return log_rate(look, scale * look.rows / (look.rows - span + 1) * total)

    return finish


def _bipower(look: Look, total: Floats) -> Floats:
    return log_rate(look, np.pi / 2 * total)


def _two_scale(look: Look, slow: Floats, fast: Floats) -> Floats:
    n, k = look.rows, SLOW_ROWS
    mean_rows = (n - k + 1) / k
    return log_rate_if_any(look, n / ((k - 1) * mean_rows) * (slow / k - mean_rows / n * fast))


def kernel_variance(_look: Look, square: Floats, *lagged: Floats) -> Floats:
    """Parzen realised kernel from the sums of products of returns 0 to ``KERNEL_ROWS`` rows apart; not negative."""
    total = square.copy()
    weights = 2 * parzen(np.arange(1, len(lagged) + 1) / (len(lagged) + 1))
    for weight, products in zip(weights, lagged, strict=True):
        total += weight * products
    variance: Floats = np.maximum(total, 0.0)
    return variance


def _kernel(look: Look, *sums: Floats) -> Floats:
    return log_rate(look, kernel_variance(look, *sums))


def _yang_zhang(look: Look, gap: Floats, gap2: Floats, body: Floats, body2: Floats, rs: Floats) -> Floats:
    m = look.rows - 1
    k = 0.34 / (1.34 + (m + 1) / (m - 1))
    gaps = (gap2 - np.square(gap) / m) / (m - 1)
    bodies = (body2 - np.square(body) / m) / (m - 1)
    return log_rate(look, look.rows * (gaps + k * bodies + (1 - k) * rs / m))


def floor_of(look: Look) -> float:
    """The least variance over a look-back that counts."""
    return VARIANCE_FLOOR * look.hours


def _downside(look: Look, down: Floats, square: Floats) -> Floats:
    return (down + floor_of(look) / 2) / (square + floor_of(look))


def _rq_ratio(look: Look, fourth: Floats, square: Floats) -> Floats:
    return np.log((np.sqrt(look.rows / 3 * fourth) + floor_of(look)) / (square + floor_of(look)))


def _jump_share(look: Look, square: Floats, bipower: Floats) -> Floats:
    smooth = np.pi / 2 * look.rows / (look.rows - 1) * bipower
    return np.maximum(square - smooth, 0.0) / (square + floor_of(look))


def _jump_z(look: Look, square: Floats, bipower: Floats, tri_power: Floats) -> Floats:
    n = look.rows
    smooth = np.pi / 2 * n / (n - 1) * bipower
    quarticity = n * n / (n - 2) * absolute_moment(4 / 3) ** -3 * tri_power
    widening = np.maximum(1.0, quarticity / np.square(positive(smooth)))
    z: Floats = (1 - smooth / positive(square)) / np.sqrt(RATIO_VARIANCE / n * widening)
    return z


def _move(look: Look, total: Floats, square: Floats) -> Floats:
    return total / np.sqrt(square + floor_of(look))


def _skewness(look: Look, cube: Floats, square: Floats) -> Floats:
    skewness: Floats = np.sqrt(look.rows) * cube / np.power(positive(square), 1.5)
    return skewness


def _kurtosis(look: Look, fourth: Floats, square: Floats) -> Floats:
    return look.rows * fourth / np.square(positive(square))


def _total(_look: Look, total: Floats) -> Floats:
    return total


_RATE = "log variance per hour"
VARIANCE_FAMILIES: dict[str, Family] = {
    "log_return": Family("Σ r", "log return", (Sum(RETURN),), _total),
    "log_rv": Family("ln(Σ r² / h)", _RATE, (Sum(SQUARE),), log_rate),
    "log_bv": Family("ln(π/2 Σ |rᵢ||rᵢ₋₁| / h)", _RATE, (Sum(BIPOWER),), _bipower),
    "log_minrv": Family(
        "ln(π/(π−2) n/(n−1) Σ min(|rᵢ|,|rᵢ₋₁|)² / h)", _RATE, (Sum(MIN_SQUARE),), _scaled(MIN_SCALE, 2)
    ),
    "log_medrv": Family(
        "ln(π/(6−4√3+π) n/(n−2) Σ med(|rᵢ|,|rᵢ₋₁|,|rᵢ₋₂|)² / h)", _RATE,
        (Sum(MEDIAN_SQUARE),), _scaled(MED_SCALE, 3),
    ),
    "log_two_scale": Family(
        "ln of two-scale RV per hour, slow scale of five rows", _RATE, (Sum(SLOW_SQUARE), Sum(SQUARE)), _two_scale
    ),
    "log_kernel": Family(
        "ln of the Parzen realised kernel per hour, bandwidth five rows", _RATE,
        tuple(Sum(term) for term in KERNEL_TERMS), _kernel,
    ),
    "log_range": Family("ln(Σ (H−L)² / (4 ln 2) / h)", _RATE, (Sum(RANGE_SQUARE),), _scaled(1 / (4 * np.log(2)))),
    "log_garman_klass": Family(
        "ln(Σ ½(H−L)² − (2 ln 2 − 1)(C−O)² / h)", _RATE, (Sum(GARMAN_KLASS),), log_rate_if_any
    ),
    "log_rogers_satchell": Family(
        "ln(Σ (H−O)(H−C) + (L−O)(L−C) / h)", _RATE, (Sum(ROGERS_SATCHELL),), _scaled(1.0)
    ),
    "log_yang_zhang": Family(
        "ln of the Yang–Zhang variance per hour", _RATE,
        tuple(Sum(term) for term in YANG_ZHANG_TERMS), _yang_zhang, least_rows=3,
    ),
    "downside": Family("(Σ r²[r<0] + φ/2) / (Σ r² + φ)", "share", (Sum(DOWN_SQUARE), Sum(SQUARE)), _downside),
    "jump_share": Family("max(RV − BV n/(n−1), 0) / (RV + φ)", "share", (Sum(SQUARE), Sum(BIPOWER)), _jump_share),
    "jump_z": Family(
        "(1 − B/RV) / √((π²/4 + π − 5)/n max(1, TPQ/B²)), B = BV n/(n−1)", "standard errors",
        (Sum(SQUARE), Sum(BIPOWER), Sum(TRI_POWER)), _jump_z,
    ),
    "rq_ratio": Family("ln((√RQ + φ) / (RV + φ))", "1", (Sum(FOURTH), Sum(SQUARE)), _rq_ratio),
    "move": Family("Σ r / √(Σ r² + φ)", "volatilities", (Sum(RETURN), Sum(SQUARE)), _move),
    "skewness": Family("√n Σ r³ / (Σ r²)^1.5", "1", (Sum(CUBE), Sum(SQUARE)), _skewness, least_rows=3),
    "kurtosis": Family("n Σ r⁴ / (Σ r²)²", "1", (Sum(FOURTH), Sum(SQUARE)), _kurtosis, least_rows=4),
}  # fmt: skip

ROLLED = {
    "realised_variance": "log_rv",
    "bipower_variation": "log_bv",
    "min_realised_variance": "log_minrv",
    "med_realised_variance": "log_medrv",
    "two_scale_variance": "log_two_scale",
    "parkinson": "log_range",
    "garman_klass": "log_garman_klass",
    "rogers_satchell": "log_rogers_satchell",
    "yang_zhang": "log_yang_zhang",
    "bns_jump_statistic": "jump_z",
    "realised_skewness": "skewness",
    "realised_kurtosis": "kurtosis",
}
"""Measures that have a rolled family, which answers the same of every window."""
