"""The tape: event tables on disk, appended file by file, in Parquet that any tool can scan.

Layout, with Hive partitions by day (rates by month)::

    ROOT/kind=trades/venue=binance-spot/symbol=BTCUSDT/date=2024-01-01/part-1f2e3d4c5b6a.parquet
    ROOT/kind=trades/venue=binance-spot/symbol=BTCUSDT/_manifest.json

A part's name carries the SHA-256 of the file that it came from: importing that file again writes
the same parts or none. The manifest lists the parts with rows, span and SHA-256; what it does not
list does not exist.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow.parquet as pq

from features.errors import FormatError, SettingError, UnknownInstrumentError
from features.files import sha256_of_file
from features.schema import Table, table_of
from features.store import check_names

ABSENT = {"seq": -1, "local_ns": 0}
KEPT, SEPARATORS = re.compile(r"[A-Za-z0-9._-]"), "/:| "


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """What one folder of the tape holds: one kind of rows of one symbol at one venue."""

    venue: str
    symbol: str
    kind: str

    def __post_init__(self) -> None:
        """Refuse names that a path could not hold."""
        check_names(self.venue, self.symbol)

    @property
    def folder(self) -> str:
        """Path below the root."""
        return f"kind={self.kind}/venue={self.venue}/symbol={self.symbol}"

    @property
    def table(self) -> Table:
        """The canonical table of its rows."""
        return table_of(self.kind)


def clean_name(name: str) -> str:
    """A vendor's name of a symbol as the store writes it: separators become a dash, other signs their number.

    Examples
    --------
    >>> clean_name("XBT/USD"), clean_name("tTESTBTC:TESTUSD"), clean_name(".BXBT"), clean_name("币USDT")
    ('XBT-USD', 'tTESTBTC-TESTUSD', 'x.BXBT', 'u5E01USDT')
    """
    plain = "".join(c if KEPT.fullmatch(c) else "-" if c in SEPARATORS else f"u{ord(c):04X}" for c in name)
    return plain if plain[:1].isalnum() else f"x{plain}"


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file of a stream, as the manifest lists it."""

    path: Path
    rows: int
    first_ns: int
    last_ns: int
    sha256: str
    source: str


class Tape:
    """Event tables below one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def streams(self) -> list[Stream]:
        """Every stream of events on the tape, sorted; bars are the store's."""
        found = []
        for path in self.root.glob("kind=*/venue=*/symbol=*/_manifest.json"):
            kind, venue, symbol = (part.split("=", 1)[1] for part in path.parts[-4:-1])
            if not kind.startswith("bars_"):
                found.append(Stream(venue, symbol, kind))
        return sorted(found)

    def parts(self, stream: Stream) -> list[Part]:
        """The parts of a stream by time.

        Raises
        ------
        UnknownInstrumentError
            If the tape does not hold the stream.
        FormatError
            If a part is gone or the manifest is damaged.
        """
        if stream.kind.startswith("bars_"):
            raise SettingError(f"{stream.folder}: bars are read with features.store.Store, not with the tape")
        folder = self.root / stream.folder
        manifest = read_manifest(folder)
        if not manifest["files"]:
            known = ", ".join(s.folder for s in self.streams()) or "nothing"
            raise UnknownInstrumentError(f"{stream.folder}: is not in {self.root}; it holds {known}")
        files = manifest["sources"]
        parts = [_part(folder, name, entry, files) for name, entry in manifest["files"].items()]
        for part in parts:
            if not part.path.exists():
                raise FormatError(
                    f"{part.path}: the manifest names this file but it is gone; import {part.source} again"
                )
        return sorted(parts, key=lambda part: (part.path.parent.name, part.first_ns, part.path.name))

    def scan(
        self,
        stream: Stream,
        columns: tuple[str, ...] | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows with ``from_ns <= ts_ns < to_ns`` in the venue's order, a row group at a time.

        Memory is that of a row group; where files of one day overlap, that of the day, for there they are merged.

        Raises
        ------
        UnknownInstrumentError, FormatError
            See :meth:`parts`; a damaged part is found when it is read.
        """
        for group in _overlapping(self.parts(stream)):
            if all(_outside(part, from_ns, to_ns) for part in group):
                continue
            if len(group) == 1:
                yield from _row_groups(group[0], columns, from_ns, to_ns)
            else:
                yield _merged(group, stream.table, columns, from_ns, to_ns)

    def verify(self, stream: Stream) -> None:
        """Compare every part with the SHA-256 that the manifest lists.

        Raises
        ------
        FormatError
            Naming the part that is not the one that was written.
        """
        for part in self.parts(stream):
            if sha256_of_file(part.path) != part.sha256:
                raise FormatError(f"{part.path}: is not the file that was written; import {part.source} again")


def _part(folder: Path, name: str, entry: dict[str, Any], sources: dict[str, Any]) -> Part:
    try:
        return Part(folder / name, **{**entry, "source": str(sources[entry["source"]]["file"])})
    except (KeyError, TypeError) as error:
        raise FormatError(
            f"{folder / '_manifest.json'}: is damaged at {name} ({error}); delete {folder} and import the data again"
        ) from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a stream's folder: ``files``, ``sources`` and the vendor's ``symbol``; empty if there is none.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    path = folder / "_manifest.json"
    if not path.exists():
        return {"files": {}, "sources": {}, "symbol": None}
    try:
        manifest = json.loads(path.read_text())
        return {"symbol": None, **manifest, "files": dict(manifest["files"]), "sources": dict(manifest["sources"])}
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: is damaged ({error}); delete {folder} and import the data again") from error


def _outside(part: Part, from_ns: int | None, to_ns: int | None) -> bool:
    return (to_ns is not None and part.first_ns >= to_ns) or (from_ns is not None and part.last_ns < from_ns)


def _overlapping(parts: list[Part]) -> list[list[Part]]:
    """Parts in groups: those of one date whose spans overlap belong together."""
    groups: list[list[Part]] = []
    for part in parts:
        before = groups[-1] if groups else []
        if before and before[0].path.parent == part.path.parent and part.first_ns < max(p.last_ns for p in before):
            before.append(part)
        else:
            groups.append([part])
    return groups


def _merged(
    group: list[Part], table: Table, columns: tuple[str, ...] | None, from_ns: int | None, to_ns: int | None
) -> pl.DataFrame:
    """Rows of several files in one order: by the venue's number if all count up by it, else by their best clock."""
    files = [pl.concat(_row_groups(part, None, from_ns, to_ns)) for part in group]
    rows = pl.concat(files)
    told = [name for name, absent in ABSENT.items() if name in rows.columns and (rows[name] != absent).all()]
    if told[:1] == ["seq"] and not all(file["seq"].is_sorted() for file in files):
        told = told[1:]  # the numbering began anew somewhere
    rows = rows.sort([*told[:1], "ts_ns"], maintain_order=True)
    return rows.select(columns or list(table.columns))


def _row_groups(
    part: Part, columns: tuple[str, ...] | None, from_ns: int | None, to_ns: int | None
) -> Iterator[pl.DataFrame]:
    first, last = (from_ns or part.first_ns), (to_ns if to_ns is not None else part.last_ns + 1)
    whole = first <= part.first_ns and last > part.last_ns
    wanted = None if columns is None else list(dict.fromkeys((*columns, *(() if whole else ("ts_ns",)))))
    try:
        with pq.ParquetFile(part.path) as file:
            for i in range(file.num_row_groups):
                frame = cast("pl.DataFrame", pl.from_arrow(file.read_row_group(i, columns=wanted)))
                if not whole:
                    frame = frame.filter(pl.col("ts_ns").is_between(first, last, closed="left"))
                yield frame if columns is None else frame.select(columns)
    except (OSError, ValueError) as error:
        raise FormatError(f"{part.path}: is damaged ({error}); import {part.source} again") from error
