"""From the stored events of one instrument to files of books, and to stored bars."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from features.aggregate import trade_bars
from features.book import BookBuilder, BookStats, grid_ns, rebuild
from features.clock import NS_PER_S
from features.errors import SettingError, UnknownInstrumentError
from features.files import written_whole
from features.store import Series, Store
from features.tape import Stream, Tape


def find_stream(tape: Tape, venue: str | None, symbol: str, kinds: tuple[str, ...]) -> Stream:
    """The stream of a symbol, of the first of ``kinds`` that the tape holds.

    Raises
    ------
    UnknownInstrumentError
        If there is none; the message names what there is.
    SettingError
        If several venues have it.
    """
    streams = [s for s in tape.streams() if s.symbol == symbol and venue in (None, s.venue)]
    found = [s for kind in kinds for s in streams if s.kind == kind]
    if not found:
        known = sorted({f"{s.venue}/{s.symbol}" for s in tape.streams() if s.kind in kinds})
        raise UnknownInstrumentError(
            f"{tape.root} holds no {' or '.join(kinds)} of {symbol}; "
            f"it has them of {', '.join(known[:20]) or 'nothing'}"
        )
    first = [s for s in found if s.kind == found[0].kind]
    if len(first) > 1:
        raise SettingError(f"{symbol}: {', '.join(s.venue for s in first)} have it; choose one with --venue")
    return first[0]


def write_books(
    root: Path,
    venue: str | None,
    symbol: str,
    out: Path,
    every_s: float,
    depth: int,
    grace_s: float,
    clock: str,
    progress: Callable[[int], None],
) -> tuple[BookStats, int]:
    """Rebuild books every ``every_s`` seconds and write them as Parquet; answers the replay's counts and the rows.

    Raises
    ------
    UnknownInstrumentError, SettingError
        See :func:`find_stream`.
    """
    if not math.isfinite(every_s) or every_s * NS_PER_S < 1:
        raise SettingError(f"books every {every_s} s: give a number of seconds of at least a nanosecond")
    tape = Tape(root)
    stream = find_stream(tape, venue, symbol, ("book_deltas", "order_events"))
    parts = tape.parts(stream)
    builder = BookBuilder(depth=depth, grace_s=grace_s, clock=clock)
    spans = (min(p.first_ns for p in parts), max(p.last_ns for p in parts))
    instants = grid_ns(*spans, round(every_s * NS_PER_S))
    rows = 0
    with written_whole(out) as scratch:
        writer: pq.ParquetWriter | None = None
        try:
            for books in rebuild(_counted(tape.scan(stream), progress), builder, instants):
                table = books.to_arrow(compat_level=pl.CompatLevel.oldest())
                writer = writer or pq.ParquetWriter(scratch, table.schema, compression="zstd")
                writer.write_table(table)
                rows += len(books)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise SettingError(
                f"{stream.folder}: shorter than {every_s} s, no instant falls into it; choose a smaller --every"
            )
    return builder.stats, rows


def store_bars(
    root: Path, venue: str | None, symbol: str, bar_s: int, progress: Callable[[int], None]
) -> tuple[Series, int]:
    """Make bars of stored trades, single ones before aggregated, and write them into the store.

    Raises
    ------
    UnknownInstrumentError, SettingError
        See :func:`find_stream`.
    """
    tape = Tape(root)
    stream = find_stream(tape, venue, symbol, ("trades", "agg_trades"))
    columns = ("ts_ns", "price", "size", "side")
    frame = pl.concat(trade_bars(_counted(tape.scan(stream, columns), progress), bar_s))
    series = Series(venue=stream.venue, symbol=symbol, bar_s=bar_s)
    Store(root).write(series, frame.to_pandas())
    return series, len(frame)


def _counted(frames: Iterator[pl.DataFrame], progress: Callable[[int], None]) -> Iterator[pl.DataFrame]:
    rows = 0
    for frame in frames:
        rows += len(frame)
        progress(rows)
        yield frame
