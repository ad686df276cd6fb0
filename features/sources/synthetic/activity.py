"""How busy a synthetic market is, and on which side: what bars and trades have in common."""

import math

import numpy as np

from features.compiled import compiled
from features.sources.synthetic.factors import YEAR_S, Floats
from features.sources.synthetic.latent import Latent

TILT = 0.6
"""How far a strong move of the price turns the flow to its side: 1 would leave the other side none."""
MEMORY_S = 5.0
SIZE_ELASTICITY = 0.5
"""Power of the relative volatility that trade sizes follow; the number of trades follows it itself."""


def relative_volatility(latent: Latent, symbol: str) -> Floats:
    """Volatility at each instant over its long-run mean square root, shape (n,)."""
    instrument = latent.spec.instruments[latent.spec.index(symbol)]
    relative: Floats = np.sqrt(latent.spot_variance(symbol) / instrument.diffusion_variance(latent.spec.market))
    return relative


def trade_rate(latent: Latent, symbol: str) -> Floats:
    """Trades per second, both sides and all that they excite, expected in each step from its first state, (n - 1,)."""
    instrument = latent.spec.instruments[latent.spec.index(symbol)]
    rate: Floats = instrument.trades_per_s * relative_volatility(latent, symbol)[:-1]
    return rate


def tilt(latent: Latent, symbol: str) -> Floats:
    """Side to which recent moves turn each step's flow, from -TILT (selling) to TILT (buying), shape (n - 1,).

    Moves count in units of the volatility, the step's own in full and former ones by what is left of them after
    MEMORY_S. What is to come does not count: the flow tells nothing of the future that the price does not.
    """
    moves = np.diff(latent.log_price[latent.spec.index(symbol)])
    scale = np.sqrt(latent.spot_variance(symbol)[:-1] * latent.step_s / YEAR_S)
    recent = np.empty(len(moves))
    smooth(moves / scale, math.exp(-latent.step_s / MEMORY_S), recent)
    turned: Floats = TILT * np.tanh(recent)
    return turned


@compiled
def smooth(values: Floats, keep: float, out: Floats) -> None:
    """Weighted sums of past values, each weighing ``keep`` times the next; of unit variance if the values are."""
    state, gain = 0.0, math.sqrt(1.0 - keep**2)
    for i in range(len(values)):
        state = keep * state + gain * values[i]
        out[i] = state
