"""A record as one line of text, and back: the same bytes both ways or an error.

The line is canonical JSON with five keys: ``documents`` and ``head``, whose values are canonical texts in strings,
``key_id``, ``sha256`` and ``signature``.
"""

from typing import TypeVar

import msgspec

from features.errors import RecordError
from serving.margin.audit.canonical import canonical
from serving.margin.audit.reading import parse_canonical
from serving.margin.audit.record import FORMAT, Documents, Head, MarginRecord, Sha256

T = TypeVar("T")


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a line holds."""

    documents: Documents
    head: str
    key_id: Sha256 | None
    sha256: Sha256
    signature: str | None


def to_line(record: MarginRecord) -> bytes:
    """Write a record as one line of UTF-8, with the end of line."""
    envelope = Envelope(
        documents=record.documents,
        head=canonical(record.head),
        key_id=record.key_id,
        sha256=record.sha256,
        signature=record.signature,
    )
    return f"{canonical(envelope)}\n".encode()


def from_line(line: bytes) -> MarginRecord:
    """Read a record; its hashes, place and signature are checked by others.

    Raises
    ------
    RecordError
        If the line is torn, is no record of this format, or is another text than the one that would be written.
    """
    if not line.endswith(b"\n"):
        raise RecordError(f"torn: {len(line)} bytes without an end of line; the writer was stopped while it wrote")
    envelope = _checked(_decoded(line[:-1]), Envelope, "line")
    head = _checked(envelope.head, Head, "head")
    if head.format != FORMAT:
        raise RecordError(f"format {head.format!r} is not known; this version reads {FORMAT!r}")
    return MarginRecord(
        head=head,
        sha256=envelope.sha256,
        documents=envelope.documents,
        key_id=envelope.key_id,
        signature=envelope.signature,
    )


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise RecordError(f"byte {error.start} is no UTF-8; restore the line as it was written") from error


def _checked(text: str, kind: type[T], what: str) -> T:
    """Parse a canonical text into a structure that has every one of its fields."""
    try:
        value = msgspec.convert(parse_canonical(text), kind)
    except msgspec.ValidationError as error:
        raise RecordError(f"{what} is no margin record: {error}; restore it as it was written") from error
    except RecordError as error:
        raise RecordError(f"{what}: {error}") from error
    if canonical(value) != text:
        raise RecordError(f"{what}: a field is left out; restore it as it was written")
    return value
