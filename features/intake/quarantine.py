"""The side file for bad rows: CSV with file, row, reason and text."""

import csv
import os
from pathlib import Path
from typing import IO, Any

from features.intake.batch import Rejected


class Quarantine:
    """Collects bad rows on disk; the file appears at its place when the import does."""

    def __init__(self, path: Path, file: str) -> None:
        self.path, self.file, self.count = path, file, 0
        self._scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._handle: IO[str] | None = None
        self._writer: Any = None

    def add(self, fault: Rejected) -> None:
        """Write one bad row."""
        if self._handle is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self._scratch.open("w", newline="", encoding="utf-8")
            self._writer = csv.writer(self._handle)
            self._writer.writerow(("file", "row", "reason", "text"))
        self._writer.writerow((self.file, fault.row, fault.reason, fault.text))
        self.count += 1

    def commit(self) -> tuple[int, str | None]:
        """Put the file in its place; answers the number of rows and the path, if there are any."""
        if self._handle is None:
            return 0, None
        self._handle.close()
        self._scratch.replace(self.path)
        return self.count, str(self.path)

    def discard(self) -> None:
        """Leave no scratch file."""
        if self._handle is not None:
            self._handle.close()
        self._scratch.unlink(missing_ok=True)
