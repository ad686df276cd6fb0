"""Margin records on disk: a log that only grows, and the keys that sign it.

A log is one record a line. Writers take turns by a lock on the log itself; a line is on the disk before the writer is
told that it is recorded. A writer that was killed leaves at worst an unfinished last line, which everybody refuses
until :func:`set_torn_aside` has moved it beside the log.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from features.errors import MissingFileError, RecordError
from serving.margin.audit.chain import GENESIS, Checkpoint, after
from serving.margin.audit.content import check_hashes
from serving.margin.audit.lines import from_line, to_line
from serving.margin.audit.outcome import LogVerification
from serving.margin.audit.record import Code, Draft, MarginRecord
from serving.margin.audit.replay import Replay, verify, verify_all
from serving.margin.audit.signature import sign

BLOCK = 1 << 16


def append(log: Path, draft: Draft, private_key: Ed25519PrivateKey | None = None) -> MarginRecord:
    """Give a draft its place at the end of a log, sign it and write it; afterwards it survives a loss of power.

    The log is made if it is not there. Of several writers one at a time is inside. A line that could not be written
    whole is taken back.

    Raises
    ------
    RecordError
        If the log's last line is torn or altered: nothing is chained to it.
    OSError
        If the disk does not take the line; the log is as it was before.
    """
    with _locked(log) as handle:
        end = _end(handle, log)
        record = MarginRecord.of(draft, end.length, end.sha256)
        if private_key is not None:
            record = sign(record, private_key)
        _write(handle, to_line(record))
    _sync_folder(log.parent)
    return record


def read_log(log: Path) -> Iterator[MarginRecord]:
    """Records of a log, or of a file with one record, oldest first; see :func:`serving.margin.audit.replay.verify_all`.

    Raises
    ------
    MissingFileError
        If there is no such file.
    RecordError
        At a line that cannot be read; the message names the file and the line, counted from 1.
    """
    with _opened(log) as handle:
        whole = os.fstat(handle.fileno()).st_size
        fcntl.flock(handle, fcntl.LOCK_UN)  # what is written from now on is not read
        yield from _records(handle, whole, log)


def verify_file(
    path: Path,
    replay: Replay | None = None,
    public_keys: Sequence[Ed25519PublicKey] = (),
    trusted: Checkpoint | None = None,
    code: Code | None = None,
) -> LogVerification:
    """Verify a log, or a single record that was taken out of one (its place in the chain is then not checked).

    What is wrong with the content is in the answer, see :func:`serving.margin.audit.replay.verify_all`.

    Raises
    ------
    MissingFileError
        If there is no such file.
    """
    record = _single(path) if trusted is None else None
    if record is not None and record.head.sequence > 0:
        return LogVerification((verify(record, replay, public_keys, code=code),), None)
    return verify_all(read_log(path), replay, public_keys, trusted, code=code)


def checkpoint(log: Path) -> Checkpoint:
    """Length and last hash of a log, to be kept where the log's writer cannot reach it; the chain is not checked."""
    with _opened(log) as handle:
        return _end(handle, log)


def set_torn_aside(log: Path) -> Path | None:
    """Move an unfinished last line into a file of its own beside the log, ``LOG.torn-BYTE``; None if there is none.

    Whoever was writing it had not been told that it was recorded.
    """
    with _locked(log) as handle:
        start = _last_line_start(handle)
        handle.seek(start)
        rest = handle.read()
        if rest.endswith(b"\n") or not rest:
            return None
        aside = log.with_name(f"{log.name}.torn-{start}")
        with aside.open("xb") as kept:
            _write(kept, rest)
        handle.truncate(start)
        os.fsync(handle.fileno())
    return aside


def _single(path: Path) -> MarginRecord | None:
    """The record of a file that has just one, whole or not; None for any other file."""
    try:
        found = list(islice(read_log(path), 2))
    except RecordError:
        return None
    return found[0] if len(found) == 1 else None


@contextmanager
def _locked(log: Path) -> Iterator[BinaryIO]:
    """The log, open for reading and appending, to this process alone."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a+b", buffering=0) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle


@contextmanager
def _opened(log: Path) -> Iterator[BinaryIO]:
    """The log, open for reading at a moment when no writer is in the middle of a line."""
    if not log.is_file():
        raise MissingFileError(f"{log}: no such log of margin records; give the file that quotes were recorded in")
    with log.open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield handle


def _records(handle: BinaryIO, whole: int, log: Path) -> Iterator[MarginRecord]:
    number = 0
    while handle.tell() < whole:
        number, at = number + 1, handle.tell()
        try:
            record = from_line(handle.readline())
        except RecordError as error:
            raise RecordError(f"{log}, line {number} (from byte {at}): {error}") from error
        yield record


def _end(handle: BinaryIO, log: Path) -> Checkpoint:
    """Checkpoint after the last record, which must be whole and what its hash says."""
    start = _last_line_start(handle)
    handle.seek(start)
    line = handle.read()
    if not line:
        return GENESIS
    try:
        record = from_line(line)
        check_hashes(record)
    except RecordError as error:
        raise RecordError(
            f"{log}, last line (from byte {start}): {error}; set a torn line aside before going on, "
            "restore an altered one from a copy"
        ) from error
    return after(record)


def _last_line_start(handle: BinaryIO) -> int:
    """Byte at which the last line starts, finished or not."""
    size = handle.seek(0, os.SEEK_END)
    at = max(size - 1, 0)  # the end of the last line is not the end of the one before
    while at > 0:
        start = max(at - BLOCK, 0)
        handle.seek(start)
        found = handle.read(at - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def _write(handle: BinaryIO, line: bytes) -> None:
    """Append all bytes and wait for the disk, or leave the file as it was."""
    before = handle.seek(0, os.SEEK_END)
    try:
        rest = memoryview(line)
        while rest:
            rest = rest[handle.write(rest) :]
        handle.flush()
        os.fsync(handle.fileno())
    except BaseException:
        handle.truncate(before)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a new file's name survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
