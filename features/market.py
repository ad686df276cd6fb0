"""Several instruments on one clock: rows of each, with those of the leading ones beside them, to features."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np
import polars as pl

from features.clock import NS_PER_S
from features.engine import Bools, Channels, Engine, Ints, State, below
from features.errors import SettingError
from features.feed import Feed
from features.plan import Plan, of_leader
from features.sight import Sight, sight_of
from features.spec import FeatureSpec
from features.terms import Floats

BLIND = "blind"  # 1 in rows after which an instrument is blind


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive rows of one instrument and the origins among them.

    ``origin_ns`` (m,), ``values`` (m, f), ``blind`` (m,); ``first_slot`` and ``channels`` (n,) of all the rows.
    """

    symbol: str
    origin_ns: Ints
    values: Floats
    blind: Bools
    first_slot: int
    channels: Channels


@dataclass(slots=True)
class Market:
    """Features of several instruments that share a spec.

    Parameters
    ----------
    spec : the features.
    kinds : for every instrument, leading ones too, the tables that its events come from.
    wanted : instruments whose features are given out; the others lead.

    Raises
    ------
    SettingError
        If a leading instrument is not there, or the tables cannot give the features.
    """

    spec: FeatureSpec
    kinds: dict[str, tuple[str, ...]]
    wanted: tuple[str, ...]
    plan: Plan = field(init=False)
    feeds: dict[str, Feed] = field(init=False)
    _engines: dict[str, Engine] = field(init=False)
    _sights: dict[str, Sight] = field(init=False)

    def __post_init__(self) -> None:
        """Set up the feeds, and an engine for every wanted instrument."""
        self.plan = Plan(self.spec)
        if not self.wanted:
            raise SettingError("features of no instrument are wanted; name one")
        if absent := [s for s in (*self.wanted, *self.plan.leaders) if s not in self.kinds]:
            raise SettingError(f"no data of {', '.join(absent)}; import them or leave out the features that they lead")
        if idle := [s for s in self.kinds if s not in (*self.wanted, *self.plan.leaders)]:
            raise SettingError(f"{', '.join(idle)}: neither wanted nor leading; leave out or ask for its features")
        self.feeds = {
            s: Feed(self.spec, self._channels(s), self.kinds[s])
            for s in dict.fromkeys((*self.wanted, *self.plan.leaders))
        }
        self._engines = {s: Engine(self.plan) for s in self.wanted}
        self._sights = {s: sight_of(self.plan) for s in self.feeds}

    def _channels(self, symbol: str) -> tuple[str, ...]:
        own = self.plan.channels_of() if symbol in self.wanted else ()
        led = self.plan.channels_of(symbol) if symbol in self.plan.leaders else ()
        return tuple(dict.fromkeys((*own, *led)))

    def take(self, symbol: str, kind: str, frame: pl.DataFrame) -> None:
        """Take rows of a canonical table of an instrument in."""
        self.feeds[symbol].take(kind, frame)

    def close(self, stop: int) -> Iterator[Rows]:
        """Give out the rows before row number ``stop`` that were not given out yet."""
        chunks = {symbol: list(feed.close(stop)) for symbol, feed in self.feeds.items()}
        for symbol, sight in self._sights.items():
            for first, channels in chunks[symbol]:
                channels[BLIND] = sight.add(channels["missing"], first).astype(np.float64)
        for symbol in self.wanted:
            for first, channels in chunks[symbol]:
                yield self._computed(symbol, first, channels, chunks)

    def _computed(
        self, symbol: str, first: int, channels: Channels, chunks: dict[str, list[tuple[int, Channels]]]
    ) -> Rows:
        n = len(channels["log_close"])
        beside, blind = dict(channels), channels[BLIND] > 0
        for leader in self.plan.leaders:
            blind = blind | ~(_aligned(chunks[leader], BLIND, first, n) == 0)  # a dead leader looks calm
            for name in self.plan.channels_of(leader):
                beside[of_leader(name, leader)] = _aligned(chunks[leader], name, first, n)
        origin_ns, values = self._engines[symbol].add(beside, first)
        step_ns = self.spec.bar_s * NS_PER_S
        at = origin_ns // step_ns - 1 - first
        return Rows(symbol, origin_ns, values, blind[at] | ~np.isfinite(values).all(axis=1), first, channels)

    def state(self) -> State:
        """Arrays to go on from after a restart."""
        return {
            f"{place}/{name}": values for place, part in self._parts().items() for name, values in part.state().items()
        }

    def restore(self, state: State) -> None:
        """Go on from the state of a market of the same spec, kinds and instruments."""
        for place, part in self._parts().items():
            part.restore(below(state, f"{place}/"))

    def _parts(self) -> dict[str, Feed | Engine | Sight]:
        feeds, engines, sights = (
            {f"{place}/{quote(symbol, safe='')}": part for symbol, part in parts.items()}
            for place, parts in (("feed", self.feeds), ("engine", self._engines), ("sight", self._sights))
        )
        return {**feeds, **engines, **sights}


def _aligned(chunks: list[tuple[int, Channels]], name: str, first: int, n: int) -> Floats:
    """A channel of another instrument at rows ``first`` to ``first + n - 1``, NaN where it has none."""
    out = np.full(n, np.nan)
    for start, channels in chunks:
        values = channels[name]
        begin, end = max(start, first), min(start + len(values), first + n)
        if end > begin:
            out[begin - first : end - first] = values[begin - start : end - start]
    return out
