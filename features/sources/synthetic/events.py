"""Canonical tables of a synthetic market: trades at the touch, and the book's changes."""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from features.clock import NS_PER_S
from features.errors import SettingError
from features.schema import BOOK_DELTAS, TRADES, book_snapshots
from features.sources.synthetic.activity import SIZE_ELASTICITY, relative_volatility
from features.sources.synthetic.book import Touch, draw_changes, draw_touch
from features.sources.synthetic.factors import Floats
from features.sources.synthetic.flow import EXCITATION, Excitation, Sides, draw_flow
from features.sources.synthetic.latent import Latent
from features.sources.synthetic.spec import Instrument
from features.sources.synthetic.walks import Ints

DELAY_S = 0.02


@dataclass(frozen=True, slots=True)
class Feed:
    """How a venue sends: time between book messages, levels a side, time between snapshots."""

    message_s: float = 0.1
    levels: int = 20
    snapshot_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse times that are not positive, and books without a level."""
        if min(self.message_s, self.snapshot_s) <= 0 or self.levels < 1:
            raise SettingError("a feed needs message_s and snapshot_s above 0, and at least one level")


@dataclass(frozen=True, slots=True)
class Events:
    """What a venue sent of one instrument, and the best levels that the book had after each message.

    Attributes
    ----------
    trades, book_deltas : frames of the canonical tables.
    touch : frame of ``book_snapshots_1``, one row for each time of a message, sent or not.
    """

    trades: pl.DataFrame
    book_deltas: pl.DataFrame
    touch: pl.DataFrame


def draw_events(
    latent: Latent,
    symbol: str,
    rng: np.random.Generator,
    feed: Feed | None = None,
    excitation: Excitation = EXCITATION,
) -> Events:
    """Draw the events of one instrument over a path; trades print at the touch of the last message.

    Raises
    ------
    SettingError
        If the messages do not fall on the path's instants.

    Examples
    --------
    >>> from features.sources.synthetic import MarketSpec, simulate
    >>> path = simulate(MarketSpec(), 0, 60.0, 0.1, np.random.default_rng(7))
    >>> drawn = draw_events(path, "BTC-SYN", np.random.default_rng(8))
    >>> drawn.touch.select((pl.col("bid_px_0") < pl.col("ask_px_0")).all()).item(), len(drawn.touch)
    (True, 601)
    """
    feed = feed or Feed()
    every = round(feed.message_s / latent.step_s)
    if every < 1 or abs(every * latent.step_s - feed.message_s) > 1e-9:
        raise SettingError(f"messages every {feed.message_s:g} s need a path with steps that divide that time")
    instrument = latent.spec.instruments[latent.spec.index(symbol)]
    touch = draw_touch(latent, symbol, every)
    times_s, sides = draw_flow(latent, symbol, rng, excitation)
    message = np.minimum((times_s / feed.message_s).astype(np.int64), len(touch.ticks) - 1)
    sizes = _sizes(relative_volatility(latent, symbol)[(times_s / latent.step_s).astype(np.int64)], instrument, rng)
    traded = np.zeros((len(touch.ticks) + 1, 2), dtype=np.int64)
    np.add.at(traded, (message + 1, (sides > 0).astype(np.int64)), sizes)
    snapshot_every = max(1, round(feed.snapshot_s / feed.message_s))
    rows, best = draw_changes(touch, traded, feed.levels, snapshot_every, rng)
    ts_ns = latent.ts_ns[::every]
    return Events(
        _trades(ts_ns[0] + (times_s * NS_PER_S).astype(np.int64), touch, message, sides, sizes, instrument, rng),
        _changes(ts_ns, rows, instrument, rng),
        _touch(ts_ns, touch, best, instrument),
    )


def _sizes(relative: Floats, instrument: Instrument, rng: np.random.Generator) -> Ints:
    """Sizes of trades in lots, exponential, at least one."""
    mean = instrument.trade_size / instrument.lot * relative**SIZE_ELASTICITY
    return np.maximum(1, np.round(mean * rng.standard_exponential(len(mean)))).astype(np.int64)


def _arrivals(ts_ns: Ints, rng: np.random.Generator) -> Ints:
    """Times of receipt: a delay that varies, in the order of the events."""
    delay = DELAY_S * 0.25 * rng.standard_gamma(4.0, len(ts_ns))
    return np.maximum.accumulate(ts_ns + (delay * NS_PER_S).astype(np.int64))


def _scaled(counts: Ints, unit: float) -> Floats:
    """Whole numbers of ticks or lots as the decimals that a venue would print."""
    return np.round(counts * unit, max(0, 2 - math.floor(math.log10(unit))))


def _trades(
    ts_ns: Ints, touch: Touch, message: Ints, sides: Sides, sizes: Ints, instrument: Instrument,
    rng: np.random.Generator,
) -> pl.DataFrame:  # fmt: skip
    ticks = touch.ticks[message, (sides > 0).astype(np.int64)]
    cells = {"ts_ns": ts_ns, "local_ns": _arrivals(ts_ns, rng), "seq": 1 + np.arange(len(ts_ns)), "side": sides}
    prices = {"price": _scaled(ticks, instrument.tick), "size": _scaled(sizes, instrument.lot)}
    return TRADES.conform(pl.DataFrame(cells | prices))


def _changes(ts_ns: Ints, rows: Ints, instrument: Instrument, rng: np.random.Generator) -> pl.DataFrame:
    message, number, flags, side, ticks, lots = rows.T
    local_ns = _arrivals(ts_ns, rng)[message]
    seq = 1 + number
    cells = {"ts_ns": ts_ns[message], "local_ns": local_ns, "seq": seq, "prev_seq": np.where(flags, -1, seq - 1)}
    prices = {"price": _scaled(ticks, instrument.tick), "size": _scaled(lots, instrument.lot)}
    return BOOK_DELTAS.conform(pl.DataFrame(cells | {"flags": flags, "side": side} | prices))


def _touch(ts_ns: Ints, touch: Touch, best: Ints, instrument: Instrument) -> pl.DataFrame:
    prices, sizes = _scaled(touch.ticks, instrument.tick), _scaled(best, instrument.lot)
    cells = {"bid_px_0": prices[:, 0], "bid_sz_0": sizes[:, 0], "ask_px_0": prices[:, 1], "ask_sz_0": sizes[:, 1]}
    return book_snapshots(1).conform(pl.DataFrame({"ts_ns": ts_ns, **cells}))
