"""Files as streams of whole lines, plain or compressed, in blocks that fit in memory."""

import bz2
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
from isal import igzip, isal_zlib

from features.errors import FormatError, MissingFileError

BLOCK_BYTES = 8 << 20
FAULTS: tuple[type[Exception], ...] = (
    *(EOFError, OSError, lzma.LZMAError, zipfile.BadZipFile, zlib.error),
    *(cast("type[Exception]", isal_zlib.error), pa.ArrowInvalid),
)


def _zip_member(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")]
    if len(names) != 1:
        raise FormatError(f"{path}: the archive holds {len(names)} files; unpack it and import them one by one")
    try:
        return archive.open(names[0])
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in an unusual way
        raise FormatError(f"{path}: the archive cannot be read ({error}); unpack it and import its file") from error


def _xz(path: Path) -> IO[bytes]:
    return lzma.open(path, "rb")


def _bzip2(path: Path) -> IO[bytes]:
    return bz2.open(path, "rb")


OPENERS: dict[bytes, Callable[[Path], IO[bytes]]] = {
    b"\x1f\x8b": lambda path: cast("IO[bytes]", igzip.open(path, "rb")),  # type: ignore[no-untyped-call]
    b"PK\x03\x04": _zip_member,
    b"PK\x05\x06": _zip_member,
    b"\xfd7zXZ\x00": _xz,
    b"BZh": _bzip2,
    b"\x28\xb5\x2f\xfd": lambda path: pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"),
}


def require_file(path: Path) -> None:
    """Refuse a path that is no file.

    Raises
    ------
    MissingFileError
        If there is no such file or it is a folder.
    """
    if not path.is_file():
        fault = "is a folder; name its files" if path.is_dir() else "no such file"
        raise MissingFileError(f"{path}: {fault}")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a plain, gzip, zip (of one file), xz, bzip2 or zstandard file; its first bytes tell which, not its name.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If the compressed stream is cut short or damaged; also while it is being read.
    """
    require_file(path)
    with path.open("rb") as raw:
        head = raw.read(6)
    opener = next((opener for magic, opener in OPENERS.items() if head.startswith(magic)), None)
    try:
        with path.open("rb") if opener is None else opener(path) as stream:
            yield stream
    except FAULTS as error:
        raise FormatError(
            f"{path}: the file is cut short or damaged ({error}); nothing of it was imported, fetch it again"
        ) from error


def blocks(path: Path, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Yield a file's text in blocks that end at line ends; memory is that of a block, not of the file.

    A byte-order mark is taken off. A last line without its end is handed out as it is.
    """
    with opened(path) as stream:
        rest = stream.read(3).removeprefix(b"\xef\xbb\xbf")
        while block := stream.read(size):
            cut = block.rfind(b"\n") + 1
            if cut:
                yield b"".join((rest, memoryview(block)[:cut]))
            rest = block[cut:] if cut else rest + block
        if rest:
            yield rest


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers from 1, without line ends; blank lines are left out."""
    number = 0
    for block in blocks(path):
        for line in io.BytesIO(block):
            number += 1
            text = line.strip()
            if text:
                yield number, text


def first_lines(path: Path, count: int = 1) -> list[bytes]:
    """The first lines of a file that are not blank, to tell its format by."""
    found: list[bytes] = []
    for _, line in lines(path):
        found.append(line)
        if len(found) == count:
            break
    return found
