"""Files that are whole or not there: written beside, then renamed; and content hashes."""

import fcntl
import glob
import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

PART, LOCK = ".part", ".lock"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a scratch path beside ``path`` that takes its place when the block succeeds.

    The block makes a file or a folder there. A folder's name holds the hash of what it
    is made from: one that another process finished meanwhile stays.

    If the block fails or is interrupted, ``path`` keeps its former content. What a writer of the same path that was
    killed has left behind is removed; one that lives holds a lock beside its scratch path, which its death lets go.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with written_whole(target) as scratch:
    ...     _ = scratch.write_text("done")
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('done', 1)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    scratch = path.with_name(f".{path.name}.{uuid4().hex[:8]}{PART}")
    with locked(_lock_of(scratch)):
        try:
            yield scratch
            if scratch.is_dir() and path.exists():
                return
            os.replace(scratch, path)  # noqa: PTH105 - replaces atomically on POSIX and Windows
        finally:
            _remove(scratch)
            _lock_of(scratch).unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove scratch paths whose lock nobody holds; one without a lock may be anybody's, and stays."""
    for lock in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}{PART}{LOCK}"):
        try:
            with lock.open("a") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(lock.with_name(lock.name.removesuffix(LOCK)))
                lock.unlink(missing_ok=True)
        except OSError:  # its writer lives, or it is not ours to remove
            continue


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _lock_of(scratch: Path) -> Path:
    return scratch.with_name(f"{scratch.name}{LOCK}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file: of several processes, one at a time is inside; a process that dies lets go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_running(process_id: int) -> bool:
    """Whether a process of this machine is alive."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 text file or leave the former one."""
    with written_whole(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write a whole JSON file with sorted keys; NaN is refused, as JSON has none."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def seal(path: Path) -> None:
    """Write the hash of a finished file or folder beside it: see :func:`is_sealed`."""
    write_text(_seal_of(path), content_sha256(path) + "\n")


def is_sealed(path: Path) -> bool:
    """Whether a file or folder is there and is what was sealed; anything else is not to be used."""
    mark = _seal_of(path)
    return path.exists() and mark.is_file() and mark.read_text().strip() == content_sha256(path)


def discard(path: Path) -> None:
    """Remove a file or folder and its seal, as far as they are there."""
    _seal_of(path).unlink(missing_ok=True)
    _remove(path)


def content_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of a folder's files."""
    if path.is_dir():
        return sha256_of({str(p.relative_to(path)): sha256_of_file(p) for p in sorted(path.rglob("*")) if p.is_file()})
    return sha256_of_file(path)


def _seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_of(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Hexadecimal SHA-256 of a JSON value in canonical form (sorted keys, no spaces).

    Examples
    --------
    >>> sha256_of({"b": 1, "a": 2}) == sha256_of({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def code_hash(*names: str) -> str:
    """SHA-256 over the sources of packages and modules: what was computed by other code is not re-used."""
    hashes = []
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no module {name!r} to hash")
        origin = Path(spec.origin)
        is_package = spec.submodule_search_locations is not None
        sources = sorted(origin.parent.rglob("*.py")) if is_package else [origin]
        hashes += [f"{p.relative_to(origin.parent)}:{sha256_of_file(p)}" for p in sources]
    return sha256_of(hashes)
