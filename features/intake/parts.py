"""Parts of the tape while they are being written: scratch files that a commit puts in their place."""

import os
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.clock import DAY_NS, NS_PER_S, day_of, month_of
from features.errors import OverlapError
from features.files import is_running, sha256_of_file, write_json
from features.intake.door import REORDER_NS, Door
from features.tape import Stream, read_manifest

ROW_GROUP = 262_144
SEAM_NS = NS_PER_S
"""How much files of one feed that follow each other may share of the exchange's clock, cut as they are by another."""
SCRATCH = re.compile(r"\.part-.*\.(\d+)\.tmp")
INTEGERS = ("ts_ns", "local_ns", "seq", "prev_seq", "order_id", "funding_ns", "expiry_ns")


@dataclass(slots=True)
class PartWriter:
    """One Parquet file that grows by row groups; rows wait until they fill one."""

    path: Path
    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    _waiting: list[pl.DataFrame] = field(default_factory=list)
    _held: int = 0
    _file: pq.ParquetWriter | None = None

    @property
    def scratch(self) -> Path:
        """Where the file grows; a dot hides it from tools that scan the folder, the process tells whose it is."""
        return self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows in; they are on disk after :meth:`close` at the latest."""
        ts_ns = frame["ts_ns"].to_numpy()
        low, high = int(ts_ns.min()), int(ts_ns.max())
        self.first_ns = low if not self.rows else min(self.first_ns, low)
        self.last_ns = max(self.last_ns, high)
        self.rows += len(frame)
        self._waiting.append(frame)
        self._held += len(frame)
        if self._held >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits as a row group."""
        if not self._held:
            return
        table = pl.concat(self._waiting).to_arrow(compat_level=pl.CompatLevel.oldest())
        self._waiting, self._held = [], 0
        if self._file is None:
            self.scratch.parent.mkdir(parents=True, exist_ok=True)
            self._file = _parquet_writer(self.scratch, table.schema)
        self._file.write_table(table, row_group_size=len(table))

    def close(self) -> None:
        """Write the rest and end the file; a second time does nothing."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def discard(self) -> None:
        """Leave no trace."""
        if self._file is not None:
            self._file.close()
        self.scratch.unlink(missing_ok=True)


def _parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    delta = {name: "DELTA_BINARY_PACKED" for name in schema.names if name in INTEGERS}
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in delta],
        column_encoding=delta or None,
        write_statistics=["ts_ns"],
    )


@dataclass(slots=True)
class StreamWriter:
    """One stream's share of an import: its door, its parts by date, and what the tape already holds."""

    root: Path
    stream: Stream
    source_sha256: str
    door: Door
    symbol: str | None = None
    known: int = 0
    _clock_ns: int = 0
    _parts: dict[str, PartWriter] = field(default_factory=dict)
    _stored: dict[tuple[str, ...], pl.DataFrame] = field(default_factory=dict)
    _foreign: dict[str, Any] | None = None

    @property
    def parts(self) -> list[PartWriter]:
        """The parts that hold rows."""
        return [part for part in self._parts.values() if part.rows]

    def add(self, frame: pl.DataFrame) -> None:
        """Write checked rows into the parts of their dates, without those that the tape already holds."""
        for date, rows in self._by_date(frame.select(list(self.door.table.columns))):
            fresh = self._without_stored(rows)
            self.known += len(rows) - len(fresh)
            if len(fresh):
                if date not in self._parts:
                    for former in self.parts:
                        former.close()  # the clock does not go back: nothing more comes for its day
                    name = f"date={date}/part-{self.source_sha256[:12]}.parquet"
                    self._parts[date] = PartWriter(self.root / self.stream.folder / name)
                self._parts[date].add(fresh)

    def _by_date(self, frame: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
        """Cut rows at midnight without changing their order: a row stamped a little back stays with its neighbours."""
        named = day_of if self.door.table.partition == "day" else month_of
        clock = pl.max_horizontal(pl.col("ts_ns").cum_max(), pl.lit(self._clock_ns))
        days = frame.select(clock // DAY_NS).to_series()
        self._clock_ns = max(self._clock_ns, int(frame["ts_ns"].to_numpy().max()))
        edges = [0, *(days.diff() > 0).arg_true().to_list(), len(frame)]
        return [(named(days[i] * DAY_NS), frame.slice(i, k - i)) for i, k in pairwise(edges)]

    def _without_stored(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Leave out rows whose key a part of another file already holds."""
        key = list(self.door.table.key)
        ts_ns = frame["ts_ns"].to_numpy()
        first, last = int(ts_ns.min()) - REORDER_NS, int(ts_ns.max()) + REORDER_NS
        near = tuple(
            n for n, entry in self._others().items() if entry["first_ns"] <= last and first <= entry["last_ns"]
        )
        if not near or not key:
            return frame
        if near not in self._stored:
            self._stored = {near: self._keys_of(near, key)}
        stored = self._stored[near]
        self._refuse_other_values(frame, stored, key)
        return frame.join(stored, on=key, how="anti", maintain_order="left")

    def _refuse_other_values(self, frame: pl.DataFrame, stored: pl.DataFrame, key: list[str]) -> None:
        """A trade that is stored with another price or size: one of the two files is cut or wrong."""
        values = [name for name in stored.columns if name not in key]
        if not values:
            return
        both = frame.join(stored, on=key, how="inner", suffix="_stored")
        differs = [pl.col(name).fill_nan(0) != pl.col(f"{name}_stored").fill_nan(0) for name in values]
        other = both.filter(pl.any_horizontal(differs))
        if len(other):
            row = other.row(0, named=True)
            name = row["seq"] if row["seq"] >= 0 else row["id"]
            here, there = (" x ".join(str(row[f"{value}{end}"]) for value in values) for end in ("", "_stored"))
            raise OverlapError(
                f"{self.stream.folder}: {name} is {here} here and {there} in the store: one of two files is cut or "
                "wrong; take the other out with margincast data drop"
            )

    def _others(self) -> dict[str, Any]:
        """The parts that other files gave."""
        if self._foreign is None:
            files = read_manifest(self.root / self.stream.folder)["files"]
            self._foreign = {name: entry for name, entry in files.items() if not self._is_ours(entry)}
        return self._foreign

    def _keys_of(self, names: tuple[str, ...], key: list[str]) -> pl.DataFrame:
        """The keys in parts of other files; rows without a key do not count."""
        folder = self.root / self.stream.folder
        values = [name for name in ("price", "size") if name in self.door.table.columns and name not in key]
        parts = [pl.read_parquet(folder / name, columns=[*key, *values], hive_partitioning=False) for name in names]
        keys = pl.concat(parts)
        if "seq" in key:
            named = pl.col("seq") >= 0
            keys = keys.filter(named | (pl.col("id") != "") if "id" in key else named)
        return keys.unique(subset=key)

    def _is_ours(self, entry: dict[str, str]) -> bool:
        return bool(entry["source"] == self.source_sha256)

    def close(self) -> list[str]:
        """End the parts; names that came twice, far apart, are dropped the second time and answered."""
        again: list[str] = []
        for part in self.parts:
            part.close()
            if self.door.jumbled:
                again += _without_repeats(part, list(self.door.table.key))
        return again

    def refuse_overlap(self) -> None:
        """Refuse rows without a key that fall into the span of another file's rows: they may be the same events.

        Raises
        ------
        OverlapError
            Naming both.
        """
        known = read_manifest(self.root / self.stream.folder).get("symbol")
        if known is not None and self.symbol not in (None, known):
            raise OverlapError(
                f"{self.stream.folder}: the store holds {known} under this name, and {self.symbol} would share it; "
                "import one of the two under another --venue"
            )
        if self.door.table.key and not self.door.unnumbered:
            return
        sources = read_manifest(self.root / self.stream.folder)["sources"]
        for name, entry in self._others().items():
            entry = {**entry, "path": self.root / self.stream.folder / name}
            if any(self._shares_rows(part, entry) for part in self.parts):
                name = sources.get(entry["source"], {}).get("file", entry["source"][:12])
                raise OverlapError(
                    f"{self.stream.folder}: the store already holds rows of the same stretch from {name}, and "
                    "these carry no number to tell them apart; import one of the two, or name another --venue"
                )

    def _shares_rows(self, part: PartWriter, entry: dict[str, Any]) -> bool:
        """Whether a part may repeat another file's rows: spans share more than a seam, or a row of it is the same."""
        part.close()
        low: int = max(part.first_ns, entry["first_ns"])
        high: int = min(part.last_ns, entry["last_ns"])
        if low > high:
            return False
        is_seam = (part.first_ns < entry["first_ns"]) == (part.last_ns < entry["last_ns"])
        if high - low > SEAM_NS or not is_seam:
            return True
        met = pl.col("ts_ns").is_between(low, high)
        ours, theirs = (pl.scan_parquet(p, hive_partitioning=False).filter(met) for p in (part.scratch, entry["path"]))
        shared = ours.join(theirs, on=list(self.door.table.columns), how="semi", nulls_equal=True).collect()
        return len(shared) > 0

    def refuse_race(self) -> None:
        """Refuse to go on if another import has changed the stream since this one looked; call it under the lock.

        Raises
        ------
        OverlapError
            With the remedy: import again.
        """
        before, self._foreign = self._foreign, None
        new = [entry for name, entry in self._others().items() if before is not None and before.get(name) != entry]
        near = [p for p in self.parts for e in new if _near(p, e)]
        if near:
            raise OverlapError(
                f"{self.stream.folder}: another import wrote to this stream meanwhile; nothing of this file was "
                "imported, import it again"
            )

    def commit(self, file: str) -> None:
        """Put the parts in their place, then list them; parts that an earlier import of the file left are dropped."""
        folder = self.root / self.stream.folder
        manifest = read_manifest(folder)
        former = {name for name, entry in manifest["files"].items() if self._is_ours(entry)}
        files = {name: entry for name, entry in manifest["files"].items() if name not in former}
        for part in self.parts:
            part.scratch.replace(part.path)
            files[str(part.path.relative_to(folder))] = {
                "rows": part.rows,
                "first_ns": part.first_ns,
                "last_ns": part.last_ns,
                "sha256": sha256_of_file(part.path),
                "source": self.source_sha256,
            }
        sources = manifest["sources"] | {self.source_sha256: {"file": file}}
        write_json(
            folder / "_manifest.json", {"files": files, "sources": sources, "symbol": self.symbol or manifest["symbol"]}
        )
        _sweep(folder, set(files))


def _without_repeats(part: PartWriter, key: list[str]) -> list[str]:
    """Rewrite a closed part without the rows whose key came before; answers their keys as text."""
    keys = pl.read_parquet(part.scratch, columns=key, hive_partitioning=False)
    named = pl.col("seq") >= 0 if "id" not in key else (pl.col("seq") >= 0) | (pl.col("id") != "")
    again = keys.select(named & ~pl.struct(key).is_first_distinct()).to_series()
    if not again.any():
        return []
    rows = pl.read_parquet(part.scratch, hive_partitioning=False).filter(~again)
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    with _parquet_writer(part.scratch, table.schema) as file:
        file.write_table(table, row_group_size=ROW_GROUP)
    part.rows = len(rows)
    return [str(dict(zip(key, cells, strict=True))) for cells in keys.filter(again).rows()]


def _sweep(folder: Path, listed: set[str]) -> None:
    """Remove what the manifest does not list: parts of a crashed import, and scratch files of dead processes."""
    for path in folder.glob("date=*/*"):
        scratch = SCRATCH.fullmatch(path.name)
        dead = scratch is not None and not is_running(int(scratch[1]))
        orphan = path.suffix == ".parquet" and scratch is None and str(path.relative_to(folder)) not in listed
        if dead or orphan:
            path.unlink(missing_ok=True)


def _near(part: PartWriter, entry: dict[str, int]) -> bool:
    return part.first_ns - REORDER_NS <= entry["last_ns"] and entry["first_ns"] <= part.last_ns + REORDER_NS
