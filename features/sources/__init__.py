"""Vendor files to canonical tables: one family of formats, one file, one line in ``SOURCES``."""

from dataclasses import dataclass

from features.intake.batch import Reader
from features.sources import barfile, binance, okx, tardis


@dataclass(frozen=True, slots=True)
class Source:
    """A reader, what it reads in a few words, and the venue where the format tells it."""

    read: Reader
    about: str
    venue: str | None = None


SOURCES: dict[str, Source] = {

    "bars": Source(barfile.read, "bars in CSV, Parquet or Feather, of any maker"),
    "binance": Source(binance.read, "public archive, T_DEPTH, sockets with REST snapshots, recorder CSV"),
    "okx": Source(okx.read, "recorded sockets", "okx"),
    "tardis": Source(tardis.read, "CSV datasets"),
}
