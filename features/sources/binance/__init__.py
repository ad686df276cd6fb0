"""Binance: the public archive, depth and trade sockets with REST snapshots, T_DEPTH files, recorder CSV.

What a file is, its content tells: lines of JSON are sockets, text with commas is the archive or a recorder's.
"""

from collections.abc import Iterator
from pathlib import Path

from features.errors import FormatError
from features.intake.batch import Item, Options
from features.intake.stream import first_lines
from features.sources.binance import archive, recorder, socket


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read any file of the family.

    Raises
    ------
    FormatError
        If it is empty.
    SchemaError
        If its columns are of no known file.
    """
    first = first_lines(path)
    if not first:
        raise FormatError(f"{path}: the file is empty; fetch it again")
    line = first[0]
    if line.startswith((b"#", b"TimestampOfReceive", b"symbol,timestamp,first_update_id")):
        return recorder.read(path, options)
    if b"{" in line or line.startswith(b"wss:"):
        return socket.read(path, options)
    return archive.read(path, options)
