"""Files in every packing are the same text, and a damaged one is named."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import FormatError, MissingFileError
from features.intake import stream
from features.intake.stream import blocks, first_lines, lines

TEXT = b"".join(b"%d,%d\n" % (i, i * 7919 % 10_007) for i in range(2_000))
FIRST, SECOND = TEXT[:5_000], TEXT[5_000:]


def zipped(**files: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{name}.csv", content)
    return held.getvalue()


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(content)
    return bytes(sink.getvalue().to_pybytes())


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": zstd,
    "zip": lambda content: zipped(one=content),
}


def stored(folder: Path, content: bytes) -> Path:
    path = folder / "named_without_a_hint"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", PACKED)
def test_blocks_joined_are_the_text_in_every_packing(kind: str, tmp_path: Path) -> None:
    path = stored(tmp_path, PACKED[kind](TEXT))
    held = list(blocks(path, 1_000))
    assert b"".join(held) == TEXT
    assert len(held) > 10
    assert all(block.endswith(b"\n") for block in held)


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2", "zstd"])
def test_members_in_a_row_are_one_text(kind: str, tmp_path: Path) -> None:
    path = stored(tmp_path, PACKED[kind](FIRST) + PACKED[kind](SECOND))
    assert b"".join(blocks(path)) == TEXT


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2", "zstd", "zip"])
@pytest.mark.parametrize("kept", [0.3, 0.999])
def test_a_truncated_file_is_named(kind: str, kept: float, tmp_path: Path) -> None:
    whole = PACKED[kind](TEXT)
    path = stored(tmp_path, whole[: int(len(whole) * kept)])
    with pytest.raises(FormatError, match=r"named_without_a_hint: the file is cut short or damaged .* fetch it again"):
        list(blocks(path, 1_000))


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2", "zip"])
def test_a_changed_byte_is_found_by_the_check_sum_of_the_packing(kind: str, tmp_path: Path) -> None:
    whole = bytearray(PACKED[kind](TEXT))
    whole[len(whole) // 2] ^= 0xFF
    with pytest.raises(FormatError, match="cut short or damaged"):
        list(blocks(stored(tmp_path, bytes(whole)), 1_000))


def test_the_second_member_of_a_gzip_may_not_be_cut(tmp_path: Path) -> None:
    path = stored(tmp_path, gzip.compress(FIRST) + gzip.compress(SECOND)[:-9])
    with pytest.raises(FormatError, match="cut short"):
        list(blocks(path))


def test_an_archive_of_none_or_several_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="holds 2 files; unpack it"):
        list(blocks(stored(tmp_path, zipped(one=FIRST, two=SECOND))))
    with pytest.raises(FormatError, match="holds 0 files"):
        list(blocks(stored(tmp_path, zipped())))


def test_folders_in_an_archive_are_no_files(tmp_path: Path) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.mkdir("folder")
        archive.writestr("folder/one.csv", TEXT)
        archive.writestr("__MACOSX/._one.csv", b"junk")
    assert b"".join(blocks(stored(tmp_path, held.getvalue()))) == TEXT


def test_an_encrypted_archive_is_named(tmp_path: Path) -> None:
    whole = bytearray(zipped(one=TEXT))
    for signature, flags_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.find(signature) + flags_at] |= 1
    with pytest.raises(FormatError, match="named_without_a_hint"):
        list(blocks(stored(tmp_path, bytes(whole))))


@pytest.mark.parametrize("kind", PACKED)
def test_a_byte_order_mark_is_taken_off(kind: str, tmp_path: Path) -> None:
    path = stored(tmp_path, PACKED[kind](b"\xef\xbb\xbf" + TEXT))
    assert b"".join(blocks(path, 1_000)) == TEXT
    assert first_lines(path) == [b"0,0"]


@pytest.mark.parametrize("content", [b"", b"\n", b"a", b"ab\n", b"a\nb", b"\xef\xbb\xbf", b"\xef\xbb\xbfa"])
def test_very_short_files(content: bytes, tmp_path: Path) -> None:
    assert b"".join(blocks(stored(tmp_path, content))) == content.removeprefix(b"\xef\xbb\xbf")


def test_the_last_line_may_lack_its_end(tmp_path: Path) -> None:
    path = stored(tmp_path, b"a\nb\nlast")
    assert list(blocks(path, 2)) == [b"a\nb\n", b"last"]
    assert list(lines(path)) == [(1, b"a"), (2, b"b"), (3, b"last")]


def test_line_numbers_count_blank_lines_and_line_ends_are_taken_off(tmp_path: Path) -> None:
    path = stored(tmp_path, b"one\r\n\r\n  \nfour\r\nfive")
    assert list(lines(path)) == [(1, b"one"), (4, b"four"), (5, b"five")]
    assert first_lines(path, 2) == [b"one", b"four"]
    assert first_lines(path, 9) == [b"one", b"four", b"five"]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"", b"a", b"bc,d", b"  ", b"\r", b"long " * 9])),
    st.sampled_from([b"", b"\n"]),
    st.integers(1, 40),
)
def test_no_block_size_changes_text_or_line_numbers(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], end: bytes, size: int
) -> None:
    content = b"\n".join(texts) + end
    path = stored(tmp_path_factory.mktemp("blocks"), content)
    held = list(blocks(path, size))
    assert b"".join(held) == content
    assert all(block.endswith(b"\n") for block in held[:-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "__defaults__", (size,))
        found = list(lines(path))
    assert found == [(i, t.strip()) for i, t in enumerate(content.split(b"\n"), 1) if t.strip()]


def test_never_more_than_a_block_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Counting(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size or 0)
            return super().read(size)

    monkeypatch.setattr(stream, "opened", lambda _path: Counting(TEXT))
    assert b"".join(stream.blocks(tmp_path, 512)) == TEXT
    assert set(asked) == {3, 512}


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv: no such file"):
        list(blocks(tmp_path / "none.csv"))
    with pytest.raises(MissingFileError, match="is a folder; name its files"):
        list(lines(tmp_path))
