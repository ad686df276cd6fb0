"""The L2 book of a synthetic market: a touch around the efficient price, levels below and above, as changes."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.schema import RESET, SNAPSHOT
from features.sources.synthetic.activity import relative_volatility
from features.sources.synthetic.factors import Floats
from features.sources.synthetic.latent import Latent
from features.sources.synthetic.walks import Ints

SPREAD_ELASTICITY = 0.5
"""Power of the relative volatility that the spread follows; depth follows its inverse."""
CRASH_WIDENING = 2.0
"""Spreads that a crash of mean size adds to the spread, and by which it divides the depth."""
REFRESH, REFRESH_TOUCH = 0.05, 0.5
"""Chance that a level, or the best one, gets a new size in a message."""
Bytes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Touch:
    """Best prices in ticks, bids then asks, and mean size of a level in lots, at each message: (m, 2), (m,)."""

    ticks: Ints
    depth_lots: Floats


def draw_touch(latent: Latent, symbol: str, every: int) -> Touch:
    """The touch at each ``every``-th instant: rounded outwards to ticks, so that bid and ask never meet."""
    i = latent.spec.index(symbol)
    instrument = latent.spec.instruments[i]
    price = np.exp(latent.log_price[i, ::every])
    stress = relative_volatility(latent, symbol)[::every] ** SPREAD_ELASTICITY
    crash = 1.0 - CRASH_WIDENING * latent.crash[i, ::every] / instrument.crash.mean_drop
    half = instrument.half_spread * price * stress * crash
    bid = np.maximum(np.floor((price - half) / instrument.tick), 1.0)
    ask = np.maximum(np.ceil((price + half) / instrument.tick), bid + 1.0)
    depth = instrument.depth_size / instrument.lot / (stress * crash)
    return Touch(np.column_stack((bid, ask)).astype(np.int64), depth)


@compiled
def draw_size(mean: float, away: int, rng: np.random.Generator) -> int:
    """Lots of a level ``away`` ticks from the touch, at least one; deeper levels hold more, up to three times."""
    scale = 0.5 * mean * min(1.0 + 0.2 * away, 3.0)
    return max(1, int(scale * rng.standard_gamma(2.0)))


@compiled
def write_changes(  # noqa: C901 - one loop, read top to bottom
    ticks: Ints, depth_lots: Floats, traded: Ints, levels: int, snapshot_every: int, rng: np.random.Generator,
    rows: Ints, best: Ints,
) -> tuple[int, Ints]:  # fmt: skip
    """Write the book's changes, message by message.

    Each side holds ``levels`` ticks from its best on: what leaves that window is deleted, what enters it is new,
    a trade takes from the best level, and some levels change by themselves. A message without a change is not
    sent. ``rows`` (r, 6) gets message, number, flags, side, tick, lots; ``best`` (m, 2) the sizes of the touch.

    Answers the number of rows written, and the rows, in more room if they needed it.
    """
    sizes = np.zeros((2, levels), dtype=np.int64)
    count, seq = 0, 0
    for m in range(len(ticks)):
        if count + 6 * levels > len(rows):
            more = np.empty((2 * len(rows) + 6 * levels, 6), dtype=np.int64)
            more[:count] = rows[:count]
            rows = more
        begin = count
        for s in range(2):
            sign = 1 - 2 * s
            top = ticks[m, s] * sign
            was = ticks[m - 1, s] * sign if m > 0 else top - levels
            for key in range(was - levels + 1, was + 1) if m > 0 else range(0):
                if key > top or key <= top - levels:
                    rows[count] = (m, 0, 0, sign, key * sign, 0)
                    count += 1
            for key in range(top, top - levels, -1):
                k, away = key % levels, top - key
                is_new = m == 0 or key > was or key <= was - levels
                chance = REFRESH_TOUCH if away == 0 else REFRESH
                if is_new or rng.random() < chance:
                    lots = draw_size(depth_lots[m], away, rng)
                elif away == 0 and traded[m, s] > 0:
                    lots = max(1, sizes[s, k] - traded[m, s])
                else:
                    continue
                if lots != sizes[s, k] or is_new:
                    sizes[s, k] = lots
                    rows[count] = (m, 0, 0, sign, key * sign, lots)
                    count += 1
            best[m, s] = sizes[s, top % levels]
        seq += 1 if count > begin and m > 0 else 0
        rows[begin:count, 1] = seq
        if m == 0:
            rows[begin:count, 2] = SNAPSHOT
            rows[0, 2] = SNAPSHOT | RESET
        elif m % snapshot_every == 0:
            begin = count
            for s in range(2):
                sign = 1 - 2 * s
                top = ticks[m, s] * sign
                for key in range(top, top - levels, -1):
                    rows[count] = (m, seq, SNAPSHOT, sign, key * sign, sizes[s, key % levels])
                    count += 1
            rows[begin, 2] = SNAPSHOT | RESET
    return count, rows


def draw_changes(
    touch: Touch, traded: Ints, levels: int, snapshot_every: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Rows of changes (r, 6) and lots at the touch (m, 2); see :func:`write_changes`."""
    messages = len(touch.ticks)
    moved = float(np.minimum(np.abs(np.diff(touch.ticks, axis=0)), levels).sum())
    room = math.ceil(2.1 * moved + messages * (2.5 + 0.1 * levels) + 2 * levels * (2 + messages // snapshot_every))
    rows, best = np.empty((room, 6), dtype=np.int64), np.empty((messages, 2), dtype=np.int64)
    count, rows = write_changes(
        touch.ticks, touch.depth_lots, traded, levels, snapshot_every, rng, rows, best
    )  # fmt: skip
    return rows[:count], best
