"""Kraken sockets: spot v1 (lists), spot v2 (objects with ``channel``) and Kraken Futures v1 (``feed``).

A spot book is limited to the depth that was subscribed, and the venue does not say which levels
fall out of it: they must be dropped by whoever keeps the book. The reader keeps it and adds a
removal (size 0) for each of them, so that the rows alone give the book. It checks v1's checksum
of the ten best levels at every change, as spot has no sequence numbers; a book whose checksum
does not fit is void until its next snapshot. Futures books are whole and numbered.
"""

from collections.abc import Iterator
from pathlib import Path

from features.intake.batch import Item, Options, Rows
from features.intake.capture import Message, collect
from features.sources.kraken.futures import Futures
from features.sources.kraken.spot import Spot


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read a recorded socket of Kraken or Kraken Futures.

    Of several depths of a spot pair's book the one that comes first is kept; the others are left out with a note.
    """
    del options
    spot, futures = Spot(), Futures()

    def parse(rows: Rows, message: Message) -> None:
        is_futures = isinstance(message.body, dict) and "feed" in message.body
        (futures if is_futures else spot).parse(rows, message)

    yield from collect(path, parse)
    yield from spot.notes()
