"""Which stored tables the features of an instrument are made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.errors import SettingError, UnknownInstrumentError
from features.feed import group_of
from features.files import sha256_of
from features.fronts.rates import RATE_CHANNELS
from features.fronts.trades import FLOW_CHANNELS, PRICE_CHANNELS
from features.plan import Plan
from features.spec import FeatureSpec
from features.store import Series, Store
from features.tape import Stream, Tape

# Changes and orders know more than recorded books; single trades more than aggregated ones.
NOT_OF_BARS = {"paid_spread"}
OF_BARS = {*PRICE_CHANNELS, *FLOW_CHANNELS, *(name for names in RATE_CHANNELS.values() for name in names)}
MOST_NAMES = 20
PREFERRED = ("order_events", "book_deltas", "book_snapshots", "trades", "agg_trades", "funding", "open_interest")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The stored tables of one instrument, one for each group of kinds."""

    root: Path
    symbol: str
    tables: tuple[Series | Stream, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the tables."""
        return tuple(kind(table) for table in self.tables)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything in them."""
        parts = []
        for table in self.tables:
            if isinstance(table, Series):
                parts.append([table.folder, Store(self.root).fingerprint(table)])
            else:
                parts.append([table.folder, *sorted(part.sha256 for part in Tape(self.root).parts(table))])
        return sha256_of(parts)

    def frames(self, table: Series | Stream) -> Iterator[pl.DataFrame]:
        """Rows of one of the tables, in the order in which they came."""
        if isinstance(table, Series):
            yield pl.from_pandas(Store(self.root).scan(table), nan_to_null=False)
        else:
            yield from Tape(self.root).scan(table)


def kind(table: Series | Stream) -> str:
    """Kind of a stored table."""
    return f"bars_{table.bar_s}s" if isinstance(table, Series) else table.kind


def find_inputs(root: Path, venue: str | None, symbol: str, spec: FeatureSpec) -> Inputs:
    """The tables of an instrument that a spec can be computed from.

    Bars of the spec's length are taken where the features need no book and no trades one by one; else the events are.

    Raises
    ------
    UnknownInstrumentError
        If there is nothing of the instrument.
    SettingError
        If several venues have it.
    """
    stored, taped = Store(root).list(), Tape(root).streams()
    series = [s for s in stored if s.symbol == symbol and venue in (None, s.venue)]
    streams = [s for s in taped if s.symbol == symbol and venue in (None, s.venue) and group_of(s.kind)]
    venues = sorted({s.venue for s in series} | {s.venue for s in streams})
    if not venues:
        raise UnknownInstrumentError(
            _told(
                root,
                venue,
                symbol,
                [f"{s.venue}/{s.symbol}" for s in stored] + [f"{s.venue}/{s.symbol}" for s in taped],
            )
        )
    priced = sorted({s.venue for s in series} | {s.venue for s in streams if group_of(s.kind) not in RATE_CHANNELS})
    if len(priced) > 1:
        raise SettingError(f"{symbol}: {', '.join(priced)} have it; choose one with --venue")
    if not priced:
        raise SettingError(f"{symbol}: {', '.join(venues)} have its rates only; import its bars, trades or books")
    streams = [s for s in streams if s.venue == priced[0]]
    bars = [s for s in series if s.bar_s == spec.bar_s]
    rates = _best(streams, tuple(RATE_CHANNELS))
    if bars and not _needs_events(spec):
        return Inputs(root, symbol, (bars[0], *rates))
    events = _best(streams, ("book", "trades"))
    if not events and series and not bars:
        lengths = ", ".join(f"{s.bar_s} s" for s in series)
        raise SettingError(
            f"{symbol}: the store has bars of {lengths}, but the feature spec is for {spec.bar_s} s; "
            f"import {spec.bar_s} s bars"
        )
    return Inputs(root, symbol, (*(events or bars), *rates))


def _told(root: Path, venue: str | None, symbol: str, known: list[str]) -> str:
    """What the store has instead: the same symbol elsewhere or in other letters, else whatever it has."""
    alike = {name for name in known if name.rpartition("/")[2].lower() == symbol.lower()}
    names = sorted(alike or set(known))
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    wanted = f"{venue}/{symbol}" if venue else symbol
    return f"{root} holds nothing of {wanted}; it has {', '.join(names[:MOST_NAMES]) or 'nothing'}{more}"


def _needs_events(spec: FeatureSpec) -> bool:
    """Whether bars cannot give the features: the book, or trades against the book."""
    channels = {name.rpartition(".")[2] for name in Plan(spec).memory}
    return spec.price == "mid" or bool(channels & NOT_OF_BARS or channels.difference(OF_BARS))


def _best(streams: list[Stream], groups: tuple[str, ...]) -> list[Stream]:
    """The preferred stream of each group; of recorded books the deepest."""

    def rank(stream: Stream) -> tuple[int, int]:
        stem, _, depth = stream.kind.rpartition("_")
        recorded = stem == "book_snapshots"
        return PREFERRED.index(stem if recorded else stream.kind), -int(depth) if recorded else 0

    found = {g: sorted((s for s in streams if group_of(s.kind) == g), key=rank) for g in groups}
    return [members[0] for members in found.values() if members]
