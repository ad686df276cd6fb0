"""The partitioned Parquet store: write, scan, list.

Layout, readable by any Parquet tool that knows Hive partitions::

    ROOT/kind=bars_900s/venue=binance-spot/symbol=BTCUSDT/date=2022-11/part.parquet
    ROOT/kind=bars_900s/venue=binance-spot/symbol=BTCUSDT/_manifest.json

Writing is idempotent: rows with a known timestamp replace the old ones, a
partition that would not change is not touched, and each file appears whole.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.bars import COLUMNS, anchor_ns, check_bars
from features.clock import NS_PER_S, format_utc, month_of
from features.errors import (
    FormatError,
    SettingError,
    ShortHistoryError,
    TimeOrderError,
    UnknownInstrumentError,
)
from features.files import locked, sha256_of, sha256_of_file, write_json, written_whole

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_names(*names: str) -> None:
    """Refuse names of venues and symbols that a path could not hold.

    Raises
    ------
    SettingError
        Naming the first of them.
    """
    for name in names:
        if not NAME.fullmatch(name):
            raise SettingError(f"{name!r} is no name for a venue or symbol; use letters, digits, '.', '_' and '-'")


@dataclass(frozen=True, slots=True)
class Series:
    """What one folder of the store holds: bars of ``bar_s`` seconds of one symbol at one venue."""

    venue: str
    symbol: str
    bar_s: int

    def __post_init__(self) -> None:
        """Refuse names that a path could not hold."""
        check_names(self.venue, self.symbol)

    @property
    def folder(self) -> str:
        """Path below the store's root."""
        return f"kind=bars_{self.bar_s}s/venue={self.venue}/symbol={self.symbol}"


class Store:
    """Canonical tables on disk below one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, series: Series, frame: pd.DataFrame) -> int:
        """Merge checked bars into the store; answers how many partitions changed.

        An import that was interrupted is mended by importing again.

        Raises
        ------
        DataError
            If the bars are not bars of this series; the store stays as it was.
        """
        with locked(self.root / ".lock"):
            return self.merge(series, frame)

    def merge(self, series: Series, frame: pd.DataFrame) -> int:
        """What :meth:`write` does, for one who holds the store's lock."""
        check_series(series, frame)
        manifest = self._manifest(series) or {"files": {}}
        months = frame["ts_ns"].map(month_of)
        changed = 0
        for month, rows in frame.groupby(months, sort=True):
            changed += self._write_month(series, str(month), rows, manifest["files"])
        write_json(self._manifest_path(series), manifest)
        return changed

    def replace(self, series: Series, frame: pd.DataFrame) -> int:
        """Make the store hold these bars of a series and no others; answers how many partitions changed."""
        check_series(series, frame)
        if (self.root / series.folder).exists() and not self._is_subset(series, frame):
            shutil.rmtree(self.root / series.folder)
        return self.write(series, frame)

    def _is_subset(self, series: Series, frame: pd.DataFrame) -> bool:
        """Whether the stored rows are all among the given ones; a damaged series is not."""
        try:
            return bool(self.scan(series)["ts_ns"].isin(frame["ts_ns"]).all())
        except (FormatError, UnknownInstrumentError):
            return False

    def scan(self, series: Series, until_ns: int | None = None) -> pd.DataFrame:
        """Read the bars of a series, oldest first; only those that had closed by ``until_ns``.

        Raises
        ------
        UnknownInstrumentError
            If the store does not hold the series.
        FormatError
            If a file is gone or is not the one that the manifest names.
        """
        manifest = self._required_manifest(series)
        parts = [self._read_part(series, name, entry) for name, entry in sorted(manifest["files"].items())]
        frame = pd.concat(parts, ignore_index=True)
        if until_ns is None:
            return frame
        return frame[frame["ts_ns"] + series.bar_s * NS_PER_S <= until_ns].reset_index(drop=True)

    def list(self) -> list[Series]:
        """Every series that the store holds, sorted."""
        found = []
        for path in sorted(self.root.glob("kind=bars_*s/venue=*/symbol=*/_manifest.json")):
            kind, venue, symbol = (part.split("=", 1)[1] for part in path.parts[-4:-1])
            found.append(Series(venue=venue, symbol=symbol, bar_s=int(kind.removeprefix("bars_")[:-1])))
        return found

    def find(self, symbol: str) -> Series:
        """The one series of a symbol.

        Raises
        ------
        UnknownInstrumentError
            If there is none; the message lists the symbols that there are.
        SettingError
            If there are several, of other venues or bars.
        """
        found = [series for series in self.list() if series.symbol == symbol]
        if len(found) > 1:
            folders = ", ".join(series.folder for series in found)
            raise SettingError(f"{symbol}: {self.root} holds {folders}; keep one of them in this store")
        if not found:
            known = ", ".join(s.symbol for s in self.list()) or "none"
            raise UnknownInstrumentError(f"unknown instrument {symbol!r} in {self.root}; known: {known}")
        return found[0]

    def fingerprint(self, series: Series) -> str:
        """SHA-256 over a series' name and the hashes of all its files: changes when any bar changes."""
        return sha256_of([series.folder, self._required_manifest(series)])

    def _write_month(self, series: Series, month: str, rows: pd.DataFrame, files: dict[str, Any]) -> bool:
        name = f"date={month}/part.parquet"
        path = self.root / series.folder / name
        merged = rows
        if path.exists():
            old = _read_file(path)
            merged = pd.concat([old, rows]).drop_duplicates("ts_ns", keep="last").sort_values("ts_ns")
            same = name in files and files[name]["sha256"] == sha256_of_file(path)
            if same and merged.reset_index(drop=True).equals(old):
                return False
        table = pa.Table.from_pandas(merged[list(COLUMNS)], preserve_index=False)
        with written_whole(path) as scratch:
            pq.write_table(table, scratch, compression="zstd")
        files[name] = {"rows": len(merged), "sha256": sha256_of_file(path)}
        return True

    def _read_part(self, series: Series, name: str, entry: dict[str, Any]) -> pd.DataFrame:
        path = self.root / series.folder / name
        if not path.exists():
            raise FormatError(f"{path}: the manifest names this file but it is gone; import the data again")
        if sha256_of_file(path) != entry["sha256"]:
            raise FormatError(f"{path}: is not the file that the manifest names (hash differs); import the data again")
        return _read_file(path)

    def _manifest_path(self, series: Series) -> Path:
        return self.root / series.folder / "_manifest.json"

    def _manifest(self, series: Series) -> dict[str, Any] | None:
        path = self._manifest_path(series)
        if not path.exists():
            return None
        try:
            manifest: dict[str, Any] = {"files": dict(json.loads(path.read_text())["files"])}
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{path}: is damaged ({error}); delete it and import the data again") from error
        return manifest

    def _required_manifest(self, series: Series) -> dict[str, Any]:
        manifest = self._manifest(series)
        if manifest is None:
            self.find(series.symbol)
            raise UnknownInstrumentError(f"{series.symbol}: no {series.bar_s} s bars of {series.venue} in {self.root}")
        return manifest


def check_series(series: Series, frame: pd.DataFrame) -> None:
    """Refuse rows that are no bars, or bars of another length than the series'."""
    where = f"bars for {series.symbol}"
    if frame.empty:
        raise ShortHistoryError(f"{where}: no rows to write; give at least one bar")
    check_bars(frame, where)
    ts_ns, bar_ns = frame["ts_ns"].to_numpy(), series.bar_s * NS_PER_S
    off = (ts_ns - anchor_ns(ts_ns, bar_ns)) % bar_ns != 0
    if off.any():
        row = int(off.argmax())
        raise TimeOrderError(
            f"{where}: row {row} ({format_utc(int(frame['ts_ns'].iloc[row]))}) is off the grid of {series.bar_s} s; "
            "name the series by the length of its bars"
        )


def _read_file(path: Path) -> pd.DataFrame:
    """Read one Parquet file as it is, without the columns that its folder's name implies."""
    try:
        frame: pd.DataFrame = pq.read_table(path, partitioning=None).to_pandas()
    except pa.ArrowInvalid as error:
        raise FormatError(f"{path}: is damaged ({error}); delete it and import the data again") from error
    return frame
