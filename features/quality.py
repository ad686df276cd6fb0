"""What the store holds and how good it is: rows, span, gaps, duplicates, crossed books, breaks, stale stretches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from features.book import BookBuilder
from features.clock import NS_PER_S
from features.errors import DataError
from features.ladder import Ints
from features.schema import Table
from features.store import Series, Store
from features.tape import Stream, Tape

BINS = 160


@dataclass(slots=True)
class Quality:
    """Findings of one stream.

    Attributes
    ----------
    gaps, longest_gap_s : bars that are missing, or stretches without an event of more than the silence allowed.
    duplicates : rows whose key came before, or that the book had passed already.
    back_steps : rows whose exchange time lies before that of an earlier row.
    crossed, crossed_share : books, or stretches of a replay, with the best bid at or above the best ask; their
        share of rows or of time.
    breaks : breaks of the venue's numbering.
    void_share : share of book rows that came while the book was unknown.
    longest_stale_s : the longest stretch in which nothing changed: price of bars, touch of books, or no event.
    ticks : price steps found, in the order in which they were first seen.
    density : rows in each of ``BINS`` equal parts of the span.
    fault : what keeps the stream from being read.
    """

    folder: str
    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    bytes: int = 0
    gaps: int = 0
    longest_gap_s: float = 0.0
    duplicates: int = 0
    back_steps: int = 0
    crossed: int = 0
    crossed_share: float = 0.0
    breaks: int = 0
    void_share: float = 0.0
    longest_stale_s: float = 0.0
    ticks: list[float] = field(default_factory=list)
    density: list[int] = field(default_factory=lambda: [0] * BINS)
    fault: str = ""

    @property
    def sound(self) -> bool:
        """Whether nothing was found that makes a number wrong; gaps and stale stretches may be the market's."""
        return not (self.fault or self.duplicates or self.breaks or self.crossed_share > 0.01 or self.void_share > 0)


def inventory(root: Path) -> list[Quality]:
    """Every stream with rows, span and size, from the manifests alone."""
    store, tape = Store(root), Tape(root)
    found = [_of_bars(store, series, root) for series in store.list()]
    return sorted(found + [_of_stream(tape, stream) for stream in tape.streams()], key=lambda q: q.folder)


def inspect(
    root: Path, chosen: Callable[[str], bool], silence_s: float, progress: Callable[[int, int], None]
) -> Iterator[Quality]:
    """Read every chosen stream through and tell what was found; memory is that of a row group and eight bytes a trade.

    A stream that cannot be read is told with its fault, and the others go on.
    """
    store, tape = Store(root), Tape(root)
    bars = [series for series in store.list() if chosen(series.folder)]
    streams = [stream for stream in tape.streams() if chosen(stream.folder)]
    total = len(bars) + len(streams)
    for done, series in enumerate(bars):
        progress(done, total)
        yield _inspected(_of_bars(store, series, root), lambda q, s=series: _bars(store, s, q))  # type: ignore[misc]
    for done, stream in enumerate(streams, start=len(bars)):
        progress(done, total)
        yield _inspected(_of_stream(tape, stream), lambda q, s=stream: _events(tape, s, q, silence_s))  # type: ignore[misc]
    progress(total, total)


def _inspected(quality: Quality, look: Callable[[Quality], None]) -> Quality:
    if not quality.fault:
        try:
            look(quality)
        except DataError as error:
            quality.fault = str(error)
    return quality


def _of_bars(store: Store, series: Series, root: Path) -> Quality:
    quality = Quality(series.folder)
    try:
        frame = store.scan(series)
    except DataError as error:
        quality.fault = str(error)
        return quality
    quality.rows = len(frame)
    quality.first_ns, quality.last_ns = int(frame["ts_ns"].iloc[0]), int(frame["ts_ns"].iloc[-1])
    quality.bytes = sum(path.stat().st_size for path in (root / series.folder).rglob("*.parquet"))
    return quality


def _of_stream(tape: Tape, stream: Stream) -> Quality:
    quality = Quality(stream.folder)
    try:
        parts = tape.parts(stream)
    except DataError as error:
        quality.fault = str(error)
        return quality
    quality.rows = sum(part.rows for part in parts)
    quality.first_ns, quality.last_ns = min(p.first_ns for p in parts), max(p.last_ns for p in parts)
    quality.bytes = sum(part.path.stat().st_size for part in parts)
    return quality


def _bars(store: Store, series: Series, quality: Quality) -> None:
    """Bars that are missing, and the longest run of bars that say the same price without volume."""
    frame = store.scan(series)
    ts_ns, step_ns = frame["ts_ns"].to_numpy(), series.bar_s * NS_PER_S
    missing = np.diff(ts_ns) // step_ns - 1
    quality.gaps = int(missing.sum())
    quality.longest_gap_s = float(missing.max(initial=0)) * series.bar_s
    still = (frame["close"].diff() == 0).to_numpy() & (frame["volume"] == 0).to_numpy()
    quality.longest_stale_s = float(_longest_run(still)) * series.bar_s
    _count_density(quality, ts_ns)
    _see_ticks(quality, frame["close"].to_numpy())


def _longest_run(mask: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _events(tape: Tape, stream: Stream, quality: Quality, silence_s: float) -> None:
    tape.verify(stream)
    look = _Look(stream.table, quality, silence_s)
    for frame in tape.scan(stream):
        look.at(frame)
    look.finish()


@dataclass(slots=True)
class _Look:
    """One pass over the rows of a stream."""

    table: Table
    quality: Quality
    silence_s: float
    book: BookBuilder = field(default_factory=lambda: BookBuilder(depth=1))
    last_ns: int | None = None
    last_seq: int = -1
    still_since_ns: int = 0
    touch: tuple[float, ...] = ()
    numbers: list[pl.Series] = field(default_factory=list)

    def at(self, frame: pl.DataFrame) -> None:
        """Look at a chunk of rows, in order."""
        quality = self.quality
        ts_ns = frame["ts_ns"].to_numpy()
        self._time(ts_ns)
        _count_density(quality, ts_ns)
        if "price" in frame.columns:
            _see_ticks(quality, frame["price"].to_numpy())
        if "prev_seq" in frame.columns:
            self.book.deltas(frame)
        elif "order_id" in frame.columns:
            self.book.orders(frame)
        elif "bid_px_0" in frame.columns:
            self._touch(frame, ts_ns)
        elif "id" in frame.columns:
            self._numbers(frame)

    def finish(self) -> None:
        """What only the whole tells."""
        quality, stats = self.quality, self.book.stats
        if stats.events:
            span_s = max((quality.last_ns - quality.first_ns) / NS_PER_S, 1e-9)
            quality.crossed, quality.crossed_share = stats.dropped_levels, stats.crossed_s / span_s
            quality.breaks, quality.duplicates = stats.gaps, stats.stale_rows
            quality.void_share = stats.void_rows / stats.events
        elif "bid_px_0" in self.table.columns:
            quality.crossed_share = quality.crossed / max(quality.rows, 1)
        else:
            quality.longest_stale_s = quality.longest_stale_s or quality.longest_gap_s
        if self.numbers:
            named = pl.concat(self.numbers)
            quality.duplicates = len(named) - named.n_unique()

    def _time(self, ts_ns: Ints) -> None:
        start = ts_ns[0] if self.last_ns is None else self.last_ns
        highest = np.maximum.accumulate(np.concatenate(([start], ts_ns)))
        steps = np.diff(highest)
        self.quality.back_steps += int((ts_ns < highest[:-1]).sum())
        self.quality.gaps += int((steps > self.silence_s * NS_PER_S).sum())
        self.quality.longest_gap_s = max(self.quality.longest_gap_s, float(steps.max()) / NS_PER_S)
        self.last_ns = int(highest[-1])

    def _touch(self, frame: pl.DataFrame, ts_ns: Ints) -> None:
        """Crossed books, and the longest stretch in which the touch stayed as it was."""
        names = ("bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0")
        rows = np.nan_to_num(frame.select(names).to_numpy(), nan=-1.0)
        both = (rows[:, 0] > 0) & (rows[:, 2] > 0)
        self.quality.crossed += int((both & (rows[:, 0] >= rows[:, 2])).sum())
        before = np.vstack(([self.touch or tuple(rows[0])], rows[:-1]))
        changes = np.flatnonzero((rows != before).any(axis=1))
        edges = np.concatenate(([self.still_since_ns or ts_ns[0]], ts_ns[changes], ts_ns[-1:]))
        longest = float(np.diff(np.maximum.accumulate(edges)).max()) / NS_PER_S
        self.quality.longest_stale_s = max(self.quality.longest_stale_s, longest)
        self.still_since_ns = int(ts_ns[changes[-1]]) if len(changes) else (self.still_since_ns or int(ts_ns[0]))
        self.touch = tuple(rows[-1])

    def _numbers(self, frame: pl.DataFrame) -> None:
        """Numbers or names that repeat, and numbers that are left out."""
        seq = frame["seq"].to_numpy()
        if (seq < 0).all():
            named = frame["id"].filter(frame["id"] != "")
            self.numbers += [named.hash()] if len(named) else []
            return
        self.numbers.append(frame["seq"].filter(frame["seq"] >= 0).hash())
        steps = np.diff(np.concatenate(([self.last_seq if self.last_seq >= 0 else seq[0] - 1], seq)))
        self.quality.breaks += int((steps > 1).sum()) if self._counts_by_one(steps) else 0
        self.last_seq = int(seq[-1])

    @staticmethod
    def _counts_by_one(steps: Ints) -> bool:
        """Whether the venue numbers trades one by one: three steps of four are of one."""
        return bool((steps == 1).mean() > 0.75)


def _count_density(quality: Quality, ts_ns: Ints) -> None:
    span = max(quality.last_ns - quality.first_ns, 1)
    bins = np.clip((ts_ns - quality.first_ns) / (span + 1) * BINS, 0, BINS - 1).astype(np.int64)
    for i, count in zip(*np.unique(bins, return_counts=True), strict=True):
        quality.density[int(i)] += int(count)


def _see_ticks(quality: Quality, prices: np.ndarray) -> None:
    """Add the smallest step between the prices of a chunk if it is finer than, or far from, those seen."""
    distinct = np.unique(prices[np.isfinite(prices)])
    if len(distinct) < 20:
        return
    tick = float(f"{np.diff(distinct).min():.1g}")
    if tick not in quality.ticks:
        quality.ticks.append(tick)
