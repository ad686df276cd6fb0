"""A synthetic market whose law is known: prices, books and trades to test on, and an oracle to be scored against.

It reads no file and is no entry of ``SOURCES``. docs/synthetic.md has the law.
"""

from features.sources.synthetic.bars import to_bars
from features.sources.synthetic.events import Events, Feed, draw_events
from features.sources.synthetic.factors import Crash, Factor, own_factor
from features.sources.synthetic.faults import inflict
from features.sources.synthetic.flow import Excitation, stationary_rates
from features.sources.synthetic.latent import Latent, State, draw_state, simulate
from features.sources.synthetic.oracle import LEVELS, Oracle, Truth
from features.sources.synthetic.spec import Instrument, MarketSpec

__all__ = [
    "LEVELS",
    "Crash",
    "Events",
    "Excitation",
    "Factor",
    "Feed",
    "Instrument",
    "Latent",
    "MarketSpec",
    "Oracle",
    "State",
    "Truth",
    "draw_events",
    "draw_state",
    "inflict",
    "own_factor",
    "simulate",
    "stationary_rates",
    "to_bars",
]
