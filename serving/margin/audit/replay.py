"""Verification: hashes, place in the chain, signature, and the requirement computed again to the last bit."""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from features.errors import DataError, RecordError
from serving.margin.audit.chain import GENESIS, ChainBreak, Checkpoint, after, cut_off, link_break, record_break
from serving.margin.audit.content import check_hashes
from serving.margin.audit.difference import first_difference
from serving.margin.audit.outcome import LogVerification, Step, Verification
from serving.margin.audit.reading import parse_canonical
from serving.margin.audit.record import PARTS, Code, MarginRecord
from serving.margin.audit.signature import check_signature

Replay = Callable[[MarginRecord], object]
NOT_REPLAYED = Step("replay", "not checked", "what was altered is not computed again")


def verify(
    record: MarginRecord,
    replay: Replay | None = None,
    public_keys: Sequence[Ed25519PublicKey] = (),
    previous: Checkpoint | None = None,
    code: Code | None = None,
) -> Verification:
    """Check everything of a record that can be checked with what is given.

    Parameters
    ----------
    replay : callable
        Computes the result again from ``record.text("account")`` and the like; what it refuses is a failure.
    public_keys : sequence of keys
        Those that may have signed; a record that none of them signed fails.
    previous : Checkpoint
        What the record must follow; without it only the first record of a chain shows its place.
    code : Code
        What the replay is computed by; that of the record is compared with it, for information.
    """
    before = GENESIS if previous is None and record.head.sequence == 0 else previous
    hashes = _hashes(record)
    steps = (
        hashes,
        _chain(record, before),
        _signature(record, public_keys),
        _code(record, code),
        _replayed(record, replay) if hashes.outcome == "passed" else NOT_REPLAYED,
    )
    return Verification(record.head.sequence, record.sha256, steps)


def verify_all(
    records: Iterable[MarginRecord],
    replay: Replay | None = None,
    public_keys: Sequence[Ed25519PublicKey] = (),
    trusted: Checkpoint | None = None,
    start: Checkpoint = GENESIS,
    code: Code | None = None,
) -> LogVerification:
    """Verify the records of a log, oldest first, up to the first break of the chain or line that cannot be read.

    ``trusted`` and ``start`` as in :func:`serving.margin.audit.chain.check_chain`.
    """
    done: list[Verification] = []
    seen, rest = start, iter(records)
    while True:
        try:
            record = next(rest, None)
        except RecordError as error:
            return LogVerification(tuple(done), ChainBreak(index=len(done), kind="unreadable", detail=str(error)))
        if record is None:
            return LogVerification(tuple(done), cut_off(len(done), seen, trusted))
        broken = record_break(len(done), record, seen, trusted)
        done.append(verify(record, replay, public_keys, seen, code))
        if broken is not None:
            return LogVerification(tuple(done), broken)
        seen = after(record)


def _hashes(record: MarginRecord) -> Step:
    try:
        check_hashes(record)
    except RecordError as error:
        return Step("hashes", "failed", str(error))
    held = [part for part in PARTS if getattr(record.documents, part) is not None]
    return Step("hashes", "passed", f"head and {', '.join(held) or 'no document'}")


def _chain(record: MarginRecord, before: Checkpoint | None) -> Step:
    if before is None:
        return Step("chain", "not checked", f"the hash of record {record.head.sequence - 1} is not known")
    broken = link_break(0, record, before)
    if broken is not None:
        return Step("chain", "failed", f"{broken.kind}: {broken.detail}")
    return Step("chain", "passed", f"follows record {before.length - 1}" if before.length else "first of its chain")


def _signature(record: MarginRecord, public_keys: Sequence[Ed25519PublicKey]) -> Step:
    if not public_keys:
        signed = "not signed" if record.signature is None else f"signed with key {record.key_id}"
        return Step("signature", "not checked", f"{signed}; no public key given")
    try:
        check_signature(record, public_keys)
    except RecordError as error:
        return Step("signature", "failed", str(error))
    return Step("signature", "passed", f"key {record.key_id}")


def _code(record: MarginRecord, code: Code | None) -> Step:
    recorded = record.head.code
    if code is None:
        return Step("code", "not checked", f"recorded by {recorded.version}, sources {recorded.sha256}")
    difference = first_difference(recorded, code)
    if difference is None:
        return Step("code", "passed", f"{recorded.version}, sources {recorded.sha256}")
    return Step("code", "differs", str(difference))


def _replayed(record: MarginRecord, replay: Replay | None) -> Step:
    missing = [part for part in PARTS if record.has(part) and getattr(record.documents, part) is None]
    if replay is None or missing:
        why = f"kept elsewhere: {', '.join(missing)}" if missing else "no replay given"
        return Step("replay", "not checked", why)
    try:
        return _compared(record.text("result"), replay(record))
    except (DataError, msgspec.MsgspecError) as error:
        return Step("replay", "failed", f"the replay refused the record: {error}")


def _compared(recorded: str, replayed: object) -> Step:
    difference = first_difference(parse_canonical(recorded), replayed)
    if difference is not None:
        return Step("replay", "failed", str(difference))
    return Step("replay", "passed", "equal to the last bit")
