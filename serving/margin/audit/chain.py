r"""Records in a row: each names the hash of the one before, so that none can be changed, moved, added or removed.

.. math:: H_i = \mathrm{SHA256}(\dots, i, H_{i-1}, \dots), \qquad H_{-1} = 0^{64}

The first record has sequence 0 and names 64 zeros. What the chain alone cannot show is that its end was cut off, or
that somebody wrote all of it anew: that takes a :class:`Checkpoint` kept elsewhere, or signatures.

References
----------
Haber, Stornetta (1991), "How to time-stamp a digital document", J. of Cryptology 3(2).
"""

from collections.abc import Iterable, Iterator

import msgspec

from features.errors import RecordError
from serving.margin.audit.content import check_hashes
from serving.margin.audit.record import NO_RECORD, Count, MarginRecord, Sha256


class Checkpoint(msgspec.Struct, frozen=True):
    """How many records a chain had, and the hash of the last: what to keep where the log's writer cannot reach it."""

    length: Count
    sha256: Sha256


GENESIS = Checkpoint(0, NO_RECORD)


class ChainBreak(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where records do not form a chain.

    ``index``: position in what was read, from 0. ``kind``: ``altered``, ``missing``, ``out of order``, ``repeated``,
    ``link``, ``truncated`` or ``replaced``. ``detail``: what was due and what was found.
    """

    index: int
    kind: str
    detail: str

    def __str__(self) -> str:
        """One line for people."""
        return f"chain broken at index {self.index}, {self.kind}: {self.detail}"


def after(record: MarginRecord) -> Checkpoint:
    """Checkpoint of a chain that ends with this record."""
    return Checkpoint(record.head.sequence + 1, record.sha256)


def check_chain(
    records: Iterable[MarginRecord], trusted: Checkpoint | None = None, start: Checkpoint = GENESIS
) -> ChainBreak | None:
    """First break of a chain, or None.

    Parameters
    ----------
    records : iterable of MarginRecord
        Oldest first; read once.
    trusted : Checkpoint, optional
        Known from elsewhere. A chain that has grown since is whole; one that is shorter, or has another record in
        that place, is not.
    start : Checkpoint
        What the first record must follow; that of the former file where a log was continued in a new one.

    Examples
    --------
    >>> check_chain([], trusted=Checkpoint(3, "a" * 64)).kind
    'truncated'
    """
    rest = iter(records)
    seen, index = start, 0
    for index, record in enumerate(rest, 1):
        broken = record_break(index - 1, record, seen, trusted, rest)
        if broken is not None:
            return broken
        seen = after(record)
    return cut_off(index, seen, trusted)


def require_chain(
    records: Iterable[MarginRecord], trusted: Checkpoint | None = None, start: Checkpoint = GENESIS
) -> None:
    """Refuse records that do not form a chain.

    Raises
    ------
    RecordError
        At the first break.
    """
    broken = check_chain(records, trusted, start)
    if broken is not None:
        raise RecordError(f"{broken}; restore the log from a copy")


def record_break(
    index: int,
    record: MarginRecord,
    seen: Checkpoint,
    trusted: Checkpoint | None = None,
    rest: Iterable[MarginRecord] = (),
) -> ChainBreak | None:
    """Why a record is not the next of a chain, or None; ``rest``: what comes later, to tell moved from missing."""
    return link_break(index, record, seen, rest) or _hash_break(index, record) or _replaced(index, record, trusted)


def link_break(
    index: int, record: MarginRecord, seen: Checkpoint, rest: Iterable[MarginRecord] = ()
) -> ChainBreak | None:
    """Why a record does not follow what was seen before it, or None; its own hash is not looked at."""
    found, due = record.head.sequence, seen.length
    if found > due:
        return _gap(index, found, due, iter(rest))
    if found < due:
        return ChainBreak(
            index=index, kind="repeated", detail=f"sequence {found} where {due} is due: inserted or moved"
        )
    if record.head.previous_sha256 != seen.sha256:
        before = f"of record {due - 1}" if due else "before a first record"
        detail = f"record {found} follows hash {record.head.previous_sha256}, but that {before} is {seen.sha256}"
        return ChainBreak(index=index, kind="link", detail=detail)
    return None


def cut_off(index: int, seen: Checkpoint, trusted: Checkpoint | None) -> ChainBreak | None:
    """Whether a chain that ended here is shorter than is known from elsewhere."""
    if trusted is None or seen.length >= trusted.length:
        return None
    detail = f"{seen.length} records, trusted are {trusted.length}: the end was cut off"
    return ChainBreak(index=index, kind="truncated", detail=detail)


def _gap(index: int, found: int, due: int, rest: Iterator[MarginRecord]) -> ChainBreak:
    for later, record in enumerate(rest, index + 1):
        if record.head.sequence == due:
            detail = f"sequence {found} where {due} is due; {due} comes at index {later}"
            return ChainBreak(index=index, kind="out of order", detail=detail)
    names = f"record {due}" if found == due + 1 else f"records {due} to {found - 1}"
    return ChainBreak(index=index, kind="missing", detail=f"sequence {found} where {due} is due: {names} not there")


def _hash_break(index: int, record: MarginRecord) -> ChainBreak | None:
    try:
        check_hashes(record)
    except RecordError as error:
        return ChainBreak(index=index, kind="altered", detail=str(error))
    return None


def _replaced(index: int, record: MarginRecord, trusted: Checkpoint | None) -> ChainBreak | None:
    if trusted is None or after(record).length != trusted.length or record.sha256 == trusted.sha256:
        return None
    detail = f"record {record.head.sequence} has hash {record.sha256}, trusted is {trusted.sha256}"
    return ChainBreak(index=index, kind="replaced", detail=detail)
