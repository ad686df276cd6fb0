"""Vendor files into the store: read, check, set aside what is bad, write, and tell what came in.

One file is one transaction: its parts appear together, after its last row was checked, or not at all.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl

from features.bars import anchor_ns, bar_length_s, commonest_step_ns
from features.clock import NS_PER_S, format_utc
from features.errors import FormatError, RowError, SchemaError, SequenceError, UnknownInstrumentError, lookup
from features.files import code_hash, locked, sha256_of, sha256_of_file, write_json
from features.intake.batch import Batch, Note, Options, Rejected, split
from features.intake.door import Door
from features.intake.parts import StreamWriter
from features.intake.quarantine import Quarantine
from features.intake.stream import require_file
from features.schema import ORDER_EVENTS
from features.sources import SOURCES, Source
from features.store import Series, Store, check_series
from features.tape import Stream, Tape, clean_name, read_manifest

OnError = Literal["strict", "quarantine"]
CODE = ("features.importing", "features.schema", "features.intake", "features.sources")
REMEDY = "correct the file, or import with --on-error quarantine to set such rows aside"


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What one file brought to one stream."""

    folder: str
    rows: int
    known: int
    gaps: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of one file."""

    file: str
    streams: list[StreamReport]
    rejected: int
    quarantine: str | None
    notes: list[str]
    unchanged: bool = False

    @property
    def rows(self) -> int:
        """Rows that the file brought, all streams together."""
        return sum(stream.rows for stream in self.streams)


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for: which reader, under which names, and how strictly.

    Attributes
    ----------
    venue : name in the store; needed where neither the file nor its format tells it.
    options : what the file does not say; ``options.symbol`` names a file of one instrument and chooses
        one out of a file of several.
    on_error : ``strict`` refuses a file with a bad row; ``quarantine`` writes bad rows to a side file.
    """

    source: str
    venue: str | None = None
    options: Options = field(default_factory=Options)
    on_error: OnError = "strict"


def import_file(path: Path, store: Path, request: Request, progress: Callable[[int], None]) -> ImportReport:
    """Import one vendor file into the store below ``store``.

    ``progress`` is told the rows read so far. A file that was imported before, by the same code and
    request, is left alone if all its parts are still there.

    Raises
    ------
    DataError
        Naming the file, the row and the remedy; nothing of the file is in the store then.
    """
    source = lookup(SOURCES, request.source, "source")
    require_file(path)
    sha256 = sha256_of_file(path)
    ledger = store / "imports" / f"{sha256_of([sha256, _asked(request)])[:16]}.json"
    code = code_hash(*CODE)
    done = _done_before(ledger, code, store)
    if done is not None:
        return done
    work = _Import(path, store, request, source, sha256)
    try:
        report = work.run(progress)
    finally:
        work.discard()
    write_json(ledger, {"code": code, "report": asdict(report), "sha256": sha256})
    return report


def _asked(request: Request) -> dict[str, Any]:
    return {"source": request.source, "venue": request.venue, "on_error": request.on_error} | asdict(request.options)


def _done_before(ledger: Path, code: str, store: Path) -> ImportReport | None:
    """The report of an earlier import of the same file, if nothing of it was lost since."""
    if not ledger.exists():
        return None
    try:
        entry = json.loads(ledger.read_text())
        report = entry["report"]
        streams = [StreamReport(**stream) for stream in report["streams"]]
        side_file_gone = report["quarantine"] is not None and not Path(report["quarantine"]).exists()
        shared = any(stream.known for stream in streams)  # rows that another file told may be gone with it
        if (
            entry["code"] != code
            or side_file_gone
            or shared
            or not all(_still_there(store, s.folder, entry["sha256"], s.rows) for s in streams)
        ):
            return None
    except (KeyError, TypeError, ValueError):
        return None
    return ImportReport(**{**report, "streams": streams, "unchanged": True})


def _still_there(store: Path, folder: str, sha256: str, rows: int) -> bool:
    """Whether the parts that a file brought to a stream are all there and whole."""
    if folder.startswith("kind=bars_"):
        return False
    parts = {name: e for name, e in read_manifest(store / folder)["files"].items() if e["source"] == sha256}
    whole = all(
        (store / folder / n).exists() and sha256_of_file(store / folder / n) == e["sha256"] for n, e in parts.items()
    )
    return whole and sum(e["rows"] for e in parts.values()) == rows


@dataclass(slots=True)
class _Import:
    """One file on its way in."""

    path: Path
    store: Path
    request: Request
    source: Source
    sha256: str
    seen: int = 0
    notes: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    spelled: dict[str, str] = field(default_factory=dict)
    venues: set[str] = field(default_factory=set)
    renamed: bool = False
    cuts: list[int] = field(default_factory=list)
    first_fault: str = ""
    writers: dict[Stream, StreamWriter] = field(default_factory=dict)
    bars: dict[tuple[str, str, str], list[pl.DataFrame]] = field(default_factory=dict)
    doors: dict[tuple[str, str, str], Door] = field(default_factory=dict)
    quarantine: Quarantine | None = None

    def run(self, progress: Callable[[int], None]) -> ImportReport:
        """Read to the end, then commit."""
        if self.request.on_error == "quarantine":
            name = f"{self.path.name}-{self.sha256[:12]}.csv"
            self.quarantine = Quarantine(self.store / "quarantine" / name, self.path.name)
        try:
            for item in self.source.read(self.path, self.request.options):
                self._take(item)
                progress(self.seen)
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise FormatError(f"{self.path}: cannot be read as {self.request.source} ({reason})") from error
        self._refuse_gaps()
        self._refuse_nothing()
        if _ends_without_end(self.path):
            self.notes.append("the last line has no end: if the file was cut there, its last number may be too short")
        return self._commit()

    def discard(self) -> None:
        """Remove scratch files; after a commit there are none."""
        for writer in self.writers.values():
            for part in writer.parts:
                part.discard()
        if self.quarantine is not None:
            self.quarantine.discard()

    def _take(self, item: Batch | Rejected | Note) -> None:
        if isinstance(item, Note):
            self.notes.append(item.text)
        elif isinstance(item, Rejected):
            self._reject(item)
            self.cuts.append(item.row)
            self._refuse_lost_orders()
        elif len(item.frame):
            self.seen += len(item.frame)
            for (venue, symbol), frame in self._by_name(item):
                self._admit(item, venue, symbol, frame)

    def _by_name(self, batch: Batch) -> Iterator[tuple[tuple[str, str], pl.DataFrame]]:
        """Rows by venue and symbol, under the names of the store, as far as they are asked for."""
        frame = batch.table.conform(batch.frame)
        names = [c for c in ("venue", "symbol") if c in frame.columns]
        groups = split(frame, names)
        if "venue" in names:
            self.venues.update(clean_name(key[0]) for key in groups if key[0])
        for key, rows in groups.items():
            if not all(key):
                self._reject_nameless(rows, names)
                continue
            named = dict(zip(names, map(str, key), strict=True))
            venue = self._venue(named.get("venue"))
            if venue is None:
                continue
            told = named["symbol"]
            self.names.add(told)
            if self.request.options.symbol in (None, told, clean_name(told)):
                if self.spelled.setdefault(clean_name(told), told) != told:
                    raise SchemaError(
                        f"{self.path}: {told} and {self.spelled[clean_name(told)]} would share the name "
                        f"{clean_name(told)}; import one with --symbol, the other under another --venue"
                    )
                yield (venue, clean_name(told)), rows

    def _reject_nameless(self, rows: pl.DataFrame, names: Sequence[str]) -> None:
        for row in rows["row"]:
            self._reject(Rejected(row, f"the {' or '.join(names)} is missing", ""))

    def _venue(self, told: str | None) -> str | None:
        """The venue's name in the store; ``None`` for rows of another venue than the one that was chosen.

        ``--venue`` chooses among the venues that a file tells, and gives its name to the only one.
        """
        asked = self.request.venue
        if told is None or asked is None:
            venue = told or asked or self.source.venue
            if venue is None:
                raise SchemaError(f"{self.path}: does not say its venue; add --venue")
            return clean_name(venue)
        if asked in self.venues and not self.renamed:
            return asked if clean_name(told) == asked else None
        if len(self.venues) > 1:
            raise SchemaError(
                f"{self.path}: holds rows of {', '.join(sorted(self.venues))}; leave --venue away, or choose one"
            )
        self.renamed = True
        return asked

    def _admit(self, batch: Batch, venue: str, symbol: str, frame: pl.DataFrame) -> None:
        key = (venue, symbol, batch.table.kind)
        door = self.doors.setdefault(key, Door(batch.table))
        good, bad = door.admit(frame, self.cuts)
        for fault in bad:
            self._reject(fault, f"{symbol}: ")
        if batch.table is ORDER_EVENTS and (bad or self.cuts):
            self.cuts.append(bad[0].row if bad else self.cuts[0])
            self._refuse_lost_orders()
        if good.is_empty():
            return
        if batch.table.kind.startswith("bars"):
            self.bars.setdefault(key, []).append(good.drop("row"))
            return
        stream = Stream(venue, symbol, batch.table.kind)
        if stream not in self.writers:
            self.writers[stream] = StreamWriter(self.store, stream, self.sha256, door, self.spelled[symbol])
        self.writers[stream].add(good)

    def _refuse_lost_orders(self) -> None:
        """An order event that is set aside would leave its order in the book for ever, and no snapshot mends that."""
        if any(kind == ORDER_EVENTS.kind for _, _, kind in self.doors):
            raise RowError(
                f"{self.path}: row {self.cuts[0]}: an order event cannot be set aside, for the book would be wrong "
                "from there on; correct the file, or cut it there"
            )

    def _reject(self, fault: Rejected, whose: str = "") -> None:
        if self.quarantine is None:
            where = f"row {fault.row}: " if fault.row else ""
            raise RowError(f"{self.path}: {where}{whose}{fault.reason}; {REMEDY}")
        self.first_fault = self.first_fault or f"row {fault.row}: {fault.reason}"
        self.quarantine.add(fault)

    def _refuse_gaps(self) -> None:
        """A break of the numbering that no snapshot mends is an error, or in quarantine mode a note."""
        for (_, symbol, _), door in self.doors.items():
            if door.open_gap is None:
                continue
            told = f"{symbol}: {door.open_gap}; events are missing and no snapshot follows"
            if self.quarantine is None:
                raise SequenceError(
                    f"{self.path}: {told}; get the missing file, or import with --on-error quarantine: "
                    "the book is then void from there to the next snapshot"
                )
            self.notes.append(told)

    def _refuse_nothing(self) -> None:
        if self.writers or self.bars or (self.notes and not self.seen):
            return
        if self.first_fault:
            raise FormatError(f"{self.path}: no row of it can be used; the first fault is in {self.first_fault}")
        asked = self.request.options.symbol
        if asked is not None and self.names:
            known = ", ".join(sorted(self.names)[:10])
            raise UnknownInstrumentError(f"{self.path}: holds no {asked}; it holds {known}")
        raise FormatError(f"{self.path}: no rows of market data found; is it a file of {self.request.source}?")

    def _commit(self) -> ImportReport:
        """End the parts, and under the store's lock put everything in its place."""
        for writer in self.writers.values():
            for name in writer.close():
                self._reject(Rejected(0, f"{name} came before, far above", ""))
        with locked(self.store / ".lock"):
            for writer in self.writers.values():
                writer.refuse_race()
                writer.refuse_overlap()
            bars = [self._checked_bars(*key, frames) for key, frames in self.bars.items()]
            streams = [self._commit_bars(series, frame) for series, frame in bars]
            for stream, writer in self.writers.items():
                writer.commit(self.path.name)
                streams.append(_stream_report(stream, writer))
            rejected, side_file = self.quarantine.commit() if self.quarantine is not None else (0, None)
        return ImportReport(str(self.path), streams, rejected, side_file, self.notes)

    def _checked_bars(
        self, venue: str, symbol: str, kind: str, frames: list[pl.DataFrame]
    ) -> tuple[Series, pd.DataFrame]:
        frame = pl.concat(frames).to_pandas()
        length = kind.removeprefix("bars").strip("_s")
        if self.quarantine is not None and len(frame) > 1:
            frame = self._on_grid(symbol, frame, int(length) if length else None)
        bar_s = int(length) if length else bar_length_s(frame, str(self.path))
        series = Series(venue=venue, symbol=symbol, bar_s=bar_s)
        check_series(series, frame)
        return series, frame

    def _on_grid(self, symbol: str, frame: pd.DataFrame, bar_s: int | None) -> pd.DataFrame:
        """The bars on their grid; those off it, as after an outage, are set aside."""
        ts_ns = frame["ts_ns"].to_numpy()
        bar_ns = bar_s * NS_PER_S if bar_s else commonest_step_ns(ts_ns)
        off = (ts_ns - anchor_ns(ts_ns, bar_ns)) % bar_ns != 0
        for stamp_ns, close in frame.loc[off, ["ts_ns", "close"]].itertuples(index=False):
            told = f"{symbol}: the bar of {format_utc(stamp_ns)} is off the grid of {bar_ns / NS_PER_S:g} s"
            self._reject(Rejected(0, told, f"close {close}"))
        kept: pd.DataFrame = frame.loc[~off].reset_index(drop=True)
        return kept

    def _commit_bars(self, series: Series, frame: pd.DataFrame) -> StreamReport:
        self._note_changes(series, frame)
        Store(self.store).merge(series, frame)
        first, last = int(frame["ts_ns"].iloc[0]), int(frame["ts_ns"].iloc[-1])
        return StreamReport(series.folder, len(frame), 0, 0, first, last)

    def _note_changes(self, series: Series, frame: pd.DataFrame) -> None:
        """Tell how many stored bars of the same time say something else: the newer import replaces them."""
        try:
            stored = Store(self.store).scan(series)
        except UnknownInstrumentError:
            return
        both = frame.merge(stored, on="ts_ns", suffixes=("", "_stored"))
        names = [name for name in frame.columns if name != "ts_ns"]
        old, new = both[[f"{n}_stored" for n in names]].to_numpy(), both[names].to_numpy()
        count = int(((old != new) & ~(np.isnan(old) & np.isnan(new))).any(axis=1).sum())
        if count:
            self.notes.append(f"{series.folder}: {count:,} stored bars said something else and were replaced")


def _stream_report(stream: Stream, writer: StreamWriter) -> StreamReport:
    parts = writer.parts
    return StreamReport(
        folder=stream.folder,
        rows=sum(part.rows for part in parts),
        known=writer.known,
        gaps=writer.door.gaps,
        first_ns=min((part.first_ns for part in parts), default=0),
        last_ns=max((part.last_ns for part in parts), default=0),
    )


def _ends_without_end(path: Path) -> bool:
    """Whether a plain text of lines stops in the middle of one; JSON shows that by itself."""
    with path.open("rb") as handle:
        head = handle.read(64)
        handle.seek(max(path.stat().st_size - 1, 0))
        tail = handle.read(1)
    return head.isascii() and b"\x00" not in head and head[:1] not in b"{[" and b"{" not in head and tail != b"\n"


def drop_file(store: Path, file: str) -> list[str]:
    """Take out of the store all events that a file of this name brought; answers the parts that went.

    Raises
    ------
    UnknownInstrumentError
        If no file of this name was imported.
    """
    gone: list[str] = []
    with locked(store / ".lock"):
        for stream in Tape(store).streams():
            folder = store / stream.folder
            manifest = read_manifest(folder)
            theirs = {sha256 for sha256, source in manifest["sources"].items() if source["file"] == file}
            parts = [name for name, entry in manifest["files"].items() if entry["source"] in theirs]
            if theirs:
                files = {name: entry for name, entry in manifest["files"].items() if name not in parts}
                sources = {sha256: s for sha256, s in manifest["sources"].items() if sha256 not in theirs}
                if files:
                    write_json(folder / "_manifest.json", {**manifest, "files": files, "sources": sources})
                    for name in parts:
                        (folder / name).unlink(missing_ok=True)
                else:
                    shutil.rmtree(folder)
                gone += [f"{stream.folder}/{name}" for name in parts]
    if not gone:
        raise UnknownInstrumentError(f"{store}: no events of a file named {file}; give the name as data import told it")
    return gone
