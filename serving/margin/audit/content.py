"""Whether a record's documents are those that its head names, and records that keep them elsewhere."""

from collections.abc import Mapping

import msgspec

from features.errors import RecordError
from serving.margin.audit.canonical import canonical_sha256, sha256_of_text
from serving.margin.audit.reading import parse_canonical
from serving.margin.audit.record import PARTS, MarginRecord, told


def check_hashes(record: MarginRecord) -> None:
    """Hash every document and the head again.

    Raises
    ------
    RecordError
        If a hash differs; the message names the part.
    """
    found = canonical_sha256(record.head)
    if found != record.sha256:
        raise RecordError(f"{told(record)}: head altered: its SHA-256 is {found}, recorded is {record.sha256}")
    for part in PARTS:
        text, expected = getattr(record.documents, part), getattr(record.head.documents_sha256, part)
        if text is None:
            continue
        found = sha256_of_text(text)
        if found != expected:
            raise RecordError(f"{told(record)}: {part} altered: its SHA-256 is {found}, the head says {expected}")
        _check_text(record, part, text)


def _check_text(record: MarginRecord, part: str, text: str) -> None:
    try:
        parse_canonical(text)
    except RecordError as error:
        raise RecordError(f"{told(record)}: {part}: {error}") from error


def without_documents(record: MarginRecord, *parts: str) -> MarginRecord:
    """Leave documents out, all of them or those named; head, hash and signature stay."""
    return msgspec.structs.replace(
        record, documents=msgspec.structs.replace(record.documents, **dict.fromkeys(parts or PARTS))
    )


def with_documents(record: MarginRecord, texts: Mapping[str, str]) -> MarginRecord:
    """Put documents that were kept elsewhere back in.

    Parameters
    ----------
    texts : mapping of part to canonical text

    Raises
    ------
    RecordError
        If a document is not the one that was recorded.
    """
    filled = msgspec.structs.replace(record, documents=msgspec.structs.replace(record.documents, **texts))
    check_hashes(filled)
    return filled
