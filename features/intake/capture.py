"""Recorded sockets: one message a line, in the framings that recorders use.

=====================  ==========================================================
framing                line
=====================  ==========================================================
nanoseconds            ``1723161600018685484 {...}``, also in µs or ms
cryptofeed             ``1626992741.081672: {...}``; what the recorder sent and
                       other control lines (``wss://... <- ...``) are passed over
cryptofeed REST        ``https://... -> 1626992740.17: {...}``
plain                  ``{...}`` or ``[...]``, no time of receipt
=====================  ==========================================================
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from features.clock import NS_PER_S
from features.intake.batch import BATCH_ROWS, Item, Note, Rejected, Rows
from features.intake.stream import lines
from features.intake.units import unit_ns

FRAME = re.compile(rb"(?:(?P<url>\S+) (?P<way><->|<-|->) )?(?P<s>\d+)\.?(?P<frac>\d*)(?P<mark>:?)(?: |$)")
CONTROL = re.compile(rb"(configuration|header): ")
BAD_MESSAGE = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, msgspec.DecodeError)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its line, time of receipt (0: not recorded), the address it was asked from, and its JSON."""

    row: int
    local_ns: int
    url: str
    body: Any


def _parse(row: int, line: bytes) -> Message | None:
    """Take one line apart; ``None`` for control lines."""
    if line[:1] in b"{[":
        return Message(row, 0, "", msgspec.json.decode(line))
    frame = FRAME.match(line)
    if frame is None:
        if CONTROL.match(line):
            return None
        raise ValueError("neither JSON nor '<time> <JSON>'")
    if frame["way"] in (b"<-", b"<->"):
        return None
    stamp, text = int(frame["s"]), line[frame.end() :]
    seconds = stamp * NS_PER_S + int(frame["frac"].ljust(9, b"0")[:9])
    local_ns = seconds if frame["mark"] else stamp * unit_ns(stamp)
    return Message(row, local_ns, (frame["url"] or b"").decode(), msgspec.json.decode(text))


def collect(
    path: Path, parse: Callable[[Rows, Message], None], finish: Callable[[Rows], None] | None = None
) -> Iterator[Item]:
    """Read a capture: ``parse`` adds a message's rows; a message that it cannot read is handed out as rejected.

    ``finish`` adds what the parser still holds back after the last message.
    """
    rows, row = Rows(), 0
    replies = others = 0
    for row, line in lines(path):
        mark = rows.mark()
        try:
            message = _parse(row, line)
            if message is not None:
                parse(rows, message)
                replies, others = (replies + 1, others) if message.url else (replies, others + 1)
        except BAD_MESSAGE as error:
            rows.back_to(mark)
            yield Rejected(row, _reason(error), line.decode(errors="replace"))
        if rows.count >= BATCH_ROWS:
            yield from rows.take()
    if finish is not None:
        try:
            finish(rows)
        except BAD_MESSAGE as error:
            yield Rejected(row, _reason(error), "")
    yield from rows.take()
    if replies and not others:
        yield Note(f"{replies} answers to requests: what they hold apart from the rows told is no market data")


def _reason(error: Exception) -> str:
    """What is wrong with a message, in words."""
    if isinstance(error, KeyError):
        return f"the message has no field {error.args[0]!r}"
    return f"the message cannot be read ({error})"
