"""Vendor files to canonical tables: one family of formats, one file, one line in ``SOURCES``."""

from dataclasses import dataclass

from features.intake.batch import Reader
from features.sources import okx, tardis


@dataclass(frozen=True, slots=True)
class Source:
    """A reader, what it reads in a few words, and the venue where the format tells it."""

    read: Reader
    about: str
    venue: str | None = None


SOURCES: dict[str, Source] = {

    "okx": Source(okx.read, "recorded sockets", "okx"),
    "tardis": Source(tardis.read, "CSV datasets"),
}
