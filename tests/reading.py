"""Run a reader and look at what it gave."""

from pathlib import Path

import polars as pl

from features.intake.batch import Batch, Options, Reader, Rejected


def frames(read: Reader, path: Path, options: Options = Options()) -> dict[str, pl.DataFrame]:  # noqa: B008 - frozen
    """All rows of a file by kind of table, as the table demands them, with ``row`` and ``symbol``."""
    found: dict[str, list[pl.DataFrame]] = {}
    for item in read(path, options):
        if isinstance(item, Batch):
            found.setdefault(item.table.kind, []).append(item.table.conform(item.frame))
    return {kind: pl.concat(parts) for kind, parts in found.items()}


def rejected(read: Reader, path: Path, options: Options = Options()) -> list[Rejected]:  # noqa: B008 - frozen
    """The rows that the reader could not read."""
    return [item for item in read(path, options) if isinstance(item, Rejected)]
