r"""Trades of both sides as a bivariate Hawkes process: buying excites buying, and a little selling.

.. math:: \lambda_s(t) = \mu_s(t) + \sum_{s'} A_{ss'} \int_{-\infty}^t \beta e^{-\beta (t - u)} dN_{s'}(u)
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import SettingError
from features.sources.synthetic.activity import tilt, trade_rate
from features.sources.synthetic.factors import Floats
from features.sources.synthetic.latent import Latent

Sides = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Excitation:
    """What a trade brings about: expected trades of its own side and of the other, and how fast they come."""

    own: float = 0.5
    cross: float = 0.15
    decay_per_s: float = 2.0

    def __post_init__(self) -> None:
        """Refuse a flow that would explode."""
        if min(self.own, self.cross) < 0 or self.own + self.cross >= 1 or self.decay_per_s <= 0:
            raise SettingError("a trade excites at least 0 and in all less than 1 trade, and decay_per_s is positive")

    @property
    def matrix(self) -> Floats:
        """Expected direct offspring, shape (2, 2)."""
        return np.array([[self.own, self.cross], [self.cross, self.own]])

    @property
    def dispersion(self) -> float:
        """Variance over mean of the number of trades in a long time; 1 if nothing excited."""
        return (1.0 - self.own - self.cross) ** -2


EXCITATION = Excitation()


def stationary_rates(base_per_s: Floats, excitation: Excitation) -> Floats:
    r"""Long-run rates of buying and selling.

    .. math:: \bar\lambda = (I - A)^{-1} \mu

    References
    ----------
    Hawkes (1971), "Spectra of some self-exciting and mutually exciting point processes", Biometrika 58(1).

    Examples
    --------
    >>> stationary_rates(np.array([0.35, 0.35]), Excitation()).round(6).tolist()
    [1.0, 1.0]
    """
    rates = np.linalg.solve(np.eye(2) - excitation.matrix, base_per_s)
    return rates.astype(np.float64)


@compiled
def thin(
    base: Floats, step_s: float, own: float, cross: float, decay: float, rng: np.random.Generator
) -> tuple[Floats, Sides]:
    """Draw a Hawkes process by Ogata's thinning; ``base`` (n, 2) holds base rates of buying and selling by steps.

    Between trades the rate only falls, so what it is now bounds it until the next one or the next step.
    """
    room = 1024
    times, sides, count = np.empty(room), np.empty(room, dtype=np.int8), 0
    buying, selling = 0.0, 0.0
    for k in range(len(base)):
        now, end = k * step_s, (k + 1) * step_s
        while True:
            bound = base[k, 0] + base[k, 1] + buying + selling
            wait = rng.standard_exponential() / bound if bound > 0.0 else np.inf
            gone = min(wait, end - now)
            fade = math.exp(-decay * gone)
            buying, selling = buying * fade, selling * fade
            if now + wait >= end:
                break
            now += wait
            mark = rng.random() * bound
            is_buy = mark < base[k, 0] + buying
            if not is_buy and mark >= base[k, 0] + buying + base[k, 1] + selling:
                continue
            buying += decay * (own if is_buy else cross)
            selling += decay * (cross if is_buy else own)
            if count == room:
                room *= 2
                more_times, more_sides = np.empty(room), np.empty(room, dtype=np.int8)
                more_times[:count], more_sides[:count] = times, sides
                times, sides = more_times, more_sides
            times[count], sides[count] = now, 1 if is_buy else -1
            count += 1
    return times[:count], sides[:count]


def draw_flow(
    latent: Latent, symbol: str, rng: np.random.Generator, excitation: Excitation = EXCITATION
) -> tuple[Floats, Sides]:
    """Times of trades in seconds from the path's start, and their sides (+1 bought, -1 sold), each (t,).

    Base rates follow the volatility, and their sides the recent moves of the price.
    """
    base = trade_rate(latent, symbol) * (1.0 - excitation.own - excitation.cross) / 2.0
    turned = tilt(latent, symbol)
    both = np.column_stack((base * (1.0 + turned), base * (1.0 - turned)))
    drawn: tuple[Floats, Sides] = thin(
        both, latent.step_s, excitation.own, excitation.cross, excitation.decay_per_s, rng
    )
    return drawn
