"""Partial books of the sockets, many messages at a time: the fast way in for live features."""

from collections.abc import Sequence

import msgspec
import numpy as np

from features.errors import FormatError
from features.intake.levels import Floats, Ints, parse_levels

NS_PER_MS = 1_000_000


class TopBook(msgspec.Struct):
    """``<symbol>@depth20`` of the futures: exchange time in ms, number, bids and asks, best first."""

    T: int
    u: int
    b: msgspec.Raw
    a: msgspec.Raw


_decode = msgspec.json.Decoder(TopBook).decode


def top_books(messages: Sequence[bytes], depth: int) -> tuple[Ints, Ints, Floats]:
    """Books of messages of one instrument, for :meth:`features.online.Online.add_books`.

    Returns
    -------
    ts_ns, seq : arrays of shape (n,)
    books : array of shape (n, 4 * depth)
        Price and size of each level, bids first, best first; NaN where a side has fewer levels.

    Raises
    ------
    FormatError
        If a message is no partial book; nothing of the others is given out then.

    Examples
    --------
    >>> told = b'{"e":"depthUpdate","T":1700000000000,"u":7,"b":[["9.5","1"]],"a":[["9.6","2"]]}'
    >>> ts_ns, seq, books = top_books([told], 1)
    >>> ts_ns[0] // 10**9, seq[0], books.tolist()
    (np.int64(1700000000), np.int64(7), [[9.5, 1.0, 9.6, 2.0]])
    """
    try:
        told = [_decode(message) for message in messages]
        sides = parse_levels([bytes(side) for book in told for side in (book.b, book.a)], depth)
        ts_ns, seq = (np.array(n, dtype=np.int64) for n in ([b.T * NS_PER_MS for b in told], [b.u for b in told]))
    except (msgspec.MsgspecError, ValueError, OverflowError) as error:
        raise FormatError(f"a message is no partial book of Binance futures ({error}); leave it out") from error
    return ts_ns, seq, sides.reshape(len(told), 4 * depth)
