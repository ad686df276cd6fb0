"""Vendor files to canonical tables: one format, one file, one line in ``SOURCES``."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from features.sources import barfile, sample

SOURCES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "bars": barfile.read,
    "sample": sample.read,
}
