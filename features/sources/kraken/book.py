"""A spot book of limited depth, as the venue wants it kept."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

from features.intake.batch import Level

CHECKED_LEVELS = 10


@dataclass(slots=True)
class Side:
    """The levels of one side as sent, best first: ``keys`` are the prices, of bids negated."""

    sign: int
    keys: list[float] = field(default_factory=list)
    levels: dict[float, Level] = field(default_factory=dict)

    def put(self, level: Level) -> None:
        """Set or remove a level."""
        key = self.sign * float(level[0])
        if float(level[1]):
            if key not in self.levels:
                insort(self.keys, key)
            self.levels[key] = level
        elif self.levels.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]

    def cut_to(self, depth: int) -> list[Level]:
        """Drop what lies below ``depth``; the removals that say so."""
        fallen, self.keys[depth:] = self.keys[depth:], []
        return [(self.levels.pop(key)[0], 0.0) for key in fallen]

    def best(self) -> str:
        """The ten best levels as the checksum wants them: digits without point and leading zeros."""
        texts = (str(text) for key in self.keys[:CHECKED_LEVELS] for text in self.levels[key][:2])
        return "".join(text.replace(".", "").lstrip("0") for text in texts)


@dataclass(slots=True)
class Book:
    """A spot book; ``known``: it has a snapshot and fitted every checksum since."""

    depth: int
    known: bool = False
    ts_ns: int = 0
    bids: Side = field(default_factory=lambda: Side(-1))
    asks: Side = field(default_factory=lambda: Side(1))

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> tuple[list[Level], list[Level]]:
        """Apply a message; its levels with the removals of those that fell out of the depth."""
        told: list[list[Level]] = []
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for level in levels:
                side.put(level)
            told.append([*(level[:2] for level in levels), *side.cut_to(self.depth)])
        return told[0], told[1]

    def fits(self, checksum: str) -> bool:
        """Whether the book as it stands has the venue's checksum."""
        return crc32((self.asks.best() + self.bids.best()).encode()) == int(checksum)
