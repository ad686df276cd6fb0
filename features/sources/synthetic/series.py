"""Cosine series of many laws at once: ranges that hold them, and as many terms as they need."""

import math
from dataclasses import dataclass

import numpy as np

from features.errors import ForecastError
from features.sources.synthetic import cosine, law
from features.sources.synthetic.conditional import Moments, Rows, characteristic
from features.sources.synthetic.factors import Crash, Factor, Floats
from features.sources.synthetic.spec import Instrument
from features.sources.synthetic.walks import Ints

LEFT_OUT = 1e-10
"""Probability that the range of the cosine series may miss at the crashes' end."""
SPREADS, JUMP_SPREADS = 14.0, 8.0
FLAT = 1e-9
MOST_TERMS = 1 << 16
BIN = 1.5
"""Origins whose volatilities differ by up to this factor share a range."""
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """Laws that share a range: their rows, its left end and width, the mean's distance from it, coefficients (n, m)."""

    rows: Ints
    left: float
    width: float
    mean: float
    coefficients: Floats


def reach(market: Factor, instrument: Instrument, deviation: float, years: float) -> tuple[float, float]:
    """How far below and above its mean a law may come: many standard deviations, a rare jump and a rare crash."""
    usual = SPREADS * deviation + _jump_reach(market, abs(instrument.beta)) + _jump_reach(instrument.own, 1.0)
    return usual + _crash_reach(instrument.crash, years), usual


def _jump_reach(factor: Factor, beta: float) -> float:
    return beta * (abs(factor.jump_mean) + JUMP_SPREADS * factor.jump_std) * bool(factor.intensities.any())


def _crash_reach(crash: Crash, years: float) -> float:
    expected = crash.per_year * years
    return crash.mean_drop * max(math.log(expected / LEFT_OUT), 0.0) if expected > 0 else 0.0


def series_of(market: Factor, instrument: Instrument, states: Rows, moments: Moments, years: float) -> list[Part]:
    """Origins in groups of like volatility, each with a range and a cosine series of its own."""
    vol = np.sqrt(moments.diffusion)
    group = np.floor(np.log(vol / vol.min()) / math.log(BIN)).astype(np.int64) if len(vol) else np.empty(0)
    parts = []
    for label in np.unique(group):
        rows = np.flatnonzero(group == label)
        center = float(law.crash_moments(instrument.crash, years)[0])
        below, above = reach(market, instrument, math.sqrt(moments.variance[rows].max()), years)
        width = below + above
        calmest = int(rows[vol[rows].argmin()])
        terms = _terms(market, instrument, states.take(np.array([calmest])), float(vol[calmest]), width, years)
        u = np.pi / width * np.arange(terms, dtype=np.float64)
        size = max(CHUNK // terms, 1)
        for first in range(0, len(rows), size):
            some = rows[first : first + size]
            function = characteristic(market, instrument, states.take(some), u, years)
            real = (function * np.exp(-1j * u * (center - below))).real
            parts.append(Part(some, center - below, width, below, cosine.coefficients_of(real, width)))
    return parts


def _terms(market: Factor, instrument: Instrument, calmest: Rows, vol: float, width: float, years: float) -> int:
    """Number of terms after which the calmest law's characteristic function is flat, by a bound in closed form."""
    far = 5.0 / vol * np.power(1.1, np.arange(100.0))
    bound = law.largest(market, instrument.beta * far, years, float(calmest.market_variance[0]))
    bound *= law.largest(instrument.own, far, years, float(calmest.own_variance[0]))
    terms = math.ceil(float(far[int(np.argmax(bound < FLAT))]) * width / math.pi) + 1
    if bound[-1] > FLAT or terms > MOST_TERMS:
        raise ForecastError("the law is too rough for its series; lower the dispersion or lengthen the horizon")
    return terms
