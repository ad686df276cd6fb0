"""The law of one instrument's change over a horizon, given the states that it starts from: moments, transform."""

import math
from dataclasses import dataclass

import numpy as np

from features.sources.synthetic import law
from features.sources.synthetic.factors import Factor, Floats
from features.sources.synthetic.regimes import Complexes
from features.sources.synthetic.spec import Instrument
from features.sources.synthetic.walks import Ints


@dataclass(frozen=True, slots=True)
class Rows:
    """States of one instrument at n origins, each of shape (n,)."""

    regime: Ints
    market_variance: Floats
    own_variance: Floats
    crash: Floats

    def take(self, chosen: Ints) -> "Rows":
        """Some of the states."""
        market, own, crash = (values[chosen] for values in (self.market_variance, self.own_variance, self.crash))
        return Rows(self.regime[chosen], market, own, crash)


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the change over one horizon at n origins, each (n,); ``recovery`` is known beforehand, ``mean`` has it in."""

    mean: Floats
    recovery: Floats
    diffusion: Floats
    variance: Floats
    quadratic_variation: Floats


def moments_of(market: Factor, instrument: Instrument, states: Rows, years: float) -> Moments:
    """Means and variances in closed form."""
    a, d, jumps = law.factor_moments(market, years)
    own_a, own_d, own_jumps = law.factor_moments(instrument.own, years)
    drift, crash, crash_squares = law.crash_moments(instrument.crash, years)
    diffusion = instrument.beta**2 * (a * states.market_variance + d[states.regime])
    diffusion = diffusion + own_a * states.own_variance + own_d[0]
    smooth = diffusion + instrument.beta**2 * jumps[states.regime] + own_jumps[0]
    recovery = states.crash * math.expm1(-instrument.crash.recovery * years)
    return Moments(recovery + drift, recovery, diffusion, smooth + crash, smooth + crash_squares)


def characteristic(market: Factor, instrument: Instrument, states: Rows, u: Floats, years: float) -> Complexes:
    """Characteristic function of the change less what is known of it, the recovery; shape (n, m)."""
    b, g = law.factor_exponents(market, instrument.beta * u, years)
    own_b, own_g = law.factor_exponents(instrument.own, u, years)
    own = own_g[0] * law.crash_function(instrument.crash, u, years)
    exponent = states.market_variance[:, None] * b + states.own_variance[:, None] * own_b
    result: Complexes = np.exp(exponent) * (g * own)[states.regime]
    return result
